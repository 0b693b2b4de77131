//! What people send. It is taken in as it comes, looked at one after the other, put on record, and only then does it take
//! effect.

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    ObjectRef, State,
    activities::Admission,
    command::{Action, Command, CommandOutcome},
    decision::{Decision, DecisionOutcome, DecisionRecord, Verdict},
};
use uuid::Uuid;

use super::{Answer, Checked, Model, Order, Reason, SYSTEM, Stage, rules::person};

/// Something that a person sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub id: Uuid,
    pub what: What,
    /// Typed by hand without an id: the workflow gives it one.
    pub is_typed: bool,
    /// When it was taken in, and the ticket's state then.
    pub at: DateTime<Utc>,
    pub state: State,
    /// Why it could not count when it came: one of these.
    pub refused: Vec<Reason>,
    /// Whether it is being looked at.
    pub is_begun: bool,
}

/// What it is.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Decision(Decision),
    Command(Command),
}

/// What became of something that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    pub message: Message,
    /// Why it was refused: one of these; it counted if there is none.
    pub refused: Vec<Reason>,
    pub proven: bool,
    /// DECISION: how many approvals are missing.
    pub missing: u32,
    /// DECISION: the whole revision, where the gate was open.
    pub revision: Option<String>,
    /// RETRY: where the ticket goes.
    pub goes_to: Option<State>,
    /// EXTEND: until when it waits now, and which gate's request got the time.
    pub deadline: Option<DateTime<Utc>>,
    pub extended: Option<Uuid>,
    comments: Option<ObjectRef>,
}

/// What must become of something that arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// Refused at once, for one of these reasons.
    Refused(Vec<Reason>),
    /// It was taken in before: the same answer.
    Known,
    /// It is taken in; a signal also if it is refused already.
    Taken,
}

impl What {
    /// The id that its sender gave it.
    pub fn id(&self) -> Option<Uuid> {
        match self {
            Self::Decision(decision) => decision.id,
            Self::Command(command) => command.id,
        }
    }
}

impl Message {
    /// The activity that looks at it, and the one that puts it on record.
    pub(super) fn activity(&self, is_recording: bool) -> &'static str {
        match (&self.what, is_recording) {
            (What::Decision(_), false) => "admit_decision",
            (What::Decision(_), true) => "record_decision",
            (What::Command(_), false) => "admit_command",
            (What::Command(_), true) => "record_command",
        }
    }
}

impl Model {
    /// What arrives together, each by update or by signal. The SDK runs handlers of signals at once, and those of updates
    /// after them; whether an update is refused is asked in its turn. Answers what must become of each.
    pub fn arrive(&mut self, sent: &[(What, bool)]) -> Vec<Arrival> {
        let mut arrivals: Vec<_> = sent
            .iter()
            .map(|(what, by_signal)| match by_signal {
                true => self.take(what, true),
                false => self.validate(what),
            })
            .collect();
        for ((what, by_signal), arrival) in sent.iter().zip(&mut arrivals) {
            if !by_signal && *arrival == Arrival::Taken {
                *arrival = self.take(what, false);
            }
        }
        arrivals
    }

    fn knows(&self, id: Option<Uuid>) -> bool {
        let is_pending = |id| {
            self.inbox
                .iter()
                .any(|message| message.id == id && !message.is_typed)
        };
        id.is_some_and(|id| self.settled.contains_key(&id) || is_pending(id))
    }

    fn validate(&self, what: &What) -> Arrival {
        let id = what.id();
        if self.knows(id) {
            return Arrival::Known;
        }
        let mut refused = self.reasons(what, true);
        refused.extend(id.is_none().then_some(Reason::Malformed));
        match refused.is_empty() {
            true => Arrival::Taken,
            false => Arrival::Refused(refused),
        }
    }

    /// Takes something in; an update was found to be right before.
    fn take(&mut self, what: &What, by_signal: bool) -> Arrival {
        let id = what.id();
        if self.knows(id) {
            return Arrival::Known;
        }
        let refused = if by_signal {
            self.reasons(what, true)
        } else {
            Vec::new()
        };
        self.inbox.push_back(Message {
            id: id.unwrap_or_default(),
            what: what.clone(),
            is_typed: id.is_none(),
            at: self.now,
            state: self.state,
            refused,
            is_begun: false,
        });
        Arrival::Taken
    }

    /// Somebody cancels the workflow in Temporal.
    pub fn is_cancelled(&mut self) -> Checked {
        if self.state.is_end() {
            return Ok(());
        }
        self.cancelled.get_or_insert_with(|| SYSTEM.to_owned());
        self.stop()
    }

    fn stop(&mut self) -> Checked {
        match std::mem::replace(&mut self.is_stopping, true) || self.state.is_end() {
            true => Ok(()),
            false => self.cancel(),
        }
    }

    /// The message at the head was looked at: it counts, or it is known why not.
    pub fn admitted(&mut self, admission: &Admission) -> Checked {
        let message = self.inbox.front().cloned().ok_or("nobody was admitted")?;
        let mut refused = message.refused.clone();
        if refused.is_empty() {
            refused = self.reasons(&message.what, false);
            if admission.refused.is_some() {
                refused.push(Reason::Forged);
            } else if !admission.proven && !self.policy.accept_unproven_decisions {
                refused.push(Reason::Unproven);
            }
        }
        let mut settled = Settled {
            refused,
            proven: admission.proven,
            missing: 0,
            revision: self.whole_revision(&message.what),
            goes_to: None,
            deadline: None,
            extended: None,
            comments: admission.comments.clone(),
            message,
        };
        if settled.refused.is_empty() {
            match settled.message.what.clone() {
                What::Decision(decision) => self.count_decision(&decision, &mut settled),
                What::Command(command) => self.count_command(&command, &mut settled),
            }
        }
        self.settled.insert(settled.message.id, settled);
        self.is_recording = true;
        Ok(())
    }

    fn count_decision(&mut self, decision: &Decision, settled: &mut Settled) {
        if decision.decision == Verdict::Approve {
            self.approved_by.push(decision.by.clone());
            let needed = self.gate.as_ref().map_or(1, |gate| gate.approvals_needed);
            let given = u32::try_from(self.approved_by.len()).unwrap_or(u32::MAX);
            settled.missing = needed.saturating_sub(given);
        }
        self.is_decided = settled.missing == 0;
    }

    fn count_command(&mut self, command: &Command, settled: &mut Settled) {
        match command.action {
            Action::Retry => {
                self.raised += command.raise;
                settled.goes_to = self.retry_target(command.from);
            }
            Action::Cancel => self.cancelled = Some(command.by.clone()),
            Action::Extend => {
                let more = self.seconds(command.seconds.unwrap_or(0));
                self.deadline = self.deadline.map(|deadline| deadline + more);
                settled.deadline = self.deadline;
                if let (Some(gate), Some(deadline)) = (&mut self.gate, self.deadline) {
                    gate.deadline = deadline;
                    settled.extended = Some(gate.approval_id);
                }
            }
            Action::Abandon | Action::Reopen => {}
        }
    }

    /// The message at the head is on record: if it counted, it takes effect.
    pub fn put_on_record(&mut self) -> Checked {
        let message = self.inbox.pop_front().ok_or("nothing was to be recorded")?;
        self.is_recording = false;
        self.is_decided = false;
        if let Stage::TimeIsUp { to_look_at } = &mut self.stage {
            *to_look_at = to_look_at.saturating_sub(1);
        }
        let settled = self.settled[&message.id].clone();
        if settled.refused.is_empty() && settled.missing == 0 {
            self.takes_effect(settled)?;
        }
        self.expire_if_all_is_looked_at()?;
        self.go_on()
    }

    fn takes_effect(&mut self, settled: Settled) -> Checked {
        match settled.message.what {
            What::Decision(decision) => {
                self.answer = Some(Answer {
                    verdict: decision.decision,
                    by: match decision.decision {
                        Verdict::Approve => self.approved_by.clone(),
                        _ => vec![decision.by],
                    },
                    comments: settled.comments,
                });
            }
            What::Command(command) => match command.action {
                Action::Retry => {
                    let to = settled.goes_to.ok_or("a retry to nowhere")?;
                    self.order = Some(Order::Retry { to, by: command.by });
                }
                Action::Abandon => self.order = Some(Order::Abandon { by: command.by }),
                Action::Reopen => self.order = Some(Order::Reopen { by: command.by }),
                Action::Cancel => return self.stop(),
                Action::Extend => return Ok(()),
            },
        }
        match self.stage {
            Stage::Waits => self.wait(),
            _ => Ok(()),
        }
    }

    fn whole_revision(&self, what: &What) -> Option<String> {
        let What::Decision(decision) = what else {
            return None;
        };
        let gate = self.gate.as_ref()?;
        let is_this = gate.gate == decision.gate && super::rules::names(&decision.revision, gate);
        is_this.then(|| gate.revision.clone())
    }

    /// What a record in the ledger, and the answer to an update, must say of a decision.
    pub fn check_decision_record(&self, record: &DecisionRecord) -> Checked {
        let settled = self.settled.get(&record.id).ok_or("an unknown decision")?;
        let What::Decision(decision) = &settled.message.what else {
            return Err("a command on record as a decision".to_owned());
        };
        let same = record.gate == decision.gate
            && record.decision == decision.decision
            && record.by == decision.by
            && record.at == settled.message.at
            && record.proven == settled.proven
            && settled
                .revision
                .as_ref()
                .is_none_or(|whole| *whole == record.revision);
        if !same {
            return Err(format!("{record:?} is not {settled:?}"));
        }
        super::rules::check_refusal(record.refused.as_deref(), &settled.refused)
            .map_err(|error| format!("{error}: {decision:?}"))
    }

    /// What the answer to a decision must be.
    pub fn check_decision_outcome(&self, outcome: &DecisionOutcome) -> Checked {
        self.check_decision_record(&outcome.record)?;
        let settled = &self.settled[&outcome.record.id];
        match outcome.approvals_missing == settled.missing {
            true => Ok(()),
            false => Err(format!("{outcome:?} is not {settled:?}")),
        }
    }

    /// What the record of a command, and the answer to it, must be.
    pub fn check_command_outcome(&self, outcome: &CommandOutcome) -> Checked {
        let record = &outcome.record;
        let settled = self.settled.get(&record.id).ok_or("an unknown command")?;
        let What::Command(command) = &settled.message.what else {
            return Err("a decision on record as a command".to_owned());
        };
        let same = record.action == command.action
            && record.by == command.by
            && record.at == settled.message.at
            && record.state == settled.message.state
            && record.proven == settled.proven
            && outcome.goes_to == settled.goes_to
            && outcome.deadline == settled.deadline;
        if !same {
            return Err(format!("{outcome:?} is not {settled:?}"));
        }
        super::rules::check_refusal(record.refused.as_deref(), &settled.refused)
            .map_err(|error| format!("{error}: {command:?}"))
    }

    /// Whether this person approved at the open gate already.
    pub(super) fn has_approved(&self, by: &str) -> bool {
        self.approved_by
            .iter()
            .any(|earlier| person(earlier) == person(by))
    }
}
