//! The base branch moves on while people decide.

use answers::{BASE, object, spec};
use sallyport_workflows::{
    State,
    decision::Verdict,
    gate::{BaseChange, Gate},
};

use crate::{
    harness::{ANN, BOB, Ticket, decision, policy},
    scripted::lock,
};

fn change() -> BaseChange {
    BaseChange {
        from: BASE.to_owned(),
        to: "2".repeat(40),
        files: 1,
        first: "src/parse.js".to_owned(),
        diff: object("what changed"),
    }
}

#[tokio::test]
async fn a_file_in_scope_that_changed_on_the_base_branch_has_people_asked_again() {
    let ticket = Ticket::start("BASE-1", policy(), |world| world.bases.push_back(change())).await;
    let first = ticket.until_gate(Gate::Spec).await;
    ticket.approve(Gate::Spec, ANN).await;
    let status = ticket
        .until("it asks again", |status| {
            status
                .open_gate
                .as_ref()
                .is_some_and(|open| open.revision != first.revision)
        })
        .await;
    let open = status.open_gate.expect("it is open");
    assert_eq!(open.base_change, Some(change()));
    assert_eq!(open.content, first.content, "the text is the same");
    assert_eq!(status.spec.expect("a SPEC").base_commit, change().to);
    // The approval of the old base does not count for the new one.
    let stale = ticket.decide(decision(&first, Verdict::Approve, BOB)).await;
    assert!(
        stale
            .expect_err("another revision")
            .contains("look at what changed")
    );
    assert!(lock(&ticket.world).agent_runs.is_empty());

    ticket.approve(Gate::Spec, BOB).await;
    ticket.until_gate(Gate::Pr).await;
    {
        let world = lock(&ticket.world);
        assert_eq!(world.plans.len(), 1, "nothing is planned anew");
        assert_eq!(world.agent_runs[0].spec.base_commit, change().to);
        assert_eq!(world.prepared[0].start_commit, change().to);
        assert_eq!(world.proposed[0].spec_approved_by, BOB);
    }
    let states = ticket.recorded();
    use State::*;
    assert_eq!(
        states[2..6],
        [
            AwaitingSpecApproval,
            SpecApproved,
            AwaitingSpecApproval,
            SpecApproved
        ]
    );
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, Completed);
}

#[tokio::test]
async fn revising_after_the_base_changed_plans_on_the_new_base() {
    let ticket = Ticket::start("BASE-2", policy(), |world| world.bases.push_back(change())).await;
    ticket.approve(Gate::Spec, ANN).await;
    let status = ticket
        .until("it asks again", |status| {
            status
                .open_gate
                .as_ref()
                .is_some_and(|open| open.base_change.is_some())
        })
        .await;
    let open = status.open_gate.expect("it is open");
    ticket
        .decide(decision(&open, Verdict::Revise, BOB))
        .await
        .expect("it counts");
    let status = ticket
        .until("the new SPEC waits", |status| {
            status
                .open_gate
                .as_ref()
                .is_some_and(|open| open.revision == spec(2).revision)
        })
        .await;
    assert_eq!(status.open_gate.expect("it is open").base_change, None);
}
