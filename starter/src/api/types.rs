//! The shapes of requests and answers. Clients written in Rust use these very types.

use chrono::{DateTime, Utc};
use sallyport_ledger::{
    agent_logs::LogRow, approvals::ApprovalRow, commands::CommandRow, costs::CostRow,
    decisions::DecisionRow, qa_results::QaResultRow, spec_revisions::SpecRevisionRow,
    transitions::TransitionRow, workflows::WorkflowRow,
};
use sallyport_workflows::{
    State, command::Action, decision::Verdict, policy::BudgetRaise, scope::ScopeRequest,
    status::TicketStatus,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::error::ErrorCode;

/// An event was taken in: the answer of the webhooks and of `POST /workflows/start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledgement {
    /// Always true: what is not accepted is answered with an error.
    pub accepted: bool,
    /// Whether the same delivery was accepted before.
    pub duplicate: bool,
}

/// `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `ok`: a starter that cannot take events in answers 503 and a problem.
    pub status: String,
    /// Always `ok`.
    pub database: String,
    /// `ok` or `unreachable`. Without Temporal, webhooks are still accepted.
    pub temporal: String,
}

/// `GET /workflows`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowList {
    /// The workflows asked for, newest first.
    pub workflows: Vec<WorkflowRow>,
    /// How many there are in all, counted up to 10,000.
    pub total: u64,
    /// Whether there are more than `total` says.
    #[serde(default)]
    pub total_is_capped: bool,
    /// The `cursor` that asks for the next page; null if this is the last.
    #[serde(default)]
    pub next: Option<String>,
}

/// `GET /workflows/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowView {
    /// The ledger's row.
    pub workflow: WorkflowRow,
    /// Whether the workflow itself answered just now; without it, everything here is the ledger's copy.
    pub live: bool,
    /// The workflow's answer.
    pub status: Option<TicketStatus>,
    /// Each change of state, in order.
    pub transitions: Vec<TransitionRow>,
    /// Each request for a decision, in order.
    pub approvals: Vec<ApprovalRow>,
    /// What the agent asked for at gate SCOPE, in order.
    #[serde(default)]
    pub scope_requests: Vec<ScopeAsked>,
    /// Each decision, the refused ones too, in order.
    pub decisions: Vec<DecisionRow>,
    /// Each command, the refused ones too, in order.
    #[serde(default)]
    pub commands: Vec<CommandRow>,
    /// QA's results, in order.
    pub qa_results: Vec<QaResultRow>,
    /// Where Temporal's web UI shows the workflow, if the configuration says where that is.
    pub temporal_url: Option<String>,
}

/// What the agent asked for, and the request for a decision about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScopeAsked {
    /// The request for a decision, one of the approvals; its status says what became of the wish.
    pub approval_id: Uuid,
    /// The files and the reason. The agent's words: shown, never acted on.
    pub request: ScopeRequest,
}

/// `GET /approvals/pending`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingApprovals {
    /// The requests that wait for a decision, the most urgent first.
    pub approvals: Vec<ApprovalRow>,
    /// The `cursor` that asks for the next page; null if this is the last.
    #[serde(default)]
    pub next: Option<String>,
}

/// `GET /workflows/{id}/timeline`: all that is on record of a ticket, without asking its workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// The ticket.
    pub workflow: WorkflowRow,
    /// Each change of state, in order.
    pub transitions: Vec<TransitionRow>,
    /// Each request for a decision, in order.
    pub approvals: Vec<ApprovalRow>,
    /// Each decision, the refused ones too, in order.
    pub decisions: Vec<DecisionRow>,
    /// Each command, the refused ones too, in order.
    pub commands: Vec<CommandRow>,
    /// QA's results, in order.
    pub qa_results: Vec<QaResultRow>,
    /// Each SPEC that was planned, in order.
    #[serde(default)]
    pub spec_revisions: Vec<SpecRevisionRow>,
    /// What each step spent on models, in order.
    #[serde(default)]
    pub costs: Vec<CostRow>,
    /// All of it but SPECs and costs once more as one list of what happened when.
    pub events: Vec<TimelineEvent>,
}

/// Something that happened to a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// What kind of thing.
    pub kind: TimelineKind,
    /// Which of that kind: the place in the list of this answer that holds it, from 0.
    pub place: usize,
}

/// The kinds of [`TimelineEvent`]s, each named by the list that holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimelineKind {
    /// In `commands`.
    Command,
    /// In `decisions`.
    Decision,
    /// A gate closed; in `approvals`.
    ApprovalClosed,
    /// In `qa_results`.
    QaResult,
    /// In `transitions`.
    Transition,
    /// A gate opened; in `approvals`.
    ApprovalOpened,
}

/// `GET /api/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Metrics {
    /// Tickets that have not ended; parked ones are among them.
    pub active_workflows: u64,
    /// Open gates.
    pub pending_approvals: u64,
    /// Tickets completed since midnight UTC.
    pub completed_today: u64,
    /// The part of the tickets that ended within the last 30 days that was completed, from 0 to 1; null if none ended.
    pub success_rate: Option<f64>,
}

/// `GET /agent/logs/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// The lines.
    pub logs: Vec<LogRow>,
    /// The last line's id: ask for those after it.
    pub next: u64,
}

/// How the agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentStatusName {
    /// It works, or QA does.
    Running,
    /// Its work is done.
    Completed,
    /// It failed, or the ticket was given up.
    Failed,
    /// It has not begun, or waits for a person.
    Waiting,
}

/// `GET /agent/status/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentStatus {
    /// How the agent stands.
    pub status: AgentStatusName,
    /// What the running activity said last of its progress, as it said it; null if none runs.
    pub progress: serde_json::Value,
    /// The running activity's name, or the ticket's state.
    pub current_step: String,
}

/// The body of `POST /approvals/{approval_id}/decision`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Made once by the client; the same on every retry.
    pub id: Uuid,
    /// What is decided about: the revision shown at the gate, or at least its first 8 characters.
    pub revision: String,
    /// The answer.
    pub decision: Verdict,
    /// Why; for REVISE, what to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<String>,
}

/// The body of `POST /workflows/{id}/transition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// Made once by the client; the same on every retry.
    pub id: Uuid,
    /// What shall be done. An approver may `reopen`, an admin all of it.
    pub action: Action,
    /// Retry: from which state on; nothing means the step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<State>,
    /// Retry: what is added to the ticket's budget.
    #[serde(default, skip_serializing_if = "BudgetRaise::is_nothing")]
    pub raise: BudgetRaise,
    /// Extend: by how many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer 202 to a decision or a command: no worker judged it in time; it was sent as a signal, and will be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// Always true.
    pub pending: bool,
}

/// The body of `POST /workflows/start`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// Made once by the client; sent again with the same it starts nothing twice.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// The ticket.
    pub ticket_id: String,
    /// Its project; may be left out where only one repository is configured.
    #[serde(default)]
    pub project: Option<String>,
}

/// An answer that is no success: a problem document (RFC 9457), `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Identifies the kind of problem: a reference relative to this server.
    pub r#type: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was tried, on what, and what to do.
    pub detail: String,
    /// The kind's stable name.
    pub code: ErrorCode,
    /// The request: its id stands in the log, and in the header `X-Request-Id`.
    pub instance: String,
}
