//! A ticket under a test's hands: `TicketWorkflow` in a driver, and its world.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_workflows::{
    State, TASK_QUEUE, TicketWorkflow,
    activities::TransitionRecord,
    command::{Action, Command, CommandOutcome},
    decision::{Decision, DecisionOutcome, Verdict},
    gate::Gate,
    policy::{BudgetRaise, InstallationPolicy},
    status::TicketStatus,
    ticket::{FLUX_LENS, Priority, TicketInput},
    workflow::TicketOutcome,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    driver::Driver,
    error::SimulationError,
    events::{Event, json, value},
    server::{Outcome, UpdateAnswer},
    world::World,
};

/// Silence that takes longer than this many timers to end a ticket never ends it.
const MOST_TIMERS: usize = 1000;

pub const ANN: &str = "ann@example.com";
pub const BOB: &str = "bob@example.com";

/// A ticket's input with the product's deadlines; decisions without proof count.
pub fn input() -> TicketInput {
    TicketInput {
        source: FLUX_LENS.to_owned(),
        ticket_id: "SIM-1".to_owned(),
        attempt: 1,
        repository_url: "file:///repository.git".to_owned(),
        priority: Priority::Normal,
        installation_policy: InstallationPolicy {
            accept_unproven_decisions: true,
            ..InstallationPolicy::default()
        },
        carried: None,
    }
}

/// A ticket in its simulated world.
pub struct Ticket {
    /// The workflow.
    pub driver: Driver,
    /// What its activities do and were asked.
    pub world: World,
    ids: u128,
}

/// What came back for an update.
#[derive(Debug, PartialEq)]
pub enum Answer<T> {
    /// The validator refused it, with this reason.
    Refused(String),
    /// The handler answered.
    Given(T),
    /// The handler still waits.
    Waiting,
    /// The handler failed or was cut off: no client should ever see that.
    Lost(String),
}

impl<T> Answer<T> {
    /// The handler's answer; panics where there is none.
    pub fn given(self) -> T
    where
        T: std::fmt::Debug,
    {
        match self {
            Self::Given(answer) => answer,
            other => panic!("the update was not answered but {other:?}"),
        }
    }
}

impl Ticket {
    /// Starts a ticket; its first activity waits to be carried out. Events given here came before a worker had time
    /// for the ticket.
    pub fn start(
        input: TicketInput,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Self, SimulationError> {
        let (id, input) = (input.key().workflow_id(), vec![json(&input)]);
        Ok(Self {
            driver: Driver::start::<TicketWorkflow>(&id, TASK_QUEUE, input, events)?,
            world: World::default(),
            ids: 0,
        })
    }

    /// How the ticket stands, as the query tells.
    pub fn status(&mut self) -> Result<TicketStatus, SimulationError> {
        match self.driver.query("status", Vec::new())? {
            Ok(answer) => value(&answer),
            Err(failure) => Err(SimulationError::Misuse(failure.message)),
        }
    }

    /// Lets events reach the workflow together; where it continues as new, the next run starts at once.
    pub fn deliver(
        &mut self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), SimulationError> {
        self.driver.deliver(events)?;
        self.go_on()
    }

    /// Carries a pending activity out, as the world is scripted; the event tells the workflow of it.
    pub fn carry_out(&mut self, seq: u32) -> Result<Event, SimulationError> {
        let Some(activity) = self.driver.server().activities.get(&seq) else {
            let what = format!("activity {seq} is not pending");
            return Err(SimulationError::misuse(what));
        };
        let input = activity.input.first().cloned().unwrap_or_default();
        let outcome = self
            .world
            .carry_out(&activity.name, &activity.task_queue, input)?;
        Ok(Event::Activity { seq, outcome })
    }

    /// Carries activities out, the oldest first, until none is pending: the ticket waits for people or time.
    pub fn settle(&mut self) -> Result<(), SimulationError> {
        while let Some(seq) = self.oldest_activity() {
            let event = self.carry_out(seq)?;
            self.deliver([event])?;
        }
        Ok(())
    }

    /// Lets time pass and carries out what falls due on the way.
    pub fn pass(&mut self, time: Duration) -> Result<(), SimulationError> {
        self.settle()?;
        let end = self.driver.server().now + time;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.elapse(due - self.driver.server().now)?;
            self.settle()?;
        }
        self.elapse(end - self.driver.server().now)
    }

    /// Lets silence take the ticket to its end, whatever that is.
    pub fn finish(&mut self) -> Result<TicketOutcome, SimulationError> {
        for _ in 0..MOST_TIMERS {
            self.settle()?;
            if let Some(outcome) = self.outcome()? {
                return Ok(outcome);
            }
            let Some(due) = self.next_due() else {
                let what = "no timer and no activity is left, only handlers that wait";
                return Err(SimulationError::Endless(what.to_owned()));
            };
            self.elapse(due - self.driver.server().now)?;
        }
        let what = format!("{MOST_TIMERS} timers fired in silence");
        Err(SimulationError::Endless(what))
    }

    /// A decision about exactly what the open gate asks.
    pub fn decision(&mut self, verdict: Verdict, by: &str) -> Result<Decision, SimulationError> {
        match self.status()?.open_gate {
            Some(open) => Ok(self.decision_about(open.gate, &open.revision, verdict, by)),
            None => Err(SimulationError::misuse("no gate is open")),
        }
    }

    /// A decision about anything, with an id of its own.
    pub fn decision_about(
        &mut self,
        gate: Gate,
        revision: &str,
        verdict: Verdict,
        by: &str,
    ) -> Decision {
        let comments = (verdict == Verdict::Revise).then(|| "Please name the test".to_owned());
        Decision {
            id: Some(self.next_id()),
            gate,
            revision: revision.to_owned(),
            decision: verdict,
            by: by.to_owned(),
            comments,
            proof: None,
        }
    }

    /// Sends a decision and lets the ticket settle.
    pub fn decide(
        &mut self,
        decision: &Decision,
    ) -> Result<Answer<DecisionOutcome>, SimulationError> {
        self.deliver([by_update(decision)])?;
        self.settle()?;
        self.answer(decision.id.unwrap_or_default())
    }

    /// Sends a command and lets the ticket settle.
    pub fn command(
        &mut self,
        command: &Command,
    ) -> Result<Answer<CommandOutcome>, SimulationError> {
        let id = command.id.unwrap_or_default();
        self.deliver([Event::update(&id.to_string(), "command", command)])?;
        self.settle()?;
        self.answer(id)
    }

    /// A command with an id of its own.
    pub fn order(&mut self, action: Action, by: &str) -> Command {
        Command {
            id: Some(self.next_id()),
            action,
            from: None,
            raise: BudgetRaise::default(),
            seconds: None,
            by: by.to_owned(),
            reason: None,
            proof: None,
        }
    }

    /// The answer to the update of this id.
    pub fn answer<T: DeserializeOwned>(&self, id: Uuid) -> Result<Answer<T>, SimulationError> {
        let sent = || SimulationError::misuse(format!("no update {id} was sent"));
        let answer = self.driver.server().answer(&id.to_string());
        Ok(match answer.ok_or_else(sent)? {
            UpdateAnswer::Rejected(failure) => Answer::Refused(failure.message.clone()),
            UpdateAnswer::Completed(result) => Answer::Given(value(result)?),
            UpdateAnswer::Accepted => Answer::Waiting,
            UpdateAnswer::Failed(failure) => Answer::Lost(failure.message.clone()),
            UpdateAnswer::Lost => Answer::Lost("the run ended first".to_owned()),
        })
    }

    /// Sends a signal `decide` as somebody types it, and lets the ticket settle.
    pub fn signal(&mut self, typed: Value) -> Result<(), SimulationError> {
        self.deliver([Event::signal("decide", &typed)])?;
        self.settle()
    }

    /// Cancels the workflow and lets the ticket settle.
    pub fn cancel(&mut self, reason: &str) -> Result<(), SimulationError> {
        self.deliver([Event::cancel(reason)])?;
        self.settle()
    }

    /// How the ticket ended; nothing while it runs. A workflow that ends in another way than with its result is wrong.
    pub fn outcome(&self) -> Result<Option<TicketOutcome>, SimulationError> {
        match &self.driver.server().outcome {
            None => Ok(None),
            Some(Outcome::Completed(result)) => value(result).map(Some),
            Some(other) => {
                let what = format!("a ticket ends with a result, not as {other:?}");
                Err(SimulationError::misuse(what))
            }
        }
    }

    /// The states on record, in order.
    pub fn recorded(&self) -> Vec<State> {
        let records: Vec<TransitionRecord> = self.world.inputs("record_transition");
        records.iter().map(|record| record.to).collect()
    }

    /// An id that was not used yet.
    pub fn next_id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    fn oldest_activity(&self) -> Option<u32> {
        let oldest = self.driver.server().activities.keys().next();
        oldest.copied().filter(|_| self.driver.is_running())
    }

    fn next_due(&self) -> Option<DateTime<Utc>> {
        let (_, next) = self.driver.server().next_timer()?;
        self.driver.is_running().then_some(next.due)
    }

    fn elapse(&mut self, time: TimeDelta) -> Result<(), SimulationError> {
        self.driver.elapse(time.to_std().unwrap_or_default())?;
        self.go_on()
    }

    fn go_on(&mut self) -> Result<(), SimulationError> {
        match self.driver.server().outcome {
            Some(Outcome::ContinuedAsNew(_)) => self.driver.start_next_run([]),
            _ => Ok(()),
        }
    }
}

/// A decision that comes by update; its id is the update's, as clients send it.
pub fn by_update(decision: &Decision) -> Event {
    let id = decision.id.unwrap_or_default();
    Event::update(&id.to_string(), "decide", decision)
}
