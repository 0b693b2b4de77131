//! What can happen in a life of chance.

use answers::REPORTER;
use proptest::{collection::vec, option, prelude::*, prop_oneof, sample::Index, sample::select};
use sallyport_workflows::{
    State,
    command::Action,
    decision::Verdict,
    policy::{Budget, GatePolicy, InstallationPolicy},
    ticket::NewsEvent,
};

use crate::{
    random::STALLS,
    ticket::{ANN, BOB},
};

pub const CAT: &str = "cat@example.com";

/// A ticket's life.
#[derive(Clone, Debug)]
pub struct Life {
    pub policy: InstallationPolicy,
    /// What the repository makes of it.
    pub effective: Option<InstallationPolicy>,
    /// What happens before a worker has time for the ticket.
    pub early: Vec<Happening>,
    /// What happens, by workflow task: what stands together reaches the workflow together.
    pub tasks: Vec<Vec<Happening>>,
    /// How the steps that can come to several ends do so, in turn: every fourth number is another end than the good one.
    pub fortune: Vec<u8>,
    /// Whether people approve, retry and reopen when nothing more happens. Otherwise time runs out.
    pub is_helped: bool,
}

/// Something that happens to a ticket, if it can happen when its turn comes.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A pending activity ends: well, or in one of its other ways.
    End(Index, Luck),
    /// Somebody decides.
    Decide {
        aim: Aim,
        verdict: Verdict,
        by: &'static str,
        proof: Proof,
        via: Via,
    },
    /// Somebody commands.
    Command {
        action: Action,
        from: From,
        more: Extra,
        by: &'static str,
        proof: Proof,
        via: Via,
    },
    /// Something sent earlier comes again, in the same or in another way.
    Again(Index, Via),
    /// The ticket system tells that the ticket was edited, commented on or reopened.
    News(NewsEvent),
    /// What nobody understands.
    Noise(u8),
    /// The workflow is cancelled in Temporal.
    Cancel,
    /// The next timer falls due, or nearly.
    FallDue { exactly: bool },
    /// No worker is there for so long.
    Stall(usize),
    /// The worker restarts.
    Restart,
    /// The history has grown long.
    GrowLong,
    /// Activities end until none is pending, well unless scripted.
    Settle,
    /// The same until this activity is pending.
    Until(&'static str),
    /// This activity ends well.
    EndOf(&'static str),
    /// The next end of this activity is another than the good one.
    Script(&'static str, u8),
    /// People do what takes the ticket on: approve, retry, reopen.
    Help,
}

/// How an activity ends.
#[derive(Clone, Copy, Debug)]
pub enum Luck {
    Good,
    /// One of the other ways.
    Other(u8),
}

/// What a decision is about.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// Exactly what the open gate asks.
    Right,
    /// The same by its first characters.
    Prefix,
    /// What an earlier gate asked.
    Earlier(u8),
    /// The right revision at another gate.
    OtherGate(u8),
    /// What was never asked.
    Nothing,
    /// Too short a prefix.
    Short,
}

#[derive(Clone, Copy, Debug)]
pub enum Proof {
    Holds,
    None,
    Forged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Update,
    Signal,
    /// A signal typed by hand, without an id.
    Typed,
}

/// Where a retry is to go.
#[derive(Clone, Copy, Debug)]
pub enum From {
    Failed,
    State(State),
}

/// What a command carries beside.
#[derive(Clone, Copy, Debug)]
pub enum Extra {
    Nothing,
    /// What does not belong to it, or too much of it.
    Wrong,
    /// RETRY: more of everything.
    Raise,
    /// EXTEND: so many seconds.
    Seconds(u64),
}

fn gate() -> impl Strategy<Value = GatePolicy> {
    let timeouts = select(vec![60, 3600, 24 * 3600]);
    let approvals = prop_oneof![6 => Just(1u32), 2 => Just(2), 1 => Just(3)];
    let approvers = prop_oneof![
        4 => Just(vec![]),
        1 => Just(vec![ANN, BOB, REPORTER]),
        1 => Just(vec![ANN, BOB, CAT]),
    ];
    let reminders = select(vec![vec![], vec![50, 90], vec![1, 50, 99]]);
    (timeouts, approvals, approvers, any::<bool>(), reminders).prop_map(
        |(timeout_seconds, approvals, approvers, reporter_may_approve, reminders_percent)| {
            GatePolicy {
                timeout_seconds,
                approvals,
                approvers: approvers.into_iter().map(str::to_owned).collect(),
                reporter_may_approve,
                reminders_percent,
                calendar: None,
            }
        },
    )
}

fn budget() -> impl Strategy<Value = Budget> {
    let small = (
        0..40u64,
        500..4000u64,
        0..5u64,
        0..4u64,
        0..8u64,
        (0..3u32, 0..3u32, 0..3u32, 0..3u32),
    );
    let small = small.prop_map(
        |(cost, tokens, planning, run, all, (repairs, revisions, changes, scopes))| Budget {
            cost_micro_usd: cost,
            tokens,
            planning_cost_micro_usd: planning,
            agent_seconds: 60 * run,
            total_agent_seconds: 60 * all,
            repairs,
            revisions,
            change_rounds: changes,
            scope_requests: scopes,
        },
    );
    prop_oneof![3 => Just(Budget::default()), 2 => small]
}

fn policy() -> impl Strategy<Value = InstallationPolicy> {
    let gates = (gate(), gate(), gate());
    let times = (
        select(vec![60, 7 * 24 * 3600]),
        select(vec![60, 7 * 24 * 3600]),
        select(vec![60, 3 * 24 * 3600]),
        select(vec![1, 60, 7200]),
    );
    (gates, times, prop::bool::weighted(0.75), budget()).prop_map(
        |((spec_gate, scope_gate, pr_gate), times, unproven, budget)| {
            let (parked_seconds, reopen_seconds, questions_seconds, answer_pause_seconds) = times;
            InstallationPolicy {
                spec_gate,
                scope_gate,
                pr_gate,
                parked_seconds,
                reopen_seconds,
                questions_seconds,
                answer_pause_seconds,
                accept_unproven_decisions: unproven,
                budget,
            }
        },
    )
}

fn by() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => Just(ANN),
        6 => Just(BOB),
        4 => Just(CAT),
        3 => Just(REPORTER),
        1 => Just(" Ann@Example.com"),
        1 => Just("Bob@example.com"),
        1 => Just("eve@example.com"),
        1 => Just("  "),
    ]
}

fn proof() -> impl Strategy<Value = Proof> {
    prop_oneof![6 => Just(Proof::Holds), 6 => Just(Proof::None), 1 => Just(Proof::Forged)]
}

fn via() -> impl Strategy<Value = Via> {
    prop_oneof![3 => Just(Via::Update), 2 => Just(Via::Signal), 1 => Just(Via::Typed)]
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![8 => Just(Luck::Good), 1 => any::<u8>().prop_map(Luck::Other)]
}

fn decide() -> impl Strategy<Value = Happening> {
    use Verdict::{Approve, Reject, Revise};
    let verdict = prop_oneof![12 => Just(Approve), 4 => Just(Revise), 1 => Just(Reject)];
    let aim = prop_oneof![
        16 => Just(Aim::Right),
        3 => Just(Aim::Prefix),
        2 => any::<u8>().prop_map(Aim::Earlier),
        1 => any::<u8>().prop_map(Aim::OtherGate),
        1 => Just(Aim::Nothing),
        1 => Just(Aim::Short),
    ];
    (aim, verdict, by(), proof(), via()).prop_map(|(aim, verdict, by, proof, via)| {
        Happening::Decide {
            aim,
            verdict,
            by,
            proof,
            via,
        }
    })
}

fn command() -> impl Strategy<Value = Happening> {
    use Action::{Abandon, Cancel, Extend, Reopen, Retry};
    let action = prop_oneof![
        12 => Just(Retry),
        1 => Just(Abandon),
        1 => Just(Cancel),
        6 => Just(Extend),
        6 => Just(Reopen),
    ];
    let from = prop_oneof![
        3 => Just(From::Failed),
        2 => select(State::ALL.to_vec()).prop_map(From::State),
    ];
    let seconds = prop_oneof![
        select(vec![1, 60, 3600, 24 * 3600]).prop_map(Extra::Seconds),
        Just(Extra::Seconds(89 * 24 * 3600)),
    ];
    let extra = prop_oneof![
        4 => Just(Extra::Nothing),
        1 => Just(Extra::Wrong),
        4 => Just(Extra::Raise),
        8 => seconds,
    ];
    (action, from, extra, by(), proof(), via()).prop_map(|(action, from, more, by, proof, via)| {
        Happening::Command {
            action,
            from,
            more,
            by,
            proof,
            via,
        }
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        140 => (any::<Index>(), luck()).prop_map(|(index, luck)| Happening::End(index, luck)),
        34 => decide(),
        14 => command(),
        4 => (any::<Index>(), via()).prop_map(|(index, via)| Happening::Again(index, via)),
        8 => select(vec![NewsEvent::Commented, NewsEvent::Edited, NewsEvent::Reopened])
            .prop_map(Happening::News),
        1 => any::<u8>().prop_map(Happening::Noise),
        5 => any::<bool>().prop_map(|exactly| Happening::FallDue { exactly }),
        2 => (0..STALLS.len()).prop_map(Happening::Stall),
        2 => Just(Happening::Restart),
        2 => Just(Happening::GrowLong),
        7 => Just(Happening::Settle),
        7 => Just(Happening::Help),
    ]
}

/// Any life.
pub fn life() -> impl Strategy<Value = Life> {
    let tasks = vec(vec(happening(), 1..4), 0..120);
    let early = vec(prop_oneof![decide(), command()], 0..2);
    let cancelled = option::weighted(0.2, any::<Index>());
    let policies = (policy(), option::weighted(0.3, policy()));
    let fortune = vec(any::<u8>(), 0..40);
    (policies, early, tasks, cancelled, fortune, any::<bool>()).prop_map(
        |((policy, effective), early, mut tasks, cancelled, fortune, is_helped)| {
            if let Some(index) = cancelled.filter(|_| !tasks.is_empty()) {
                let place = index.index(tasks.len());
                tasks[place].push(Happening::Cancel);
            }
            Life {
                policy,
                effective,
                early,
                tasks,
                fortune,
                is_helped,
            }
        },
    )
}
