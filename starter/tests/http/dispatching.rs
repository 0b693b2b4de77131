use reqwest::StatusCode;
use sallyport_ledger::{
    LedgerError,
    decisions::{self, Origin},
    transitions::record_transition,
    workflows::find,
};
use sallyport_starter::dispatcher::dispatch_next;
use sallyport_test_support::temporal::TemporalServer;
use sallyport_workflows::{
    ObjectRef, State,
    activities::{OpenGateRequest, TicketFacts, TransitionRecord},
    gate::Gate,
    policy::GatePolicy,
    ticket::{FLUX_LENS, Priority, TicketKey},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    ADMIN, APPROVER, Starter, answer, event, message, open_gate, start as starter_from_at, starter,
    starter_at,
};

async fn all_due(starter: &Starter) {
    sqlx::query("UPDATE inbox SET next_attempt_at = now()")
        .execute(starter.database.pool())
        .await
        .unwrap();
}

async fn statuses(starter: &Starter) -> Vec<String> {
    starter
        .inbox()
        .await
        .into_iter()
        .map(|(_, status, _)| status)
        .collect()
}

/// What the worker would write down.
pub async fn enter(starter: &Starter, key: &TicketKey, sequence: u64, to: State) {
    let record = TransitionRecord {
        ticket: key.clone(),
        sequence,
        from: None,
        to,
        at: chrono::Utc::now(),
        triggered_by: "system".into(),
        reason: None,
        facts: TicketFacts {
            repository_url: "file:///demo.git".into(),
            ..TicketFacts::default()
        },
    };
    record_transition(&starter.database, &record).await.unwrap();
}

#[tokio::test]
async fn without_temporal_an_event_waits_and_loses_no_try() {
    let starter = starter().await;
    starter
        .deliver("d1", &event("ticket.created", "FL-1"))
        .await;
    for _ in 0..5 {
        assert!(dispatch_next(&starter.state).await.unwrap());
        assert!(
            !dispatch_next(&starter.state).await.unwrap(),
            "it must wait"
        );
        all_due(&starter).await;
    }
    let (attempts, status): (i32, String) = sqlx::query_as("SELECT attempts, status FROM inbox")
        .fetch_one(starter.database.pool())
        .await
        .unwrap();
    assert_eq!((attempts, status.as_str()), (0, "pending"));
}

#[tokio::test]
async fn an_unknown_project_fails_with_what_to_do() {
    let starter = starter().await;
    let mut body = event("ticket.created", "FL-1");
    body["ticket"]["project"] = json!("OTHER");
    starter.deliver("d1", &body).await;
    starter.dispatch_all().await;
    let (_, status, note) = starter.inbox().await.remove(0);
    assert_eq!(status, "failed");
    assert!(note.unwrap().contains("project = \"OTHER\""));
    assert!(matches!(
        find(&starter.database, "FL-1").await,
        Err(LedgerError::NotFound { .. })
    ));
}

#[tokio::test]
async fn a_ticket_is_started_once_however_often_it_is_told() {
    let starter = starter_at(&TemporalServer::shared().address).await;
    for delivery in ["d1", "d2", "d1"] {
        starter
            .deliver(delivery, &event("ticket.created", "ONCE-1"))
            .await;
    }
    starter
        .deliver("d3", &event("ticket.updated", "ONCE-1"))
        .await;
    assert_eq!(starter.dispatch_all().await, 3);
    // The edit is told to the workflow that runs.
    assert_eq!(
        statuses(&starter).await,
        ["dispatched", "ignored", "dispatched"]
    );
    let row = find(&starter.database, "ONCE-1").await.unwrap();
    assert_eq!(
        (row.attempt, row.priority, row.state),
        (1, Priority::High, State::Pending)
    );
    assert_eq!(row.title.as_deref(), Some("Totals are wrong"));
    // The workflow is there, and waits for a worker.
    let pending = starter
        .state
        .tickets
        .pending_activities(&row.workflow_id)
        .await;
    assert_eq!(pending, Ok(Vec::new()));
}

#[tokio::test]
async fn an_event_whose_dispatcher_died_is_taken_up_again() {
    let starter = starter_at(&TemporalServer::shared().address).await;
    starter
        .deliver("d1", &event("ticket.created", "DIED-1"))
        .await;
    starter.dispatch_all().await;
    // As if the starter had been killed between the workflow's start and its note about it.
    sqlx::query("UPDATE inbox SET status = 'pending', finished_at = NULL")
        .execute(starter.database.pool())
        .await
        .unwrap();
    enter(
        &starter,
        &TicketKey::first(FLUX_LENS, "DIED-1"),
        1,
        State::Planning,
    )
    .await;
    assert_eq!(starter.dispatch_all().await, 1);
    assert_eq!(statuses(&starter).await, ["dispatched"]);
    assert_eq!(
        find(&starter.database, "DIED-1").await.unwrap().state,
        State::Planning
    );
}

#[tokio::test]
async fn only_what_has_ended_is_begun_again() {
    let starter = starter_at(&TemporalServer::shared().address).await;
    let first = TicketKey::first(FLUX_LENS, "AGAIN-1");
    starter
        .deliver("d1", &event("ticket.created", "AGAIN-1"))
        .await;
    starter.dispatch_all().await;
    enter(&starter, &first, 1, State::Planning).await;
    starter
        .deliver("d2", &event("ticket.reopened", "AGAIN-1"))
        .await;
    starter.dispatch_all().await;
    enter(&starter, &first, 2, State::SpecRejected).await;
    starter
        .deliver("d3", &event("ticket.created", "AGAIN-1"))
        .await;
    starter
        .deliver("d4", &event("ticket.reopened", "AGAIN-1"))
        .await;
    starter.dispatch_all().await;
    assert_eq!(
        statuses(&starter).await,
        ["dispatched", "dispatched", "ignored", "dispatched"]
    );
    let second = find(&starter.database, "ticket:flux-lens:AGAIN-1:2")
        .await
        .unwrap();
    assert_eq!(second.attempt, 2);
    let (status, said) = answer(starter.get("/workflows/AGAIN-1", ADMIN)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        message(&said).contains("ticket:flux-lens:AGAIN-1:2"),
        "{said}"
    );
}

#[tokio::test]
async fn an_edit_of_what_does_not_run_is_ignored() {
    let starter = starter_at(&TemporalServer::shared().address).await;
    starter
        .deliver("d1", &event("ticket.updated", "EDIT-1"))
        .await;
    starter
        .deliver("d0", &event("ticket.commented", "EDIT-1"))
        .await;
    starter.dispatch_all().await;
    // The ledger says that it runs, and Temporal does not know it.
    let lost = TicketKey::first(FLUX_LENS, "EDIT-2");
    enter(&starter, &lost, 1, State::Planning).await;
    starter
        .deliver("d2", &event("ticket.updated", "EDIT-2"))
        .await;
    starter
        .deliver("d4", &event("ticket.commented", "EDIT-2"))
        .await;
    starter
        .deliver("d3", &event("ticket.reopened", "EDIT-2"))
        .await;
    for _ in 0..3 {
        starter.dispatch_all().await;
        all_due(&starter).await;
    }
    // A reopening is tried three times, then somebody must look.
    assert_eq!(
        statuses(&starter).await,
        ["ignored", "ignored", "ignored", "ignored", "failed"]
    );
}

#[tokio::test]
async fn several_dispatchers_start_each_ticket_once() {
    let starter = starter_from_at(&TemporalServer::shared().address, |parts| {
        parts.config.dispatchers = 8;
    })
    .await;
    for delivery in 0..5 {
        for ticket in 0..12 {
            let mut body = event("ticket.created", &format!("MANY-{}", ticket + 1));
            body["ticket"]["priority"] = json!(["high", "normal", "low"][ticket % 3]);
            starter
                .deliver(&format!("d{ticket}/{delivery}"), &body)
                .await;
        }
    }
    let shutdown = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(sallyport_starter::dispatcher::run(
        starter.state.clone(),
        shutdown.clone(),
    ));
    let waiting = "SELECT count(*) FROM inbox WHERE status = 'pending'";
    while sqlx::query_scalar::<_, i64>(waiting)
        .fetch_one(starter.database.pool())
        .await
        .unwrap()
        > 0
    {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    running.await.unwrap();
    let (started, of_tickets): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(DISTINCT ticket_id) FROM inbox WHERE status = 'dispatched'",
    )
    .fetch_one(starter.database.pool())
    .await
    .unwrap();
    assert_eq!((started, of_tickets), (12, 12));
}

#[tokio::test]
async fn an_admin_starts_a_ticket_by_hand() {
    let starter = starter_at(&TemporalServer::shared().address).await;
    let wish = json!({"ticket_id": "HAND-1"});
    assert_eq!(
        answer(starter.post("/workflows/start", ADMIN, &wish))
            .await
            .0,
        StatusCode::ACCEPTED
    );
    starter.dispatch_all().await;
    assert_eq!(statuses(&starter).await, ["dispatched"]);
    assert_eq!(
        find(&starter.database, "HAND-1")
            .await
            .unwrap()
            .repository_url,
        "file:///demo.git"
    );
}

/// A gate that the ledger shows as open.
async fn gate(starter: &Starter, ticket: &TicketKey) -> Uuid {
    let request = OpenGateRequest {
        ticket: ticket.clone(),
        approval_id: ticket.child_id("approval", 1),
        gate: Gate::Spec,
        revision: "a".repeat(64),
        content: ObjectRef::of(b"spec"),
        policy: GatePolicy::seconds(60),
        reporter: "reporter@example.com".into(),
        opened_at: chrono::Utc::now(),
        base_change: None,
    };
    open_gate(starter, &request).await
}

#[tokio::test]
async fn without_a_worker_a_decision_is_left_as_a_signal() {
    let starter = starter_at(&TemporalServer::shared().address).await;
    starter
        .deliver("d1", &event("ticket.created", "LEFT-1"))
        .await;
    starter.dispatch_all().await;
    let approval = gate(&starter, &TicketKey::first(FLUX_LENS, "LEFT-1")).await;
    let decision = json!({"id": Uuid::from_u128(1), "revision": "aaaaaaaa", "decision": "APPROVE"});
    let path = format!("/approvals/{approval}/decision");
    let (status, said) = answer(starter.post(&path, APPROVER, &decision)).await;
    assert_eq!(
        (status, said),
        (StatusCode::ACCEPTED, json!({"pending": true}))
    );
}

#[tokio::test]
async fn a_decision_about_what_does_not_run_is_refused_and_on_record() {
    let starter = starter_at(&TemporalServer::shared().address).await;
    let ticket = TicketKey::first(FLUX_LENS, "OVER-1");
    enter(&starter, &ticket, 1, State::SpecRejected).await;
    let approval = gate(&starter, &ticket).await;
    let decision = json!({"id": Uuid::from_u128(1), "revision": "aaaaaaaa", "decision": "APPROVE", "comments": "go"});
    let path = format!("/approvals/{approval}/decision");
    let (status, said) = answer(starter.post(&path, APPROVER, &decision)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    let rows = decisions::of_workflow(&starter.database, ticket.ledger_id())
        .await
        .unwrap();
    assert_eq!((rows.len(), rows[0].origin), (1, Origin::Api));
    assert_eq!(rows[0].by, "approver@example.com");
    let comments = rows[0].comments.clone().unwrap();
    assert_eq!(starter.objects.get_text(&comments).await.unwrap(), "go");
}
