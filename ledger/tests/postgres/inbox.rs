use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sallyport_ledger::{
    Database,
    inbox::{AfterFailure, MAXIMUM_ATTEMPTS, NewEvent, accept, claim},
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
    first.dispatched().await.unwrap();
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
