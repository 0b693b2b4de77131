//! The rules: which decision can count, and how it counts. Pure; nothing here waits.

use chrono::{DateTime, Utc};
use temporalio_common::data_converters::RawValue;
use uuid::Uuid;

use super::{
    TicketWorkflow,
    reception::{Received, ReopeningAnswer},
};
use crate::{
    activities::Admission,
    decision::{
        Decision, DecisionOutcome, DecisionRecord, MAXIMUM_COMMENT_BYTES, MAXIMUM_PERSON_BYTES,
        Reopening, Verdict,
    },
    failure::shorten,
    gate::OpenGate,
    revision,
};

/// How many decisions the status keeps; the ledger keeps all.
const KEPT_DECISIONS: usize = 100;

impl TicketWorkflow {
    /// Whether an update may be taken in: the same rules as for a signal, but the answer goes to the sender at once and
    /// leaves no history.
    pub(super) fn check_update(&self, decision: &Decision) -> Result<(), String> {
        match decision.id {
            None => Err("`id` is missing: the client makes a UUID for each decision".to_owned()),
            Some(id) if self.knows(&id) => Ok(()),
            Some(_) => self.check(decision),
        }
    }

    /// Takes a decision in that came as a signal.
    pub(super) fn receive_signal(&mut self, at: DateTime<Utc>, payload: &RawValue) {
        let decision = match payload.payloads.as_slice() {
            [one] => {
                serde_json::from_slice::<Decision>(&one.data).map_err(|error| error.to_string())
            }
            other => Err(format!("it has {} arguments and takes one", other.len())),
        };
        let decision = match decision {
            Ok(decision) => decision,
            Err(error) => {
                return self.note(&format!(
                    "a signal `decide` was not understood and not counted: {error}"
                ));
            }
        };
        self.step += 1;
        let id = decision
            .id
            .unwrap_or_else(|| self.key().child_id("signal", self.step));
        if self.knows(&id) {
            return;
        }
        let refused = self.check(&decision).err();
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
        self.inbox.push_back(Received {
            id,
            decision,
            at,
            refused,
        });
    }

    /// Whether a decision of this id was taken in before.
    pub(super) fn knows(&self, id: &Uuid) -> bool {
        self.outcomes.contains_key(id)
            || self.settling.as_ref() == Some(id)
            || self.inbox.iter().any(|received| received.id == *id)
    }

    /// Answers a wish to reopen that could not be fulfilled.
    pub(super) fn answer_reopening(&mut self, id: Uuid, reason: &str) {
        let reason = reason.to_owned();
        self.reopening_answers
            .insert(id, ReopeningAnswer::Refused { reason });
    }

    /// Answers the wish to reopen that was fulfilled, and all others: there is nothing left to reopen.
    pub(super) fn announce_reopening(&mut self, id: Uuid) {
        let status = Box::new(self.status.clone());
        self.reopening_answers
            .insert(id, ReopeningAnswer::Reopened { status });
        for other in std::mem::take(&mut self.reopenings) {
            self.answer_reopening(other.id, "the pull request was reopened already");
        }
    }

    /// Whether a decision can count now.
    fn check(&self, decision: &Decision) -> Result<(), String> {
        decision.check()?;
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
        if decision.decision == Verdict::Approve
            && self.approvers.contains(&decision.by.to_lowercase())
        {
            return Err(format!(
                "{} has approved already; the gate needs another person",
                shorten(&decision.by, 80)
            ));
        }
        Ok(())
    }

    pub(super) fn why_closed(&self, decision: &Decision) -> String {
        let earlier = self.status.decisions.iter().rev().find(|record| {
            record.gate == decision.gate
                && record.refused.is_none()
                && revision::matches(&decision.revision, &record.revision)
        });
        let open = match &self.status.open_gate {
            Some(open) => format!("; open is gate {}", open.gate),
            None => String::new(),
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

    /// Who approved at this gate, in the order in which they did.
    pub(super) fn approver_names(&self, gate: &OpenGate) -> Vec<String> {
        let approved = self.status.decisions.iter().filter(|record| {
            record.gate == gate.gate
                && record.revision == gate.revision
                && record.refused.is_none()
                && record.decision == Verdict::Approve
                && self.approvers.contains(&record.by.to_lowercase())
        });
        let mut names: Vec<String> = Vec::new();
        for record in approved {
            if !names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&record.by))
            {
                names.push(record.by.clone());
            }
        }
        names
    }

    /// Counts a decision, or says why not: everything is checked again, since the gate may have closed meanwhile.
    pub(super) fn count(
        &mut self,
        decision: &Decision,
        at: DateTime<Utc>,
        refused: Option<String>,
        admission: &Admission,
    ) -> (DecisionOutcome, Option<Uuid>) {
        let refused = refused
            .or_else(|| admission.refused.clone())
            .or_else(|| self.check(decision).err())
            .or_else(|| {
                let unproven = !admission.proven && !self.policy.accept_unproven_decisions;
                unproven.then(|| {
                    "the decision carries no proof of who made it, and this installation takes none without: decide \
                     with the `sallyport` command or the dashboard"
                        .to_owned()
                })
            });
        let open = self
            .status
            .open_gate
            .as_ref()
            .filter(|open| open.gate == decision.gate);
        let (whole_revision, approval_id, needed) = match open {
            Some(open) if revision::matches(&decision.revision, &open.revision) => (
                open.revision.clone(),
                Some(open.approval_id),
                open.approvals_needed,
            ),
            _ => (shorten(&decision.revision, 64), None, 1),
        };
        let mut approvals_missing = 0;
        if refused.is_none() && decision.decision == Verdict::Approve {
            self.approvers.insert(decision.by.to_lowercase());
            approvals_missing = needed.saturating_sub(self.approvers.len() as u32);
        }
        let id = decision.id.unwrap_or_default();
        let record = record(id, decision, at, admission.proven, refused, whole_revision);
        if self.status.decisions.len() >= KEPT_DECISIONS {
            let oldest_refused = self
                .status
                .decisions
                .iter()
                .position(|record| record.refused.is_some());
            self.status.decisions.remove(oldest_refused.unwrap_or(0));
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

    /// Whether a wish to reopen may be taken in.
    pub(super) fn check_reopening(&self, reopening: &Reopening) -> Result<(), String> {
        if self.reopening_answers.contains_key(&reopening.id)
            || self.status.state == crate::State::PrClosed
        {
            return Ok(());
        }
        Err(format!(
            "only a closed pull request can be reopened; the ticket is {}",
            self.status.state
        ))
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
