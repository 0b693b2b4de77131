//! Parked tickets: retried from the step that failed or from an earlier one, or abandoned.

use answers::{object, spec};
use sallyport_workflows::{
    State,
    activities::{AgentTask, TicketEvent},
    command::{Action, Command},
    decision::Verdict,
    failure::kind,
    gate::Gate,
    policy::{Budget, BudgetRaise, InstallationPolicy},
    usage::{Spent, Usage},
};
use serde_json::json;

use crate::{
    harness::{ADMIN, ANN, BOB, Ticket, command, decision, parked_at_gate_2, policy},
    scripted::lock,
};

fn retry(from: Option<State>) -> Command {
    Command {
        from,
        ..command(Action::Retry)
    }
}

fn spent(cost_micro_usd: u64, agent_seconds: u64) -> Spent {
    Spent {
        usage: Usage {
            requests: 1,
            cost_micro_usd,
            ..Usage::default()
        },
        agent_seconds,
    }
}

#[tokio::test]
async fn a_retry_goes_on_from_the_step_that_failed_and_keeps_the_counters() {
    let ticket = Ticket::start("RETRY-1", policy(), |world| {
        let failure = (kind::AGENT_TIMEOUT, spent(1_000_000, 1800));
        world.agent_failures.push_back(failure);
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    let status = ticket.until_state(State::Error).await;
    assert!(status.deadline.is_some());
    // What failed was spent all the same.
    assert_eq!(status.usage.cost_micro_usd, 1_000_000);
    assert_eq!(status.agent_seconds, 1800);
    let why = ticket.command(command(Action::Reopen)).await;
    assert!(
        why.expect_err("nothing is closed")
            .contains("only a closed pull request")
    );

    let mut again = retry(None);
    again.reason = Some("the model was slow".to_owned());
    let outcome = ticket.command(again.clone()).await.expect("accepted");
    assert_eq!(outcome.goes_to, Some(State::Executing));
    let status = ticket.until_state(State::AwaitingPrApproval).await;
    assert_eq!((status.rounds.retries, status.failure), (1, None));
    assert_eq!(status.usage.cost_micro_usd, 1_000_007);
    {
        let world = lock(&ticket.world);
        assert_eq!(world.prepared.len(), 2, "the workspace is laid out anew");
        let runs = &world.agent_runs;
        assert_eq!(runs[1].task, AgentTask::Implement);
        assert_eq!(runs[1].cost_left_micro_usd, 4_000_000);
        assert_ne!(runs[1].session, runs[0].session);
        assert_eq!(world.commands[0].record.by, ADMIN);
        let retried = &world.transitions[6];
        assert_eq!(
            (retried.to, retried.triggered_by.as_str()),
            (State::Executing, ADMIN)
        );
        assert!(
            retried
                .reason
                .as_deref()
                .is_some_and(|why| why.contains("the model was slow"))
        );
        assert_eq!(retried.facts.retries, 1);
    }
    // Sent again, it gets the same answer and does nothing.
    assert_eq!(ticket.command(again).await.expect("the same"), outcome);
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn a_retry_from_planning_asks_for_everything_anew() {
    let ticket = Ticket::start("RETRY-2", policy(), |world| {
        world.qa.extend([false; 3]);
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_state(State::QaFailed).await;
    for (from, words) in [
        (State::PrCreated, "cannot be retried from PR_CREATED"),
        (State::SpecApproved, "PLANNING, EXECUTING, QA_RUNNING"),
    ] {
        let refused = ticket
            .command(retry(Some(from)))
            .await
            .expect_err("not from there");
        assert!(refused.contains(words), "{refused}");
    }
    ticket
        .command(retry(Some(State::Planning)))
        .await
        .expect("accepted");
    let status = ticket
        .until("the new SPEC waits", |status| {
            status
                .open_gate
                .as_ref()
                .is_some_and(|open| open.revision == spec(2).revision)
        })
        .await;
    assert_eq!((status.head_commit, status.qa.len()), (None, 0));
    ticket.approve(Gate::Spec, BOB).await;
    ticket.until_gate(Gate::Pr).await;
    {
        let world = lock(&ticket.world);
        let last = world.agent_runs.last().expect("a run");
        assert_eq!(
            (&last.task, &last.parent_commit),
            (&AgentTask::Implement, &spec(2).base_commit)
        );
        assert_eq!(
            world
                .comments
                .iter()
                .filter(|event| **event == TicketEvent::Started)
                .count(),
            1
        );
    }
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn a_failed_qa_is_run_again_or_repaired_once_more() {
    let ticket = Ticket::start("RETRY-3", policy(), |world| world.qa.extend([false; 4])).await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_state(State::QaFailed).await;
    // QA once more: still red, and still no repair left.
    ticket.command(retry(None)).await.expect("accepted");
    ticket
        .until("it is parked again", |status| {
            status.state == State::QaFailed && status.rounds.retries == 1
        })
        .await;
    assert_eq!(lock(&ticket.world).checked.len(), 4);
    // One more repair, by the retry itself.
    ticket
        .command(retry(Some(State::Executing)))
        .await
        .expect("accepted");
    ticket.until_gate(Gate::Pr).await;
    {
        let world = lock(&ticket.world);
        assert_eq!(world.agent_runs.len(), 4);
        assert_eq!(
            world.agent_runs[3].task,
            AgentTask::Repair {
                report: object("report")
            }
        );
    }
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn a_budget_is_raised_by_the_retry() {
    let little = InstallationPolicy {
        budget: Budget {
            planning_cost_micro_usd: 10,
            ..Budget::default()
        },
        ..policy()
    };
    let ticket = Ticket::start("RAISE-1", little, |world| {
        world
            .plan_failures
            .push_back((kind::PLAN_INVALID, spent(20, 0)));
    })
    .await;
    let status = ticket.until_state(State::Error).await;
    assert_eq!(status.planning_usage.cost_micro_usd, 20);
    // Nothing was raised, so nothing is left to plan with.
    ticket.command(retry(None)).await.expect("accepted");
    let status = ticket
        .until("it is parked again", |status| {
            status.state == State::Error && status.rounds.retries == 1
        })
        .await;
    let failure = status.failure.expect("a failure");
    assert_eq!(failure.kind, kind::BUDGET);
    assert!(
        failure.message.contains("--add-cost"),
        "{}",
        failure.message
    );
    assert_eq!(lock(&ticket.world).plans.len(), 1);
    let raised = Command {
        raise: BudgetRaise {
            cost_micro_usd: 100,
            ..BudgetRaise::default()
        },
        ..retry(None)
    };
    ticket.command(raised).await.expect("accepted");
    ticket.until_gate(Gate::Spec).await;
    assert_eq!(lock(&ticket.world).plans[1].cost_left_micro_usd, 90);
    ticket.approve(Gate::Spec, ANN).await;
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn a_published_branch_cannot_be_planned_anew() {
    let (ticket, open) = parked_at_gate_2("PUBLISHED-1").await;
    let refused = ticket
        .command(retry(Some(State::Planning)))
        .await
        .expect_err("the branch is public");
    assert!(refused.contains("branch is published"), "{refused}");
    // Asking again about the same pull request is what a plain retry does ...
    ticket.command(retry(None)).await.expect("accepted");
    let again = ticket.until_gate(Gate::Pr).await;
    assert_eq!(again.revision, open.revision);
    assert_ne!(again.approval_id, open.approval_id);
    // ... and an admin may allow one more round.
    ticket
        .decide(decision(&again, Verdict::Revise, BOB))
        .await
        .expect("it counts");
    ticket.until_state(State::Error).await;
    let more = Command {
        raise: BudgetRaise {
            change_rounds: 2,
            ..BudgetRaise::default()
        },
        ..retry(Some(State::Executing))
    };
    ticket.command(more).await.expect("accepted");
    ticket
        .until("the next head waits", |status| {
            status
                .open_gate
                .as_ref()
                .is_some_and(|gate| gate.revision != open.revision)
        })
        .await;
    let task = lock(&ticket.world)
        .agent_runs
        .last()
        .map(|run| run.task.clone());
    let comments = object("Please name the test");
    assert_eq!(task, Some(AgentTask::ChangesRequested { comments }));
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn abandon_gives_a_parked_ticket_up_and_nothing_else() {
    let ticket = Ticket::start("ABANDON-1", policy(), |world| world.qa.extend([false; 3])).await;
    ticket.until_gate(Gate::Spec).await;
    let refused = ticket.command(command(Action::Abandon)).await;
    assert!(
        refused
            .expect_err("it is not parked")
            .contains("cancel it instead")
    );
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_state(State::QaFailed).await;
    // As typed by hand.
    ticket
        .signal_command(json!({"action": "abandon", "by": ADMIN, "reason": "too hard"}))
        .await;
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Cancelled);
    assert_eq!(outcome.reason, "abandoned by admin@example.com: too hard");
    let world = lock(&ticket.world);
    let last = world.transitions.last().expect("a transition");
    assert_eq!(last.triggered_by, ADMIN);
    assert!(matches!(
        world.comments.last(),
        Some(TicketEvent::GivenUp { .. })
    ));
    assert_eq!(world.workspaces_removed, 1);
}
