use chrono::TimeDelta;
use sallyport_ledger::{
    Database,
    history_exports::{HistoryExport, due, of_workflow, record},
    transitions::record_transition,
};
use sallyport_workflows::{ObjectRef, State};

use crate::{at, begun, ledger, transition};

fn export(run: &str, closed_at: i64) -> HistoryExport {
    HistoryExport {
        run_id: run.to_owned(),
        events: 3,
        closed_at: at(closed_at),
        content: ObjectRef::of(run.as_bytes()),
    }
}

async fn names(database: &Database, days_after_the_end: i64) -> Vec<String> {
    let now = at(2) + TimeDelta::days(days_after_the_end);
    let mut names = Vec::new();
    let mut after = None;
    // One at a time, so that the pages are seen to join.
    while let Some(one) = due(database, now, after, 1).await.unwrap().pop() {
        after = Some(one.workflow);
        names.push(one.workflow_id);
    }
    names.sort();
    names
}

#[tokio::test]
async fn a_ticket_is_looked_at_until_the_run_that_ended_it_is_exported() {
    let database = ledger().await;
    let [running, ended] = [
        begun(&database, "FL-1").await,
        begun(&database, "FL-2").await,
    ];
    let end = transition("FL-2", 2, Some(State::Pending), State::Cancelled);
    record_transition(&database, &end).await.unwrap();
    let both = [running.workflow_id(), ended.workflow_id()];
    assert_eq!(names(&database, 9).await, both);

    // Runs that continued as another; the same again is nothing new, whatever it says.
    for ticket in [&running, &ended] {
        assert!(
            record(&database, ticket.ledger_id(), &export("first", 1))
                .await
                .unwrap()
        );
        assert!(
            !record(&database, ticket.ledger_id(), &export("first", 9))
                .await
                .unwrap()
        );
    }
    assert_eq!(names(&database, 9).await, both);

    let mut last = export("last", 2);
    last.closed_at += TimeDelta::milliseconds(5);
    assert!(record(&database, ended.ledger_id(), &last).await.unwrap());
    // An earlier run may still show.
    assert_eq!(names(&database, 1).await, both);
    assert_eq!(names(&database, 2).await, both[..1]);
    let exports = of_workflow(&database, ended.ledger_id()).await.unwrap();
    assert_eq!(exports, [export("first", 1), last]);
}

#[tokio::test]
async fn what_is_exported_is_never_changed() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    record(&database, ticket.ledger_id(), &export("run", 1))
        .await
        .unwrap();
    for sql in [
        "UPDATE history_exports SET content_url = 'x'",
        "DELETE FROM history_exports",
        "TRUNCATE history_exports",
        "UPDATE spec_revisions SET revision = 'x'",
        "DELETE FROM spec_revisions",
    ] {
        let error = sqlx::query(sql).execute(database.pool()).await.unwrap_err();
        assert!(
            error.to_string().contains("permission denied"),
            "{sql}: {error}"
        );
    }
}
