//! Deadlines at their real length: 24 hours, 48 hours, 7 days.

use sallyport_workflows::{
    State, activities::GateClosing, command::Action, decision::Verdict, gate::Gate,
};

use crate::{
    harness::{ANN, BOB, Ticket, command, decision, policy},
    scripted::lock,
};

const HOUR: u64 = 60 * 60;

#[tokio::test]
async fn a_day_of_silence_rejects_the_spec_and_not_a_second_less() {
    let ticket = Ticket::start("SILENT-1", policy(), |_| {}).await;
    ticket.until_gate(Gate::Spec).await;
    ticket.skip(24 * HOUR - 2, "almost").await;
    let status = ticket.status().await;
    assert_eq!(status.state, State::AwaitingSpecApproval);
    assert!(status.open_gate.is_some());
    ticket.skip(2, "over").await;
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::SpecRejected);
    assert!(
        outcome
            .reason
            .starts_with("nobody decided about the SPEC until "),
        "{}",
        outcome.reason
    );
    assert_eq!(
        lock(&ticket.world).closings[0].closing,
        GateClosing::Expired
    );
}

#[tokio::test]
async fn an_approval_in_the_last_second_counts() {
    let ticket = Ticket::start("LAST-1", policy(), |_| {}).await;
    ticket.until_gate(Gate::Spec).await;
    ticket.skip(24 * HOUR - 2, "almost").await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_gate(Gate::Pr).await;
}

#[tokio::test]
async fn two_days_of_silence_close_the_pull_request_which_can_be_reopened_for_a_week() {
    let ticket = Ticket::start("CLOSED-1", policy(), |_| {}).await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_gate(Gate::Pr).await;
    ticket.skip(48 * HOUR - 2, "almost two days").await;
    assert_eq!(ticket.status().await.state, State::AwaitingPrApproval);
    ticket.skip(2, "two days").await;
    ticket.until_state(State::PrClosed).await;
    ticket.skip(7 * 24 * HOUR - 60, "almost a week").await;
    assert_eq!(ticket.status().await.state, State::PrClosed);

    let outcome = ticket.command(command(Action::Reopen)).await;
    assert_eq!(outcome.expect("it is open").record.refused, None);
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(lock(&ticket.world).reopened, 1);
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn a_closed_pull_request_that_nobody_reopens_ends_the_ticket() {
    let ticket = Ticket::start("CLOSED-2", policy(), |_| {}).await;
    ticket.approve(Gate::Spec, ANN).await;
    let open = ticket.until_gate(Gate::Pr).await;
    ticket
        .decide(decision(&open, Verdict::Reject, BOB))
        .await
        .expect("it counts");
    ticket.until_state(State::PrClosed).await;
    ticket.skip(7 * 24 * HOUR, "a week").await;
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Cancelled);
    assert!(
        outcome.reason.contains(BOB) && outcome.reason.contains("7 days"),
        "{}",
        outcome.reason
    );
    assert_eq!(lock(&ticket.world).workspaces_removed, 1);
}

#[tokio::test]
async fn a_reopening_that_fails_parks_the_ticket() {
    let ticket = Ticket::start("CLOSED-4", policy(), |world| world.reopening_fails = true).await;
    ticket.approve(Gate::Spec, ANN).await;
    let open = ticket.until_gate(Gate::Pr).await;
    ticket
        .decide(decision(&open, Verdict::Reject, BOB))
        .await
        .expect("it counts");
    ticket.until_state(State::PrClosed).await;
    ticket
        .command(command(Action::Reopen))
        .await
        .expect("it is tried");
    let status = ticket.until_state(State::Error).await;
    let failure = status.failure.expect("a failure");
    assert!(
        failure.message.contains("branch is gone"),
        "{}",
        failure.message
    );
    ticket.skip(7 * 24 * HOUR, "a week").await;
    assert_eq!(ticket.outcome().await.state, State::Cancelled);
}

#[tokio::test]
async fn a_merge_on_the_forge_wins_against_the_closing() {
    let ticket = Ticket::start("CLOSED-3", policy(), |world| world.merged_on_forge = true).await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_gate(Gate::Pr).await;
    ticket.skip(48 * HOUR, "two days").await;
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Completed);
    assert!(
        outcome.reason.contains("without the approval"),
        "{}",
        outcome.reason
    );
    let transitions = lock(&ticket.world).transitions.clone();
    let merged = transitions.iter().find(|record| record.to == State::Merged);
    assert!(merged.expect("it was merged").facts.unapproved);
}

#[tokio::test]
async fn a_parked_ticket_is_cancelled_after_a_week_with_the_reason() {
    let ticket = Ticket::start("PARKED-1", policy(), |world| world.ticket_is_unknown = true).await;
    let status = ticket.until_state(State::Error).await;
    let failure = status.failure.expect("a failure");
    assert_eq!(
        (failure.kind.as_str(), failure.step.as_str()),
        ("TicketNotFound", "fetch_ticket")
    );
    assert!(
        failure.message.contains("knows no ticket"),
        "{}",
        failure.message
    );
    ticket.skip(7 * 24 * HOUR, "a week").await;
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Cancelled);
    assert!(
        outcome.reason.contains("knows no ticket"),
        "{}",
        outcome.reason
    );
    assert_eq!(
        ticket.recorded(),
        [State::Pending, State::Error, State::Cancelled]
    );
}
