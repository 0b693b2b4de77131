//! What a ticket's workflow answers when asked how it stands.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ObjectRef, State,
    activities::GateResult,
    decision::DecisionRecord,
    failure::Failure,
    gate::OpenGate,
    pull_request::PullRequest,
    spec::SpecRef,
    ticket::{TicketKey, TicketSummary},
    usage::Usage,
};

/// The answer to the query `status`, and what the ledger's row is a copy of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketStatus {
    /// Which attempt at which ticket.
    pub ticket: TicketKey,
    /// The state.
    pub state: State,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How many transitions there were.
    pub sequence: u64,
    /// The repository worked on.
    pub repository_url: String,
    /// The ticket's head, once it was fetched.
    pub summary: Option<TicketSummary>,
    /// The gate that is open now.
    pub open_gate: Option<OpenGate>,
    /// All decisions so far, in order, the refused ones too.
    pub decisions: Vec<DecisionRecord>,
    /// The latest SPEC.
    pub spec: Option<SpecRef>,
    /// The agent's latest commit.
    pub head_commit: Option<String>,
    /// The agent's latest diff against the base.
    pub diff: Option<ObjectRef>,
    /// The latest result of each QA gate.
    pub qa: Vec<GateResult>,
    /// The latest QA report.
    pub qa_report: Option<ObjectRef>,
    /// The pull request.
    pub pull_request: Option<PullRequest>,
    /// Why the ticket is parked or was given up.
    pub failure: Option<Failure>,
    /// What people should know that stopped nothing: a comment that could not be posted, a merge that was refused.
    pub notes: Vec<String>,
    /// What the models cost so far.
    pub usage: Usage,
    /// Rounds used so far.
    pub rounds: Rounds,
}

/// Rounds that a ticket used up over its whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// SPECs that were revised.
    pub revisions: u32,
    /// Repairs after a failed QA.
    pub repairs: u32,
    /// Rounds of changes requested on the pull request.
    pub changes: u32,
}
