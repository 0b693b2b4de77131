//! PR_CREATED: branch and pull request.

use temporalio_workflow::MemoValue;

use super::{
    Ctx,
    host::call_on_host,
    intake, planning, pr_gate, quality,
    spec_gate::no_spec,
    step::{Step, call_whole, note},
    transition::{Move, SYSTEM},
};
use crate::{
    State,
    activities::{
        ForgeActivities, OPEN_PULL_REQUEST, OpenPullRequest, PUBLISH_BRANCH, PublishBranch,
        REOPEN_PULL_REQUEST, TicketStatusName,
    },
};

/// Pushes the commit that passed QA and opens the pull request, or brings it up to date.
pub(super) async fn publish(ctx: &Ctx) -> Step<Move> {
    let qa = quality::passed(ctx)?;
    let summary = planning::summary(ctx)?;
    let inputs = ctx.state(|ticket| {
        let (status, memory) = (&ticket.status, &ticket.memory);
        let (pinned, spec) = (memory.pinned.clone()?, status.spec.clone()?);
        let commit = status.head_commit.clone()?;
        let push = PublishBranch {
            ticket: ticket.key(),
            repository_url: status.repository_url.clone(),
            commit: commit.clone(),
            spec: spec.clone(),
            grants: status.grants.clone(),
            policy: pinned.policy,
        };
        let open = OpenPullRequest {
            ticket: ticket.key(),
            summary,
            repository_url: status.repository_url.clone(),
            base_branch: pinned.base_branch,
            head_commit: commit,
            spec,
            spec_approved_by: memory.spec_approved_by.clone().unwrap_or_default(),
            grants: status.grants.clone(),
            agent_summary: memory.work.summary.clone(),
            qa: qa.gates,
            qa_report: qa.report,
        };
        Some((push, open))
    });
    let (push, open) = inputs.ok_or_else(no_spec)?;
    let publish = || ForgeActivities::publish_branch;
    call_on_host(
        ctx,
        publish,
        push,
        PUBLISH_BRANCH.options("push the branch"),
    )
    .await?;
    ctx.state_mut(|ticket| ticket.memory.published = true);
    reopen_if_closed(ctx).await?;
    // Whole: a pull request that was opened is known, and is closed when the ticket is cancelled in this moment.
    let options = OPEN_PULL_REQUEST.options("open the pull request");
    let opened = call_whole(ctx, ForgeActivities::open_pull_request, open, options).await?;
    remember_url(ctx, &opened.url);
    ctx.state_mut(|ticket| ticket.status.pull_request = Some(opened));
    intake::set_status(ctx, TicketStatusName::InReview, "set status: In Review").await;
    Ok(Move::on(State::AwaitingPrApproval))
}

/// Puts the pull request's address into the memo, where whoever lists workflows finds it.
fn remember_url(ctx: &Ctx, url: &str) {
    let memo = [("pull_request", Some(MemoValue::new(url.to_owned())))];
    if let Err(error) = ctx.upsert_memo(memo) {
        note(ctx, format!("the memo could not be written: {error}"));
    }
}

/// A ticket that was parked with a closed pull request is retried with an open one.
async fn reopen_if_closed(ctx: &Ctx) -> Step<()> {
    let closed = ctx.state(|ticket| {
        let was_closed = ticket.memory.closed_because.is_some();
        was_closed
            .then(|| ticket.status.pull_request.clone())
            .flatten()
    });
    let Some(pull_request) = closed else {
        return Ok(());
    };
    let change = pr_gate::change(ctx, &pull_request, SYSTEM);
    let reopen = ForgeActivities::reopen_pull_request;
    let options = REOPEN_PULL_REQUEST.options("reopen the pull request");
    call_whole(ctx, reopen, change, options).await?;
    ctx.state_mut(|ticket| ticket.memory.closed_because = None);
    Ok(())
}
