//! Contradictory decisions at the same moment, over every pair of channels: one counts, and the other is told which.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use reqwest::StatusCode;
use sallyport_ledger::{
    approvals::{self, ApprovalStatus},
    decisions::{self, DecisionRow},
    proof::DecisionKey,
};
use sallyport_starter::temporal::TicketsError;
use sallyport_test_support::child::until;
use sallyport_workflows::{
    decision::{Decision, Verdict},
    gate::Gate,
    ticket::TicketKey,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    ADMIN, APPROVER, DECISION_KEY, Starter, answer, message,
    planner::{PATIENCE, at_gate_one, starter_with_planner},
};

/// Tickets at once.
const AT_ONCE: usize = 12;

/// How a decision is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Channel {
    Http,
    Update,
    Signal,
}

const PAIRS: [(Channel, Channel); 4] = [
    (Channel::Http, Channel::Http),
    (Channel::Http, Channel::Update),
    (Channel::Signal, Channel::Http),
    (Channel::Update, Channel::Signal),
];

/// What the loser of a pair was told, if it was told at once; what came as a signal is on record.
type Told = Option<String>;

/// Who decides first and second, by the token that they have at the API.
const PEOPLE: [(&str, &str); 2] = [
    ("approver@example.com", APPROVER),
    ("admin@example.com", ADMIN),
];

async fn race(starter: &Starter, number: usize) -> (Channel, Channel) {
    let id = format!("RACE-{}", number + 1);
    let (ticket, gate) = at_gate_one(starter, &id).await;
    let pair = PAIRS[number % PAIRS.len()];
    let verdicts = match number / PAIRS.len() % 2 {
        0 => [Verdict::Approve, Verdict::Reject],
        _ => [Verdict::Reject, Verdict::Approve],
    };
    let send = |channel, index: usize| {
        let (person, token) = PEOPLE[index];
        let decision = Decision {
            id: Some(Uuid::new_v4()),
            gate: Gate::Spec,
            revision: gate.revision.clone(),
            decision: verdicts[index],
            by: person.to_owned(),
            comments: None,
            proof: None,
        };
        decide(starter, &ticket, gate.id, channel, decision, token)
    };
    let told = tokio::join!(send(pair.0, 0), send(pair.1, 1));

    let closed = until(PATIENCE, "the gate closes", async || {
        let gate = approvals::get(&starter.database, gate.id).await.unwrap();
        (gate.status != ApprovalStatus::Pending).then_some(gate)
    });
    let closed = closed.await.unwrap();
    let winner = closed.decided_by.clone().unwrap();
    let rows = decisions::of_workflow(&starter.database, ticket.ledger_id())
        .await
        .unwrap();
    let counted: Vec<&DecisionRow> = rows.iter().filter(|row| row.refused.is_none()).collect();
    assert_eq!(counted.len(), 1, "{id}: {rows:#?}");
    assert_eq!(counted[0].by, winner);
    let won = usize::from(PEOPLE[1].0 == winner);
    assert_eq!(counted[0].decision, verdicts[won]);
    let (channel, said) = match won {
        0 => (pair.1, told.1),
        _ => (pair.0, told.0),
    };
    let said = match (channel, said) {
        (Channel::Signal, None) => refusal_on_record(starter, &ticket, PEOPLE[1 - won].0).await,
        (_, said) => said,
    };
    let said = said.unwrap_or_else(|| panic!("{id}: nobody told the loser over {channel:?}"));
    assert!(said.contains(&winner), "{id}, {channel:?}: {said}");
    pair
}

/// Sends a decision; the answer is what its sender is told where it did not count.
async fn decide(
    starter: &Starter,
    ticket: &TicketKey,
    approval: Uuid,
    channel: Channel,
    mut decision: Decision,
    token: &str,
) -> Told {
    let workflow_id = ticket.workflow_id();
    let key = DecisionKey::new(&DECISION_KEY.into()).unwrap();
    match channel {
        Channel::Http => {
            let body = json!({
                "id": decision.id, "revision": decision.revision, "decision": decision.decision
            });
            let path = format!("/approvals/{approval}/decision");
            let (status, said) = answer(starter.post(&path, token, &body)).await;
            match status {
                StatusCode::OK => None,
                StatusCode::CONFLICT => Some(message(&said).to_owned()),
                other => panic!("{other}: {said}"),
            }
        }
        Channel::Update => {
            decision.proof = Some(key.sign_decision(&decision, &workflow_id));
            match starter.state.tickets.decide(&workflow_id, &decision).await {
                Ok(outcome) => outcome.record.refused,
                Err(TicketsError::Refused(said)) => Some(said),
                // The loser came after the ticket's end: the ledger says who closed the gate.
                Err(TicketsError::NotRunning(_)) => after_the_end(starter, approval).await,
                Err(error) => panic!("{error}"),
            }
        }
        Channel::Signal => {
            decision.proof = Some(key.sign_decision(&decision, &workflow_id));
            let left = starter
                .state
                .tickets
                .leave_decision(&workflow_id, &decision)
                .await;
            match left {
                Ok(()) => None,
                Err(TicketsError::NotRunning(_)) => after_the_end(starter, approval).await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn after_the_end(starter: &Starter, approval: Uuid) -> Told {
    let gate = approvals::get(&starter.database, approval).await.unwrap();
    gate.decided_by
}

/// Why the decision of `person` did not count, as the workflow put it on record.
async fn refusal_on_record(starter: &Starter, ticket: &TicketKey, person: &str) -> Told {
    let row = until(PATIENCE, "the refusal is on record", async || {
        let rows = decisions::of_workflow(&starter.database, ticket.ledger_id()).await;
        rows.unwrap().into_iter().find(|row| row.by == person)
    });
    row.await.unwrap().refused
}

async fn run(pairs: usize) -> (BTreeMap<(Channel, Channel), usize>, Duration) {
    let (starter, _server) = starter_with_planner().await;
    let began = Instant::now();
    let raced: Vec<(Channel, Channel)> = futures::stream::iter(0..pairs)
        .map(|number| race(&starter, number))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut counts = BTreeMap::new();
    for pair in raced {
        *counts.entry(pair).or_default() += 1;
    }
    (counts, began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_decisions_at_once_one_counts_and_the_other_is_told_which() {
    let (counts, _) = run(24).await;
    assert_eq!(counts.values().sum::<usize>(), 24);
}

/// `cargo xtask bench races`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a bench: slow, and its times are for people"]
async fn bench() {
    let (counts, took) = run(1000).await;
    println!(
        "{} pairs of contradictory decisions in {:.0} s, each with one outcome, each loser told who won: {counts:?}",
        counts.values().sum::<usize>(),
        took.as_secs_f32()
    );
}
