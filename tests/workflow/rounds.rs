//! Revisions, the mending of scope, repairs, requested changes: each bounded.

use answers::{commit, object, out_of_scope, spec};
use sallyport_workflows::{
    State,
    activities::AgentTask,
    decision::{Decision, Verdict},
    gate::Gate,
    policy::{Budget, InstallationPolicy},
};

use crate::{
    harness::{ANN, BOB, Ticket, decision, parked_at_gate_2, policy},
    scripted::lock,
};

#[tokio::test]
async fn revise_goes_back_to_the_planner_with_the_comments() {
    let ticket = Ticket::start("REVISE-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    let silent = Decision {
        comments: None,
        ..decision(&open, Verdict::Revise, ANN)
    };
    assert!(
        ticket
            .decide(silent)
            .await
            .expect_err("revise what?")
            .contains("comments")
    );
    ticket
        .decide(decision(&open, Verdict::Revise, ANN))
        .await
        .expect("it counts");
    let second = ticket.until("the second SPEC waits", |status| {
        status
            .open_gate
            .as_ref()
            .is_some_and(|open| open.revision == spec(2).revision)
    });
    assert_eq!(second.await.rounds.revisions, 1);
    // Who read the first SPEC has not read the second.
    let stale = decision(&open, Verdict::Approve, BOB);
    assert!(
        ticket
            .decide(stale)
            .await
            .expect_err("it was revised")
            .contains("look at what changed")
    );
    {
        let world = lock(&ticket.world);
        assert!(world.plans[0].revised.is_empty());
        assert_eq!(world.plans[1].revised[0].text, spec(1).text);
        assert_eq!(
            world.plans[1].revised[0].comments,
            object("Please name the test")
        );
    }
    ticket.approve(Gate::Spec, BOB).await;
    ticket.until_gate(Gate::Pr).await;
    let runs = lock(&ticket.world).agent_runs.clone();
    assert_eq!(runs[0].spec, spec(2));
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn revisions_are_bounded() {
    let one = InstallationPolicy {
        budget: Budget {
            revisions: 1,
            ..Budget::default()
        },
        ..policy()
    };
    let ticket = Ticket::start("REVISE-2", one, |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    ticket
        .decide(decision(&open, Verdict::Revise, ANN))
        .await
        .expect("it counts");
    let next = |status: &sallyport_workflows::status::TicketStatus| {
        status
            .open_gate
            .clone()
            .filter(|gate| gate.revision != open.revision)
    };
    let status = ticket
        .until("the second SPEC waits", |status| next(status).is_some())
        .await;
    let second = next(&status).expect("it waits");
    ticket
        .decide(decision(&second, Verdict::Revise, ANN))
        .await
        .expect("it counts");
    let status = ticket.until_state(State::Error).await;
    assert_eq!(status.failure.expect("a failure").kind, "Budget");
}

#[tokio::test]
async fn reject_ends_the_ticket() {
    let ticket = Ticket::start("REJECT-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    ticket
        .decide(decision(&open, Verdict::Reject, BOB))
        .await
        .expect("it counts");
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::SpecRejected);
    assert!(outcome.reason.contains(BOB));
    assert!(lock(&ticket.world).agent_runs.is_empty());
}

#[tokio::test]
async fn the_agent_has_one_round_to_mend_its_scope() {
    let ticket = Ticket::start("SCOPE-1", policy(), |world| {
        world.agent.push_back(out_of_scope("Cargo.lock"))
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_gate(Gate::Pr).await;
    let tasks: Vec<AgentTask> = lock(&ticket.world)
        .agent_runs
        .iter()
        .map(|run| run.task.clone())
        .collect();
    assert_eq!(
        tasks,
        [
            AgentTask::Implement,
            AgentTask::MendScope {
                paths: object("Cargo.lock")
            }
        ]
    );
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn out_of_scope_twice_parks_the_ticket_with_the_paths() {
    let ticket = Ticket::start("SCOPE-2", policy(), |world| {
        world
            .agent
            .extend([out_of_scope("Cargo.lock"), out_of_scope("build.rs")]);
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    let status = ticket.until_state(State::Error).await;
    let failure = status.failure.expect("a failure");
    assert_eq!(failure.kind, "OutOfScope");
    assert!(failure.message.contains("build.rs"), "{}", failure.message);
    assert_eq!(status.pull_request, None);
}

#[tokio::test]
async fn what_qa_finds_is_repaired_within_bounds() {
    let ticket = Ticket::start("REPAIR-1", policy(), |world| {
        world.qa.extend([false, false, true])
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    let status = ticket.until_state(State::AwaitingPrApproval).await;
    assert_eq!(status.rounds.repairs, 2);
    {
        let world = lock(&ticket.world);
        let report = object("report");
        assert_eq!(world.agent_runs[1].task, AgentTask::Repair { report });
        assert_eq!(world.agent_runs[2].parent_commit, commit(2));
    }
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn qa_that_stays_red_parks_the_ticket() {
    let ticket = Ticket::start("REPAIR-2", policy(), |world| world.qa.extend([false; 5])).await;
    ticket.approve(Gate::Spec, ANN).await;
    let status = ticket.until_state(State::QaFailed).await;
    assert!(
        status
            .failure
            .expect("a failure")
            .message
            .contains("Unit tests")
    );
    assert_eq!(lock(&ticket.world).agent_runs.len(), 3);
}

#[tokio::test]
async fn requested_changes_go_back_to_the_agent() {
    let ticket = Ticket::start("CHANGES-1", policy(), |_| {}).await;
    ticket.approve(Gate::Spec, ANN).await;
    let first = ticket.until_gate(Gate::Pr).await;
    ticket
        .decide(decision(&first, Verdict::Revise, BOB))
        .await
        .expect("it counts");
    ticket
        .until("the next head waits", |status| {
            status
                .open_gate
                .as_ref()
                .is_some_and(|open| open.gate == Gate::Pr && open.revision != first.revision)
        })
        .await;
    {
        let world = lock(&ticket.world);
        let task = AgentTask::ChangesRequested {
            comments: object("Please name the test"),
        };
        assert_eq!(world.agent_runs[1].task, task);
        assert_eq!(world.agent_runs[1].parent_commit, commit(1));
    }
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn a_ticket_that_is_given_up_leaves_no_pull_request_open() {
    let (ticket, _) = parked_at_gate_2("CHANGES-2").await;
    assert_eq!(lock(&ticket.world).closed, 0);
    ticket.skip(7 * 24 * 60 * 60, "a week").await;
    assert_eq!(ticket.outcome().await.state, State::Cancelled);
    assert_eq!(lock(&ticket.world).closed, 1);
}
