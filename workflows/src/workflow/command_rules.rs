//! The rules: which command can be carried out, and what it comes to. Pure; nothing here waits.

use std::time::Duration;

use chrono::{DateTime, Utc};
use temporalio_common::data_converters::RawValue;
use uuid::Uuid;

use super::{
    TicketWorkflow,
    decision_rules::{UNPROVEN, one_payload},
    memory::Cancellation,
    question::Answer,
    reception::{Arrival, Message, Received},
};
use crate::{
    State,
    activities::Admission,
    command::{Action, Command, CommandOutcome, CommandRecord},
    decision::{MAXIMUM_COMMENT_BYTES, MAXIMUM_PERSON_BYTES},
    gate::Gate,
    policy::MAXIMUM_WAIT_SECONDS,
    text::shorten,
};

/// How many commands the status keeps; the ledger keeps all.
const KEPT_COMMANDS: usize = 30;

impl TicketWorkflow {
    /// Whether an update may be taken in.
    pub(super) fn check_command_update(&self, command: &Command) -> Result<(), String> {
        match command.id {
            None => Err("`id` is missing: the client makes a UUID for each command".to_owned()),
            Some(id) if self.knows(&id) => Ok(()),
            Some(_) => self.check_command(command).map(|_| ()),
        }
    }

    /// Takes a command in that came as a signal.
    pub(super) fn receive_command_signal(&mut self, at: DateTime<Utc>, payload: &RawValue) {
        let command = match one_payload::<Command>(payload) {
            Ok(command) => command,
            Err(error) => {
                return self.note(&format!(
                    "a signal `command` was not understood and not carried out: {error}"
                ));
            }
        };
        let id = command.id.unwrap_or_else(|| self.id_for_signal());
        if self.knows(&id) {
            return;
        }
        let refused = self.check_command(&command).err();
        let command = Command {
            by: shorten(&command.by, MAXIMUM_PERSON_BYTES),
            reason: command
                .reason
                .map(|reason| shorten(&reason, MAXIMUM_COMMENT_BYTES)),
            proof: command.proof.map(|proof| shorten(&proof, 256)),
            ..command
        };
        self.reception.take(Received {
            id,
            arrival: self.arrival(at),
            message: Message::Command(command),
            refused,
        });
    }

    /// What became of a command.
    pub(super) fn command_outcome(&self, id: &Uuid) -> Option<CommandOutcome> {
        let mut commands = self.status.commands.iter();
        commands.find(|outcome| outcome.record.id == *id).cloned()
    }

    /// Whether a command can be carried out now; for RETRY, where the ticket goes.
    fn check_command(&self, command: &Command) -> Result<Option<State>, String> {
        command.check()?;
        let state = self.status.state;
        if self.memory.cancelled.is_some() || state.is_end() {
            return Err(format!(
                "the ticket is {}",
                match state.is_end() {
                    true => state.as_str(),
                    false => "being cancelled",
                }
            ));
        }
        if self.reception.accepted.is_some() {
            return Err("another command is being carried out".to_owned());
        }
        if self.reception.time_is_up && command.action != Action::Cancel {
            return Err("the time is up: the ticket goes on by itself now".to_owned());
        }
        match command.action {
            Action::Retry => self.retry_target(command.from).map(Some),
            Action::Abandon if state.is_parked() => Ok(None),
            Action::Abandon => Err(format!(
                "only a parked ticket (ERROR, QA_FAILED) can be abandoned; this one is {state}: cancel it instead"
            )),
            Action::Reopen if state == State::PrClosed && self.status.deadline.is_none() => {
                Err("the pull request is being reopened already".to_owned())
            }
            Action::Reopen if state == State::PrClosed => Ok(None),
            Action::Reopen => Err(format!(
                "only a closed pull request can be reopened; the ticket is {state}"
            )),
            Action::Extend => self
                .check_extension(command.seconds.unwrap_or(0))
                .map(|_| None),
            Action::Cancel if state == State::Merged => {
                Err("the pull request is merged: there is nothing left to cancel".to_owned())
            }
            Action::Cancel if self.is_being_merged() => Err(
                "the pull request is being merged; cancel again if the forge refuses".to_owned(),
            ),
            Action::Cancel => Ok(None),
        }
    }

    fn is_being_merged(&self) -> bool {
        let at_gate_2 = self
            .status
            .open_gate
            .as_ref()
            .is_some_and(|open| open.gate == Gate::Pr);
        at_gate_2 && matches!(self.reception.answer, Some(Answer::Approved { .. }))
    }

    /// Where a retry goes: to the step that failed, or to an earlier one.
    fn retry_target(&self, from: Option<State>) -> Result<State, String> {
        let state = self.status.state;
        if !state.is_parked() {
            return Err(format!(
                "only a parked ticket (ERROR, QA_FAILED) can be retried; this one is {state}"
            ));
        }
        let failed_in = self.memory.failed_in.unwrap_or(State::Pending);
        let usual = failed_in.retried_from();
        let to = from.unwrap_or(usual);
        let possible: Vec<State> = State::ALL
            .into_iter()
            .filter(|to| state.may_go_to(*to) && !matches!(to, State::Error | State::Cancelled))
            .filter(|to| to.is_at_or_before(usual))
            .filter(|to| usual != State::Merged || *to == State::Merged)
            .filter(|to| !self.memory.published || !to.is_before_execution())
            .filter(|to| *to != State::SpecApproved || self.memory.spec_approved_by.is_some())
            .collect();
        if possible.contains(&to) {
            return Ok(to);
        }
        let names: Vec<&str> = possible.into_iter().map(State::as_str).collect();
        let why = if self.memory.published && to.is_before_execution() {
            "; the branch is published, so a new plan needs a new attempt: abandon this one and file the ticket again"
        } else {
            ""
        };
        Err(format!(
            "the ticket failed in {failed_in} and cannot be retried from {to}, but from {}{why}",
            names.join(", ")
        ))
    }

    /// The new deadline, if there may be one.
    fn check_extension(&self, seconds: u64) -> Result<DateTime<Utc>, String> {
        let Some(deadline) = self.status.deadline else {
            return Err(format!(
                "nothing waits for people: the ticket is {}",
                self.status.state
            ));
        };
        if self.reception.answer.is_some() || self.reception.decided {
            return Err("the gate is decided already".to_owned());
        }
        let extended = deadline + Duration::from_secs(seconds);
        let most = self.status.since + Duration::from_secs(2 * MAXIMUM_WAIT_SECONDS);
        if extended > most {
            return Err(format!(
                "the deadline would be {}; a ticket waits until {} at most",
                extended.format("%Y-%m-%d"),
                most.format("%Y-%m-%d")
            ));
        }
        Ok(extended)
    }

    /// Accepts a command, or says why not: everything is checked again, since the ticket may have moved meanwhile. What an
    /// accepted command changes at once is changed here; one that was accepted before stays as it was.
    pub(super) fn count_command(
        &mut self,
        command: &Command,
        arrival: Arrival,
        refused: Option<String>,
        admission: &Admission,
    ) -> CommandOutcome {
        let id = command.id.unwrap_or_default();
        if let Some(earlier) = self.command_outcome(&id) {
            return earlier;
        }
        let unproven = !admission.proven && !self.memory.policy.accept_unproven_decisions;
        // That the time is up by now does not matter to a command that came before.
        let time_is_up = std::mem::take(&mut self.reception.time_is_up);
        let checked = refused
            .or_else(|| admission.refused.clone())
            .or_else(|| unproven.then(|| UNPROVEN.to_owned()))
            .map_or_else(|| self.check_command(command), Err);
        self.reception.time_is_up = time_is_up;
        let (goes_to, refused) = match checked {
            Ok(goes_to) => (goes_to, None),
            Err(reason) => (None, Some(reason)),
        };
        let mut outcome = self.command_refused(id, command, arrival, admission.proven, refused);
        if outcome.record.refused.is_none() {
            outcome.goes_to = goes_to;
            outcome.deadline = self.take_effect(command, &outcome.record);
        }
        if self.status.commands.len() >= KEPT_COMMANDS {
            let commands = &mut self.status.commands;
            let refused = commands
                .iter()
                .position(|outcome| outcome.record.refused.is_some());
            let forgotten = commands.remove(refused.unwrap_or(0));
            self.memory.forget(forgotten.record.id);
        }
        self.status.commands.push(outcome.clone());
        outcome
    }

    /// What a command changes before the ticket's stage acts on it. For EXTEND, answers the new deadline.
    fn take_effect(&mut self, command: &Command, record: &CommandRecord) -> Option<DateTime<Utc>> {
        match command.action {
            Action::Retry => self.memory.raised += command.raise,
            Action::Cancel => {
                let why = record.reason.clone();
                self.memory.cancelled = Some(Cancellation {
                    by: record.by.clone(),
                    reason: match why {
                        Some(why) => format!("cancelled by {}: {why}", record.by),
                        None => format!("cancelled by {}", record.by),
                    },
                });
            }
            Action::Extend => {
                let deadline = self.check_extension(command.seconds.unwrap_or(0)).ok()?;
                self.status.deadline = Some(deadline);
                if let Some(open) = &mut self.status.open_gate {
                    open.deadline = deadline;
                }
                return Some(deadline);
            }
            Action::Abandon | Action::Reopen => {}
        }
        None
    }

    /// A command as it goes on record, accepted only if nothing is given as `refused`.
    pub(super) fn command_refused(
        &self,
        id: Uuid,
        command: &Command,
        arrival: Arrival,
        proven: bool,
        refused: Option<String>,
    ) -> CommandOutcome {
        CommandOutcome {
            record: CommandRecord {
                id,
                action: command.action,
                by: shorten(&command.by, MAXIMUM_PERSON_BYTES),
                reason: command.reason.as_ref().map(|reason| shorten(reason, 300)),
                at: arrival.at,
                state: arrival.state,
                proven,
                refused: refused.map(|reason| shorten(&reason, 400)),
            },
            goes_to: None,
            deadline: None,
        }
    }
}
