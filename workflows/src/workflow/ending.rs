//! Merged, parked, cancelled.

use std::time::Duration;

use temporalio_sdk::{TimerOptions, workflows::select};
use temporalio_workflow::WorkflowTermination;

use super::{
    Ctx, pr_gate, question, reception,
    step::{Halt, Step, call_detached, note, tell},
    transition::{self, SYSTEM},
};
use crate::{
    State,
    activities::{
        CLOSE_PULL_REQUEST, CloseResult, ForgeActivities, GateClosing, REMOVE_WORKSPACE,
        RemoveWorkspace, SET_TICKET_STATUS, SetTicketStatus, TicketActivities, TicketEvent,
        TicketStatusName, WorkspaceActivities,
    },
    failure::{Failure, kind},
};

/// The ticket is set to Done, its readers are told, the workspace goes.
pub(super) async fn complete(ctx: &Ctx, reason: String) -> Step<String> {
    let (ticket, url) = ctx.state(|ticket| {
        let url = ticket
            .status
            .pull_request
            .as_ref()
            .map(|pull_request| pull_request.url.clone());
        (ticket.key(), url.unwrap_or_default())
    });
    let done = SetTicketStatus {
        ticket,
        status: TicketStatusName::Done,
    };
    // What is merged is merged: neither a cancellation now nor a ticket system that is down for a day may leave the
    // ticket in another status.
    let options = SET_TICKET_STATUS.for_ever().options("set status: Done");
    call_detached(ctx, TicketActivities::set_ticket_status, done, options).await?;
    tell(
        ctx,
        TicketEvent::Done {
            url,
            reason: reason.clone(),
        },
        "comment: done",
    )
    .await;
    remove_workspace(ctx).await?;
    transition::enter(ctx, State::Completed, SYSTEM, reason.clone()).await?;
    Ok(reason)
}

/// The ticket ends without a merge. Its end goes on record before the clean-up, which waits for the workspace's host.
pub(super) async fn give_up(ctx: &Ctx, reason: String) -> Step<String> {
    let was = ctx.state(|ticket| ticket.status.state);
    transition::enter(ctx, State::Cancelled, SYSTEM, reason.clone()).await?;
    if was != State::PrClosed {
        close_pull_request(ctx).await;
    }
    remove_workspace(ctx).await?;
    Ok(reason)
}

/// Closes the pull request, if there is one: nobody is left who could merge it. Its branch stays.
async fn close_pull_request(ctx: &Ctx) {
    let Some(pull_request) = ctx.state(|ticket| ticket.status.pull_request.clone()) else {
        return;
    };
    let options = CLOSE_PULL_REQUEST.options("close the pull request");
    let change = pr_gate::change(ctx, &pull_request, SYSTEM);
    let close = ForgeActivities::close_pull_request;
    match call_detached(ctx, close, change, options).await {
        Ok(CloseResult::Closed) => {}
        Ok(CloseResult::Merged { commit }) => {
            note(
                ctx,
                format!("the pull request had been merged on the forge as {commit}"),
            );
        }
        Err(_) => note(ctx, "the pull request could not be closed".to_owned()),
    }
}

/// Removes the workspace, if there is one.
async fn remove_workspace(ctx: &Ctx) -> Step<()> {
    let (host, ticket) = ctx.state(|ticket| (ticket.host.clone(), ticket.key()));
    let Some(host) = host else { return Ok(()) };
    let options = REMOVE_WORKSPACE.options_on("remove the workspace", Some(host.task_queue));
    let input = RemoveWorkspace { ticket };
    call_detached(ctx, WorkspaceActivities::remove_workspace, input, options).await
}

/// What happens to a ticket that cannot go on by itself. Answers with the reason of the end.
pub(super) async fn halt(ctx: &Ctx, halt: Halt) -> Result<String, WorkflowTermination> {
    let ended = match halt {
        Halt::Park(state, failure) => wait_parked(ctx, state, failure).await,
        Halt::Cancelled => Err(Halt::Cancelled),
    };
    match ended {
        Ok(reason) => Ok(reason),
        Err(Halt::Cancelled) => {
            let why = ctx
                .cancellation_token()
                .reason()
                .filter(|reason| !reason.is_empty());
            let reason = why.unwrap_or_else(|| "cancelled in Temporal".to_owned());
            end(ctx, reason).await
        }
        // Only recording is left after this point, and it is tried for ever.
        Err(Halt::Park(_, failure)) => end(ctx, failure.message).await,
    }
}

async fn end(ctx: &Ctx, reason: String) -> Result<String, WorkflowTermination> {
    if let Some(gate) = ctx.state(|ticket| ticket.status.open_gate.clone()) {
        let _ = question::close(ctx, &gate, GateClosing::Cancelled, None).await;
    }
    if give_up(ctx, reason.clone()).await.is_err() {
        note(ctx, "the end could not be put on record".to_owned());
    }
    Ok(reason)
}

/// Parks the ticket: it waits for a person, and is cancelled with the reason when its time is up.
async fn wait_parked(ctx: &Ctx, state: State, failure: Failure) -> Step<String> {
    if let Some(gate) = ctx.state(|ticket| ticket.status.open_gate.clone()) {
        question::close(ctx, &gate, GateClosing::Cancelled, None).await?;
    }
    ctx.state_mut(|ticket| ticket.status.failure = Some(failure.clone()));
    let why = format!("{}: {}", failure.kind, failure.message);
    transition::enter(ctx, state, SYSTEM, why.clone()).await?;
    // Nobody reads comments on a ticket that does not exist.
    if failure.kind != kind::TICKET_NOT_FOUND {
        tell(ctx, TicketEvent::Failed { failure }, "comment: parked").await;
    }
    let seconds = ctx.state(|ticket| ticket.policy.parked_seconds);
    let options = TimerOptions::builder(Duration::from_secs(seconds))
        .summary("parked ticket is cancelled".to_owned())
        .build();
    let mut timer = std::pin::pin!(ctx.timer(options));
    loop {
        select! {
            waited = ctx.wait_condition(|ticket| !ticket.inbox.is_empty()) => waited?,
            _ = timer.as_mut() => break,
        }
        reception::settle_decisions(ctx, &over(ctx)).await;
    }
    let days = seconds as f64 / 86_400.0;
    let reason = format!("parked for {days} days and nobody took it up; {why}");
    give_up(ctx, reason).await
}

/// Why a decision that comes now cannot count.
pub(super) fn over(ctx: &Ctx) -> String {
    format!(
        "no gate is open: the ticket is {}",
        ctx.state(|ticket| ticket.status.state)
    )
}
