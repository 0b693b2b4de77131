//! The life of one attempt at a ticket. [`TicketWorkflow::run`] reads like the product's story; each stage is a file of
//! its own beside this one.
//!
//! | file | what happens there |
//! | --- | --- |
//! | `intake.rs` | the ticket is read |
//! | `planning.rs` | a SPEC is written |
//! | `spec_gate.rs` | gate 1 |
//! | `execution.rs` | the agent works, QA checks |
//! | `publication.rs` | branch and pull request |
//! | `pr_gate.rs` | gate 2 |
//! | `ending.rs` | merged, parked, cancelled |
//! | `question.rs` | how any gate opens, waits and closes |
//! | `reception.rs` | how decisions come in and what becomes of them |
//! | `decision_rules.rs` | which decision can count, and how |
//! | `transition.rs` | the only way from one state to another |
//! | `step.rs` | how an activity is called |

#![expect(
    missing_docs,
    reason = "the handler constants that the macro makes carry no documentation"
)]

mod decision_rules;
mod details;
mod ending;
mod execution;
mod intake;
mod planning;
mod pr_gate;
mod publication;
mod question;
mod reception;
mod spec_gate;
mod step;
mod transition;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult};
use uuid::Uuid;

use crate::{
    State,
    activities::{AgentTask, HostClaim, PinnedPolicy},
    decision::{Decision, DecisionOutcome, Reopening},
    policy::InstallationPolicy,
    status::{Rounds, TicketStatus},
    ticket::{TicketInput, TicketKey},
    usage::Usage,
};
use pr_gate::AtPullRequest;
use reception::Received;
pub use reception::ReopeningAnswer;
use spec_gate::AtSpec;
use step::Step;

/// The context that the stages work in.
type Ctx = WorkflowContext<TicketWorkflow>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How a ticket's workflow ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketOutcome {
    /// The last state: an end.
    pub state: State,
    /// Why, for people.
    pub reason: String,
}

/// One attempt at a ticket, from intake to merge.
#[workflow]
pub struct TicketWorkflow {
    status: TicketStatus,
    policy: InstallationPolicy,
    priority: crate::ticket::Priority,
    /// Where the ticket's workspace is, once a host was claimed.
    host: Option<HostClaim>,
    /// Who approved the SPEC that is being carried out.
    spec_approved_by: Option<String>,
    /// Whether QA passed, once it ran.
    qa_passed: Option<bool>,
    /// The number of the latest step; see [`crate::activities::StepKey`].
    step: u64,
    /// Decisions taken in and not yet looked at by the main routine.
    inbox: VecDeque<Received>,
    /// The decision that the main routine is looking at.
    settling: Option<Uuid>,
    /// What became of each decision, by its id.
    outcomes: BTreeMap<Uuid, DecisionOutcome>,
    /// Who approved at the open gate, in lower case.
    approvers: BTreeSet<String>,
    /// Wishes to reopen, not yet looked at.
    reopenings: VecDeque<Reopening>,
    /// What became of each wish to reopen, by its id.
    reopening_answers: BTreeMap<Uuid, ReopeningAnswer>,
}

#[workflow_methods]
impl TicketWorkflow {
    /// Takes the input in; no gate is open yet, so that an update that arrives early is refused for the right reason.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: TicketInput) -> Self {
        Self {
            status: TicketStatus {
                ticket: input.key(),
                state: State::Pending,
                since: DateTime::<Utc>::default(),
                sequence: 0,
                repository_url: input.repository_url,
                summary: None,
                open_gate: None,
                decisions: Vec::new(),
                spec: None,
                head_commit: None,
                diff: None,
                qa: Vec::new(),
                qa_report: None,
                pull_request: None,
                failure: None,
                notes: Vec::new(),
                usage: Usage::default(),
                rounds: Rounds::default(),
            },
            policy: input.installation_policy,
            priority: input.priority,
            host: None,
            spec_approved_by: None,
            qa_passed: None,
            step: 0,
            inbox: VecDeque::new(),
            settling: None,
            outcomes: BTreeMap::new(),
            approvers: BTreeSet::new(),
            reopenings: VecDeque::new(),
            reopening_answers: BTreeMap::new(),
        }
    }

    /// Takes the ticket through its life.
    #[run(name = "ticket")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<TicketOutcome> {
        let reason = match live(ctx).await {
            Ok(reason) => reason,
            Err(halt) => ending::halt(ctx, halt).await?,
        };
        reception::settle_all(ctx, &ending::over(ctx)).await;
        let handlers = ctx.clone();
        let _ = ctx
            .wait_condition(move |_| handlers.all_handlers_finished())
            .await;
        Ok(TicketOutcome {
            state: ctx.state(|ticket| ticket.status.state),
            reason,
        })
    }

    /// A decision by signal: for the stock `temporal` CLI and the Temporal UI, and when no worker answers an update.
    /// Whatever arrives is taken: what is no decision is put into the status' notes, never dropped in silence.
    #[signal(name = "decide")]
    pub fn decide_signal(&mut self, ctx: &mut SyncWorkflowContext<Self>, payload: RawValue) {
        self.receive_signal(
            ctx.workflow_time()
                .map(DateTime::<Utc>::from)
                .unwrap_or_default(),
            &payload,
        );
    }

    #[update_validator(decide)]
    fn validate_decide(
        &self,
        _ctx: &WorkflowContextView,
        decision: &Decision,
    ) -> Result<(), BoxError> {
        self.check_update(decision).map_err(BoxError::from)
    }

    /// A decision by update: refused at once where it cannot count, otherwise answered when it was counted. The same
    /// id gets the same answer.
    #[update(name = "decide")]
    pub async fn decide(ctx: &mut WorkflowContext<Self>, decision: Decision) -> DecisionOutcome {
        reception::receive_update(ctx, decision).await
    }

    #[update_validator(reopen)]
    fn validate_reopen(
        &self,
        _ctx: &WorkflowContextView,
        reopening: &Reopening,
    ) -> Result<(), BoxError> {
        self.check_reopening(reopening).map_err(BoxError::from)
    }

    /// Reopens a closed pull request: the answer is the status afterwards, or why not.
    #[update(name = "reopen")]
    pub async fn reopen(ctx: &mut WorkflowContext<Self>, reopening: Reopening) -> ReopeningAnswer {
        reception::receive_reopening(ctx, reopening).await
    }

    /// How the ticket stands.
    #[query(name = "status")]
    pub fn status(&self, _ctx: &WorkflowContextView) -> TicketStatus {
        self.status.clone()
    }
}

impl TicketWorkflow {
    fn key(&self) -> TicketKey {
        self.status.ticket.clone()
    }
}

/// The story: plan, gate 1, execute and check, publish, gate 2, done. Answers with the reason of the end.
async fn live(ctx: &Ctx) -> Step<String> {
    let summary = intake::take_in(ctx).await?;
    let (approved, pinned) = match plan_until_decided(ctx, &summary).await? {
        (AtSpec::Approved { spec }, pinned) => (spec, pinned),
        (AtSpec::Rejected { reason } | AtSpec::Revise { reason, .. }, _) => return Ok(reason),
    };
    let mut task = AgentTask::Implement;
    loop {
        let work = execution::execute(ctx, &summary, &approved, &pinned, task).await?;
        let pull_request = publication::publish(ctx, &work, &summary, &approved, &pinned).await?;
        match pr_gate::decide(ctx, &pull_request, &work).await? {
            AtPullRequest::Merged { reason } => {
                return ending::complete(ctx, reason).await;
            }
            AtPullRequest::Closed { reason } => {
                return ending::give_up(ctx, reason).await;
            }
            AtPullRequest::ChangesRequested { comments } => {
                task = AgentTask::ChangesRequested { comments }
            }
        }
    }
}

/// Plans and asks at gate 1, again for each revision that is asked for.
async fn plan_until_decided(
    ctx: &Ctx,
    summary: &crate::ticket::TicketSummary,
) -> Step<(AtSpec, PinnedPolicy)> {
    let mut revised = Vec::new();
    loop {
        let (spec, pinned) = planning::plan(ctx, summary, &revised).await?;
        match spec_gate::decide(ctx, &spec).await? {
            AtSpec::Revise { comments, .. } => {
                revised.push(crate::activities::RevisedSpec {
                    text: spec.text.clone(),
                    comments,
                });
            }
            decided => return Ok((decided, pinned)),
        }
    }
}

/// The workflow's time now.
fn now(ctx: &Ctx) -> DateTime<Utc> {
    ctx.workflow_time()
        .map(DateTime::<Utc>::from)
        .unwrap_or_default()
}
