//! Why a step failed for good: stable names that are in histories, in the ledger and in what people read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::shorten;

/// The type names of the application failures that activities return. They are part of the contract: the workflow and
/// retry policies tell failures apart by them.
pub mod kind {
    /// The ticket system does not know the ticket.
    pub const TICKET_NOT_FOUND: &str = "TicketNotFound";
    /// The ticket system refused our credentials.
    pub const TICKET_ACCESS_DENIED: &str = "TicketAccessDenied";
    /// The repository cannot be reached or is none.
    pub const REPOSITORY_UNAVAILABLE: &str = "RepositoryUnavailable";
    /// `.sallyport.toml` is wrong.
    pub const POLICY_INVALID: &str = "PolicyInvalid";
    /// The planner's answer is no SPEC, also after it was told why.
    pub const PLAN_INVALID: &str = "PlanInvalid";
    /// Nobody answered the planner's questions in time.
    pub const QUESTIONS_UNANSWERED: &str = "QuestionsUnanswered";
    /// The model's vendor refused the request for good.
    pub const MODEL_REFUSED: &str = "ModelRefused";
    /// What is stored is not what was approved.
    pub const SPEC_CHANGED: &str = "SpecChanged";
    /// A budget is used up.
    pub const BUDGET: &str = "Budget";
    /// The agent's time is up.
    pub const AGENT_TIMEOUT: &str = "AgentTimeout";
    /// The agent stopped with an error.
    pub const AGENT_FAILED: &str = "AgentFailed";
    /// The agent changed nothing.
    pub const NO_CHANGES: &str = "NoChanges";
    /// The agent changed files outside the SPEC's scope, also after it was told.
    pub const OUT_OF_SCOPE: &str = "OutOfScope";
    /// The commit holds a secret or a very large file; QA finds it first and has it mended.
    pub const LEAK: &str = "Leak";
    /// The workspace is gone or was tampered with.
    pub const WORKSPACE_LOST: &str = "WorkspaceLost";
    /// The branch on the forge holds commits that are not ours.
    pub const BRANCH_DIVERGED: &str = "BranchDiverged";
    /// What the repository depends on could not be installed.
    pub const SETUP_FAILED: &str = "SetupFailed";
    /// QA failed and no repair is left.
    pub const QA_FAILED: &str = "QaFailed";
    /// The agent asked for more scope in a way that is none: too many files, or files that nobody may have.
    pub const SCOPE_REQUEST_INVALID: &str = "ScopeRequestInvalid";
    /// Something that no other kind names.
    pub const STEP_FAILED: &str = "StepFailed";
}

/// The longest message that a failure keeps, in characters.
pub const MAXIMUM_MESSAGE: usize = 600;

/// Why a ticket was parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// One of [`kind`]'s names.
    pub kind: String,
    /// The step that failed, such as `fetch_ticket`.
    pub step: String,
    /// What was tried, on what, and what to do: at most [`MAXIMUM_MESSAGE`] characters.
    pub message: String,
}

impl Failure {
    /// A failure of `step`; the message is shortened to what may be kept.
    pub fn new(kind: &str, step: &str, message: impl AsRef<str>) -> Self {
        Self {
            kind: kind.to_owned(),
            step: step.to_owned(),
            message: shorten(message.as_ref(), MAXIMUM_MESSAGE),
        }
    }
}
