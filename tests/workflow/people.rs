//! Who may decide: data in the policy.

use sallyport_workflows::{
    State,
    decision::Verdict,
    gate::Gate,
    policy::{GatePolicy, InstallationPolicy},
};
use serde_json::json;

use crate::{
    harness::{ANN, BOB, REPORTER, Ticket, decision, policy},
    scripted::lock,
};

fn only_ann() -> InstallationPolicy {
    InstallationPolicy {
        spec_gate: GatePolicy {
            approvers: vec![ANN.to_owned()],
            ..GatePolicy::seconds(86_400)
        },
        ..policy()
    }
}

#[tokio::test]
async fn nobody_decides_whom_the_gate_does_not_ask() {
    let ticket = Ticket::start("WHO-1", only_ann(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    for verdict in [Verdict::Approve, Verdict::Revise, Verdict::Reject] {
        let refused = ticket.decide(decision(&open, verdict, BOB)).await;
        let why = refused.expect_err("not asked");
        assert!(why.contains("may not decide") && why.contains(ANN), "{why}");
    }
    // A signal's refusal goes on record at once, also while nobody else decides.
    let json = json!({"gate": "SPEC", "revision": open.revision, "decision": "APPROVE", "by": BOB});
    ticket.signal(json).await;
    let status = ticket
        .until("the refusal is on record", |_| {
            lock(&ticket.world).decisions.len() == 1
        })
        .await;
    assert!(
        status.decisions[0]
            .refused
            .as_deref()
            .is_some_and(|why| why.contains(ANN))
    );
    assert_eq!(status.state, State::AwaitingSpecApproval);
    ticket.approve(Gate::Spec, &ANN.to_uppercase()).await;
    // Gate 2 names nobody.
    ticket.approve(Gate::Pr, BOB).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn whoever_filed_the_ticket_may_not_approve_it_where_the_policy_says_so() {
    let others = InstallationPolicy {
        spec_gate: GatePolicy {
            reporter_may_approve: false,
            ..GatePolicy::seconds(86_400)
        },
        ..policy()
    };
    let ticket = Ticket::start("WHO-2", others, |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let refused = ticket
        .decide(decision(&open, Verdict::Approve, REPORTER))
        .await
        .expect_err("its own ticket");
    assert!(refused.contains("filed the ticket"), "{refused}");
    // But it may say no.
    ticket
        .decide(decision(&open, Verdict::Reject, REPORTER))
        .await
        .expect("it counts");
    assert_eq!(ticket.outcome().await.state, State::SpecRejected);
}

#[tokio::test]
async fn the_repository_makes_the_policy_stricter() {
    let ticket = Ticket::start("WHO-3", policy(), |world| {
        world.effective = Some(only_ann())
    })
    .await;
    let open = ticket.until_gate(Gate::Spec).await;
    assert_eq!(open.approvers, [ANN]);
    let refused = ticket.decide(decision(&open, Verdict::Approve, BOB)).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn people_are_reminded_before_a_gate_closes() {
    const HOUR: u64 = 60 * 60;
    let ticket = Ticket::start("REMIND-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    assert_eq!(open.reminders.len(), 2);
    ticket.skip(12 * HOUR - 2, "almost half").await;
    ticket.status().await;
    assert!(lock(&ticket.world).reminders.is_empty());
    ticket.skip(2, "half").await;
    ticket
        .until("the first reminder", |_| {
            lock(&ticket.world).reminders.len() == 1
        })
        .await;
    assert_eq!(
        lock(&ticket.world).reminders[0].planned_at,
        open.reminders[0]
    );
    ticket.skip(10 * HOUR, "nearly all").await;
    ticket
        .until("the second reminder", |_| {
            lock(&ticket.world).reminders.len() == 2
        })
        .await;
    // A reminder changes nothing: the gate is still the same, and still closes.
    assert_eq!(ticket.status().await.open_gate.as_ref(), Some(&open));
    ticket.skip(3 * HOUR, "over").await;
    assert_eq!(ticket.outcome().await.state, State::SpecRejected);
    assert_eq!(lock(&ticket.world).reminders.len(), 2);
}
