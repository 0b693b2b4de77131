//! AWAITING_PR_APPROVAL, gate 2: a person decides about the pull request.

use temporalio_sdk::workflows::join;

use super::{
    Ctx,
    memory::Work,
    now,
    question::{self, Answer, Question},
    step::{Step, call_surely, note, park, tell},
    transition::{Move, SYSTEM},
};
use crate::{
    ObjectRef, State,
    activities::{
        AgentTask, CLOSE_PULL_REQUEST, ChangePullRequest, CloseResult, ForgeActivities,
        MERGE_PULL_REQUEST, MergeResult, TicketEvent,
    },
    failure::kind,
    gate::Gate,
    pull_request::PullRequest,
    revision::pull_request_revision,
};

/// Asks whether the pull request shall be merged.
pub(super) async fn ask(ctx: &Ctx) -> Step<Move> {
    let (pull_request, content, policy) = ctx.state(|ticket| {
        let status = &ticket.status;
        (
            status.pull_request.clone(),
            status.diff.clone().or_else(|| status.qa_report.clone()),
            ticket.memory.policy.pr_gate.clone(),
        )
    });
    let (Some(pull_request), Some(content)) = (pull_request, content) else {
        let message = "there is no pull request: retry from PR_CREATED";
        return Err(park(kind::STEP_FAILED, "open_pull_request", message));
    };
    let question = Question {
        gate: Gate::Pr,
        revision: &pull_request_revision(&pull_request.head_commit),
        content: &content,
        policy: &policy,
        base_change: None,
    };
    let (gate, is_new) = question::open(ctx, question).await?;
    let telling = async {
        if is_new {
            let ready = TicketEvent::PullRequestReady {
                url: pull_request.url.clone(),
                deadline: gate.deadline.to_rfc3339(),
            };
            tell(ctx, ready, "comment: pull request waits for a decision").await;
        }
    };
    let ((), answer) = join!(telling, question::wait(ctx));
    let mut answer = answer?;
    // An approval that the forge cannot follow leaves the gate open.
    while let Answer::Approved { by, .. } = &answer {
        if let Some(merged) = merge(ctx, &pull_request, by).await {
            question::close(ctx, &answer).await;
            return Ok(merged);
        }
        question::ask_again(ctx);
        answer = question::wait(ctx).await?;
    }
    question::close(ctx, &answer).await;
    match answer {
        Answer::Revise { by, comments } => change_requested(ctx, &by, comments),
        Answer::Rejected { by, .. } => {
            let reason = format!("pull request #{} rejected by {by}", pull_request.number);
            Ok(close(ctx, &pull_request, &by, reason).await)
        }
        Answer::Expired { deadline } => {
            let reason = Answer::silence("the pull request", deadline);
            Ok(close(ctx, &pull_request, SYSTEM, reason).await)
        }
        Answer::Approved { .. } => unreachable!("an approval does not leave the loop above"),
    }
}

/// Merges what was approved. Nothing if the forge refuses; it is noted why.
async fn merge(ctx: &Ctx, pull_request: &PullRequest, by: &str) -> Option<Move> {
    let input = change(ctx, pull_request, by);
    // The forge may have merged before anybody hears of it: a cancellation or an outage must not end the ticket as
    // something else than merged. A second run finds what the first one did.
    let options = MERGE_PULL_REQUEST
        .for_ever()
        .options("merge the pull request");
    match call_surely(ctx, ForgeActivities::merge_pull_request, input, options).await {
        MergeResult::Merged { commit } => {
            let reason = format!("approved by {by}, merged as {commit}");
            Some(merged(ctx, by, reason))
        }
        MergeResult::Refused { reason } => {
            note(
                ctx,
                format!("{by} approved, but the forge refused to merge: {reason}"),
            );
            None
        }
    }
}

fn change_requested(ctx: &Ctx, by: &str, comments: ObjectRef) -> Step<Move> {
    let (used, allowed) = ctx.state_mut(|ticket| {
        ticket.memory.work = Work::new(AgentTask::ChangesRequested { comments });
        ticket.status.rounds.changes += 1;
        (
            ticket.status.rounds.changes,
            ticket.memory.budget().change_rounds,
        )
    });
    if used > allowed {
        let message = format!(
            "changes were requested {used} times and {allowed} rounds are allowed; an admin can allow more: sallyport \
             retry ID --from EXECUTING --add-changes 1"
        );
        return Err(park(kind::BUDGET, "run_agent", message));
    }
    let reason = format!("changes requested by {by}");
    Ok(Move::because(State::Executing, by, reason))
}

/// Closes the pull request, unless somebody merged it meanwhile: merged wins.
async fn close(ctx: &Ctx, pull_request: &PullRequest, by: &str, reason: String) -> Move {
    let input = change(ctx, pull_request, by);
    let options = CLOSE_PULL_REQUEST
        .for_ever()
        .options("close the pull request");
    match call_surely(ctx, ForgeActivities::close_pull_request, input, options).await {
        CloseResult::Closed => {
            ctx.state_mut(|ticket| ticket.memory.closed_because = Some(reason.clone()));
            Move::because(State::PrClosed, by, reason)
        }
        CloseResult::Merged { commit } => {
            ctx.state_mut(|ticket| ticket.status.unapproved = true);
            let reason = format!(
                "merged on the forge as {commit}, without the approval that the policy asks for"
            );
            merged(ctx, SYSTEM, reason)
        }
    }
}

fn merged(ctx: &Ctx, by: &str, reason: String) -> Move {
    ctx.state_mut(|ticket| ticket.memory.merged_because.clone_from(&reason));
    Move::because(State::Merged, by, reason)
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
