use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sallyport_ledger::{
    Database, LedgerError,
    inbox::{AfterFailure, MAXIMUM_ATTEMPTS, NewEvent, accept, claim},
    inbox_admin::{self, Changed, EventStatus},
    workflows::{self, NewWorkflow},
};
use sallyport_workflows::ticket::{Priority, TicketKey};

use crate::{ledger, second_process};

fn event(delivery: &str, ticket: Option<&str>) -> NewEvent {
    NewEvent {
        source: "flux-lens".into(),
        delivery_id: delivery.into(),
        event: "ticket.created".into(),
        ticket_id: ticket.map(str::to_owned),
        priority: Priority::Normal,
        only_body_signed: false,
        body: b"{}".to_vec(),
        ignored: None,
    }
}

async fn all_due(database: &Database) {
    sqlx::query("UPDATE inbox SET next_attempt_at = now()")
        .execute(database.pool())
        .await
        .unwrap();
}

async fn status(database: &Database, id: i64) -> (String, Option<String>) {
    sqlx::query_as("SELECT status, note FROM inbox WHERE id = $1")
        .bind(id)
        .fetch_one(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_same_delivery_twice_is_one_row() {
    let database = ledger().await;
    let first = accept(&database, &event("d1", Some("FL-1"))).await.unwrap();
    let second = accept(&database, &event("d1", Some("FL-1"))).await.unwrap();
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(first.id, second.id);
    let elsewhere = NewEvent {
        source: "other".into(),
        ..event("d1", None)
    };
    assert!(!accept(&database, &elsewhere).await.unwrap().duplicate);
}

#[tokio::test]
async fn twenty_copies_at_once_are_one_row() {
    let database = ledger().await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(
                async move { accept(&database, &event("d1", Some("FL-1"))).await.unwrap() },
            )
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(!task.await.unwrap().duplicate);
    }
    assert_eq!(new, 1);
}

#[tokio::test]
async fn two_claimers_never_hold_the_same_event() {
    let database = ledger().await;
    let other = second_process(&database).await;
    for number in 1..=3 {
        accept(
            &database,
            &event(&format!("d{number}"), Some(&format!("FL-{number}"))),
        )
        .await
        .unwrap();
    }
    let first = claim(&database).await.unwrap().unwrap();
    let second = claim(&other).await.unwrap().unwrap();
    let third = claim(&other).await.unwrap().unwrap();
    assert!(claim(&database).await.unwrap().is_none());
    let ids: BTreeSet<_> = [&first, &second, &third]
        .map(|claim| claim.event().id)
        .into();
    assert_eq!(ids.len(), 3);
    assert_eq!(
        first.event().ticket_id.as_deref(),
        Some("FL-1"),
        "the oldest comes first"
    );
    first.dispatched("ticket:flux-lens:FL-1").await.unwrap();
    // Dropped, as by a dispatcher that died: it comes back.
    let id = second.event().id;
    drop(second);
    let mut back = None;
    while back.is_none() {
        back = claim(&database).await.unwrap();
    }
    assert_eq!(back.unwrap().event().id, id);
}

#[tokio::test]
async fn events_of_one_ticket_come_in_order() {
    let database = ledger().await;
    let other = second_process(&database).await;
    let first = accept(&database, &event("d1", Some("FL-1"))).await.unwrap();
    let second = accept(&database, &event("d2", Some("FL-1"))).await.unwrap();

    let held = claim(&database).await.unwrap().unwrap();
    assert_eq!(held.event().id, first.id);
    assert!(
        claim(&other).await.unwrap().is_none(),
        "the first is still held"
    );
    held.postponed("Temporal is down").await.unwrap();
    assert!(
        claim(&other).await.unwrap().is_none(),
        "the first is still pending"
    );
    all_due(&database).await;
    let held = claim(&other).await.unwrap().unwrap();
    assert_eq!(held.event().id, first.id);
    held.ignored("nothing to do").await.unwrap();
    let held = claim(&database).await.unwrap().unwrap();
    assert_eq!(held.event().id, second.id);
}

#[tokio::test]
async fn events_without_a_ticket_wait_for_nobody() {
    let database = ledger().await;
    accept(&database, &event("d1", None)).await.unwrap();
    accept(&database, &event("d2", None)).await.unwrap();
    let first = claim(&database).await.unwrap().unwrap();
    let second = claim(&database).await.unwrap().unwrap();
    assert_ne!(first.event().id, second.event().id);
}

#[tokio::test]
async fn the_third_failure_is_the_last() {
    let database = ledger().await;
    let id = accept(&database, &event("d1", Some("FL-1")))
        .await
        .unwrap()
        .id;
    let entered = NewWorkflow {
        ticket: TicketKey::first("flux-lens", "FL-1"),
        inbox_id: Some(id),
        title: None,
        ticket_url: None,
        reporter: None,
        priority: Priority::Normal,
        repository_url: "file:///demo.git".into(),
    };
    workflows::insert(&database, &entered).await.unwrap();
    let mut pauses = Vec::new();
    for _ in 1..MAXIMUM_ATTEMPTS {
        let claimed = claim(&database).await.unwrap().unwrap();
        let before: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
            .fetch_one(database.pool())
            .await
            .unwrap();
        let AfterFailure::Again(next) = claimed.attempt_failed("no").await.unwrap() else {
            panic!("given up too early");
        };
        pauses.push((next - before).num_seconds());
        assert!(
            claim(&database).await.unwrap().is_none(),
            "it is not due yet"
        );
        all_due(&database).await;
    }
    assert!(
        (10..15).contains(&pauses[0]) && (20..25).contains(&pauses[1]),
        "{pauses:?}"
    );
    let claimed = claim(&database).await.unwrap().unwrap();
    assert_eq!(claimed.event().attempts, 2);
    assert_eq!(
        claimed.attempt_failed("still no").await.unwrap(),
        AfterFailure::GivenUp
    );
    all_due(&database).await;
    assert!(claim(&database).await.unwrap().is_none());
    assert_eq!(
        status(&database, id).await,
        ("failed".into(), Some("still no".into()))
    );
    // A row that never started would block the ticket for ever.
    assert!(workflows::find(&database, "FL-1").await.is_err());
}

#[tokio::test]
async fn being_postponed_uses_up_no_try() {
    let database = ledger().await;
    let id = accept(&database, &event("d1", Some("FL-1")))
        .await
        .unwrap()
        .id;
    for _ in 0..40 {
        let claimed = claim(&database).await.unwrap().unwrap();
        assert_eq!(claimed.event().attempts, 0);
        claimed.postponed("Temporal is down").await.unwrap();
        all_due(&database).await;
    }
    assert_eq!(status(&database, id).await.0, "pending");
}

#[tokio::test]
async fn an_event_that_is_only_kept_is_never_handed_out() {
    let database = ledger().await;
    let ping = NewEvent {
        event: "ping".into(),
        ignored: Some("a ping".into()),
        ..event("d1", None)
    };
    let id = accept(&database, &ping).await.unwrap().id;
    assert!(claim(&database).await.unwrap().is_none());
    assert_eq!(
        status(&database, id).await,
        ("ignored".into(), Some("a ping".into()))
    );
}

#[tokio::test]
async fn the_urgent_comes_first_and_a_tickets_order_stays() {
    let database = ledger().await;
    for (delivery, ticket, priority) in [
        ("d1", "FL-1", Priority::Low),
        ("d2", "FL-2", Priority::Normal),
        ("d3", "FL-3", Priority::High),
        // More urgent than the first event of its ticket, and yet behind it.
        ("d4", "FL-1", Priority::High),
    ] {
        let event = NewEvent {
            priority,
            ..event(delivery, Some(ticket))
        };
        accept(&database, &event).await.unwrap();
    }
    let mut order = Vec::new();
    while let Some(claim) = claim(&database).await.unwrap() {
        order.push(claim.event().delivery_id.clone());
        claim.dispatched("w").await.unwrap();
    }
    assert_eq!(order, ["d3", "d2", "d1", "d4"]);
}

#[tokio::test]
async fn the_same_body_is_the_same_event_where_only_the_body_is_signed() {
    let database = ledger().await;
    let signed = |delivery: &str, body: &str| NewEvent {
        body: body.into(),
        only_body_signed: true,
        ..event(delivery, Some("FL-1"))
    };
    let first = accept(&database, &signed("d1", "a")).await.unwrap();
    let replayed = accept(&database, &signed("d2", "a")).await.unwrap();
    assert_eq!((replayed.duplicate, replayed.id), (true, first.id));
    assert!(
        !accept(&database, &signed("d3", "b"))
            .await
            .unwrap()
            .duplicate
    );
    let elsewhere = NewEvent {
        source: "other".into(),
        ..signed("d1", "a")
    };
    assert!(!accept(&database, &elsewhere).await.unwrap().duplicate);
}

#[tokio::test]
async fn operators_retry_and_drop_what_failed() {
    let database = ledger().await;
    let id = accept(&database, &event("d1", Some("FL-1")))
        .await
        .unwrap()
        .id;
    let later = accept(&database, &event("d2", Some("FL-1")))
        .await
        .unwrap()
        .id;
    claim(&database)
        .await
        .unwrap()
        .unwrap()
        .failed("no such project")
        .await
        .unwrap();
    let waiting = inbox_admin::list(&database, None, 10).await.unwrap();
    let found: Vec<_> = waiting.iter().map(|row| (row.id, row.status)).collect();
    assert_eq!(
        found,
        [(later, EventStatus::Pending), (id, EventStatus::Failed)]
    );

    let retried = inbox_admin::retry(&database, id, "op@example.com")
        .await
        .unwrap();
    assert_eq!(retried, Changed::Done);
    // In its old place before the later event of its ticket.
    let claimed = claim(&database).await.unwrap().unwrap();
    assert_eq!(claimed.event().id, id);
    claimed.dispatched("ticket:flux-lens:FL-1").await.unwrap();
    let again = inbox_admin::retry(&database, id, "op@example.com")
        .await
        .unwrap();
    assert_eq!(again, Changed::Not(EventStatus::Dispatched));

    let dropped = inbox_admin::drop_event(&database, later, "op@example.com", "a test\0").await;
    assert_eq!(dropped.unwrap(), Changed::Done);
    assert!(claim(&database).await.unwrap().is_none());
    let (row, body) = inbox_admin::get(&database, later).await.unwrap();
    assert_eq!(
        row.note.as_deref(),
        Some("dropped by op@example.com: a test\u{fffd}")
    );
    assert_eq!(body, b"{}");
    assert!(matches!(
        inbox_admin::get(&database, 99).await,
        Err(LedgerError::NotFound { .. })
    ));
}
