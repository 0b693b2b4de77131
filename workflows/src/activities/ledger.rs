//! Activities that put a ticket's life on record. They are tried until they succeed: what cannot be recorded must not
//! go on. Each is one transaction, so ten seconds are plenty, and a worker that dies in one holds its ticket up no longer.

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
    command::{Command, CommandRecord},
    decision::{Decision, DecisionRecord},
    failure::Failure,
    gate::{BaseChange, Gate, OpenGate},
    policy::{BudgetRaise, GatePolicy},
    pull_request::PullRequest,
    spec::SpecRef,
    ticket::{TicketKey, TicketSummary},
    usage::Usage,
};

/// `record_transition`.
pub const RECORD_TRANSITION: Timing = Timing::seconds(10).for_ever();
/// `open_gate`.
pub const OPEN_GATE: Timing = Timing::seconds(10).for_ever();
/// `admit_decision`.
pub const ADMIT_DECISION: Timing = Timing::seconds(10).for_ever();
/// `admit_command`.
pub const ADMIT_COMMAND: Timing = Timing::seconds(10).for_ever();
/// `record_command`.
pub const RECORD_COMMAND: Timing = Timing::seconds(10).for_ever();
/// `remind`: a reminder that cannot be written down must not keep a gate from closing, so five tries.
pub const REMIND: Timing = Timing::seconds(10).attempts(5);
/// `record_decision`.
pub const RECORD_DECISION: Timing = Timing::seconds(10).for_ever();
/// `close_gate`.
pub const CLOSE_GATE: Timing = Timing::seconds(10).for_ever();

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
    /// The planner that writes the SPECs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<String>,
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
    /// Whether it was merged without the approval that the policy asks for.
    #[serde(default)]
    pub unapproved: bool,
    /// How often the ticket was taken out of ERROR or QA_FAILED again.
    #[serde(default)]
    pub retries: u32,
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
    /// How it is decided.
    pub policy: GatePolicy,
    /// Who filed the ticket: asked for where the policy does not let this person approve.
    pub reporter: String,
    /// When it opens: the workflow's time.
    pub opened_at: DateTime<Utc>,
    /// What changed on the base branch, where that is why the gate asks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_change: Option<BaseChange>,
}

/// A decision to look at before it may count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitDecision {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The decision, with its id.
    pub decision: Decision,
}

/// A command to look at before it may count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitCommand {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The command, with its id.
    pub command: Command,
}

/// What was found out about a decision or a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Whether its proof is there and right.
    pub proven: bool,
    /// Why it may not count, whatever the gate says: a forged proof.
    pub refused: Option<String>,
    /// A decision's comments, stored.
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

/// A command to put on record. The command's id is the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCommand {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The command and what became of it.
    pub record: CommandRecord,
    /// RETRY: from which state on it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<State>,
    /// RETRY: what was to be added to the budget.
    #[serde(default, skip_serializing_if = "BudgetRaise::is_nothing")]
    pub raise: BudgetRaise,
    /// EXTEND: by how many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// EXTEND: the open gate's request, and until when it waits now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended: Option<ExtendedGate>,
}

/// A gate that got more time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedGate {
    /// The request's id.
    pub approval_id: Uuid,
    /// When silence closes it now.
    pub deadline: DateTime<Utc>,
}

/// A reminder about an open gate. The request's id and the time planned are the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remind {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The gate, with the people whom it names.
    pub gate: OpenGate,
    /// For when the reminder was planned.
    pub planned_at: DateTime<Utc>,
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

    /// Computes the gate's deadline and reminders, in business hours where the policy says so, puts the request on record
    /// and writes down who is to be told. Final errors: [`crate::failure::kind::POLICY_INVALID`], a calendar that never opens.
    #[activity(name = "open_gate")]
    pub fn open_gate(request: OpenGateRequest) -> Result<OpenGate, ActivityError> {
        unimplemented!()
    }

    /// Checks a decision's proof and stores its comments.
    #[activity(name = "admit_decision")]
    pub fn admit_decision(input: AdmitDecision) -> Result<Admission, ActivityError> {
        unimplemented!()
    }

    /// Checks a command's proof.
    #[activity(name = "admit_command")]
    pub fn admit_command(input: AdmitCommand) -> Result<Admission, ActivityError> {
        unimplemented!()
    }

    /// Puts a command on record, accepted or refused, and moves the deadline of a gate that was extended.
    #[activity(name = "record_command")]
    pub fn record_command(input: RecordCommand) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Writes down who is to be reminded of an open gate.
    #[activity(name = "remind")]
    pub fn remind(input: Remind) -> Result<(), ActivityError> {
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
