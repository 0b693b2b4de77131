//! PR_CLOSED: the branch stays, and for a while the pull request can be reopened.

use super::{
    Ctx, pr_gate,
    reception::Accepted,
    step::{Step, call_whole, note, tell},
    transition::{Move, SYSTEM},
    waiting,
};
use crate::{
    State,
    activities::{ForgeActivities, REOPEN_PULL_REQUEST, TicketEvent},
};

/// Waits until somebody reopens the pull request, or the time for it is up.
pub(super) async fn wait(ctx: &Ctx) -> Step<Move> {
    let (why, pull_request, seconds, is_new) = ctx.state_mut(|ticket| {
        (
            ticket.memory.closed_because.clone().unwrap_or_default(),
            ticket.status.pull_request.clone(),
            ticket.memory.policy.reopen_seconds,
            ticket.is_to_be_told(),
        )
    });
    if is_new {
        let url = pull_request
            .as_ref()
            .map(|pull_request| pull_request.url.clone());
        let event = TicketEvent::PullRequestClosed {
            url: url.unwrap_or_default(),
            reason: why.clone(),
        };
        tell(ctx, event, "comment: pull request closed").await;
    }
    let what = "time to reopen the pull request ends";
    let accepted = waiting::command(ctx, what).await?;
    let (Some(Accepted::Reopen { by }), Some(pull_request)) = (accepted, pull_request) else {
        let days = seconds as f64 / 86_400.0;
        let reason = format!("{why}; not reopened within {days} days");
        return Ok(Move::because(State::Cancelled, SYSTEM, reason));
    };
    let change = pr_gate::change(ctx, &pull_request, &by);
    let reopen = ForgeActivities::reopen_pull_request;
    // Whole: one that was reopened is known, and is closed again when the ticket is cancelled in this moment.
    let options = REOPEN_PULL_REQUEST.options("reopen the pull request");
    call_whole(ctx, reopen, change, options).await?;
    ctx.state_mut(|ticket| ticket.memory.closed_because = None);
    let reason = format!("the pull request was reopened by {by}");
    note(ctx, reason.clone());
    Ok(Move::because(State::AwaitingPrApproval, &by, reason))
}
