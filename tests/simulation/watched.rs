//! A ticket whose every workflow task is held against the model.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    activities::Admission,
    command::{Command, CommandOutcome},
    decision::{Decision, DecisionOutcome},
    ticket::{NewsEvent, TicketInput, TicketNews},
    usage::Spent,
    workflow::TicketOutcome,
};
use temporalio_common::protos::coresdk::workflow_commands::workflow_command::Variant;
use uuid::Uuid;

use crate::{
    events::{ActivityOutcome, Event, value},
    model::{Arrival, Checked, End, Model, What, check_refusal},
    server::{Outcome, UpdateAnswer},
    ticket::Ticket,
};

/// When the ticket system says that its news are from; nothing depends on it.
const NEWS_AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// What one run hands to the next stays below this many bytes.
const MOST_CARRIED: usize = 256 * 1024;

/// A ticket with its model.
pub struct Watched {
    pub ticket: Ticket,
    pub model: Model,
    /// How many runs' recordings, and how many activations of the last, were looked at.
    seen: (usize, usize),
    /// The updates that were taken in, and what they carry.
    updates: Vec<(Uuid, What)>,
    /// What happened, for people.
    pub story: Vec<String>,
}

/// Something that reaches the workflow, and what it means.
#[derive(Clone, Debug)]
pub enum Happens {
    /// A person sends something.
    Sent { what: What, by_signal: bool },
    /// The ticket system tells of the ticket.
    News(NewsEvent),
    /// A signal that nobody understands.
    Noise(Event),
    /// Somebody cancels the workflow in Temporal.
    Cancelled,
    /// An activity ends.
    Ended { seq: u32, outcome: ActivityOutcome },
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Watched {
    /// Starts a ticket. What happens here comes before a worker has time for it.
    pub fn start(input: TicketInput, early: Vec<Happens>) -> Checked<Self> {
        let mut events = Vec::new();
        let mut probe = Vec::new();
        for happens in early {
            events.push(event(&happens));
            probe.push(happens);
        }
        let ticket = Ticket::start(input.clone(), events).map_err(text)?;
        let model = Model::new(&input, ticket.driver.server().now);
        let mut watched = Self {
            ticket,
            model,
            seen: (1, 0),
            updates: Vec::new(),
            story: Vec::new(),
        };
        let arrivals = watched.tell_of_people(&probe)?;
        watched.check(&probe, &arrivals)?;
        Ok(watched)
    }

    /// Lets all this reach the workflow in one task, and holds what it does against the model.
    pub fn deliver(&mut self, happenings: Vec<Happens>) -> Checked {
        let now = self.ticket.driver.server().now;
        self.model.now = now;
        self.model.is_long = self.ticket.driver.history.continue_as_new_suggested;
        let story: Vec<_> = happenings
            .iter()
            .map(|happens| self.tell(happens))
            .collect();
        self.story
            .push(format!("{now} {}: {}", self.model.state, story.join("; ")));
        let timers = self.ticket.driver.server().timers.values();
        let is_timer_due = timers.filter(|timer| timer.due <= now).count() > 0;
        let waited_until = self.model.timer();
        let arrivals = self.tell_of_people(&happenings)?;
        if happenings
            .iter()
            .any(|happens| matches!(happens, Happens::Cancelled))
        {
            self.model.is_cancelled()?;
        }
        let ended: Vec<_> = happenings
            .iter()
            .filter_map(|happens| match happens {
                Happens::Ended { seq, outcome } => {
                    let name = self.ticket.driver.server().activities[seq].name.clone();
                    Some((name, outcome.clone()))
                }
                _ => None,
            })
            .collect();
        let is_about_people = |name: &str| {
            [
                "admit_decision",
                "admit_command",
                "record_decision",
                "record_command",
            ]
            .contains(&name)
        };
        for (name, outcome) in ended.iter().filter(|(name, _)| !is_about_people(name)) {
            self.model.ends(name, end(outcome)?)?;
        }
        // A wait that is broken off hears of no timer; in the next run it begins anew.
        let is_waiting = self.model.timer().is_some();
        // What was said meanwhile may have ended the wait that the timer is for.
        let fires = is_timer_due && is_waiting && self.model.timer() == waited_until;
        match self.model.is_long && self.model.may_pause() {
            true => self.model.pause_if_long()?,
            false if fires => self.model.timer_fires()?,
            false => {}
        }
        for (name, outcome) in ended.iter().filter(|(name, _)| is_about_people(name)) {
            match (name.starts_with("admit"), end(outcome)?) {
                (true, End::Well(result)) => {
                    self.model
                        .admitted(&value::<Admission>(&result).map_err(text)?)?;
                }
                _ => self.model.put_on_record()?,
            }
        }
        self.model.task_ends()?;
        let events: Vec<_> = happenings.iter().map(event).collect();
        self.ticket.driver.deliver(events).map_err(text)?;
        self.check(&happenings, &arrivals)
    }

    fn tell(&self, happens: &Happens) -> String {
        match happens {
            Happens::Sent {
                what: What::Decision(decision),
                by_signal,
            } => {
                let Decision {
                    id,
                    gate,
                    revision,
                    decision,
                    by,
                    ..
                } = decision;
                let short: String = revision.chars().take(8).collect();
                format!("{by} {decision} {gate} {short} id {id:?} signal {by_signal}")
            }
            Happens::Sent {
                what: What::Command(command),
                by_signal,
            } => {
                let Command {
                    id,
                    action,
                    from,
                    seconds,
                    by,
                    ..
                } = command;
                format!("{by} {action} {from:?} {seconds:?} id {id:?} signal {by_signal}")
            }
            Happens::News(news) => format!("the ticket system tells: {news:?}"),
            Happens::Noise(_) => "noise".to_owned(),
            Happens::Cancelled => "cancelled in Temporal".to_owned(),
            Happens::Ended { seq, outcome } => {
                let activity = self.ticket.driver.server().activities.get(seq);
                let name = activity.map_or("", |activity| activity.name.as_str());
                match end(outcome) {
                    Ok(End::Badly(kind, _)) => format!("{name} fails: {kind}"),
                    _ => format!("{name} ends"),
                }
            }
        }
    }

    fn tell_of_people(&mut self, happenings: &[Happens]) -> Checked<Vec<(What, Arrival)>> {
        let mut sent = Vec::new();
        for happens in happenings {
            match happens {
                Happens::Sent { what, by_signal } => sent.push((what.clone(), *by_signal)),
                Happens::News(news) => self.model.news(*news)?,
                _ => {}
            }
        }
        let arrivals = self.model.arrive(&sent).into_iter().zip(sent);
        let updates = arrivals.filter(|(_, (_, by_signal))| !by_signal);
        let arrivals = updates
            .map(|(arrival, (what, _))| (what, arrival))
            .collect();
        Ok(arrivals)
    }

    /// Holds what the workflow did in its last task against the model.
    fn check(&mut self, happenings: &[Happens], arrivals: &[(What, Arrival)]) -> Checked {
        self.check_calls()?;
        if let Some(Outcome::ContinuedAsNew(next)) = &self.ticket.driver.server().outcome {
            let carried: usize = next
                .arguments
                .iter()
                .map(|payload| payload.data.len())
                .sum();
            if carried > MOST_CARRIED {
                return Err(format!("{carried} bytes are carried over"));
            }
            self.story.push("continues as new".to_owned());
            self.ticket.driver.start_next_run([]).map_err(text)?;
            self.check_calls()?;
        }
        self.check_answers(arrivals)?;
        self.check_rest()?;
        let is_noise = |happens: &Happens| matches!(happens, Happens::Noise(_));
        if happenings.iter().any(is_noise) {
            let notes = self.ticket.status().map_err(text)?.notes;
            if !notes.iter().any(|note| note.contains("not understood")) {
                return Err("a signal was dropped in silence".to_owned());
            }
        }
        Ok(())
    }

    fn check_calls(&mut self) -> Checked {
        let recordings = self.ticket.driver.recordings();
        let mut calls = Vec::new();
        let (mut runs, mut activations) = self.seen;
        loop {
            let recording = &recordings[runs - 1];
            for recorded in &recording.activations[activations..] {
                for command in &recorded.commands {
                    // One that is cancelled in the task that schedules it is never sent.
                    let is_sent = |seq| self.ticket.driver.server().activities.contains_key(seq);
                    if let Some(Variant::ScheduleActivity(schedule)) = &command.variant
                        && is_sent(&schedule.seq)
                    {
                        let input = schedule.arguments.first().cloned().unwrap_or_default();
                        calls.push((schedule.activity_type.clone(), input));
                    }
                }
            }
            activations = recording.activations.len();
            if runs == recordings.len() {
                break;
            }
            (runs, activations) = (runs + 1, 0);
        }
        self.seen = (runs, activations);
        for (name, input) in calls {
            self.story.push(format!("    -> {name}"));
            self.model.calls(&name, &input)?;
        }
        Ok(())
    }

    /// Every update is refused at once or answered once it is settled, and the same id gets the same answer.
    fn check_answers(&mut self, arrivals: &[(What, Arrival)]) -> Checked {
        for (what, arrival) in arrivals {
            let id = what.id().unwrap_or_default();
            match arrival {
                Arrival::Refused(reasons) => {
                    match self.ticket.driver.server().answer(&id.to_string()) {
                        Some(UpdateAnswer::Rejected(failure)) => {
                            check_refusal(Some(&failure.message), reasons)?;
                        }
                        other => {
                            return Err(format!(
                                "{what:?} was to be refused for {reasons:?}, not {other:?}"
                            ));
                        }
                    }
                }
                Arrival::Known | Arrival::Taken => self.updates.push((id, what.clone())),
            }
        }
        let mut open = Vec::new();
        for (id, what) in std::mem::take(&mut self.updates) {
            let is_settled = self.model.is_settled(&id);
            match self.ticket.driver.server().answer(&id.to_string()) {
                Some(UpdateAnswer::Accepted) if !is_settled => open.push((id, what)),
                Some(UpdateAnswer::Completed(result)) if is_settled => match &what {
                    What::Decision(_) => {
                        let outcome: DecisionOutcome = value(result).map_err(text)?;
                        self.model.check_decision_outcome(&outcome)?;
                    }
                    What::Command(_) => {
                        let outcome: CommandOutcome = value(result).map_err(text)?;
                        self.model.check_command_outcome(&outcome)?;
                    }
                },
                other => {
                    return Err(format!(
                        "{what:?}, settled: {is_settled}, is answered with {other:?}"
                    ));
                }
            }
        }
        self.updates = open;
        Ok(())
    }

    /// What runs, what is waited for, and what everybody sees.
    fn check_rest(&mut self) -> Checked {
        let server = self.ticket.driver.server();
        if server.outcome.is_some() {
            return self.check_end();
        }
        let mut running: Vec<_> = server
            .activities
            .values()
            .map(|one| one.name.as_str())
            .collect();
        running.sort_unstable();
        let expected = self.model.running();
        if running != expected {
            return Err(format!("{running:?} run, not {expected:?}"));
        }
        let timers: Vec<_> = server.timers.values().map(|timer| timer.due).collect();
        let fits = match self.model.timer() {
            None => timers.is_empty(),
            // One that is due already fires at once.
            Some(at) => {
                timers.len() == 1
                    && (timers[0] == at || (at <= server.now && timers[0] <= server.now))
            }
        };
        if !fits {
            return Err(format!(
                "the timers are {timers:?}, not {:?}",
                self.model.timer()
            ));
        }
        if self.model.has_ended() {
            return Err("the workflow goes on after its end".to_owned());
        }
        let status = self.ticket.status().map_err(text)?;
        self.model.check_status(&status)
    }

    fn check_end(&mut self) -> Checked {
        let server = self.ticket.driver.server();
        if !self.model.has_ended() {
            return Err(format!(
                "the workflow ended, but {:?} is to be done",
                self.model.running()
            ));
        }
        if !server.activities.is_empty() || !server.timers.is_empty() {
            return Err(format!(
                "left running: {:?} {:?}",
                server.activities, server.timers
            ));
        }
        let outcome: Option<TicketOutcome> = self.ticket.outcome().map_err(text)?;
        let outcome = outcome.ok_or("no outcome")?;
        if outcome.state != self.model.state || !outcome.state.is_end() {
            return Err(format!(
                "it ended as {outcome:?}, not as {}",
                self.model.state
            ));
        }
        if self.model.recorded() != self.model.path.len() {
            return Err("a transition was not recorded".to_owned());
        }
        let status = self.ticket.status().map_err(text)?;
        self.model.check_status(&status)
    }

    pub fn is_running(&self) -> bool {
        self.ticket.driver.is_running()
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.ticket.driver.server().now
    }

    /// When the next timer fires.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        let (_, next) = self.ticket.driver.server().next_timer()?;
        self.is_running().then_some(next.due)
    }

    /// Lets time pass while no worker is there.
    pub fn stall(&mut self, time: Duration) {
        self.ticket.driver.stall(time);
    }

    /// A pending activity ends well.
    pub fn end_well(&mut self, seq: u32) -> Checked<Happens> {
        match self.ticket.carry_out(seq).map_err(text)? {
            Event::Activity { seq, outcome } => Ok(Happens::Ended { seq, outcome }),
            other => Err(format!("{other:?} is no end")),
        }
    }
}

fn event(happens: &Happens) -> Event {
    match happens {
        Happens::Sent {
            what: What::Decision(decision),
            by_signal,
        } => match by_signal {
            true => Event::signal("decide", decision),
            false => {
                let id = decision.id.unwrap_or_default();
                Event::update(&id.to_string(), "decide", decision)
            }
        },
        Happens::Sent {
            what: What::Command(command),
            by_signal,
        } => match by_signal {
            true => Event::signal("command", command),
            false => {
                let id = command.id.unwrap_or_default();
                Event::update(&id.to_string(), "command", command)
            }
        },
        Happens::News(news) => Event::signal(
            "ticket_event",
            &TicketNews {
                event: *news,
                title: None,
                at: NEWS_AT,
            },
        ),
        Happens::Noise(event) => event.clone(),
        Happens::Cancelled => Event::cancel("chance"),
        Happens::Ended { seq, outcome } => Event::ended(*seq, outcome.clone()),
    }
}

/// What an outcome means to the model.
fn end(outcome: &ActivityOutcome) -> Checked<End> {
    Ok(match outcome {
        ActivityOutcome::Completed(result) => End::Well(result.clone()),
        ActivityOutcome::Failed(failure) => {
            let info = failure.maybe_application_failure();
            let info = info.ok_or("a failure of another kind")?;
            let details = info
                .details
                .as_ref()
                .and_then(|details| details.payloads.first());
            let spent = details.map(value::<Spent>).transpose().map_err(text)?;
            End::Badly(info.r#type.clone(), spent.unwrap_or_default())
        }
        ActivityOutcome::TimedOut(_) => End::Badly("StepFailed".to_owned(), Spent::default()),
        ActivityOutcome::Cancelled => return Err("nothing heeds a cancellation".to_owned()),
    })
}
