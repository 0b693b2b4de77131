//! The life of one attempt at a ticket.
//!
//! The state decides what happens: each state has a stage that works in it and says where the ticket goes next, and
//! [`TicketWorkflow::run`] goes from stage to stage until the ticket ends. Beside them the reception takes in what people
//! send, at any time, one after the other.
//!
//! | file | what happens there |
//! | --- | --- |
//! | `intake.rs` | PENDING: the ticket is read |
//! | `planning.rs` | PLANNING: a SPEC is written |
//! | `spec_gate.rs` | AWAITING_SPEC_APPROVAL: gate 1 |
//! | `base_check.rs` | SPEC_APPROVED: is the base branch still what the SPEC assumes? |
//! | `execution.rs` | EXECUTING: the agent works |
//! | `scope_gate.rs` | AWAITING_SCOPE_APPROVAL: may the agent change further files? |
//! | `quality.rs` | QA_RUNNING: the repository's gates run |
//! | `publication.rs` | PR_CREATED: branch and pull request |
//! | `pr_gate.rs` | AWAITING_PR_APPROVAL: gate 2 |
//! | `closed.rs` | PR_CLOSED: it may be reopened for a while |
//! | `parked.rs` | ERROR, QA_FAILED: somebody may retry or abandon |
//! | `ending.rs` | MERGED, and how every ticket ends |
//! | `question.rs` | how any gate opens, waits and closes |
//! | `waiting.rs` | how any wait for people ends: by an answer, a reminder, its deadline |
//! | `reception.rs` | how decisions and commands come in and what becomes of them |
//! | `decision_rules.rs`, `command_rules.rs` | which of them can count, and how |
//! | `news.rs` | what the ticket system tells of the ticket meanwhile |
//! | `transition.rs` | the only way from one state to another |
//! | `memory.rs` | what is kept beside the status, also when the workflow continues as new |
//! | `step.rs` | how an activity is called |

#![expect(
    missing_docs,
    reason = "the handler constants that the macro makes carry no documentation"
)]

mod base_check;
mod closed;
mod command_rules;
mod decision_rules;
mod details;
mod ending;
mod execution;
mod host;
mod intake;
mod memory;
mod news;
mod parked;
mod planning;
mod pr_gate;
mod publication;
mod quality;
mod question;
mod reception;
mod scope_gate;
mod spec_gate;
mod step;
mod transition;
mod waiting;

use std::pin::pin;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult, workflows::select,
};
use temporalio_workflow::{ContinueAsNewOptions, WorkflowTermination};

use crate::{
    State,
    command::{Command, CommandOutcome},
    decision::{Decision, DecisionOutcome},
    status::TicketStatus,
    ticket::{TicketInput, TicketKey},
};
pub use memory::Carried;
use memory::Memory;
use reception::Reception;
use step::{Halt, Step};
use transition::Move;

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
    /// What the workflow was started with.
    input: TicketInput,
    /// What everybody may see.
    status: TicketStatus,
    /// What only the workflow needs.
    memory: Memory,
    /// What people sent and what is not settled yet.
    reception: Reception,
}

#[workflow_methods]
impl TicketWorkflow {
    /// Takes the input in, and what an earlier run carried over; no gate is open yet in a first run, so that an update
    /// that arrives early is refused for the right reason.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, mut input: TicketInput) -> Self {
        let (status, memory) = match input.carried.take() {
            Some(carried) => (carried.status, carried.memory),
            None => (TicketStatus::new(&input), Memory::new(&input)),
        };
        Self {
            input,
            status,
            memory,
            reception: Reception::default(),
        }
    }

    /// Takes the ticket through its life.
    #[run(name = "ticket")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<TicketOutcome> {
        let mut cancellation = pin!(ending::notice_cancellation(ctx));
        let mut reception = pin!(reception::serve(ctx));
        let mut life = pin!(live(ctx));
        let reason = select! {
            never = futures::FutureExt::fuse(cancellation.as_mut()) => match never {},
            ended = futures::FutureExt::fuse(life.as_mut()) => ended?,
            never = futures::FutureExt::fuse(reception.as_mut()) => match never {},
        };
        // What is still on its way is refused and answered; what is being looked at comes to its end.
        let handlers = ctx.clone();
        let mut settled = pin!(waiting::surely(ctx, move |ticket| {
            ticket.reception.is_settled() && handlers.all_handlers_finished()
        }));
        select! {
            () = futures::FutureExt::fuse(settled.as_mut()) => {},
            never = futures::FutureExt::fuse(reception.as_mut()) => match never {},
        }
        Ok(TicketOutcome {
            state: state(ctx),
            reason,
        })
    }

    /// A decision by signal: for the stock `temporal` CLI and the Temporal UI, and when no worker answers an update.
    /// Whatever arrives is taken: what is no decision is put into the status' notes, never dropped in silence.
    #[signal(name = "decide")]
    pub fn decide_signal(&mut self, ctx: &mut SyncWorkflowContext<Self>, payload: RawValue) {
        self.receive_decision_signal(time_of(ctx.workflow_time()), &payload);
    }

    #[update_validator(decide)]
    fn validate_decide(
        &self,
        _ctx: &WorkflowContextView,
        decision: &Decision,
    ) -> Result<(), BoxError> {
        self.check_decision_update(decision).map_err(BoxError::from)
    }

    /// A decision by update: refused at once where it cannot count, otherwise answered when it was counted. The same
    /// id gets the same answer.
    #[update(name = "decide")]
    pub async fn decide(ctx: &mut WorkflowContext<Self>, decision: Decision) -> DecisionOutcome {
        reception::receive_decision(ctx, decision).await
    }

    /// A command by signal, for the same reasons and in the same way as a decision.
    #[signal(name = "command")]
    pub fn command_signal(&mut self, ctx: &mut SyncWorkflowContext<Self>, payload: RawValue) {
        self.receive_command_signal(time_of(ctx.workflow_time()), &payload);
    }

    #[update_validator(command)]
    fn validate_command(
        &self,
        _ctx: &WorkflowContextView,
        command: &Command,
    ) -> Result<(), BoxError> {
        self.check_command_update(command).map_err(BoxError::from)
    }

    /// A command by update: refused at once where it cannot be carried out, otherwise answered when it was accepted and
    /// put on record. The same id gets the same answer.
    #[update(name = "command")]
    pub async fn command(ctx: &mut WorkflowContext<Self>, command: Command) -> CommandOutcome {
        reception::receive_command(ctx, command).await
    }

    /// What the ticket system tells of the ticket meanwhile. It is shown, and plans nothing anew by itself.
    #[signal(name = "ticket_event")]
    pub fn ticket_event(&mut self, ctx: &mut SyncWorkflowContext<Self>, payload: RawValue) {
        self.receive_news(&payload);
        ctx.set_current_details(details::markdown(&self.shown()));
    }

    /// How the ticket stands.
    #[query(name = "status")]
    pub fn status(&self, _ctx: &WorkflowContextView) -> TicketStatus {
        self.shown()
    }
}

impl TicketWorkflow {
    /// The status with what people need beside it.
    fn shown(&self) -> TicketStatus {
        TicketStatus {
            budget: Some(self.memory.budget()),
            ..self.status.clone()
        }
    }

    fn key(&self) -> TicketKey {
        self.status.ticket.clone()
    }
}

/// Goes from stage to stage until the ticket ends. Answers with the reason of the end.
async fn live(ctx: &Ctx) -> Result<String, WorkflowTermination> {
    if ctx.state(|ticket| ticket.status.sequence) == 0 {
        transition::begin(ctx).await;
    } else {
        // Continued as new: what the UI shows does not come along by itself.
        transition::show(ctx);
    }
    loop {
        let next = match stage(ctx).await {
            Ok(next) => next,
            Err(Halt::Renew) => {
                renew(ctx).await?;
                continue;
            }
            Err(halt) => ending::halted(ctx, halt).await,
        };
        let reason = next.reason.clone().unwrap_or_default();
        let was = state(ctx);
        transition::enter(ctx, next).await;
        if state(ctx).is_end() {
            ending::settle(ctx, was, &reason).await;
            return Ok(reason);
        }
        if ctx.continue_as_new_suggested() {
            renew(ctx).await?;
        }
    }
}

/// The story. Each stage works in its state and answers where the ticket goes next.
async fn stage(ctx: &Ctx) -> Step<Move> {
    match state(ctx) {
        State::Pending => intake::take_in(ctx).await,
        State::Planning => planning::plan(ctx).await,
        State::AwaitingSpecApproval => spec_gate::ask(ctx).await,
        State::SpecApproved => base_check::check(ctx).await,
        State::Executing => execution::work(ctx).await,
        State::AwaitingScopeApproval => scope_gate::ask(ctx).await,
        State::QaRunning => quality::check(ctx).await,
        State::PrCreated => publication::publish(ctx).await,
        State::AwaitingPrApproval => pr_gate::ask(ctx).await,
        State::PrClosed => closed::wait(ctx).await,
        State::Merged => ending::merged(ctx).await,
        State::Error | State::QaFailed => parked::wait(ctx).await,
        end @ (State::SpecRejected | State::Cancelled | State::Completed) => {
            unreachable!("{end} is an end")
        }
    }
}

/// Continues as new with all that the ticket is, once all that people sent is settled. Comes back without having done so
/// when that gave the ticket's stage something to do, or cancelled the ticket: a new run would not know of it.
async fn renew(ctx: &Ctx) -> Result<(), WorkflowTermination> {
    let handlers = ctx.clone();
    waiting::surely(ctx, move |ticket| {
        ticket.reception.is_settled() && handlers.all_handlers_finished()
    })
    .await;
    let awaited = ctx.state(|ticket| ticket.reception.awaits_stage());
    if awaited || ctx.cancellation_token().is_cancelled() {
        return Ok(());
    }
    let input = ctx.state(|ticket| TicketInput {
        carried: Some(Box::new(Carried {
            status: ticket.status.clone(),
            memory: ticket.memory.clone(),
        })),
        ..ticket.input.clone()
    });
    match ctx.continue_as_new(input, ContinueAsNewOptions::default())? {}
}

/// The state now.
fn state(ctx: &Ctx) -> State {
    ctx.state(|ticket| ticket.status.state)
}

/// The workflow's time now.
fn now(ctx: &Ctx) -> DateTime<Utc> {
    time_of(ctx.workflow_time())
}

fn time_of(time: Option<std::time::SystemTime>) -> DateTime<Utc> {
    time.map(DateTime::<Utc>::from).unwrap_or_default()
}
