//! Some dozens of tickets at once on a real server, each with a life of chance, while the worker is stopped and started
//! again and again and histories are kept short. `SALLYPORT_SEED` plays the same lives once more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use answers::{commit, merge_refused, object, out_of_scope, scope_requested};
use futures::future::join_all;
use sallyport_test_support::temporal::TemporalServer;
use sallyport_workflows::{
    State,
    activities::{AgentResult, GateClosing, OpenGateRequest},
    command::{Action, Command},
    decision::{Decision, Verdict},
    failure::kind,
    gate::{BaseChange, Gate},
    policy::{GatePolicy, InstallationPolicy},
    revision::pull_request_revision,
    usage::Spent,
    workflow::TicketOutcome,
};
use uuid::Uuid;

use crate::{
    harness::{ANN, BOB, Place, Ticket, command, policy},
    scripted::{World, lock},
};

const TICKETS: u64 = 20;

/// After so many answers people only help the ticket to its end.
const ANSWERS: u32 = 6;

/// After so many transitions of all tickets together the worker is restarted.
const TRANSITIONS_BETWEEN_RESTARTS: usize = 60;

/// Random numbers from a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// True in so many of a hundred cases.
    fn is(&mut self, per_cent: u64) -> bool {
        self.below(100) < per_cent
    }
}

fn set_up(world: &mut World, chance: &mut Chance) {
    for number in 0..chance.below(4) {
        let path = format!("src/file-{number}.js");
        let result = match chance.below(4) {
            0 | 1 => scope_requested(&path),
            2 => out_of_scope(&path),
            _ => AgentResult::NoChanges,
        };
        world.agent.push_back(result);
    }
    world.qa.extend((0..chance.below(5)).map(|_| chance.is(50)));
    if chance.is(30) {
        world.merges.push_back(merge_refused());
    }
    if chance.is(40) {
        world.bases.push_back(BaseChange {
            from: commit(1),
            to: commit(0xba5e),
            files: 1,
            first: "src/duration.js".to_owned(),
            diff: object("what changed"),
        });
    }
    if chance.is(20) {
        let failure = (kind::PLAN_INVALID, Spent::default());
        world.plan_failures.push_back(failure);
    }
    world.merged_on_forge = chance.is(20);
}

/// One ticket that is driven to its end.
struct Life {
    ticket: Ticket,
    chance: Chance,
    marks: u32,
    answers: u32,
    /// What was accepted, with its answer.
    counted: Vec<Uuid>,
}

impl Life {
    /// What happened last, and the gate that was opened last.
    fn last(&self) -> (Option<State>, Option<OpenGateRequest>) {
        let world = lock(&self.ticket.world);
        let last = world
            .transitions
            .iter()
            .max_by_key(|record| record.sequence);
        (last.map(|record| record.to), world.gates.last().cloned())
    }

    async fn live(mut self) -> (Ticket, TicketOutcome, Vec<Uuid>) {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            let (state, gate) = self.last();
            match (state, gate) {
                (Some(state), _) if state.is_end() => break,
                (
                    Some(
                        State::AwaitingSpecApproval
                        | State::AwaitingScopeApproval
                        | State::AwaitingPrApproval,
                    ),
                    Some(gate),
                ) => self.decide(&gate).await,
                (Some(State::Error | State::QaFailed), _) => self.take_up().await,
                (Some(State::PrClosed), _) => self.reopen().await,
                _ => {}
            }
        }
        let outcome = self.ticket.outcome().await;
        (self.ticket, outcome, self.counted)
    }

    /// Lets a wait's whole time go by. Nothing happens if the ticket does not wait any more.
    async fn be_silent(&mut self, seconds: u64) {
        self.marks += 1;
        let mark = format!("silence {}", self.marks);
        self.ticket.skip(seconds, &mark).await;
    }

    async fn decide(&mut self, gate: &OpenGateRequest) {
        self.answers += 1;
        let is_helping = self.answers > ANSWERS;
        let verdict = match self.chance.below(10) {
            0 if gate.gate != Gate::Spec && !is_helping => Verdict::Reject,
            1 | 2 if gate.gate != Gate::Scope && !is_helping => Verdict::Revise,
            _ => Verdict::Approve,
        };
        if !is_helping && self.chance.is(10) && gate.gate != Gate::Spec {
            return self.be_silent(gate.policy.timeout_seconds).await;
        }
        let by = [ANN, BOB][self.chance.below(2) as usize];
        let decision = Decision {
            id: Some(Uuid::new_v4()),
            gate: gate.gate,
            revision: gate.revision.clone(),
            decision: verdict,
            by: by.to_owned(),
            comments: (verdict == Verdict::Revise).then(|| "Please name the test".to_owned()),
            proof: None,
        };
        if self.chance.is(20) {
            let stale = Decision {
                id: Some(Uuid::new_v4()),
                revision: "deadbeef".repeat(8),
                ..decision.clone()
            };
            let refused = self.ticket.decide(stale).await;
            refused.expect_err("nobody asked about that");
        }
        let Ok(outcome) = self.ticket.decide(decision.clone()).await else {
            // Not open yet, or not any more.
            return;
        };
        if self.chance.is(30) {
            // The same id gets the same answer, while the workflow lives.
            if let Ok(again) = self.ticket.decide(decision).await {
                assert_eq!(again, outcome);
            }
        }
        if outcome.record.refused.is_none() {
            self.counted.push(outcome.record.id);
        }
    }

    async fn send(&mut self, command: Command) {
        if let Ok(outcome) = self.ticket.command(command).await
            && outcome.record.refused.is_none()
        {
            self.counted.push(outcome.record.id);
        }
    }

    async fn take_up(&mut self) {
        self.answers += 1;
        let action = match self.chance.below(10) {
            0 => Action::Abandon,
            _ if self.answers > 2 * ANSWERS => Action::Abandon,
            _ => Action::Retry,
        };
        let mut command = command(action);
        if action == Action::Retry {
            command.raise.repairs = 1;
            if self.chance.is(30) {
                command.from = Some(State::Planning);
            }
        }
        self.send(command).await;
    }

    async fn reopen(&mut self) {
        self.answers += 1;
        if self.answers > ANSWERS || self.chance.is(30) {
            let seconds = policy().reopen_seconds;
            return self.be_silent(seconds).await;
        }
        self.send(command(Action::Reopen)).await;
    }
}

/// What must be true of every ticket, as far as the world can see it. An activity whose result was lost with its worker
/// is carried out again, with the same input.
fn check(world: &World, outcome: &TicketOutcome, counted: &[Uuid], policy: &InstallationPolicy) {
    let mut records = BTreeMap::new();
    for record in &world.transitions {
        let first = records.entry(record.sequence).or_insert(record);
        assert_eq!(*first, record, "the same transition");
    }
    let numbers: Vec<u64> = records.keys().copied().collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let mut before = None;
    for record in records.values() {
        assert_eq!(record.from, before);
        if let Some(before) = before {
            assert!(before.may_go_to(record.to), "{before} to {}", record.to);
        }
        before = Some(record.to);
    }
    assert_eq!(before, Some(outcome.state));
    assert!(outcome.state.is_end());

    let gates: BTreeMap<Uuid, &OpenGateRequest> = world
        .gates
        .iter()
        .map(|gate| (gate.approval_id, gate))
        .collect();
    let approved = |gate: Gate, revision: &str| {
        world.closings.iter().any(|close| {
            let request = gates[&close.approval_id];
            let people: BTreeSet<&str> = world
                .decisions
                .iter()
                .filter(|entry| entry.approval_id == Some(close.approval_id))
                .filter(|entry| entry.record.refused.is_none())
                .filter(|entry| entry.record.decision == Verdict::Approve)
                .map(|entry| entry.record.by.as_str())
                .collect();
            request.gate == gate
                && request.revision == revision
                && close.closing == GateClosing::Approved
                && people.len() >= request.policy.approvals as usize
        })
    };
    for push in &world.published {
        assert!(approved(Gate::Spec, &push.spec.revision), "a push");
    }
    for run in &world.agent_runs {
        assert!(approved(Gate::Spec, &run.spec.revision), "a run");
        for grant in &run.grants {
            let mut asked = gates.values().filter(|gate| gate.content == *grant);
            assert!(asked.any(|gate| approved(Gate::Scope, &gate.revision)));
        }
        assert!(run.seconds <= policy.budget.agent_seconds);
        assert!(run.cost_left_micro_usd <= policy.budget.cost_micro_usd);
    }
    if outcome.state == State::Completed {
        let last = records.values().last().expect("an end");
        let request = last.facts.pull_request.as_ref().expect("a pull request");
        let revision = pull_request_revision(&request.head_commit);
        assert_eq!(!last.facts.unapproved, approved(Gate::Pr, &revision));
        assert!(!world.published.is_empty());
    }
    // Each gate was opened and closed once.
    let closed: BTreeSet<Uuid> = world
        .closings
        .iter()
        .map(|close| close.approval_id)
        .collect();
    assert_eq!(closed, gates.keys().copied().collect());
    for id in counted {
        let decided = world
            .decisions
            .iter()
            .map(|entry| (entry.record.id, &entry.record.refused));
        let commanded = world
            .commands
            .iter()
            .map(|entry| (entry.record.id, &entry.record.refused));
        let on_record: Vec<_> = decided
            .chain(commanded)
            .filter(|(one, _)| one == id)
            .collect();
        assert!(!on_record.is_empty(), "{id} counted and is not on record");
        assert!(on_record.iter().all(|(_, refused)| refused.is_none()));
    }
    // One step, one key: the same key only for the same input.
    let mut steps = BTreeMap::new();
    let runs = world
        .agent_runs
        .iter()
        .map(|run| (run.key.sequence, format!("{run:?}")));
    let checks = world
        .checked
        .iter()
        .map(|check| (check.key.sequence, format!("{check:?}")));
    let plans = world
        .plans
        .iter()
        .map(|plan| (plan.key.sequence, format!("{plan:?}")));
    for (key, input) in runs.chain(checks).chain(plans) {
        let first = steps.entry(key).or_insert_with(|| input.clone());
        assert_eq!(*first, input);
    }
}

#[tokio::test]
async fn dozens_of_random_lives_survive_restarts_of_the_worker() {
    let seed = std::env::var("SALLYPORT_SEED").ok();
    let seed = seed.map(|seed| seed.parse().expect("SALLYPORT_SEED is a number"));
    let seed: u64 = seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("SALLYPORT_SEED={seed}");
    let server = TemporalServer::that_suggests_renewal_after(60).expect("a server");
    let place = Arc::new(Place::new(&server.address));
    let two = GatePolicy {
        approvals: 2,
        ..GatePolicy::seconds(24 * 3600)
    };
    let policies = [
        policy(),
        InstallationPolicy {
            spec_gate: two,
            ..policy()
        },
    ];
    let mut lives = Vec::new();
    for number in 0..TICKETS {
        let mut chance = Chance(seed.wrapping_add(number << 32));
        let policy = policies[chance.below(2) as usize].clone();
        let id = format!("CHANCE-{number}");
        let ticket =
            Ticket::start_at(&place, &id, policy, |world| set_up(world, &mut chance)).await;
        lives.push(Life {
            ticket,
            chance,
            marks: 0,
            answers: 0,
            counted: Vec::new(),
        });
    }
    let worlds: Vec<_> = lives.iter().map(|life| life.ticket.world.clone()).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, restarted) = (is_over.clone(), place.clone());
    let restarts = tokio::task::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        let (mut next, mut restarts) = (TRANSITIONS_BETWEEN_RESTARTS, 0);
        while !over.load(Ordering::Acquire) {
            pace.tick().await;
            let made: usize = worlds
                .iter()
                .map(|world| lock(world).transitions.len())
                .sum();
            if made >= next {
                next = made + TRANSITIONS_BETWEEN_RESTARTS;
                restarts += 1;
                let place = restarted.clone();
                let restart = tokio::task::spawn_blocking(move || place.restart_worker());
                restart.await.expect("restarted");
            }
        }
        restarts
    });
    let ended = join_all(lives.into_iter().map(Life::live)).await;
    is_over.store(true, Ordering::Release);
    let restarts = restarts.await.expect("restarts");
    let mut ends = BTreeMap::new();
    let mut runs = 0;
    for (ticket, outcome, counted) in &ended {
        check(&lock(&ticket.world), outcome, counted, &policies[0]);
        *ends.entry(outcome.state).or_insert(0) += 1;
        runs += ticket.runs().await;
    }
    println!("{restarts} restarts, {runs} runs, {ends:?}");
    assert!(restarts >= 2, "only {restarts} restarts");
}
