use sallyport_ledger::{
    agent_logs::{self, LogLevel, NewLogLine},
    qa_results::{self, NewQaReport, NewQaResult},
};
use sallyport_workflows::{ObjectRef, activities::StepKey, ticket::TicketKey};

use crate::{at, begun, ledger};

fn step(ticket: &TicketKey, sequence: u64) -> StepKey {
    StepKey {
        ticket: ticket.clone(),
        sequence,
    }
}

fn line(line: u64, message: &str) -> NewLogLine {
    NewLogLine {
        line,
        at: at(line as i64),
        level: LogLevel::Info,
        message: message.into(),
        tool: line.is_multiple_of(2).then(|| "edit".into()),
        path: None,
    }
}

#[tokio::test]
async fn a_line_is_written_once_and_read_in_pages() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let key = step(&ticket, 4);
    assert_eq!(agent_logs::next_line(&database, &key).await.unwrap(), 1);
    let first = [line(1, "reads"), line(2, "edi\0ts")];
    assert_eq!(
        agent_logs::insert(&database, &key, &first).await.unwrap(),
        2
    );
    let retried = [line(2, "changed"), line(3, "tests")];
    assert_eq!(
        agent_logs::insert(&database, &key, &retried).await.unwrap(),
        1
    );
    assert_eq!(agent_logs::next_line(&database, &key).await.unwrap(), 4);
    assert_eq!(agent_logs::insert(&database, &key, &[]).await.unwrap(), 0);

    let id = ticket.ledger_id();
    let page = agent_logs::page(&database, id, 0, 2).await.unwrap();
    let messages: Vec<_> = page.iter().map(|row| row.message.as_str()).collect();
    assert_eq!(messages, ["reads", "edi\u{fffd}ts"]);
    assert_eq!(
        (page[0].tool.clone(), page[1].tool.as_deref()),
        (None, Some("edit"))
    );
    let rest = agent_logs::page(&database, id, page[1].id, 100)
        .await
        .unwrap();
    assert_eq!((rest.len(), rest[0].message.as_str()), (1, "tests"));
}

#[tokio::test]
async fn a_second_run_of_qa_replaces_the_first() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let object = |text: &str| ObjectRef::of(text.as_bytes());
    let result = |passed: bool, output: &str| NewQaResult {
        gate_name: "Unit tests".into(),
        command: "node --test".into(),
        required: true,
        passed,
        base_passed: Some(false),
        excused: !passed,
        exit_code: passed.then_some(0),
        output: output.into(),
        stored: object(output),
        duration_ms: 12,
    };
    let report = |commit: &str, passed: bool, reason: &str| NewQaReport {
        commit: commit.into(),
        base_commit: "c0".into(),
        passed,
        reason: reason.into(),
        flagged_tests: 2,
        report: object(reason),
        report_json: object("{}"),
    };
    let key = step(&ticket, 5);
    for (key, commit, passed, output) in [
        (&key, "c1", false, "killed"),
        (&key, "c1", true, "ok\0"),
        (&step(&ticket, 6), "c2", true, "ok"),
    ] {
        let report = report(commit, passed, output);
        qa_results::record(&database, key, &report, &[result(passed, output)])
            .await
            .unwrap();
    }
    let rows = qa_results::of_workflow(&database, ticket.ledger_id())
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].passed, rows[0].output.as_str(), rows[0].step),
        (true, "ok\u{fffd}", 5)
    );
    assert_eq!((rows[0].base_passed, rows[0].excused), (Some(false), false));
    assert_eq!(rows[0].stored, Some(object("ok\0")));
    assert_eq!(rows[1].commit, "c2");

    let reports = qa_results::reports_of_workflow(&database, ticket.ledger_id())
        .await
        .unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!(
        (reports[0].step, reports[0].passed, reports[0].flagged_tests),
        (5, true, 2)
    );
    assert_eq!(reports[0].reason, "ok\u{fffd}");
    assert_eq!(reports[0].report, object("ok\0"));
    assert_eq!(reports[0].report_json, object("{}"));
    assert_eq!(
        (reports[1].commit.as_str(), reports[1].base_commit.as_str()),
        ("c2", "c0")
    );
}
