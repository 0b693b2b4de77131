//! How any wait for people ends: by what they send, by a reminder that is due, by its deadline. The deadline is data in
//! the status, so that an admin can move it while a gate, a closed pull request or a parked ticket waits; waiting is a
//! timer and nothing else.

use std::{pin::pin, time::Duration};

use chrono::{DateTime, Utc};
use temporalio_sdk::{CancellableFuture, TimerOptions, workflows::select};
use temporalio_workflow::{TimerResult, WaitConditionOptions, WorkflowCancellationToken};

use super::{
    Ctx, TicketWorkflow, now,
    reception::Accepted,
    step::{Halt, Step},
};
use crate::State;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// What was waited for is there.
    Ready,
    /// A reminder is due; the wait goes on after it.
    Reminder,
    /// The time is up.
    Expired,
}

/// The present wait is over.
pub(super) fn end(ctx: &Ctx) {
    ctx.state_mut(|ticket| {
        ticket.status.deadline = None;
        ticket.reception.time_is_up = false;
    });
}

/// Waits until `ready`, a reminder or the deadline. What people sent until the deadline is looked at before it counts.
pub(super) async fn wait(
    ctx: &Ctx,
    what: &str,
    ready: impl Fn(&TicketWorkflow) -> bool,
) -> Step<Woken> {
    loop {
        let (is_ready, deadline, reminder, time_is_up) = ctx.state(|ticket| {
            let deadline = ticket.status.deadline.unwrap_or_default();
            let reminder = ticket.next_reminder().filter(|at| *at < deadline);
            // Before this wait began: what was decided in time came to nothing after it, such as a merge.
            let time_is_up = ticket.reception.time_is_up;
            (ready(ticket), deadline, reminder, time_is_up)
        });
        if is_ready {
            return Ok(Woken::Ready);
        }
        // In a long history the wait below would end at once, for the cancelled ticket to be waited for again.
        if ctx.cancellation_token().is_cancelled() {
            return Err(Halt::Cancelled);
        }
        let reminder = reminder.filter(|_| !time_is_up);
        let next = reminder.unwrap_or(deadline);
        let summary = match reminder {
            Some(_) => format!("reminder that {what}"),
            None => what.to_owned(),
        };
        if !time_is_up && !timer(ctx, next, &summary, &ready).await? {
            // Something else than the timer: an answer, a moved deadline, or a history that grew long.
            let (is_ready, moved) =
                ctx.state(|ticket| (ready(ticket), ticket.status.deadline != Some(deadline)));
            if !is_ready && !moved {
                return Err(Halt::Renew);
            }
            continue;
        }
        if reminder.is_some() {
            return Ok(Woken::Reminder);
        }
        // What comes from now on is too late; what came before counts, however long it takes to look at it.
        let received = ctx.state_mut(|ticket| {
            ticket.reception.time_is_up = true;
            ticket.reception.received
        });
        surely(ctx, |ticket| ticket.reception.settled >= received).await;
        let (is_ready, moved) = ctx.state_mut(|ticket| {
            let moved = ticket.status.deadline != Some(deadline);
            ticket.reception.time_is_up = !moved;
            (ready(ticket), moved)
        });
        if is_ready {
            return Ok(Woken::Ready);
        }
        // A cancellation that came in time is not overtaken by the deadline.
        if ctx.cancellation_token().is_cancelled() {
            return Err(Halt::Cancelled);
        }
        if !moved {
            return Ok(Woken::Expired);
        }
    }
}

/// Waits until a command is accepted, and answers it; or until the deadline, and answers nothing. A command that was not
/// carried out yet when the ticket was cancelled comes too late.
pub(super) async fn command(ctx: &Ctx, what: &str) -> Step<Option<Accepted>> {
    let accepted = |ticket: &TicketWorkflow| ticket.reception.accepted.is_some();
    let woken = loop {
        match wait(ctx, what, accepted).await? {
            Woken::Reminder => {}
            woken => break woken,
        }
    };
    if ctx.cancellation_token().is_cancelled() {
        return Err(Halt::Cancelled);
    }
    end(ctx);
    let accepted = ctx.state_mut(|ticket| ticket.reception.accepted.take());
    Ok(accepted.filter(|_| woken == Woken::Ready))
}

/// Waits until `at`, and answers true; or until there is a reason to look again, and answers false.
async fn timer(
    ctx: &Ctx,
    at: DateTime<Utc>,
    summary: &str,
    ready: &impl Fn(&TicketWorkflow) -> bool,
) -> Step<bool> {
    let left = (at - now(ctx)).to_std().unwrap_or(Duration::ZERO);
    let options = TimerOptions::builder(left).summary(summary.to_owned());
    let mut timer = pin!(ctx.timer(options.build()));
    let deadline = ctx.state(|ticket| ticket.status.deadline);
    let history = ctx.clone();
    let look_again = move |ticket: &TicketWorkflow| {
        ready(ticket) || ticket.status.deadline != deadline || history.continue_as_new_suggested()
    };
    select! {
        waited = ctx.wait_condition(look_again) => {
            // Dropping the timer would leave it running on the server.
            timer.cancel();
            waited?;
            Ok(false)
        }
        fired = timer.as_mut() => match fired {
            TimerResult::Fired => Ok(true),
            TimerResult::Cancelled => Err(Halt::Cancelled),
        },
    }
}

/// Waits for `length`, whatever people do meanwhile.
pub(super) async fn pause(ctx: &Ctx, length: Duration, summary: &str) -> Step<()> {
    let options = TimerOptions::builder(length).summary(summary.to_owned());
    match ctx.timer(options.build()).await {
        TimerResult::Fired => Ok(()),
        TimerResult::Cancelled => Err(Halt::Cancelled),
    }
}

/// Waits until `condition`, also after the ticket was cancelled.
pub(super) async fn surely(ctx: &Ctx, condition: impl FnMut(&TicketWorkflow) -> bool) {
    let mut options = WaitConditionOptions::default();
    options.cancellation_token = Some(WorkflowCancellationToken::new());
    // Nobody has this token, so nobody cancels it.
    let _ = ctx.wait_condition_with_options(condition, options).await;
}

impl TicketWorkflow {
    /// When a ticket that is in `state` since `at` goes on by itself, unless a gate says so.
    pub(super) fn deadline_in(&self, state: State, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let policy = &self.memory.policy;
        let seconds = match state {
            State::PrClosed => policy.reopen_seconds,
            State::Error | State::QaFailed => policy.parked_seconds,
            _ => return None,
        };
        Some(at + Duration::from_secs(seconds))
    }

    /// When people are to be reminded next.
    fn next_reminder(&self) -> Option<DateTime<Utc>> {
        let gate = self.status.open_gate.as_ref()?;
        gate.reminders.get(self.memory.reminded).copied()
    }
}
