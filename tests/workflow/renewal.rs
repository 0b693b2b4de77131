//! A history that grows long: the workflow continues as new, and nobody notices.

use answers::scope_requested;
use sallyport_test_support::temporal::TemporalServer;
use sallyport_workflows::{State, command::Action, decision::Verdict, gate::Gate};
use serde_json::json;

use crate::{
    harness::{ANN, BOB, Place, Ticket, command, decision, policy},
    scripted::lock,
};

#[tokio::test]
async fn a_ticket_goes_through_its_whole_life_in_many_runs() {
    let server = TemporalServer::that_suggests_renewal_after(40).expect("a server");
    let place = Place::new(&server.address);
    let ticket = Ticket::start_at(&place, "RENEW-1", policy(), |world| {
        world.agent.push_back(scope_requested("src/units.js"));
        world.qa.extend([false, true]);
    })
    .await;

    // While a gate waits, signals that count for nothing make the history long.
    let open = ticket.until_gate(Gate::Spec).await;
    for number in 0..20 {
        let by = format!("nobody-{number}@example.com");
        ticket
            .signal(
                json!({"gate": "SPEC", "revision": "deadbeef", "decision": "APPROVE", "by": by}),
            )
            .await;
    }
    let status = ticket
        .until("all are on record", |_| {
            lock(&ticket.world).decisions.len() == 20
        })
        .await;
    assert_eq!(
        status.open_gate.as_ref(),
        Some(&open),
        "the gate is the same"
    );
    assert_eq!(lock(&ticket.world).gates.len(), 1, "and was opened once");
    let approval = decision(&open, Verdict::Approve, ANN);
    let first = ticket.decide(approval.clone()).await.expect("it counts");
    ticket.approve(Gate::Scope, BOB).await;
    let pr = ticket.until_gate(Gate::Pr).await;
    // The answer of an earlier run is still known.
    assert_eq!(ticket.decide(approval).await.expect("the same"), first);
    ticket
        .decide(decision(&pr, Verdict::Reject, BOB))
        .await
        .expect("it counts");
    ticket.until_state(State::PrClosed).await;
    ticket
        .command(command(Action::Reopen))
        .await
        .expect("it is open");
    ticket.approve(Gate::Pr, ANN).await;
    let outcome = ticket.outcome().await;
    assert_eq!(outcome.state, State::Completed);
    let runs = ticket.runs().await;
    assert!(runs >= 5, "only {runs} runs");
    let world = lock(&ticket.world);
    let numbers: Vec<u64> = world
        .transitions
        .iter()
        .map(|record| record.sequence)
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(world.plans.len(), 1);
    assert_eq!(world.merged.len(), 1);
    // Every step has a number of its own, over all runs.
    let mut keys: Vec<u64> = world
        .agent_runs
        .iter()
        .map(|run| run.key.sequence)
        .collect();
    keys.extend(world.checked.iter().map(|check| check.key.sequence));
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), world.agent_runs.len() + world.checked.len());
}
