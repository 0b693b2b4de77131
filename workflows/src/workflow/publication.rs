//! Branch and pull request.

use super::{
    Ctx,
    execution::Work,
    intake,
    step::{Step, call, call_on},
    transition::{self, SYSTEM},
};
use crate::{
    State,
    activities::{
        ForgeActivities, OPEN_PULL_REQUEST, OpenPullRequest, PUBLISH_BRANCH, PinnedPolicy,
        PublishBranch, TicketStatusName,
    },
    pull_request::PullRequest,
    spec::SpecRef,
    ticket::TicketSummary,
};

/// Pushes the commit that passed QA and opens the pull request, or brings it up to date.
pub(super) async fn publish(
    ctx: &Ctx,
    work: &Work,
    summary: &TicketSummary,
    spec: &SpecRef,
    pinned: &PinnedPolicy,
) -> Step<PullRequest> {
    transition::enter(ctx, State::PrCreated, SYSTEM, None).await?;
    let (ticket, repository_url, approved_by) = ctx.state(|ticket| {
        let approved_by = ticket.spec_approved_by.clone().unwrap_or_default();
        (
            ticket.key(),
            ticket.status.repository_url.clone(),
            approved_by,
        )
    });
    let push = PublishBranch {
        ticket: ticket.clone(),
        repository_url: repository_url.clone(),
        commit: work.commit.clone(),
        spec: spec.clone(),
        policy: pinned.policy.clone(),
    };
    let queue = &work.host.task_queue;
    call_on(
        ctx,
        queue,
        ForgeActivities::publish_branch,
        push,
        PUBLISH_BRANCH,
        "push the branch",
    )
    .await?;
    let open = OpenPullRequest {
        ticket,
        summary: summary.clone(),
        repository_url,
        base_branch: pinned.base_branch.clone(),
        head_commit: work.commit.clone(),
        spec: spec.clone(),
        spec_approved_by: approved_by,
        agent_summary: work.summary.clone(),
        qa: work.qa.gates.clone(),
        qa_report: work.qa.report.clone(),
    };
    let what = "open the pull request";
    let pull_request = call(
        ctx,
        ForgeActivities::open_pull_request,
        open,
        OPEN_PULL_REQUEST,
        what,
    )
    .await?;
    ctx.state_mut(|ticket| ticket.status.pull_request = Some(pull_request.clone()));
    intake::set_status(ctx, TicketStatusName::InReview, "set status: In Review").await;
    Ok(pull_request)
}
