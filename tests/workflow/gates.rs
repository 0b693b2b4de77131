//! Who decides what, when, and what becomes of the rest.

use answers::{commit, spec};
use sallyport_workflows::{
    State,
    activities::{GateClosing, MergeResult, TicketStatusName},
    decision::{Decision, Verdict},
    gate::Gate,
    policy::{GatePolicy, InstallationPolicy},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    harness::{ANN, BOB, Ticket, decision, policy},
    scripted::lock,
};

#[tokio::test]
async fn two_approvals_take_a_ticket_to_its_end() {
    let ticket = Ticket::start("HAPPY-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    assert_eq!(open.revision, spec(1).revision);
    assert_eq!((open.deadline - open.opened_at).num_seconds(), 24 * 60 * 60);
    ticket.approve(Gate::Spec, ANN).await;
    let open = ticket.until_gate(Gate::Pr).await;
    assert_eq!((open.deadline - open.opened_at).num_seconds(), 48 * 60 * 60);
    let outcome = ticket.approve(Gate::Pr, BOB).await;
    assert_eq!(outcome.record.refused, None);

    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Completed);
    assert!(outcome.reason.contains(BOB), "{}", outcome.reason);
    use State::*;
    let story = [
        Pending,
        Planning,
        AwaitingSpecApproval,
        SpecApproved,
        Executing,
        QaRunning,
        PrCreated,
        AwaitingPrApproval,
        Merged,
        Completed,
    ];
    assert_eq!(ticket.recorded(), story);
    let world = lock(&ticket.world);
    let numbers: Vec<u64> = world
        .transitions
        .iter()
        .map(|record| record.sequence)
        .collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<u64>>());
    assert_eq!(
        world.statuses,
        [
            TicketStatusName::InProgress,
            TicketStatusName::InReview,
            TicketStatusName::Done
        ]
    );
    assert_eq!(world.workspaces_removed, 1);
    assert_eq!(
        world
            .closings
            .iter()
            .map(|closing| closing.closing)
            .collect::<Vec<_>>(),
        [GateClosing::Approved; 2]
    );
    let last = world.transitions.last().expect("a transition");
    assert_eq!(last.facts.usage.cost_micro_usd, 7);
    assert_eq!(last.facts.spec_approved_by.as_deref(), Some(ANN));
    assert_eq!(last.facts.head_commit, Some(commit(1)));
}

#[tokio::test]
async fn a_signal_typed_by_hand_opens_a_gate() {
    let ticket = Ticket::start("SIGNAL-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let prefix = &open.revision[..8];
    ticket
        .signal(json!({"gate": "SPEC", "revision": prefix, "decision": "APPROVE", "by": ANN}))
        .await;
    let status = ticket
        .until("the agent works", |status| {
            status.spec.is_some() && status.head_commit.is_some()
        })
        .await;
    let record = &status.decisions[0];
    assert_eq!(
        (
            record.revision.as_str(),
            record.proven,
            record.refused.clone()
        ),
        (open.revision.as_str(), false, None)
    );
    assert_eq!(
        lock(&ticket.world).decisions[0].approval_id,
        Some(open.approval_id)
    );
    let open = ticket.until_gate(Gate::Pr).await;
    ticket
        .signal(json!({"gate": "PR", "revision": open.revision, "decision": "APPROVE", "by": ANN}))
        .await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn a_decision_about_something_else_is_refused_with_the_reason() {
    let ticket = Ticket::start("OTHER-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let other = Decision {
        revision: "deadbeefdeadbeef".to_owned(),
        ..decision(&open, Verdict::Approve, ANN)
    };
    let refused = ticket
        .decide(other)
        .await
        .expect_err("it names another revision");
    assert!(
        refused.contains("deadbeefdeadbeef") && refused.contains(&open.revision),
        "{refused}"
    );
    let wrong_gate = Decision {
        gate: Gate::Pr,
        ..decision(&open, Verdict::Approve, ANN)
    };
    let refused = ticket
        .decide(wrong_gate)
        .await
        .expect_err("that gate is not open");
    assert!(
        refused.contains("gate PR is not open") && refused.contains("AWAITING_SPEC_APPROVAL"),
        "{refused}"
    );
    let short = Decision {
        revision: open.revision[..7].to_owned(),
        ..decision(&open, Verdict::Approve, ANN)
    };
    assert!(ticket.decide(short).await.is_err());
    let nobody = decision(&open, Verdict::Approve, " ");
    assert!(ticket.decide(nobody).await.is_err());
    let status = ticket.status().await;
    assert_eq!(status.state, State::AwaitingSpecApproval);

    // The same by signal: nobody hears the refusal, so it goes on record.
    ticket
        .signal(json!({"gate": "SPEC", "revision": "deadbeef", "decision": "APPROVE", "by": ANN}))
        .await;
    let status = ticket
        .until("the refusal is on record", |_| {
            lock(&ticket.world).decisions.len() == 1
        })
        .await;
    assert!(
        status.decisions[0]
            .refused
            .as_deref()
            .is_some_and(|why| why.contains("deadbeef"))
    );
    assert!(status.open_gate.is_some());
}

#[tokio::test]
async fn a_signal_that_is_no_decision_stops_nothing() {
    let ticket = Ticket::start("GARBAGE-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    ticket.signal(json!("approve!")).await;
    ticket
        .signal(json!({"gate": "SPEC", "decision": "APPROVE", "by": ANN}))
        .await;
    ticket.signal(json!({"gate": "SPEC", "revision": open.revision, "decision": "APPROVE", "by": ANN, "extra": 1})).await;
    let status = ticket
        .until("all three are noted", |status| status.notes.len() == 3)
        .await;
    assert!(status.notes[1].contains("revision"), "{:?}", status.notes);
    assert!(status.notes[2].contains("extra"), "{:?}", status.notes);
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_gate(Gate::Pr).await;
}

#[tokio::test]
async fn the_same_id_gets_the_same_answer() {
    let ticket = Ticket::start("TWICE-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let approval = decision(&open, Verdict::Approve, ANN);
    let first = ticket.decide(approval.clone()).await.expect("it counts");
    ticket.until_gate(Gate::Pr).await;
    let again = ticket
        .decide(approval.clone())
        .await
        .expect("it is the same decision");
    assert_eq!(first, again);
    // Also as a signal, which a starter sends when no worker answered in time.
    ticket
        .signal(serde_json::to_value(&approval).expect("JSON"))
        .await;
    let late = Decision {
        id: Some(Uuid::new_v4()),
        by: BOB.to_owned(),
        ..approval
    };
    let refused = ticket.decide(late).await.expect_err("the gate is closed");
    assert!(
        refused.contains("decided already: APPROVE by ann@example.com"),
        "{refused}"
    );
    let status = ticket.status().await;
    assert_eq!(status.decisions.len(), 1, "{:?}", status.decisions);
}

#[tokio::test]
async fn without_proof_nobody_decides_unless_the_installation_says_so() {
    let strict = InstallationPolicy {
        accept_unproven_decisions: false,
        ..policy()
    };
    let ticket = Ticket::start("PROOF-1", strict, |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let outcome = ticket
        .decide(decision(&open, Verdict::Approve, ANN))
        .await
        .expect("it is answered");
    assert!(
        outcome
            .record
            .refused
            .is_some_and(|why| why.contains("no proof"))
    );
    assert!(ticket.status().await.open_gate.is_some());
    lock(&ticket.world).proven = true;
    let outcome = ticket.approve(Gate::Spec, ANN).await;
    assert!(outcome.record.proven && outcome.record.refused.is_none());
}

#[tokio::test]
async fn two_people_must_approve_where_the_policy_says_two() {
    let two = InstallationPolicy {
        spec_gate: GatePolicy {
            approvals: 2,
            ..GatePolicy::seconds(86_400)
        },
        ..policy()
    };
    let ticket = Ticket::start("QUORUM-1", two, |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let first = ticket
        .decide(decision(&open, Verdict::Approve, ANN))
        .await
        .expect("it counts");
    assert_eq!(first.approvals_missing, 1);
    let same_person = decision(&open, Verdict::Approve, &ANN.to_uppercase());
    assert!(
        ticket
            .decide(same_person)
            .await
            .expect_err("not twice")
            .contains("has approved already")
    );
    let second = ticket
        .decide(decision(&open, Verdict::Approve, BOB))
        .await
        .expect("it counts");
    assert_eq!(second.approvals_missing, 0);
    ticket.until_gate(Gate::Pr).await;
    let approved_by = lock(&ticket.world).transitions[3].triggered_by.clone();
    assert_eq!(approved_by, format!("{ANN}, {BOB}"));
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn a_merge_that_the_forge_refuses_leaves_the_gate_open() {
    let ticket = Ticket::start("REFUSED-1", policy(), |world| {
        world.merges.push_back(MergeResult::Refused {
            reason: "conflict in src/a.js".to_owned(),
        });
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    let before = ticket.until_gate(Gate::Pr).await;
    ticket.approve(Gate::Pr, ANN).await;
    let status = ticket
        .until("the refusal is noted", |status| !status.notes.is_empty())
        .await;
    assert!(status.notes[0].contains("conflict in src/a.js"));
    assert_eq!(status.open_gate.as_ref(), Some(&before));
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}
