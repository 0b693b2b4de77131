//! Tickets that a person gives up.

use sallyport_workflows::{State, activities::GateClosing, gate::Gate};
use temporalio_client::WorkflowCancelOptions;

use crate::{
    harness::{Ticket, policy},
    scripted::lock,
};

#[tokio::test]
async fn cancelling_at_a_gate_is_recorded_and_closes_the_gate() {
    let ticket = Ticket::start("CANCEL-1", policy(), |_| {}).await;
    ticket.until_gate(Gate::Spec).await;
    let why = WorkflowCancelOptions::builder()
        .reason("no longer needed")
        .build();
    ticket
        .handle
        .cancel(why)
        .await
        .expect("the cancellation is taken");
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Cancelled);
    assert!(
        outcome.reason.contains("no longer needed"),
        "{}",
        outcome.reason
    );
    assert_eq!(ticket.recorded().last(), Some(&State::Cancelled));
    assert_eq!(
        lock(&ticket.world).closings[0].closing,
        GateClosing::Cancelled
    );
}
