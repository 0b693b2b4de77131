//! The rules: which decision can count, and how it counts. Pure; nothing here waits.

use chrono::{DateTime, Utc};
use temporalio_common::data_converters::RawValue;
use uuid::Uuid;

use super::{
    TicketWorkflow,
    reception::{Message, Received},
};
use crate::{
    activities::Admission,
    decision::{
        Decision, DecisionOutcome, DecisionRecord, MAXIMUM_COMMENT_BYTES, MAXIMUM_PERSON_BYTES,
        Verdict,
    },
    gate::OpenGate,
    revision,
    text::shorten,
};

/// How many decisions the status keeps; the ledger keeps all.
const KEPT_DECISIONS: usize = 60;

/// Why what carries no proof does not count.
pub(super) const UNPROVEN: &str = "it carries no proof of who sent it, and this installation takes none without: use the \
                                   `sallyport` command or the dashboard";

impl TicketWorkflow {
    /// Whether an update may be taken in: the same rules as for a signal, but the answer goes to the sender at once and
    /// leaves no history.
    pub(super) fn check_decision_update(&self, decision: &Decision) -> Result<(), String> {
        match decision.id {
            None => Err("`id` is missing: the client makes a UUID for each decision".to_owned()),
            Some(id) if self.knows(&id) => Ok(()),
            Some(_) => self.check_decision(decision),
        }
    }

    /// Takes a decision in that came as a signal.
    pub(super) fn receive_decision_signal(&mut self, at: DateTime<Utc>, payload: &RawValue) {
        let decision = match one_payload::<Decision>(payload) {
            Ok(decision) => decision,
            Err(error) => {
                return self.note(&format!(
                    "a signal `decide` was not understood and not counted: {error}"
                ));
            }
        };
        let id = decision.id.unwrap_or_else(|| self.id_for_signal());
        if self.knows(&id) {
            return;
        }
        let refused = self.check_decision(&decision).err();
        // What is refused is recorded all the same, and a record has a size.
        let decision = Decision {
            by: shorten(&decision.by, MAXIMUM_PERSON_BYTES),
            revision: shorten(&decision.revision, 64),
            comments: decision
                .comments
                .map(|comments| shorten(&comments, MAXIMUM_COMMENT_BYTES)),
            proof: decision.proof.map(|proof| shorten(&proof, 256)),
            ..decision
        };
        self.reception.take(Received {
            id,
            arrival: self.arrival(at),
            message: Message::Decision(decision),
            refused,
        });
    }

    /// An id for what was typed by hand without one.
    pub(super) fn id_for_signal(&mut self) -> Uuid {
        self.memory.step += 1;
        self.key().child_id("signal", self.memory.step)
    }

    /// Whether something of this id was taken in before.
    pub(super) fn knows(&self, id: &Uuid) -> bool {
        self.reception.pending(id)
            || self.status.decisions.iter().any(|record| record.id == *id)
            || self.command_outcome(id).is_some()
            || self.memory.forgotten.contains(id)
    }

    /// What became of a decision.
    pub(super) fn decision_outcome(&self, id: &Uuid) -> Option<DecisionOutcome> {
        let record = self
            .status
            .decisions
            .iter()
            .find(|record| record.id == *id)?;
        Some(DecisionOutcome {
            record: record.clone(),
            approvals_missing: self.memory.missing.get(id).copied().unwrap_or(0),
        })
    }

    /// Whether a decision can count now.
    fn check_decision(&self, decision: &Decision) -> Result<(), String> {
        decision.check()?;
        if let Some((gate, revision)) = &self.reception.opening
            && *gate == decision.gate
            && revision::matches(&decision.revision, revision)
        {
            // Everything else is checked when it is open.
            return Ok(());
        }
        let Some(open) = self
            .status
            .open_gate
            .as_ref()
            .filter(|open| open.gate == decision.gate)
        else {
            return Err(self.why_closed(decision));
        };
        if !revision::matches(&decision.revision, &open.revision) {
            return Err(format!(
                "the decision is about revision {}, but gate {} asks about {}: look at what changed and decide again",
                shorten(&decision.revision, 64),
                open.gate,
                open.revision
            ));
        }
        if self.reception.decided
            || self.reception.answer.is_some()
            || self.memory.cancelled.is_some()
        {
            return Err(self.why_closed(decision));
        }
        if self.reception.time_is_up {
            return Err(format!(
                "gate {} closed at {}: nobody had decided by then",
                open.gate,
                open.deadline.format("%Y-%m-%d %H:%M:%S UTC")
            ));
        }
        self.check_person(decision, open)
    }

    /// Whether this person may decide so at this gate.
    fn check_person(&self, decision: &Decision, open: &OpenGate) -> Result<(), String> {
        let is = |person: &String| person.trim().eq_ignore_ascii_case(decision.by.trim());
        let name = shorten(&decision.by, 80);
        if !open.approvers.is_empty() && !open.approvers.iter().any(is) {
            return Err(format!(
                "{name} may not decide at gate {}: it asks {}",
                open.gate,
                open.approvers.join(", ")
            ));
        }
        if decision.decision != Verdict::Approve {
            return Ok(());
        }
        if open.may_not_approve.as_ref().is_some_and(is) {
            return Err(format!(
                "{name} filed the ticket and may not approve it: somebody else must"
            ));
        }
        if self.memory.approvers.contains(&person(&decision.by)) {
            return Err(format!(
                "{name} has approved already; the gate needs another person"
            ));
        }
        Ok(())
    }

    fn why_closed(&self, decision: &Decision) -> String {
        if self.memory.cancelled.is_some() && !self.status.state.is_end() {
            return "the ticket is being cancelled".to_owned();
        }
        let earlier = self.status.decisions.iter().rev().find(|record| {
            record.gate == decision.gate
                && record.refused.is_none()
                && revision::matches(&decision.revision, &record.revision)
        });
        let open = match &self.status.open_gate {
            Some(open) if open.gate != decision.gate => format!("; open is gate {}", open.gate),
            _ => String::new(),
        };
        match earlier {
            Some(record) => format!(
                "gate {} was decided already: {} by {} at {}{open}",
                record.gate,
                record.decision,
                record.by,
                record.at.format("%Y-%m-%d %H:%M:%S UTC"),
            ),
            None => format!(
                "gate {} is not open: the ticket is {}{open}",
                decision.gate, self.status.state
            ),
        }
    }

    /// Who approved at the open gate, in the order in which they did, separated by commas.
    pub(super) fn approver_names(&self) -> String {
        let Some(gate) = &self.status.open_gate else {
            return String::new();
        };
        let approved = self.status.decisions.iter().filter(|record| {
            record.gate == gate.gate
                && record.revision == gate.revision
                && record.at >= gate.opened_at
                && record.refused.is_none()
                && record.decision == Verdict::Approve
                && self.memory.approvers.contains(&person(&record.by))
        });
        let mut names: Vec<&str> = Vec::new();
        for record in approved {
            if !names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&record.by))
            {
                names.push(&record.by);
            }
        }
        names.join(", ")
    }

    /// Counts a decision, or says why not: everything is checked again, since the gate may have closed meanwhile. One that
    /// was counted before stays as it was.
    pub(super) fn count_decision(
        &mut self,
        decision: &Decision,
        at: DateTime<Utc>,
        refused: Option<String>,
        admission: &Admission,
    ) -> (DecisionOutcome, Option<Uuid>) {
        let open = self
            .status
            .open_gate
            .as_ref()
            .filter(|open| open.gate == decision.gate)
            .filter(|open| revision::matches(&decision.revision, &open.revision));
        let (whole_revision, approval_id, needed) = match open {
            Some(open) => (
                open.revision.clone(),
                Some(open.approval_id),
                open.approvals_needed,
            ),
            None => (shorten(&decision.revision, 64), None, 1),
        };
        let id = decision.id.unwrap_or_default();
        if let Some(earlier) = self.decision_outcome(&id) {
            return (earlier, approval_id);
        }
        let unproven = !admission.proven && !self.memory.policy.accept_unproven_decisions;
        let refused = refused
            .or_else(|| admission.refused.clone())
            .or_else(|| self.check_decision_in_time(decision))
            .or_else(|| unproven.then(|| UNPROVEN.to_owned()));
        let mut approvals_missing = 0;
        if refused.is_none() {
            if decision.decision == Verdict::Approve {
                self.memory.approvers.insert(person(&decision.by));
                let given = u32::try_from(self.memory.approvers.len()).unwrap_or(u32::MAX);
                approvals_missing = needed.saturating_sub(given);
            }
            self.reception.decided = approvals_missing == 0;
        }
        let record = record(id, decision, at, admission.proven, refused, whole_revision);
        if self.status.decisions.len() >= KEPT_DECISIONS {
            let decisions = &mut self.status.decisions;
            let refused = decisions.iter().position(|record| record.refused.is_some());
            let forgotten = decisions.remove(refused.unwrap_or(0));
            self.memory.missing.remove(&forgotten.id);
            self.memory.forget(forgotten.id);
        }
        if approvals_missing > 0 {
            self.memory.missing.insert(id, approvals_missing);
        }
        self.status.decisions.push(record.clone());
        (
            DecisionOutcome {
                record,
                approvals_missing,
            },
            approval_id,
        )
    }

    /// The same check as on arrival. That the time is up by now does not matter to a decision that came before.
    fn check_decision_in_time(&mut self, decision: &Decision) -> Option<String> {
        let time_is_up = std::mem::take(&mut self.reception.time_is_up);
        let refused = self.check_decision(decision).err();
        self.reception.time_is_up = time_is_up;
        refused
    }
}

/// How a person is compared: email addresses are the same in any case.
fn person(by: &str) -> String {
    by.trim().to_lowercase()
}

/// The one argument of a signal, or what is wrong with it.
pub(super) fn one_payload<T: serde::de::DeserializeOwned>(payload: &RawValue) -> Result<T, String> {
    match payload.payloads.as_slice() {
        [one] => serde_json::from_slice(&one.data).map_err(|error| error.to_string()),
        other => Err(format!("it has {} arguments and takes one", other.len())),
    }
}

/// A decision as it goes on record.
pub(super) fn record(
    id: Uuid,
    decision: &Decision,
    at: DateTime<Utc>,
    proven: bool,
    refused: Option<String>,
    revision: String,
) -> DecisionRecord {
    DecisionRecord {
        id,
        gate: decision.gate,
        revision,
        decision: decision.decision,
        by: shorten(&decision.by, 254),
        at,
        proven,
        refused: refused.map(|reason| shorten(&reason, 300)),
    }
}
