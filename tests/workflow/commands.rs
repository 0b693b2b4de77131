//! What people may do to a ticket beside deciding: cancel and extend, wherever it is.

use chrono::Duration;
use sallyport_workflows::{
    State,
    activities::{GateClosing, TicketEvent},
    command::{Action, Command},
    decision::Verdict,
    gate::Gate,
    policy::InstallationPolicy,
};
use serde_json::json;

use crate::{
    harness::{ADMIN, ANN, BOB, Ticket, command, decision, policy},
    scripted::lock,
};

const HOUR: u64 = 60 * 60;

fn extend(seconds: u64) -> Command {
    Command {
        seconds: Some(seconds),
        ..command(Action::Extend)
    }
}

#[tokio::test]
async fn cancel_stops_the_agent_in_the_middle_of_its_work() {
    let ticket = Ticket::start("STOP-1", policy(), |world| world.agent_hangs = true).await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket
        .until("the agent works", |_| {
            !lock(&ticket.world).agent_runs.is_empty()
        })
        .await;
    let cancel = Command {
        reason: Some("the feature is dropped".to_owned()),
        ..command(Action::Cancel)
    };
    let outcome = ticket.command(cancel).await.expect("accepted");
    assert_eq!(outcome.record.state, State::Executing);
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Cancelled);
    assert!(
        outcome.reason.contains(ADMIN) && outcome.reason.contains("the feature is dropped"),
        "{}",
        outcome.reason
    );
    let world = lock(&ticket.world);
    assert_eq!(world.transitions.last().expect("one").triggered_by, ADMIN);
    assert_eq!(world.workspaces_removed, 1);
    assert!(matches!(
        world.comments.last(),
        Some(TicketEvent::GivenUp { .. })
    ));
    assert!(world.published.is_empty());
}

#[tokio::test]
async fn cancel_at_a_gate_closes_it_and_later_decisions_are_told() {
    let ticket = Ticket::start("STOP-2", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    ticket
        .command(command(Action::Cancel))
        .await
        .expect("accepted");
    assert_eq!(ticket.outcome().await.state, State::Cancelled);
    let world = lock(&ticket.world);
    assert_eq!(world.closings[0].closing, GateClosing::Cancelled);
    assert_eq!(world.closings[0].approval_id, open.approval_id);
}

#[tokio::test]
async fn what_is_merged_is_not_cancelled() {
    let ticket = Ticket::start("STOP-3", policy(), |_| {}).await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.approve(Gate::Pr, BOB).await;
    // Too late, whether the ticket has ended by now or not.
    assert!(ticket.command(command(Action::Cancel)).await.is_err());
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn extend_gives_an_open_gate_more_time() {
    let ticket = Ticket::start("EXTEND-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let outcome = ticket.command(extend(24 * HOUR)).await.expect("accepted");
    let deadline = open.deadline + Duration::hours(24);
    assert_eq!(outcome.deadline, Some(deadline));
    {
        let world = lock(&ticket.world);
        let extended = world.commands[0]
            .extended
            .clone()
            .expect("the gate is named");
        assert_eq!(
            (extended.approval_id, extended.deadline),
            (open.approval_id, deadline)
        );
    }
    ticket.skip(47 * HOUR, "the old deadline passes").await;
    let status = ticket.status().await;
    assert_eq!(status.state, State::AwaitingSpecApproval);
    assert_eq!(status.open_gate.expect("it is open").deadline, deadline);
    ticket.skip(HOUR, "the new one").await;
    assert_eq!(ticket.outcome().await.state, State::SpecRejected);
}

#[tokio::test]
async fn an_id_stays_taken_when_its_record_is_forgotten() {
    let ticket = Ticket::start("OLD-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let first = extend(60);
    let outcome = ticket.command(first.clone()).await.expect("accepted");
    // More than the status keeps.
    for _ in 0..35 {
        ticket.command(extend(1)).await.expect("accepted");
    }
    // As an update Temporal answers it, for as long as the run lasts; as a signal it comes to the workflow.
    let again = ticket.command(first.clone()).await.expect("an answer");
    assert_eq!(again, outcome);
    ticket
        .signal_command(serde_json::to_value(first).expect("JSON"))
        .await;
    // What people send is looked at in its order: the signal was, once this is accepted.
    let cancel = command(Action::Cancel);
    ticket.command(cancel).await.expect("accepted");
    assert_eq!(ticket.outcome().await.state, State::Cancelled);
    let world = lock(&ticket.world);
    let mut deadlines = world
        .commands
        .iter()
        .filter_map(|entry| entry.extended.as_ref());
    let last = deadlines.next_back().expect("it was extended").deadline;
    assert_eq!(last, open.deadline + Duration::seconds(60 + 35));
    assert_eq!(world.commands.len(), 1 + 35 + 1);
}

#[tokio::test]
async fn extend_keeps_a_closed_pull_request_and_a_parked_ticket() {
    let short = InstallationPolicy {
        reopen_seconds: HOUR,
        ..policy()
    };
    let ticket = Ticket::start("EXTEND-2", short, |_| {}).await;
    ticket.approve(Gate::Spec, ANN).await;
    let open = ticket.until_gate(Gate::Pr).await;
    ticket
        .decide(decision(&open, Verdict::Reject, BOB))
        .await
        .expect("it counts");
    ticket.until_state(State::PrClosed).await;
    ticket.command(extend(2 * HOUR)).await.expect("accepted");
    ticket
        .skip(2 * HOUR, "longer than it would have waited")
        .await;
    assert_eq!(ticket.status().await.state, State::PrClosed);
    ticket.skip(HOUR, "the new deadline").await;
    assert_eq!(ticket.outcome().await.state, State::Cancelled);
}

#[tokio::test]
async fn a_command_that_cannot_be_carried_out_is_refused_or_recorded_as_refused() {
    let ticket = Ticket::start("REFUSE-1", policy(), |world| world.agent_hangs = true).await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket
        .until("the agent works", |_| {
            !lock(&ticket.world).agent_runs.is_empty()
        })
        .await;
    let refused = ticket
        .command(extend(HOUR))
        .await
        .expect_err("nobody waits");
    assert!(refused.contains("nothing waits for people"), "{refused}");
    // By signal the refusal goes on record at once, while the agent works on.
    ticket
        .signal_command(json!({"action": "retry", "by": ADMIN}))
        .await;
    ticket
        .signal_command(json!({"action": "sing", "by": ADMIN}))
        .await;
    let status = ticket
        .until("both are noted", |status| {
            status.commands.len() == 1 && status.notes.len() == 1
        })
        .await;
    let why = status.commands[0].record.refused.clone().expect("refused");
    assert!(why.contains("only a parked ticket"), "{why}");
    assert!(status.notes[0].contains("sing"), "{:?}", status.notes);
    ticket
        .signal(json!({"gate": "PR", "revision": "0123abcd", "decision": "APPROVE", "by": ANN}))
        .await;
    ticket
        .until("the early decision is on record", |_| {
            lock(&ticket.world).decisions.len() == 2
        })
        .await;
    let refused = lock(&ticket.world).decisions[1].record.refused.clone();
    assert!(refused.is_some_and(|why| why.contains("gate PR is not open")));
    // It is never applied later.
    lock(&ticket.world).agent_hangs = false;
    ticket
        .command(command(Action::Cancel))
        .await
        .expect("accepted");
    assert_eq!(ticket.outcome().await.state, State::Cancelled);
}

#[tokio::test]
async fn without_proof_nobody_commands_where_the_installation_says_so() {
    let strict = InstallationPolicy {
        accept_unproven_decisions: false,
        ..policy()
    };
    let ticket = Ticket::start("REFUSE-2", strict, |_| {}).await;
    ticket.until_gate(Gate::Spec).await;
    let outcome = ticket
        .command(command(Action::Cancel))
        .await
        .expect("answered");
    assert!(
        outcome
            .record
            .refused
            .is_some_and(|why| why.contains("no proof"))
    );
    assert_eq!(ticket.status().await.state, State::AwaitingSpecApproval);
    lock(&ticket.world).proven = true;
    let outcome = ticket
        .command(command(Action::Cancel))
        .await
        .expect("answered");
    assert_eq!(outcome.record.refused, None);
    assert_eq!(ticket.outcome().await.state, State::Cancelled);
}
