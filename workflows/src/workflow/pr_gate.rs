//! Gate 2: a person decides about the pull request.

use std::{pin::pin, time::Duration};

use temporalio_sdk::{
    CancellableFuture, TimerOptions,
    workflows::{join, select},
};

use super::{
    Ctx,
    execution::Work,
    now,
    question::{Answer, Question, show},
    reception::ReopeningAnswer,
    step::{Halt, Step, call, call_detached, note, park, tell},
    transition::{self, SYSTEM},
};
use crate::{
    ObjectRef, State,
    activities::{
        ADMIT_REOPENING, AdmitReopening, CLOSE_PULL_REQUEST, ChangePullRequest, CloseResult,
        ForgeActivities, GateClosing, LedgerActivities, MERGE_PULL_REQUEST, MergeResult,
        REOPEN_PULL_REQUEST, TicketEvent,
    },
    decision::Reopening,
    failure::kind,
    gate::Gate,
    pull_request::PullRequest,
    revision::pull_request_revision,
};

/// What was decided.
pub(super) enum AtPullRequest {
    /// It is merged.
    Merged {
        /// For people.
        reason: String,
    },
    /// The agent shall change something.
    ChangesRequested {
        /// What, stored.
        comments: ObjectRef,
    },
    /// It was closed and not reopened in time.
    Closed {
        /// For people.
        reason: String,
    },
}

/// Asks at gate 2, again after each reopening.
pub(super) async fn decide(
    ctx: &Ctx,
    pull_request: &PullRequest,
    work: &Work,
) -> Step<AtPullRequest> {
    let mut reopened = None;
    loop {
        transition::enter(ctx, State::AwaitingPrApproval, SYSTEM, None).await?;
        if let Some(id) = reopened.take() {
            ctx.state_mut(|ticket| ticket.announce_reopening(id));
        }
        let (by, reason) = match ask(ctx, pull_request, work).await? {
            Asked::Decided(decided) => return Ok(decided),
            Asked::Close { by, reason } => (by, reason),
        };
        let change = change(ctx, pull_request, &by);
        let what = "close the pull request";
        let options = CLOSE_PULL_REQUEST.for_ever().options(what);
        let closed =
            call_detached(ctx, ForgeActivities::close_pull_request, change, options).await?;
        if let CloseResult::Merged { commit } = closed {
            let reason = format!("merged on the forge as {commit} before it could be closed");
            transition::enter(ctx, State::Merged, SYSTEM, reason.clone()).await?;
            return Ok(AtPullRequest::Merged { reason });
        }
        transition::enter(ctx, State::PrClosed, &by, reason.clone()).await?;
        let event = TicketEvent::PullRequestClosed {
            url: pull_request.url.clone(),
            reason: reason.clone(),
        };
        tell(ctx, event, "comment: pull request closed").await;
        let Some(reopening) = wait_for_reopening(ctx).await? else {
            let days = ctx.state(|ticket| ticket.policy.reopen_seconds) as f64 / 86_400.0;
            return Ok(AtPullRequest::Closed {
                reason: format!("{reason}; not reopened within {days} days"),
            });
        };
        let change = self::change(ctx, pull_request, &reopening.by);
        let what = "reopen the pull request";
        let reopen = ForgeActivities::reopen_pull_request;
        if let Err(halt) = call(ctx, reopen, change, REOPEN_PULL_REQUEST, what).await {
            let reason = match &halt {
                Halt::Park(_, failure) => failure.message.clone(),
                Halt::Cancelled => "the ticket was cancelled".to_owned(),
            };
            ctx.state_mut(|ticket| ticket.answer_reopening(reopening.id, &reason));
            return Err(halt);
        }
        reopened = Some(reopening.id);
        note(
            ctx,
            format!("the pull request was reopened by {}", reopening.by),
        );
    }
}

enum Asked {
    Decided(AtPullRequest),
    Close { by: String, reason: String },
}

async fn ask(ctx: &Ctx, pull_request: &PullRequest, work: &Work) -> Step<Asked> {
    let policy = ctx.state(|ticket| ticket.policy.pr_gate.clone());
    let content = ctx
        .state(|ticket| ticket.status.diff.clone())
        .unwrap_or_else(|| work.qa.report.clone());
    let revision = pull_request_revision(&pull_request.head_commit);
    let question = Question::open(ctx, Gate::Pr, &revision, &content, &policy).await?;
    let ready = TicketEvent::PullRequestReady {
        url: pull_request.url.clone(),
        deadline: question.gate.deadline.to_rfc3339(),
    };
    let telling = tell(ctx, ready, "comment: pull request waits for a decision");
    let ((), mut answer) = join!(telling, question.wait(ctx));
    loop {
        let decided = &answer?;
        match decided {
            Answer::Approved { by } => {
                let merge = change(ctx, pull_request, by);
                let what = "merge the pull request";
                // The forge may have merged before anybody hears of it: a cancellation or an outage must not end the
                // ticket as something else than merged. A second run finds what the first one did.
                let options = MERGE_PULL_REQUEST.for_ever().options(what);
                let merged =
                    call_detached(ctx, ForgeActivities::merge_pull_request, merge, options).await?;
                match merged {
                    MergeResult::Merged { commit } => {
                        question.close(ctx, decided).await?;
                        let reason = format!("approved by {by}, merged as {commit}");
                        transition::enter(ctx, State::Merged, by, reason.clone()).await?;
                        return Ok(Asked::Decided(AtPullRequest::Merged { reason }));
                    }
                    // The gate stays open, with its deadline, and says why.
                    MergeResult::Refused { reason } => {
                        note(
                            ctx,
                            format!("{by} approved, but the forge refused to merge: {reason}"),
                        );
                        show(ctx);
                        answer = question.wait(ctx).await;
                    }
                }
            }
            Answer::Revise { by, comments } => {
                let (by, comments) = (by.clone(), comments.clone());
                question.close(ctx, decided).await?;
                let (used, allowed) = ctx.state_mut(|ticket| {
                    ticket.status.rounds.changes += 1;
                    (
                        ticket.status.rounds.changes,
                        ticket.policy.budget.change_rounds,
                    )
                });
                if used > allowed {
                    let message = format!(
                        "changes were requested {used} times and {allowed} rounds are allowed"
                    );
                    return Err(park(kind::BUDGET, "run_agent", message));
                }
                transition::enter(
                    ctx,
                    State::Executing,
                    &by,
                    format!("changes requested by {by}"),
                )
                .await?;
                return Ok(Asked::Decided(AtPullRequest::ChangesRequested { comments }));
            }
            Answer::Rejected { by } => {
                let by = by.clone();
                question.close(ctx, decided).await?;
                let reason = format!("pull request #{} rejected by {by}", pull_request.number);
                return Ok(Asked::Close { by, reason });
            }
            Answer::Expired => {
                question.close_as(ctx, GateClosing::Expired, None).await?;
                let hours = policy.timeout_seconds as f64 / 3600.0;
                let reason = format!("nobody decided about the pull request within {hours} hours");
                return Ok(Asked::Close {
                    by: SYSTEM.to_owned(),
                    reason,
                });
            }
        }
    }
}

/// Waits until somebody who may reopens the pull request, or the time for it is up.
async fn wait_for_reopening(ctx: &Ctx) -> Step<Option<Reopening>> {
    let seconds = ctx.state(|ticket| ticket.policy.reopen_seconds);
    let options = TimerOptions::builder(Duration::from_secs(seconds))
        .summary("time to reopen the pull request ends".to_owned())
        .build();
    let mut timer = pin!(ctx.timer(options));
    loop {
        while let Some(reopening) = ctx.state_mut(|ticket| ticket.reopenings.pop_front()) {
            let input = AdmitReopening {
                ticket: ctx.state(|ticket| ticket.key()),
                reopening: reopening.clone(),
            };
            let options = ADMIT_REOPENING.options("check who reopens");
            let admission =
                call_detached(ctx, LedgerActivities::admit_reopening, input, options).await?;
            let accept_unproven = ctx.state(|ticket| ticket.policy.accept_unproven_decisions);
            let unproven = "the request carries no proof of who made it".to_owned();
            let refused = admission
                .refused
                .or((!admission.proven && !accept_unproven).then_some(unproven));
            let Some(reason) = refused else {
                timer.cancel();
                return Ok(Some(reopening));
            };
            ctx.state_mut(|ticket| {
                ticket
                    .reopening_answers
                    .insert(reopening.id, ReopeningAnswer::Refused { reason });
            });
        }
        select! {
            waited = ctx.wait_condition(|ticket| !ticket.reopenings.is_empty() || !ticket.inbox.is_empty()) => waited?,
            _ = timer.as_mut() => return Ok(None),
        }
        super::reception::settle_decisions(ctx, "no gate is open: the pull request is closed")
            .await;
    }
}

/// What an activity needs to change the pull request.
pub(super) fn change(ctx: &Ctx, pull_request: &PullRequest, by: &str) -> ChangePullRequest {
    let at = now(ctx);
    ctx.state(|ticket| ChangePullRequest {
        ticket: ticket.key(),
        repository_url: ticket.status.repository_url.clone(),
        pull_request: pull_request.clone(),
        by: by.to_owned(),
        at,
    })
}
