//! Which host a ticket's work is on, and how it goes on when that host is lost.
//!
//! Steps with a workspace go to the queue of one host. If nobody takes such a step for a while, a host is claimed again:
//! one that lives keeps its tickets, however busy it is, and one that does not is replaced. What the new host needs it
//! fetches by itself when it begins the step.

use std::time::Duration;

use temporalio_common::{ActivityDefinition, data_converters::TemporalDeserializable};
use temporalio_sdk::{ActivityOptions, WorkflowCancellationToken};
use temporalio_workflow::{ActivityExecutionError, TimeoutType};

use super::{
    Ctx,
    step::{Step, execute, halt, note, run},
};
use crate::activities::{CLAIM_HOST, HostClaim, WorkspaceActivities};

/// How long a step may lie in a host's queue before a host is claimed again. Longer than a worker's restart.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest patience with a host that lives as far as its lease says: it has other work. Not at once, since the lease of
/// a host that has just died still holds.
const LONGEST_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Calls an activity on the ticket's host, whichever that is by then.
pub(super) async fn call_on_host<A>(
    ctx: &Ctx,
    activity: impl Fn() -> A,
    input: A::Input,
    options: ActivityOptions,
) -> Step<A::Output>
where
    A: ActivityDefinition,
    A::Input: Clone,
    A::Output: TemporalDeserializable,
{
    let token = &options.cancellation_token;
    let mut host = match ctx.state(|ticket| ticket.memory.host.clone()) {
        Some(host) => host,
        None => claim(ctx, token).await?,
    };
    let mut patience = PATIENCE;
    loop {
        let mut options = options.clone();
        options.task_queue = Some(host.task_queue.clone());
        options.schedule_to_start_timeout = Some(patience);
        match execute(ctx, activity(), input.clone(), options).await {
            Ok(output) => return Ok(output),
            Err(error) if nobody_took_it(&error) => {}
            Err(error) => return Err(halt(ctx, activity().name(), &error)),
        }
        let next = claim(ctx, token).await?;
        patience = (2 * patience).min(LONGEST_PATIENCE);
        if next.host_id != host.host_id {
            patience = PATIENCE;
            let (lost, found) = (&host.host_id, &next.host_id);
            note(
                ctx,
                format!("the host {lost} does not answer; {found} goes on"),
            );
        }
        host = next;
    }
}

/// The host that has the ticket's workspace, or a new one if that is lost.
pub(super) async fn claim(ctx: &Ctx, token: &Option<WorkflowCancellationToken>) -> Step<HostClaim> {
    let ticket = ctx.state(|ticket| ticket.key());
    let mut options = CLAIM_HOST.options("claim a host");
    options.cancellation_token.clone_from(token);
    let host = run(ctx, WorkspaceActivities::claim_host, ticket, options).await?;
    ctx.state_mut(|ticket| ticket.memory.host = Some(host.clone()));
    Ok(host)
}

fn nobody_took_it(error: &ActivityExecutionError) -> bool {
    let timeout = error.as_timeout();
    timeout.is_some_and(|timeout| timeout.timeout_type() == TimeoutType::ScheduleToStart)
}
