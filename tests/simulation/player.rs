//! Plays a life of chance to its end.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use answers::{merge_refused, out_of_scope, qa, scope_requested};
use sallyport_workflows::{
    State,
    activities::{AgentResult, CheckBase, CloseResult, PlanInput, PlanOutcome, Planned},
    command::Action,
    decision::Verdict,
    failure::kind,
    gate::Gate,
    ticket::NewsEvent,
    usage::Spent,
};
use serde_json::json;

use crate::{
    chance::{Aim, CAT, Extra, From, Happening, Life, Luck, Proof, Via},
    events::{ActivityOutcome, Event, value},
    message::message,
    model::{Checked, Step, What},
    random::STALLS,
    ticket::{ANN, BOB, input},
    watched::{Happens, Watched},
    world::usage,
};

/// More timers than this in silence never end a ticket.
const MOST_TIMERS: usize = 2000;

/// Steps that can come to several ends.
const FATEFUL: &[&str] = &[
    "plan",
    "check_base",
    "run_agent",
    "run_qa",
    "merge_pull_request",
    "close_pull_request",
];

/// What came of a life.
pub struct Played {
    pub result: Checked,
    pub path: Vec<Step>,
    /// What happened, for people.
    pub story: Vec<String>,
}

/// Somebody who plays a life.
struct Player {
    watched: Watched,
    /// All that was sent.
    sent: Vec<What>,
    /// What gates asked about.
    asked: Vec<(Gate, String)>,
    ids: u128,
    /// The history has grown long; the next task tells the workflow so.
    grows_long: bool,
    /// How the next ends of activities are not the good ones.
    scripts: BTreeMap<&'static str, VecDeque<u8>>,
    /// See [`Life::fortune`].
    fortune: VecDeque<u8>,
    /// How often people may still take the ticket up again.
    helps: u32,
}

/// Plays a life to its end, and replays it.
pub fn play(life: &Life) -> Played {
    let mut input = input();
    input.installation_policy = life.policy.clone();
    let mut sent = Vec::new();
    let mut ids = 0;
    let mut early = Vec::new();
    for happening in &life.early {
        let made = message(happening, None, &[], &mut ids);
        if let Some((what, by_signal)) = made {
            sent.push(what.clone());
            early.push(Happens::Sent { what, by_signal });
        }
    }
    let watched = match Watched::start(input, early) {
        Ok(watched) => watched,
        Err(error) => {
            return Played {
                result: Err(error),
                path: Vec::new(),
                story: Vec::new(),
            };
        }
    };
    let mut player = Player {
        watched,
        sent,
        asked: Vec::new(),
        ids,
        grows_long: false,
        scripts: BTreeMap::new(),
        fortune: life.fortune.iter().copied().collect(),
        helps: 6,
    };
    player.watched.ticket.world.effective = life.effective.clone();
    let result = player.live(life);
    Played {
        result,
        path: player.watched.model.path.clone(),
        story: player.watched.story,
    }
}

impl Player {
    fn live(&mut self, life: &Life) -> Checked {
        for task in &life.tasks {
            if !self.watched.is_running() {
                break;
            }
            let mut happens = Vec::new();
            for happening in task {
                if !self.watched.is_running() {
                    break;
                }
                self.happen(happening, &mut happens)?;
            }
            // A task with nothing but a refused update in it leaves no trace in the history, whatever else comes of it.
            let leaves_trace = happens
                .iter()
                .any(|one| matches!(one, Happens::Ended { .. }));
            if self.grows_long && leaves_trace {
                self.grows_long = false;
                self.watched.ticket.driver.history.continue_as_new_suggested = true;
            }
            if self.watched.is_running() {
                self.watched.deliver(happens)?;
            }
        }
        for _ in 0..MOST_TIMERS {
            self.settle(None)?;
            if !self.watched.is_running() {
                let replayed = self.watched.ticket.driver.replay();
                return replayed.map_err(|error| error.to_string());
            }
            if life.is_helped && self.help()? {
                continue;
            }
            let due = self.watched.next_due().ok_or("nothing is waited for")?;
            let wait = (due - self.watched.now()).to_std().unwrap_or_default();
            self.watched.stall(wait);
            self.watched.deliver(Vec::new())?;
        }
        Err(format!("{MOST_TIMERS} timers fired in silence"))
    }

    /// Activities end until this one is pending, or none is.
    fn settle(&mut self, until: Option<&str>) -> Checked {
        loop {
            let server = self.watched.ticket.driver.server();
            let mut pending = server.activities.iter();
            let stops = pending.any(|(_, activity)| Some(activity.name.as_str()) == until);
            let oldest = server.activities.keys().next().copied();
            let Some(seq) = oldest.filter(|_| self.watched.is_running() && !stops) else {
                return Ok(());
            };
            let ended = self.end(seq, Luck::Good)?;
            self.watched.deliver(vec![ended])?;
        }
    }

    /// People do what takes the ticket on. Answers whether there was something to do.
    fn help(&mut self) -> Checked<bool> {
        self.settle(None)?;
        if !self.watched.is_running() {
            return Ok(false);
        }
        let Some(gate) = self.watched.model.gate().cloned() else {
            if self.watched.model.asks_now() && self.helps > 0 {
                self.helps -= 1;
                self.send(&Happening::News(NewsEvent::Commented))?;
                return Ok(true);
            }
            let action = match self.watched.model.state {
                State::Error | State::QaFailed => Action::Retry,
                State::PrClosed => Action::Reopen,
                _ => return Ok(false),
            };
            if self.helps == 0 {
                return Ok(false);
            }
            self.helps -= 1;
            let more = Extra::Raise;
            let command = Happening::Command {
                action,
                from: From::Failed,
                more,
                by: CAT,
                proof: Proof::Holds,
                via: Via::Update,
            };
            self.send(&command)?;
            return Ok(true);
        };
        for by in [ANN, BOB, CAT] {
            let (aim, verdict, proof, via) =
                (Aim::Right, Verdict::Approve, Proof::Holds, Via::Update);
            self.send(&Happening::Decide {
                aim,
                verdict,
                by,
                proof,
                via,
            })?;
            let open = self.watched.model.gate();
            if open.is_none_or(|open| open.approval_id != gate.approval_id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Somebody sends something, and it comes to its end.
    fn send(&mut self, happening: &Happening) -> Checked {
        let mut happens = Vec::new();
        self.happen(happening, &mut happens)?;
        self.watched.deliver(happens)?;
        self.settle(None)
    }

    fn happen(&mut self, happening: &Happening, happens: &mut Vec<Happens>) -> Checked {
        match happening {
            Happening::End(index, luck) => {
                let is_cancelled = happens.iter().any(|one| matches!(one, Happens::Cancelled));
                let ending = |seq: &u32| {
                    happens
                        .iter()
                        .any(|one| matches!(one, Happens::Ended { seq: one, .. } if one == seq))
                };
                let server = self.watched.ticket.driver.server();
                let pending: Vec<u32> = server
                    .activities
                    .keys()
                    .copied()
                    .filter(|seq| !ending(seq))
                    .collect();
                if !pending.is_empty() && !is_cancelled {
                    let seq = *index.get(&pending);
                    happens.push(self.end(seq, *luck)?);
                }
            }
            Happening::Cancel => {
                // Whether a step's end or a cancellation comes first in one task is the SDK's affair.
                if !happens
                    .iter()
                    .any(|one| matches!(one, Happens::Ended { .. }))
                {
                    happens.push(Happens::Cancelled);
                }
            }
            Happening::Decide { .. } | Happening::Command { .. } => {
                if let Some(gate) = self.watched.model.gate() {
                    let asked = (gate.gate, gate.revision.clone());
                    if !self.asked.contains(&asked) {
                        self.asked.push(asked);
                    }
                }
                let open = self
                    .watched
                    .model
                    .gate()
                    .map(|gate| (gate.gate, gate.revision.clone()));
                if let Some((what, by_signal)) =
                    message(happening, open, &self.asked, &mut self.ids)
                {
                    self.sent.push(what.clone());
                    happens.push(Happens::Sent { what, by_signal });
                }
            }
            Happening::Again(index, via) => {
                if !self.sent.is_empty() {
                    let what = index.get(&self.sent).clone();
                    let by_signal = *via != Via::Update;
                    // Updates of one id that come at the same time are one: the server says so.
                    let is_there = happens.iter().any(|one| {
                        matches!(one, Happens::Sent { what: other, by_signal: false } if other.id() == what.id())
                    });
                    if by_signal || !is_there {
                        happens.push(Happens::Sent { what, by_signal });
                    }
                }
            }
            Happening::News(news) => happens.push(Happens::News(*news)),
            Happening::Noise(which) => {
                let event = match which % 4 {
                    0 => Event::signal("decide", &"approve!"),
                    1 => Event::signal("command", &json!({"action": "explode", "by": ANN})),
                    2 => Event::signal(
                        "decide",
                        &json!({"gate": "SPEC", "decision": "APPROVE", "by": ANN}),
                    ),
                    _ => Event::Signal {
                        name: "command".to_owned(),
                        input: Vec::new(),
                    },
                };
                happens.push(Happens::Noise(event));
            }
            Happening::FallDue { exactly } => {
                if let Some(due) = self.watched.next_due() {
                    let wait = (due - self.watched.now()).to_std().unwrap_or_default();
                    let early = Duration::from_secs(u64::from(!exactly));
                    self.watched.stall(wait.saturating_sub(early));
                }
            }
            Happening::Stall(which) => self.watched.stall(STALLS[*which]),
            Happening::Restart => {
                self.watched
                    .ticket
                    .driver
                    .restart()
                    .map_err(|error| error.to_string())?;
            }
            Happening::GrowLong => self.grows_long = true,
            Happening::EndOf(activity) => {
                let server = self.watched.ticket.driver.server();
                let mut pending = server.activities.iter();
                let found = pending.find(|(_, one)| one.name == *activity);
                let (seq, _) = found.ok_or_else(|| format!("{activity} does not run"))?;
                happens.push(self.end(*seq, Luck::Good)?);
            }
            Happening::Script(activity, which) => {
                self.scripts.entry(activity).or_default().push_back(*which);
            }
            // These are tasks of their own; what stands before them in the same task is played before them.
            Happening::Settle | Happening::Until(_) | Happening::Help => {
                if !happens.is_empty() {
                    self.watched.deliver(std::mem::take(happens))?;
                }
                match happening {
                    Happening::Until(activity) => self.settle(Some(activity))?,
                    Happening::Help if self.watched.is_running() => {
                        self.help()?;
                    }
                    _ => self.settle(None)?,
                }
            }
        }
        Ok(())
    }

    /// A pending activity ends.
    fn end(&mut self, seq: u32, luck: Luck) -> Checked<Happens> {
        let activity = &self.watched.ticket.driver.server().activities[&seq];
        let (name, is_finite) = (activity.name.clone(), activity.retries.maximum_attempts > 0);
        let input = activity.input.first().cloned().unwrap_or_default();
        let scripted = self
            .scripts
            .get_mut(name.as_str())
            .and_then(VecDeque::pop_front);
        let fortune = match FATEFUL.contains(&name.as_str()) {
            true => self.fortune.pop_front().filter(|number| number % 4 == 0),
            false => None,
        };
        let luck = match (luck, fortune) {
            (Luck::Good, Some(number)) => Luck::Other(number / 4),
            (luck, _) => luck,
        };
        let which = match (scripted, luck) {
            (Some(which), _) | (None, Luck::Other(which)) => which,
            (None, Luck::Good) => return self.watched.end_well(seq),
        };
        let spent = Spent {
            usage: usage(5),
            agent_seconds: 30,
        };
        let failed = |kind: &str, spent: Spent| {
            Some(ActivityOutcome::failed_with(kind, "chance", true, &spent))
        };
        let asks = |input| {
            let input: PlanInput = value(input).map_err(|error| error.to_string())?;
            let left = input.questions_left.min(1 + u32::from(which / 4 % 2)) as usize;
            let planned = Planned {
                outcome: PlanOutcome::Questions(vec!["Which unit is meant?".to_owned(); left]),
                usage: usage(2),
                seen: answers::seen(&input),
                context: None,
            };
            Checked::Ok((left > 0).then(|| ActivityOutcome::completed(&planned)))
        };
        let outcome = match (name.as_str(), which % 4) {
            ("fetch_ticket", 0) => failed(kind::TICKET_NOT_FOUND, Spent::default()),
            ("plan", 0 | 1) => failed(
                kind::PLAN_INVALID,
                Spent {
                    agent_seconds: 0,
                    ..spent
                },
            ),
            ("plan", 2) => asks(&input)?,
            ("open_gate", 0) => failed(kind::POLICY_INVALID, Spent::default()),
            ("check_base", 0..=2) => {
                let check: CheckBase = value(&input).map_err(|error| error.to_string())?;
                Some(ActivityOutcome::completed(
                    &self.watched.ticket.world.changed_base(check),
                ))
            }
            ("run_agent", 0) => failed(kind::AGENT_TIMEOUT, spent),
            ("run_agent", which) => {
                self.ids += 1;
                let path = format!("src/file-{}.js", self.ids);
                let result = match which {
                    1 => scope_requested(&path),
                    2 => out_of_scope(&path),
                    _ => AgentResult::NoChanges,
                };
                Some(ActivityOutcome::completed(
                    &self.watched.ticket.world.agent_run(result),
                ))
            }
            ("run_qa", 0..=2) => Some(ActivityOutcome::completed(&qa(false))),
            ("merge_pull_request", _) => Some(ActivityOutcome::completed(&merge_refused())),
            ("close_pull_request", 0 | 1) => {
                Some(ActivityOutcome::completed(&CloseResult::Merged {
                    commit: "feed".to_owned(),
                }))
            }
            _ => None,
        };
        // Everything that is not tried for ever can fail.
        let outcome = match outcome {
            None if is_finite => failed(kind::STEP_FAILED, Spent::default()),
            other => other,
        };
        let Some(outcome) = outcome else {
            return self.watched.end_well(seq);
        };
        let world = &mut self.watched.ticket.world;
        world.script(&name, outcome);
        self.watched.end_well(seq)
    }
}
