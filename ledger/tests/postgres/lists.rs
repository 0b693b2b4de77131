//! Lists: what they find, page by page, and by which index.

use chrono::Utc;
use sallyport_ledger::{
    Database,
    lists::{
        approvals::pending,
        metrics,
        workflows::{Filter, Position, list},
    },
    transitions::record_transition,
};
use sallyport_workflows::State;

use crate::{begun, ledger, transition};

#[path = "../../examples/list_plans/cases.rs"]
mod cases;

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let database = ledger().await;
    for id in ["FL-1", "FL-2", "FL-3"] {
        begun(&database, id).await;
    }
    let planning = transition("FL-2", 2, Some(State::Pending), State::Planning);
    record_transition(&database, &planning).await.unwrap();

    let all = Filter::default();
    let page = list(&database, &all, Position::default(), 2).await.unwrap();
    assert_eq!((page.total.count, page.total.is_capped), (3, false));
    let ids: Vec<_> = page.workflows.iter().map(|row| &row.ticket_id).collect();
    assert_eq!(ids, ["FL-3", "FL-2"]);
    for position in [Position::Offset(2), Position::After(page.next.unwrap())] {
        let rest = list(&database, &all, position, 2).await.unwrap();
        assert_eq!(rest.workflows[0].ticket_id, "FL-1");
        assert_eq!((rest.workflows.len(), rest.next), (1, None));
    }
    let none = list(&database, &all, Position::default(), 0).await.unwrap();
    assert_eq!(
        (none.total.count, none.workflows.len(), none.next),
        (3, 0, None)
    );
    assert_eq!(
        found(
            &database,
            &Filter {
                state: Some(State::Planning),
                ..all
            }
        )
        .await,
        ["FL-2"]
    );
}

/// The ids of the tickets that a filter finds.
async fn found(database: &Database, filter: &Filter) -> Vec<String> {
    let page = list(database, filter, Position::default(), 500)
        .await
        .unwrap();
    assert_eq!(page.total.count, page.workflows.len() as u64);
    page.workflows
        .into_iter()
        .map(|row| row.ticket_id)
        .collect()
}

#[tokio::test]
async fn a_text_is_found_in_ids_and_titles_and_is_no_pattern() {
    let database = ledger().await;
    for (id, title) in [
        ("FL-1", "100% of Totals_are WRONG"),
        ("FL-22", "a'b\\c \u{fffd}"),
    ] {
        begun(&database, id).await;
        sqlx::query("UPDATE workflows SET title = $2 WHERE ticket_id = $1")
            .bind(id)
            .bind(title)
            .execute(database.pool())
            .await
            .unwrap();
    }
    let huge = "x".repeat(100_000);
    let cases: [(&str, &[&str]); 12] = [
        ("totals", &["FL-1"]),
        ("00% OF", &["FL-1"]),
        ("s_a", &["FL-1"]),
        ("s%a", &[]),
        ("sxa", &[]),
        ("fl-", &["FL-22", "FL-1"]),
        ("-22", &["FL-22"]),
        ("'b\\", &["FL-22"]),
        (" \0", &["FL-22"]),
        ("22\na'b", &["FL-22"]),
        ("'; DROP TABLE workflows; --", &[]),
        (&huge, &[]),
    ];
    for (text, ids) in cases {
        let filter = Filter {
            text: Some(text.to_owned()),
            ..Filter::default()
        };
        assert_eq!(found(&database, &filter).await, ids, "{text:.20}");
    }
}

#[tokio::test]
async fn a_filled_ledger_is_read_by_its_indexes_and_page_by_page_it_is_the_same() {
    let database = ledger().await;
    cases::fill(&database, 20_000).await.unwrap();
    let faults: Vec<String> = cases::plans(&database, Utc::now(), false)
        .await
        .unwrap()
        .iter()
        .filter_map(cases::Planned::fault)
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));

    let all = list(&database, &Filter::default(), Position::default(), 1)
        .await
        .unwrap();
    assert_eq!((all.total.count, all.total.is_capped), (10_000, true));
    let lead = Filter {
        assignee: Some(" LEAD@example.com".to_owned()),
        ..Filter::default()
    };
    let whole = found(&database, &lead).await;
    // Every fiftieth has a gate, of which those on 050, 100, 150 and 200 are another person's; FL-50 ends on none of these.
    assert_eq!(whole.len(), 20_000 / 50 - 4 * 20 + 1);
    let (mut paged, mut position) = (Vec::new(), Position::default());
    loop {
        let page = list(&database, &lead, position, 37).await.unwrap();
        paged.extend(page.workflows.into_iter().map(|row| row.ticket_id));
        let Some(next) = page.next else { break };
        position = Position::After(next);
    }
    assert_eq!(paged, whole);

    let (mut gates, mut cursor) = (Vec::new(), None);
    loop {
        let page = pending(&database, Some("lead@EXAMPLE.com"), cursor, 41)
            .await
            .unwrap();
        gates.extend(page.approvals.into_iter().map(|row| row.ticket_id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    // The most urgent gate is that of the oldest ticket.
    gates.reverse();
    assert_eq!(gates, whole);

    let numbers = metrics::read(&database, Utc::now()).await.unwrap();
    assert_eq!(
        (numbers.active_workflows, numbers.pending_approvals),
        (802, 400)
    );
    let rate = numbers.success_rate.unwrap();
    assert!((0.93..0.95).contains(&rate), "{rate}");
}
