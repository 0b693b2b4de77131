//! How a stage calls an activity, and how it stops when one fails for good.

use temporalio_common::{
    ActivityDefinition, Priority, data_converters::TemporalDeserializable, error::IncomingError,
};
use temporalio_sdk::{ActivityOptions, WorkflowCancellationToken};
use temporalio_workflow::{ActivityExecutionError, TimeoutType, WorkflowCancellationError};

use super::Ctx;
use crate::{
    State,
    activities::{
        COMMENT_ON_TICKET, PlanningActivities, StepKey, TicketActivities, TicketComment,
        TicketEvent, Timing,
    },
    failure::{Failure, kind},
    text::shorten,
    usage::Spent,
};

/// What a stage comes to.
pub(super) type Step<T> = Result<T, Halt>;

/// Why a ticket cannot go on by itself.
#[derive(Debug)]
pub(super) enum Halt {
    /// A step failed for good: the ticket is parked in this state.
    Park(State, Failure),
    /// Somebody cancelled the workflow.
    Cancelled,
    /// The history has grown long while people were waited for: the workflow continues as new and waits on.
    Renew,
}

impl From<WorkflowCancellationError> for Halt {
    fn from(_: WorkflowCancellationError) -> Self {
        Self::Cancelled
    }
}

/// A failure that parks the ticket in ERROR.
pub(super) fn park(kind: &str, step: &str, message: impl AsRef<str>) -> Halt {
    Halt::Park(State::Error, Failure::new(kind, step, message))
}

/// The next step's idempotency key.
pub(super) fn next_key(ctx: &Ctx) -> StepKey {
    ctx.state_mut(|ticket| {
        ticket.memory.step += 1;
        StepKey {
            ticket: ticket.key(),
            sequence: ticket.memory.step,
        }
    })
}

/// Calls an activity on the common queue.
pub(super) async fn call<A>(
    ctx: &Ctx,
    activity: A,
    input: A::Input,
    timing: Timing,
    summary: &str,
) -> Step<A::Output>
where
    A: ActivityDefinition,
    A::Output: TemporalDeserializable,
{
    run(ctx, activity, input, timing.options(summary)).await
}

/// Calls an activity that must also run when the workflow was cancelled: what ends a ticket must be recorded.
pub(super) async fn call_detached<A>(
    ctx: &Ctx,
    activity: A,
    input: A::Input,
    options: ActivityOptions,
) -> Step<A::Output>
where
    A: ActivityDefinition,
    A::Output: TemporalDeserializable,
{
    let mut options = options;
    options.cancellation_token = Some(WorkflowCancellationToken::new());
    run(ctx, activity, input, options).await
}

/// Calls an activity that is not broken off once it has begun: what it leaves outside must be known, so that it can be
/// undone. A ticket that is cancelled already does not begin it.
pub(super) async fn call_whole<A>(
    ctx: &Ctx,
    activity: A,
    input: A::Input,
    options: ActivityOptions,
) -> Step<A::Output>
where
    A: ActivityDefinition,
    A::Output: TemporalDeserializable,
{
    if ctx.cancellation_token().is_cancelled() {
        return Err(Halt::Cancelled);
    }
    call_detached(ctx, activity, input, options).await
}

/// Calls an activity that is tried until it succeeds, also when the workflow was cancelled. Only a mistake in this code
/// could fail it; that fails the workflow task, so that the ticket waits for a corrected worker.
pub(super) async fn call_surely<A>(
    ctx: &Ctx,
    activity: A,
    input: A::Input,
    options: ActivityOptions,
) -> A::Output
where
    A: ActivityDefinition,
    A::Output: TemporalDeserializable,
{
    surely(call_detached(ctx, activity, input, options).await)
}

/// The output of an activity that is tried until it succeeds.
pub(super) fn surely<T>(end: Step<T>) -> T {
    end.unwrap_or_else(|halt| panic!("what must be recorded was not: {halt:?}"))
}

/// Tells the ticket's readers. A comment that cannot be posted stops nothing; it becomes a note.
pub(super) async fn tell(ctx: &Ctx, event: TicketEvent, summary: &str) {
    let key = next_key(ctx);
    let options = COMMENT_ON_TICKET.options(summary);
    let told = call_detached(
        ctx,
        TicketActivities::comment_on_ticket,
        TicketComment { key, event },
        options,
    )
    .await;
    if let Err(Halt::Park(_, failure)) = told {
        note(
            ctx,
            format!(
                "a comment on the ticket could not be posted: {}",
                failure.message
            ),
        );
    }
}

/// Puts something into the status' notes: the newest 20 stay.
pub(super) fn note(ctx: &Ctx, text: String) {
    ctx.state_mut(|ticket| ticket.note(&text));
}

impl super::TicketWorkflow {
    /// Counts what a step spent.
    pub(super) fn spend(&mut self, spent: &Spent, by_planner: bool) {
        self.status.usage += spent.usage;
        self.status.agent_seconds += spent.agent_seconds;
        if by_planner {
            self.status.planning_usage += spent.usage;
        }
    }

    pub(super) fn note(&mut self, text: &str) {
        if self.status.notes.len() >= 20 {
            self.status.notes.remove(0);
        }
        self.status.notes.push(shorten(text, 300));
    }
}

/// Calls an activity with these options.
pub(super) async fn run<A>(
    ctx: &Ctx,
    activity: A,
    input: A::Input,
    options: ActivityOptions,
) -> Step<A::Output>
where
    A: ActivityDefinition,
    A::Output: TemporalDeserializable,
{
    let step = activity.name().to_owned();
    let end = execute(ctx, activity, input, options).await;
    end.map_err(|error| halt(ctx, &step, &error))
}

/// The same, for who looks at the error.
pub(super) async fn execute<A>(
    ctx: &Ctx,
    activity: A,
    input: A::Input,
    options: ActivityOptions,
) -> Result<A::Output, ActivityExecutionError>
where
    A: ActivityDefinition,
    A::Output: TemporalDeserializable,
{
    let priority = ctx.state(|ticket| ticket.input.priority.key());
    let mut options = options;
    options.priority = Some(Priority::builder().priority_key(priority).build());
    ctx.execute_activity(activity, input, options).await
}

/// What an activity's error means for the ticket. What the step spent all the same is counted.
pub(super) fn halt(ctx: &Ctx, step: &str, error: &ActivityExecutionError) -> Halt {
    if matches!(error, ActivityExecutionError::Cancelled(_)) {
        return Halt::Cancelled;
    }
    if let Some(spent) = spent(error) {
        ctx.state_mut(|ticket| ticket.spend(&spent, step == PlanningActivities::plan.name()));
    }
    Halt::Park(State::Error, failure_of(step, error))
}

/// What a step spent that failed for good.
fn spent(error: &ActivityExecutionError) -> Option<Spent> {
    match error.reason() {
        Some(IncomingError::Application(failure)) => failure.details::<Spent>().ok().flatten(),
        _ => None,
    }
}

fn failure_of(step: &str, error: &ActivityExecutionError) -> Failure {
    if let Some(timeout) = error.as_timeout() {
        let what = match timeout.timeout_type() {
            TimeoutType::Heartbeat => "its worker stopped answering",
            TimeoutType::ScheduleToStart => "no worker took it",
            _ => "it took too long",
        };
        return Failure::new(
            kind::STEP_FAILED,
            step,
            format!("{step} was given up, after all tries: {what}"),
        );
    }
    match error.reason() {
        Some(IncomingError::Application(failure)) => {
            let kind = failure
                .type_name()
                .filter(|name| !name.is_empty())
                .unwrap_or(kind::STEP_FAILED);
            let message = failure
                .failure()
                .map(|failure| failure.message.clone())
                .unwrap_or_default();
            Failure::new(kind, step, message)
        }
        _ => Failure::new(kind::STEP_FAILED, step, error.to_string()),
    }
}
