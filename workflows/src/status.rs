//! What a ticket's workflow answers when asked how it stands.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ObjectRef, State,
    activities::GateResult,
    command::CommandOutcome,
    decision::DecisionRecord,
    failure::Failure,
    gate::OpenGate,
    policy::Budget,
    pull_request::PullRequest,
    questions::OpenQuestions,
    spec::SpecRef,
    text::{count_of, grouped},
    ticket::{TicketEdits, TicketInput, TicketKey, TicketSummary},
    usage::Usage,
};

/// The answer to the query `status`, and what the ledger's row is a copy of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// That it was edited since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<TicketEdits>,
    /// The gate that is open now.
    pub open_gate: Option<OpenGate>,
    /// What the planner asks the people of the ticket, while it waits for their answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<OpenQuestions>,
    /// When the present wait for people ends by itself: a gate's, a closed pull request's, a parked ticket's, that for
    /// answers to the planner.
    #[serde(default)]
    pub deadline: Option<DateTime<Utc>>,
    /// The latest decisions, in order, the refused ones too; the ledger has all.
    pub decisions: Vec<DecisionRecord>,
    /// The latest commands, in order, the refused ones too; the ledger has all.
    #[serde(default)]
    pub commands: Vec<CommandOutcome>,
    /// The latest SPEC.
    pub spec: Option<SpecRef>,
    /// The agent's requests for more scope that were granted for this SPEC: each a
    /// [`ScopeRequest`](crate::scope::ScopeRequest) in JSON, stored.
    #[serde(default)]
    pub grants: Vec<ObjectRef>,
    /// The agent's latest commit.
    pub head_commit: Option<String>,
    /// The agent's latest diff against the base.
    pub diff: Option<ObjectRef>,
    /// The latest result of each QA gate.
    pub qa: Vec<GateResult>,
    /// The latest QA report.
    pub qa_report: Option<ObjectRef>,
    /// Whether it was merged without the approval that the policy asks for: by somebody on the forge.
    #[serde(default)]
    pub unapproved: bool,
    /// The pull request.
    pub pull_request: Option<PullRequest>,
    /// Why the ticket is parked or was given up.
    pub failure: Option<Failure>,
    /// What people should know that stopped nothing: a comment that could not be posted, a merge that was refused.
    pub notes: Vec<String>,
    /// What the models cost so far.
    pub usage: Usage,
    /// The planner's part of it.
    #[serde(default)]
    pub planning_usage: Usage,
    /// The agent's wall time so far, in seconds.
    #[serde(default)]
    pub agent_seconds: u64,
    /// Rounds used so far.
    pub rounds: Rounds,
    /// What it may spend in all, with what admins added. The query fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl TicketStatus {
    /// The status of a ticket that was just taken in.
    pub fn new(input: &TicketInput) -> Self {
        Self {
            ticket: input.key(),
            state: State::Pending,
            since: DateTime::<Utc>::default(),
            sequence: 0,
            repository_url: input.repository_url.clone(),
            summary: None,
            edits: None,
            open_gate: None,
            questions: None,
            deadline: None,
            decisions: Vec::new(),
            commands: Vec::new(),
            spec: None,
            grants: Vec::new(),
            head_commit: None,
            diff: None,
            qa: Vec::new(),
            qa_report: None,
            unapproved: false,
            pull_request: None,
            failure: None,
            notes: Vec::new(),
            usage: Usage::default(),
            planning_usage: Usage::default(),
            agent_seconds: 0,
            rounds: Rounds::default(),
            budget: None,
        }
    }
}

/// Rounds that a ticket used up over its whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rounds {
    /// SPECs that were revised.
    pub revisions: u32,
    /// Repairs after a failed QA.
    pub repairs: u32,
    /// Rounds of changes requested on the pull request.
    pub changes: u32,
    /// The agent's requests for more scope.
    #[serde(default)]
    pub scope_requests: u32,
    /// How often the ticket was taken out of ERROR or QA_FAILED again.
    #[serde(default)]
    pub retries: u32,
}

impl Rounds {
    /// What was used, for people, with what may be used where that is known: `2 of 5 repairs`.
    pub fn lines(&self, budget: Option<&Budget>) -> Vec<String> {
        let limit = |of: fn(&Budget) -> u32| budget.map(of);
        let rounds = [
            (
                self.revisions,
                limit(|budget| budget.revisions),
                ["revision of the SPEC", "revisions of the SPEC"],
            ),
            (
                self.scope_requests,
                limit(|budget| budget.scope_requests),
                ["request for files", "requests for files"],
            ),
            (
                self.repairs,
                limit(|budget| budget.repairs),
                ["repair", "repairs"],
            ),
            (
                self.changes,
                limit(|budget| budget.change_rounds),
                ["round of changes", "rounds of changes"],
            ),
            (self.retries, None, ["retry", "retries"]),
        ];
        let used = rounds.into_iter().filter(|(used, ..)| *used > 0);
        used.map(|(used, limit, [one, many])| match limit {
            Some(limit) => format!(
                "{} of {}",
                grouped(used.into()),
                count_of(limit.into(), one, many)
            ),
            None => count_of(used.into(), one, many),
        })
        .collect()
    }
}
