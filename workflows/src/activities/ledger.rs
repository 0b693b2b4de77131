//! Activities that put a ticket's life on record. They are tried until they succeed: what cannot be recorded must not
//! go on.

#![expect(
    missing_docs,
    reason = "the marker structs that the macro makes carry no documentation"
)]

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use temporalio_macros::activity_definitions;
use temporalio_sdk::activities::ActivityError;
use uuid::Uuid;

use super::Timing;
use crate::{
    ObjectRef, State,
    decision::{Decision, DecisionRecord, Reopening},
    failure::Failure,
    gate::{Gate, OpenGate},
    pull_request::PullRequest,
    spec::SpecRef,
    ticket::{TicketKey, TicketSummary},
    usage::Usage,
};

/// `record_transition`.
pub const RECORD_TRANSITION: Timing = Timing::seconds(30).for_ever();
/// `open_gate`.
pub const OPEN_GATE: Timing = Timing::seconds(30).for_ever();
/// `admit_decision`.
pub const ADMIT_DECISION: Timing = Timing::seconds(30).for_ever();
/// `admit_reopening`.
pub const ADMIT_REOPENING: Timing = Timing::seconds(30).for_ever();
/// `record_decision`.
pub const RECORD_DECISION: Timing = Timing::seconds(30).for_ever();
/// `close_gate`.
pub const CLOSE_GATE: Timing = Timing::seconds(30).for_ever();

/// One transition, with what the workflow's row in the ledger shall show from then on. The ticket and the sequence are
/// the idempotency key: a second record of the same transition changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionRecord {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The transition's number, from 1.
    pub sequence: u64,
    /// From which state; nothing for the first.
    pub from: Option<State>,
    /// To which.
    pub to: State,
    /// When the workflow made it.
    pub at: DateTime<Utc>,
    /// Who or what made it: a person's email address, or `system`.
    pub triggered_by: String,
    /// Why, at most 600 characters.
    pub reason: Option<String>,
    /// What is known of the ticket now.
    pub facts: TicketFacts,
}

/// What the ledger's row of a workflow shows beside its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketFacts {
    /// The repository.
    pub repository_url: String,
    /// The ticket's head.
    pub summary: Option<TicketSummary>,
    /// The latest SPEC.
    pub spec: Option<SpecRef>,
    /// Who approved it.
    pub spec_approved_by: Option<String>,
    /// The agent's latest diff.
    pub diff: Option<ObjectRef>,
    /// The agent's latest commit.
    pub head_commit: Option<String>,
    /// The latest QA report.
    pub qa_report: Option<ObjectRef>,
    /// Whether QA passed.
    pub qa_passed: Option<bool>,
    /// The pull request.
    pub pull_request: Option<PullRequest>,
    /// Why the ticket is parked or was given up.
    pub failure: Option<Failure>,
    /// What the models cost so far.
    pub usage: Usage,
}

/// A gate to open. The approval's id is the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenGateRequest {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The request's id.
    pub approval_id: Uuid,
    /// Which gate.
    pub gate: Gate,
    /// What is asked about.
    pub revision: String,
    /// What to read before deciding.
    pub content: ObjectRef,
    /// How many distinct people must approve.
    pub approvals_needed: u32,
    /// When it opens: the workflow's time.
    pub opened_at: DateTime<Utc>,
    /// Seconds until silence closes it.
    pub timeout_seconds: u64,
}

/// A decision to look at before it may count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitDecision {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The decision, with its id.
    pub decision: Decision,
}

/// A wish to reopen a pull request, to be looked at before it may count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitReopening {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The wish.
    pub reopening: Reopening,
}

/// What was found out about a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Whether its proof is there and right.
    pub proven: bool,
    /// Why it may not count, whatever the gate says: a forged proof.
    pub refused: Option<String>,
    /// The comments, stored.
    pub comments: Option<ObjectRef>,
}

/// A decision to put on record. The decision's id is the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordDecision {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The gate's request that it was for, if that gate was open.
    pub approval_id: Option<Uuid>,
    /// The decision and what became of it.
    pub record: DecisionRecord,
    /// The comments, stored.
    pub comments: Option<ObjectRef>,
}

/// How a gate closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GateClosing {
    /// Enough people approved.
    Approved,
    /// Somebody asked for changes.
    Revised,
    /// Somebody rejected.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// The ticket was given up meanwhile.
    Cancelled,
}

impl GateClosing {
    /// The fixed name, as the ledger stores it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::Revised => "REVISED",
            Self::Rejected => "REJECTED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A gate that closed. The approval's id is the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseGate {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The request's id.
    pub approval_id: Uuid,
    /// How it closed.
    pub closing: GateClosing,
    /// Who closed it; nothing for a time-out.
    pub by: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Declarations of the activities that keep the ledger.
pub struct LedgerActivities;

#[activity_definitions]
impl LedgerActivities {
    /// Puts a transition on record and brings the workflow's row up to date, both in one transaction.
    #[activity(name = "record_transition")]
    pub fn record_transition(record: TransitionRecord) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Computes the gate's deadline and puts the request on record.
    #[activity(name = "open_gate")]
    pub fn open_gate(request: OpenGateRequest) -> Result<OpenGate, ActivityError> {
        unimplemented!()
    }

    /// Checks a decision's proof and stores its comments.
    #[activity(name = "admit_decision")]
    pub fn admit_decision(input: AdmitDecision) -> Result<Admission, ActivityError> {
        unimplemented!()
    }

    /// Checks the proof of a wish to reopen.
    #[activity(name = "admit_reopening")]
    pub fn admit_reopening(input: AdmitReopening) -> Result<Admission, ActivityError> {
        unimplemented!()
    }

    /// Puts a decision on record, counted or refused.
    #[activity(name = "record_decision")]
    pub fn record_decision(input: RecordDecision) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Puts on record how a gate closed.
    #[activity(name = "close_gate")]
    pub fn close_gate(input: CloseGate) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

pub(super) mod definitions {
    pub use super::ledger_activities::*;
}
