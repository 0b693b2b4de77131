//! Tickets whose life is chance: activities end in any order, decisions come at any time, workers restart. Whatever
//! comes, the ticket ends, goes only where the table allows, answers every update, and replays.

use std::time::Duration;

use proptest::{
    collection::vec, option, prelude::*, sample::Index, sample::select, test_runner::TestCaseError,
};
use sallyport_workflows::{State, decision::Verdict, gate::Gate};

use crate::{
    error::SimulationError,
    events::{ActivityOutcome, Event},
    server::UpdateAnswer,
    ticket::{ANN, BOB, Ticket, by_signal, by_update, input},
    world::{qa, spec},
};

/// A ticket's life.
#[derive(Clone, Debug)]
struct Life {
    /// What happens, by workflow task: what stands together reaches the workflow together.
    tasks: Vec<Vec<Happening>>,
    /// In which task somebody cancels the ticket.
    cancelled: Option<Index>,
    /// Whether somebody approves all that is still asked when nothing more happens. Otherwise time runs out.
    is_approved: bool,
}

/// Something that happens to a ticket, if it can happen when its turn comes.
#[derive(Clone, Debug)]
enum Happening {
    /// A pending activity ends well.
    End(Index),
    /// A pending activity that is not tried for ever fails for good.
    Fail(Index),
    /// QA fails the next time.
    QaFails,
    /// The next timer falls due while no worker is there.
    FallDue,
    /// Somebody decides about what is asked, by update or by signal.
    Decide(Verdict, Channel, &'static str),
    /// Somebody decides about what was never asked.
    Stray(Channel),
    /// Somebody wants the pull request open again.
    Reopen,
    /// The worker restarts.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Channel {
    Update,
    Signal,
}

fn life() -> impl Strategy<Value = Life> {
    let tasks = vec(vec(happening(), 1..4), 0..120);
    let cancelled = option::weighted(0.15, any::<Index>());
    (tasks, cancelled, any::<bool>()).prop_map(|(tasks, cancelled, is_approved)| Life {
        tasks,
        cancelled,
        is_approved,
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    use Verdict::{Approve, Reject, Revise};
    let verdict = prop_oneof![9 => Just(Approve), 3 => Just(Revise), 1 => Just(Reject)];
    let channel = select(vec![Channel::Update, Channel::Signal]);
    let decision = (verdict, channel.clone(), select(vec![ANN, BOB]));
    prop_oneof![
        120 => any::<Index>().prop_map(Happening::End),
        1 => any::<Index>().prop_map(Happening::Fail),
        2 => Just(Happening::QaFails),
        2 => Just(Happening::FallDue),
        20 => decision.prop_map(|(verdict, channel, by)| Happening::Decide(verdict, channel, by)),
        4 => channel.prop_map(Happening::Stray),
        4 => Just(Happening::Reopen),
        1 => Just(Happening::Restart),
    ]
}

/// Makes it happen. The event, if there is one, still has to reach the workflow; `ending` are the activities whose end
/// is on its way.
fn happen(
    ticket: &mut Ticket,
    happening: &Happening,
    ending: &mut Vec<u32>,
) -> Result<Option<Event>, SimulationError> {
    let server = ticket.driver.server();
    let mut pick = |index: &Index, may_pick: &dyn Fn(u32) -> bool| {
        let pending = server.activities.keys().copied();
        let pending: Vec<u32> = pending
            .filter(|seq| !ending.contains(seq) && may_pick(*seq))
            .collect();
        let seq = (!pending.is_empty()).then(|| *index.get(&pending));
        ending.extend(seq);
        seq
    };
    Ok(match happening {
        Happening::End(index) => {
            let seq = pick(index, &|_| true);
            seq.map(|seq| ticket.carry_out(seq)).transpose()?
        }
        Happening::Fail(index) => {
            let is_finite = |seq| server.activities[&seq].retries.maximum_attempts > 0;
            let failed = ActivityOutcome::failed("Broken", "chance", false);
            pick(index, &is_finite).map(|seq| Event::ended(seq, failed))
        }
        Happening::QaFails => {
            let failed = ActivityOutcome::completed(&qa(false));
            ticket.world.script("run_qa", failed);
            None
        }
        Happening::FallDue => {
            let next = server.next_timer();
            let wait = next.and_then(|(_, timer)| (timer.due - server.now).to_std().ok());
            ticket.driver.stall(wait.unwrap_or(Duration::ZERO));
            None
        }
        Happening::Decide(verdict, channel, by) => {
            let open = ticket.status()?.open_gate;
            open.map(|open| decide(ticket, *channel, open.gate, &open.revision, *verdict, by))
        }
        Happening::Stray(channel) => {
            let (gate, revision) = (Gate::Spec, spec(0).revision);
            Some(decide(
                ticket,
                *channel,
                gate,
                &revision,
                Verdict::Approve,
                ANN,
            ))
        }
        Happening::Reopen => {
            let wish = ticket.reopening(BOB);
            Some(Event::update(&wish.id.to_string(), "reopen", &wish))
        }
        Happening::Restart => {
            ticket.driver.restart()?;
            None
        }
    })
}

fn decide(
    ticket: &mut Ticket,
    channel: Channel,
    gate: Gate,
    revision: &str,
    verdict: Verdict,
    by: &str,
) -> Event {
    let decision = ticket.decision_about(gate, revision, verdict, by);
    match channel {
        Channel::Update => by_update(&decision),
        Channel::Signal => by_signal(&decision),
    }
}

fn live(life: &Life) -> Result<Ticket, SimulationError> {
    let mut ticket = Ticket::start(input(), [])?;
    let tasks = life.tasks.len();
    let cancelled = life.cancelled.filter(|_| tasks > 0);
    let cancelled = cancelled.map(|index| index.index(tasks));
    for (number, task) in life.tasks.iter().enumerate() {
        if !ticket.driver.is_running() {
            break;
        }
        let (mut events, mut ending) = (Vec::new(), Vec::new());
        for happening in task {
            events.extend(happen(&mut ticket, happening, &mut ending)?);
        }
        if cancelled == Some(number) {
            events.push(Event::cancel("chance"));
        }
        ticket.deliver(events)?;
    }
    ticket.settle()?;
    while life.is_approved && ticket.driver.is_running() && ticket.status()?.open_gate.is_some() {
        let decision = ticket.decision(Verdict::Approve, BOB)?;
        ticket.decide(&decision)?;
    }
    ticket.finish()?;
    Ok(ticket)
}

fn check(ticket: &Ticket) -> Result<(), TestCaseError> {
    let path = ticket.recorded();
    prop_assert_eq!(path.first(), Some(&State::Pending));
    prop_assert!(path.last().is_some_and(|last| last.is_end()), "{path:?}");
    for step in path.windows(2) {
        prop_assert!(step[0].may_go_to(step[1]), "{} to {}", step[0], step[1]);
    }
    for update in &ticket.driver.server().updates {
        use UpdateAnswer::{Completed, Rejected};
        let is_answered = matches!(update.answer, Completed(_) | Rejected(_));
        prop_assert!(is_answered, "{update:?}");
    }
    ticket.driver.replay().map_err(fail)
}

fn fail(error: SimulationError) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_life_ends_and_replays(life in life()) {
        check(&live(&life).map_err(fail)?)?;
    }
}
