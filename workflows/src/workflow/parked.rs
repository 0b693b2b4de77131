//! ERROR and QA_FAILED: the ticket waits for a person to retry or abandon it.

use super::{
    Ctx, TicketWorkflow, quality,
    reception::Accepted,
    state,
    step::{Step, tell},
    transition::{Move, SYSTEM},
    waiting,
};
use crate::{
    State,
    activities::TicketEvent,
    failure::{Failure, kind},
};

/// Waits until somebody takes the ticket up again or gives it up; when its time is up it is cancelled with the reason.
pub(super) async fn wait(ctx: &Ctx) -> Step<Move> {
    let (failure, seconds, is_new) = ctx.state_mut(|ticket| {
        (
            ticket.status.failure.clone(),
            ticket.memory.policy.parked_seconds,
            ticket.is_to_be_told(),
        )
    });
    // Nobody reads comments on a ticket that does not exist.
    if let Some(failure) = failure.clone()
        && is_new
        && failure.kind != kind::TICKET_NOT_FOUND
    {
        tell(ctx, TicketEvent::Failed { failure }, "comment: parked").await;
    }
    let what = "parked ticket is cancelled";
    match waiting::command(ctx, what).await? {
        Some(Accepted::Retry { to, by, reason }) => {
            let parked = state(ctx);
            ctx.state_mut(|ticket| ticket.prepare_retry(parked, to));
            let reason = match reason {
                Some(reason) => format!("retried by {by}: {reason}"),
                None => format!("retried by {by}"),
            };
            Ok(Move::because(to, &by, reason))
        }
        Some(Accepted::Abandon { by, reason }) => {
            let reason = match reason {
                Some(reason) => format!("abandoned by {by}: {reason}"),
                None => format!("abandoned by {by}"),
            };
            Ok(Move::because(State::Cancelled, &by, reason))
        }
        Some(Accepted::Reopen { .. }) | None => {
            let days = seconds as f64 / 86_400.0;
            let why = failure.map(|Failure { kind, message, .. }| format!("{kind}: {message}"));
            let reason = format!(
                "parked for {days} days and nobody took it up; {}",
                why.unwrap_or_default()
            );
            Ok(Move::because(State::Cancelled, SYSTEM, reason))
        }
    }
}

impl TicketWorkflow {
    /// Gets the ticket ready to go on from `to`. Counters stay as they are.
    fn prepare_retry(&mut self, parked: State, to: State) {
        self.status.failure = None;
        self.status.rounds.retries += 1;
        self.memory.failed_in = None;
        if to != State::Executing {
            return;
        }
        self.memory.work = match &self.memory.qa {
            // The last thing that happened was a failed QA: that is what there is to do.
            Some(qa) if parked == State::QaFailed => quality::repair(qa),
            _ => self.memory.work.again(),
        };
    }
}
