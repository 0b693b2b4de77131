use std::{process::Command, time::Duration};

use reqwest::StatusCode;
use sallyport_ledger::decisions::Origin;
use sallyport_starter::api::types::WorkflowView;
use sallyport_test_support::{temporal::TemporalServer, tools::TestTools};
use sallyport_workflows::{
    State,
    command::{Command as TicketCommand, CommandOutcome},
    status::TicketStatus,
    ticket::{FLUX_LENS, TicketKey},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    ADMIN, APPROVER, Starter, VIEWER, answer, dispatching::enter, event, message, starter_at,
    worker::starter_with_worker,
};

/// Takes a ticket in.
async fn file(starter: &Starter, ticket: &str) {
    starter
        .deliver("d1", &event("ticket.created", ticket))
        .await;
    assert_eq!(starter.dispatch_all().await, 1);
}

async fn command(starter: &Starter, ticket: &str, token: &str, wish: Value) -> (StatusCode, Value) {
    let path = format!("/workflows/{ticket}/transition");
    answer(starter.post(&path, token, &wish)).await
}

/// An accepted command's outcome.
async fn accepted(starter: &Starter, ticket: &str, wish: Value) -> CommandOutcome {
    let (status, said) = command(starter, ticket, ADMIN, wish).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    serde_json::from_value(said).unwrap()
}

/// The reason why an admin's command is refused.
async fn refused(starter: &Starter, ticket: &str, wish: Value) -> String {
    let (status, said) = command(starter, ticket, ADMIN, wish).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    message(&said).to_owned()
}

/// Waits until the workflow answers and is as wanted. The limit is only reached when it never is.
async fn until(
    starter: &Starter,
    ticket: &str,
    wanted: impl Fn(&TicketStatus) -> bool,
) -> TicketStatus {
    let waiting = async {
        let mut pace = tokio::time::interval(Duration::from_millis(40));
        loop {
            pace.tick().await;
            let path = format!("/workflows/{ticket}");
            let response = starter.get(&path, VIEWER).send().await.unwrap();
            let view: WorkflowView = response.json().await.unwrap();
            if let Some(status) = view.status.filter(&wanted) {
                return status;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap()
}

/// Waits until the ticket is parked and waits for somebody.
async fn parked(starter: &Starter, ticket: &str, retries: u32) -> TicketStatus {
    until(starter, ticket, |status| {
        status.state == State::Error
            && status.deadline.is_some()
            && status.rounds.retries == retries
    })
    .await
}

/// Waits until the workflow runs no more; answers with what a command is told then.
async fn over(starter: &Starter, ticket: &str) -> String {
    let waiting = async {
        loop {
            let late = json!({"id": Uuid::new_v4(), "action": "retry"});
            let reason = refused(starter, ticket, late).await;
            if reason.contains("does not run") {
                return reason;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_parked_ticket_is_extended_retried_and_abandoned() {
    let starter = starter_with_worker("PARKED-1").await;
    file(&starter, "PARKED-1").await;
    let status = parked(&starter, "PARKED-1", 0).await;

    let extend = json!({"id": Uuid::from_u128(1), "action": "extend", "seconds": 3600});
    let outcome = accepted(&starter, "PARKED-1", extend.clone()).await;
    let hour = Duration::from_secs(3600);
    assert_eq!(outcome.deadline, status.deadline.map(|at| at + hour));
    assert_eq!(outcome.record.by, "admin@example.com");
    assert!(outcome.record.proven, "the starter has signed it");
    // The same again is the same command.
    assert_eq!(accepted(&starter, "PARKED-1", extend).await, outcome);

    let retry = json!({"id": Uuid::from_u128(2), "action": "retry", "raise": {"repairs": 1}, "reason": "it is there now"});
    let outcome = accepted(&starter, "PARKED-1", retry).await;
    assert_eq!(outcome.goes_to, Some(State::Pending));
    parked(&starter, "PARKED-1", 1).await;

    let abandon = json!({"id": Uuid::from_u128(3), "action": "abandon"});
    let outcome = accepted(&starter, "PARKED-1", abandon.clone()).await;
    over(&starter, "PARKED-1").await;
    // Also after the ticket has ended.
    assert_eq!(accepted(&starter, "PARKED-1", abandon).await, outcome);
}

#[tokio::test]
async fn a_command_that_came_as_a_signal_is_answered_after_the_end() {
    let starter = starter_with_worker("SIGNAL-1").await;
    file(&starter, "SIGNAL-1").await;
    parked(&starter, "SIGNAL-1", 0).await;
    let workflow = TicketKey::first(FLUX_LENS, "SIGNAL-1").workflow_id();
    let wish = json!({"id": Uuid::from_u128(1), "action": "cancel", "reason": "not needed"});
    let mut left = wish.clone();
    left["by"] = "admin@example.com".into();
    let mut left: TicketCommand = serde_json::from_value(left).unwrap();
    left.proof = Some(starter.state.decision_key.sign_command(&left, &workflow));
    let tickets = &starter.state.tickets;
    tickets.leave_command(&workflow, &left).await.unwrap();
    over(&starter, "SIGNAL-1").await;
    let outcome = accepted(&starter, "SIGNAL-1", wish).await;
    assert_eq!(outcome.record.reason.as_deref(), Some("not needed"));
    assert!(outcome.record.proven);
}

#[tokio::test]
async fn a_command_that_does_not_fit_is_refused_with_the_workflows_reason() {
    let starter = starter_with_worker("REFUSED-1").await;
    file(&starter, "REFUSED-1").await;
    parked(&starter, "REFUSED-1", 0).await;
    let id = Uuid::from_u128;
    let reopen = json!({"id": id(1), "action": "reopen"});
    let (status, said) = command(&starter, "REFUSED-1", APPROVER, reopen).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        message(&said),
        "only a closed pull request can be reopened; the ticket is ERROR"
    );
    let retry = json!({"id": id(2), "action": "retry", "from": "EXECUTING"});
    let reason = refused(&starter, "REFUSED-1", retry).await;
    assert!(
        reason.contains("cannot be retried from EXECUTING"),
        "{reason}"
    );
    // Turned away unseen by the workflow, so the API puts it on record.
    let response = starter.get("/workflows/REFUSED-1", VIEWER).send().await;
    let view: WorkflowView = response.unwrap().json().await.unwrap();
    let recorded: Vec<_> = view
        .commands
        .iter()
        .map(|row| (row.id, row.origin, row.refused.is_some()))
        .collect();
    let expected = [(id(1), Origin::Api, true), (id(2), Origin::Api, true)];
    assert_eq!(recorded, expected);
    assert_eq!(view.commands[1].from, Some(State::Executing));

    accepted(
        &starter,
        "REFUSED-1",
        json!({"id": id(3), "action": "cancel"}),
    )
    .await;
    // An id is one command's.
    let other = json!({"id": id(3), "action": "extend", "seconds": 60});
    let reason = refused(&starter, "REFUSED-1", other).await;
    assert!(reason.contains("with the command cancel"), "{reason}");
    assert_eq!(
        over(&starter, "REFUSED-1").await,
        "ticket:flux-lens:REFUSED-1 does not run (its state is CANCELLED), so there is nothing to retry"
    );
}

#[tokio::test]
async fn without_a_worker_a_command_is_left_as_one_signal() {
    let server = TemporalServer::shared();
    let starter = starter_at(&server.address).await;
    file(&starter, "WAITS-1").await;
    let wish = json!({"id": Uuid::from_u128(1), "action": "cancel"});
    let send = || command(&starter, "WAITS-1", ADMIN, wish.clone());
    let pending = (StatusCode::ACCEPTED, json!({"pending": true}));
    assert_eq!(tokio::join!(send(), send()), (pending.clone(), pending));

    let shown = Command::new(TestTools::load().unwrap().temporal)
        .args(["workflow", "show", "--output", "json", "--workflow-id"])
        .args(["ticket:flux-lens:WAITS-1", "--address"])
        .arg(server.address.trim_start_matches("http://"))
        .output()
        .unwrap();
    let history: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let events = history["events"].as_array().unwrap();
    let signals: Vec<&Value> = events
        .iter()
        .map(|event| &event["workflowExecutionSignaledEventAttributes"])
        .filter(|signal| signal["signalName"] == "command")
        .collect();
    assert_eq!(signals.len(), 1, "{history:#}");
}

#[tokio::test]
async fn what_never_ran_cannot_be_commanded() {
    let starter = starter_at(&TemporalServer::shared().address).await;
    let key = TicketKey::first(FLUX_LENS, "NEVER-1");
    enter(&starter, &key, 1, State::Pending).await;
    let wish = json!({"id": Uuid::from_u128(1), "action": "cancel"});
    let reason = refused(&starter, "NEVER-1", wish).await;
    assert!(reason.contains("does not run"), "{reason}");
}
