//! What a run comes to for the workflow: a commit, a request for more scope, or what stands in their way.

use sallyport_workflows::{
    activities::AgentResult, revision::scope_revision, scope::ScopeRequest, text::shorten,
    ticket::TicketKey,
};

use super::{Run, refused};
use crate::{
    context::Context,
    failure::StepError,
    text,
    workspace::diff::{self, Collected, CommitPlan},
};

/// The longest path, and the longest line of a reason, that the workflow keeps, in characters.
const MAXIMUM_LINE: usize = 200;

/// Stores the agent's request for more scope. Nothing is committed; workspace and conversation stay as they are.
pub(super) async fn asked(
    context: &Context,
    ticket: &TicketKey,
    request: &ScopeRequest,
) -> Result<AgentResult, StepError> {
    let paths: Vec<String> = request.paths.iter().map(ToString::to_string).collect();
    let first = paths.first().map(|path| shorten(path, MAXIMUM_LINE));
    let reason: Vec<&str> = request.reason.split_whitespace().collect();
    let stored = serde_json::to_vec(request).map_err(StepError::step)?;
    Ok(AgentResult::ScopeRequested {
        request: context.store(ticket, stored).await?,
        revision: scope_revision(&paths, &request.reason),
        count: u32::try_from(paths.len()).unwrap_or(u32::MAX),
        first: first.unwrap_or_default(),
        reason: shorten(&reason.join(" "), MAXIMUM_LINE),
    })
}

/// Judges the workspace from outside, and commits what is in scope.
pub(super) async fn judged(run: &Run<'_>) -> Result<AgentResult, StepError> {
    let Run {
        context,
        input,
        approved,
        granted,
        workspace,
        mirror,
    } = run;
    let message = text::commit_message(
        &input.key.ticket,
        &approved.spec,
        &input.summary,
        &input.spec.revision,
    );
    let base = &input.spec.base_commit;
    // What QA complained of must not be pushed along as the mended commit's parent.
    let parent = context
        .leaks
        .last_clean(mirror.git(), base, &input.parent_commit)
        .await?;
    let plan = CommitPlan {
        base,
        parent: &parent,
        scope: &granted.scope,
        message: &message,
        author: &context.author,
        at: input.committed_at,
    };
    Ok(match diff::collect(mirror, workspace, &plan).await? {
        Collected::NoChanges => AgentResult::NoChanges,
        Collected::OutOfScope { refused } => {
            // A name can hold a secret, too.
            let list = refused::write(&refused);
            let list = context.leaks.hide(list.into_bytes()).await;
            let first = refused::read(&String::from_utf8_lossy(&list));
            let first = first
                .first()
                .map(|refused| shorten(&refused.path, MAXIMUM_LINE));
            AgentResult::OutOfScope {
                count: u32::try_from(refused.len()).unwrap_or(u32::MAX),
                first: first.unwrap_or_default(),
                paths: context.store(&input.key.ticket, list).await?,
            }
        }
        Collected::Committed {
            commit,
            diff,
            files,
        } => {
            mirror
                .keep(workspace.name(), input.key.sequence, &commit)
                .await?;
            let diff = context.leaks.hide(diff).await;
            AgentResult::Committed {
                diff: context.store(&input.key.ticket, diff).await?,
                commit,
                files,
            }
        }
    })
}
