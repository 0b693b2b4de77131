//! MERGED, and how every ticket ends.

use std::convert::Infallible;

use temporalio_sdk::WorkflowCancellationToken;

use super::{
    Ctx,
    host::call_on_host,
    memory::Cancellation,
    pr_gate, question, state,
    step::{Halt, call_detached, call_surely, note, surely, tell},
    transition::{Move, SYSTEM},
    waiting,
};
use crate::{
    State,
    activities::{
        CLOSE_PULL_REQUEST, CloseResult, ForgeActivities, GateClosing, REMOVE_WORKSPACE,
        RemoveWorkspace, SET_TICKET_STATUS, SetTicketStatus, TicketActivities, TicketEvent,
        TicketStatusName, WorkspaceActivities,
    },
};

/// The ticket is set to Done, its readers are told, the workspace goes.
pub(super) async fn merged(ctx: &Ctx) -> super::Step<Move> {
    let (ticket, url, reason) = ctx.state(|ticket| {
        let url = ticket
            .status
            .pull_request
            .as_ref()
            .map(|pull_request| pull_request.url.clone());
        let reason = ticket.memory.merged_because.clone();
        (ticket.key(), url.unwrap_or_default(), reason)
    });
    let done = SetTicketStatus {
        ticket,
        status: TicketStatusName::Done,
    };
    // What is merged is merged: neither a cancellation now nor a ticket system that is down for a day may leave the
    // ticket in another status.
    let options = SET_TICKET_STATUS.for_ever().options("set status: Done");
    call_surely(ctx, TicketActivities::set_ticket_status, done, options).await;
    let event = TicketEvent::Done {
        url,
        reason: reason.clone(),
    };
    tell(ctx, event, "comment: done").await;
    remove_workspace(ctx).await;
    Ok(Move::because(State::Completed, SYSTEM, reason))
}

/// Where a ticket goes that cannot go on by itself: it is parked, or it was cancelled. A gate that is open closes.
pub(super) async fn halted(ctx: &Ctx, halt: Halt) -> Move {
    question::close_as(ctx, GateClosing::Cancelled, None).await;
    waiting::end(ctx);
    let was = state(ctx);
    match halt {
        Halt::Park(state, failure) if !was.is_parked() => {
            let why = format!("{}: {}", failure.kind, failure.message);
            ctx.state_mut(|ticket| {
                ticket.status.failure = Some(failure);
                ticket.memory.failed_in = Some(was);
            });
            Move::because(state, SYSTEM, why)
        }
        // A parked ticket waits and does nothing that could fail.
        Halt::Park(_, failure) => Move::because(State::Cancelled, SYSTEM, failure.message),
        Halt::Cancelled | Halt::Renew => {
            let cancelled = ctx.state(|ticket| ticket.memory.cancelled.clone());
            let Cancellation { by, reason } =
                cancelled.unwrap_or_else(|| in_temporal(ctx.cancellation_token().reason()));
            Move::because(State::Cancelled, &by, reason)
        }
    }
}

/// Notices a cancellation in Temporal: from then on nothing that people send counts any more.
pub(super) async fn notice_cancellation(ctx: &Ctx) -> Infallible {
    let why = ctx.cancelled().await;
    ctx.state_mut(|ticket| {
        let cancelled = &mut ticket.memory.cancelled;
        cancelled.get_or_insert_with(|| in_temporal(why));
    });
    std::future::pending().await
}

fn in_temporal(why: Option<String>) -> Cancellation {
    let why = why.filter(|why| !why.is_empty());
    Cancellation {
        by: SYSTEM.to_owned(),
        reason: match why {
            Some(why) => format!("cancelled in Temporal: {why}"),
            None => "cancelled in Temporal".to_owned(),
        },
    }
}

/// What is left to do when the ticket has ended. Its end is on record by now: the clean-up waits for the workspace's host.
pub(super) async fn settle(ctx: &Ctx, was: State, reason: &str) {
    match state(ctx) {
        State::Cancelled => {
            if was != State::PrClosed {
                close_pull_request(ctx).await;
            }
            // Readers of a closed pull request know; a ticket that could not be read has none.
            if was != State::PrClosed && ctx.state(|ticket| ticket.status.summary.is_some()) {
                let reason = reason.to_owned();
                tell(ctx, TicketEvent::GivenUp { reason }, "comment: given up").await;
            }
            remove_workspace(ctx).await;
        }
        State::SpecRejected => {
            let reason = reason.to_owned();
            tell(
                ctx,
                TicketEvent::SpecRejected { reason },
                "comment: SPEC rejected",
            )
            .await;
            remove_workspace(ctx).await;
        }
        // MERGED did it all.
        _ => {}
    }
}

/// Closes the pull request, if there is one: nobody is left who could merge it. Its branch stays.
async fn close_pull_request(ctx: &Ctx) {
    let open = ctx.state(|ticket| {
        let is_closed = ticket.memory.closed_because.is_some();
        ticket.status.pull_request.clone().filter(|_| !is_closed)
    });
    let Some(pull_request) = open else { return };
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
async fn remove_workspace(ctx: &Ctx) {
    let (host, ticket) = ctx.state(|ticket| (ticket.memory.host.clone(), ticket.key()));
    if host.is_none() {
        return;
    }
    let mut options = REMOVE_WORKSPACE.options("remove the workspace");
    options.cancellation_token = Some(WorkflowCancellationToken::new());
    let remove = || WorkspaceActivities::remove_workspace;
    surely(call_on_host(ctx, remove, RemoveWorkspace { ticket }, options).await);
}
