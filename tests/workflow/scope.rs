//! The agent asks for files that the SPEC does not list.

use answers::{object, scope_requested};
use sallyport_workflows::{
    State,
    activities::AgentTask,
    decision::{Decision, Verdict},
    gate::Gate,
    policy::{Budget, InstallationPolicy},
};

use crate::{
    harness::{ANN, BOB, Ticket, decision, policy},
    scripted::lock,
};

const HOUR: u64 = 60 * 60;

#[tokio::test]
async fn a_grant_lets_the_same_session_go_on_with_the_file() {
    let ticket = Ticket::start("GRANT-1", policy(), |world| {
        world.agent.push_back(scope_requested("src/units.js"))
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    let open = ticket.until_gate(Gate::Scope).await;
    assert_eq!(open.content, object("src/units.js"));
    let revise = Decision {
        comments: Some("why?".to_owned()),
        ..decision(&open, Verdict::Revise, BOB)
    };
    let refused = ticket.decide(revise).await.expect_err("it has no meaning");
    assert!(refused.contains("no meaning"), "{refused}");
    ticket.approve(Gate::Scope, BOB).await;
    ticket.until_gate(Gate::Pr).await;
    {
        let world = lock(&ticket.world);
        let runs = &world.agent_runs;
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[1].session, runs[0].key.sequence, "the same session");
        assert_ne!(runs[1].key, runs[0].key);
        assert_eq!(runs[1].grants, [object("src/units.js")]);
        assert_eq!(
            runs[1].task,
            AgentTask::ScopeAnswered {
                request: object("src/units.js"),
                granted: true,
                comments: None
            }
        );
        assert_eq!(
            world.prepared.len(),
            1,
            "the workspace is not laid out anew"
        );
        assert_eq!(runs[1].seconds, runs[0].seconds - 60, "the time goes on");
        assert_eq!(world.published[0].grants, [object("src/units.js")]);
        assert_eq!(world.proposed[0].grants, [object("src/units.js")]);
    }
    ticket.approve(Gate::Pr, ANN).await;
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Completed);
}

#[tokio::test]
async fn a_refusal_and_silence_let_the_agent_go_on_without() {
    let ticket = Ticket::start("REFUSAL-1", policy(), |world| {
        world
            .agent
            .extend([scope_requested("a.js"), scope_requested("b.js")])
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    let open = ticket.until_gate(Gate::Scope).await;
    let no = Decision {
        comments: Some("do it in src/parse.js".to_owned()),
        ..decision(&open, Verdict::Reject, BOB)
    };
    ticket.decide(no).await.expect("it counts");
    ticket
        .until("it asks for the second file", |status| {
            status
                .open_gate
                .as_ref()
                .is_some_and(|gate| gate.content == object("b.js"))
        })
        .await;
    ticket.skip(24 * HOUR, "nobody answers").await;
    let status = ticket.until_state(State::AwaitingPrApproval).await;
    assert!(status.grants.is_empty());
    assert_eq!(status.rounds.scope_requests, 2);
    {
        let world = lock(&ticket.world);
        let answers: Vec<_> = world.agent_runs[1..]
            .iter()
            .map(|run| run.task.clone())
            .collect();
        assert_eq!(
            answers,
            [
                AgentTask::ScopeAnswered {
                    request: object("a.js"),
                    granted: false,
                    comments: Some(object("do it in src/parse.js"))
                },
                AgentTask::ScopeAnswered {
                    request: object("b.js"),
                    granted: false,
                    comments: None
                },
            ]
        );
        assert_eq!(
            world.agent_runs[2].session,
            world.agent_runs[0].key.sequence
        );
    }
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn requests_are_bounded() {
    let one = InstallationPolicy {
        budget: Budget {
            scope_requests: 1,
            ..Budget::default()
        },
        ..policy()
    };
    let ticket = Ticket::start("BOUND-1", one, |world| {
        world
            .agent
            .extend([scope_requested("a.js"), scope_requested("b.js")])
    })
    .await;
    ticket.approve(Gate::Spec, ANN).await;
    ticket.approve(Gate::Scope, ANN).await;
    let status = ticket.until_state(State::Error).await;
    assert_eq!(status.failure.expect("a failure").kind, "Budget");
    let world = lock(&ticket.world);
    assert_eq!(world.agent_runs[0].scope_requests_left, 1);
    assert_eq!(world.agent_runs[1].scope_requests_left, 0);
}
