//! The activities towards the forge; declared in `sallyport_workflows::activities::ForgeActivities`.

#![expect(
    missing_docs,
    reason = "the constants that the macro makes carry no documentation"
)]

use std::sync::Arc;

use sallyport_workflows::{
    activities::{
        ChangePullRequest, CloseResult, MergeResult, OpenPullRequest, PublishBranch, definitions,
    },
    failure::kind,
    pull_request::PullRequest,
    spec::Spec,
    text::{count, shorten},
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    checkpoint,
    context::Context,
    failure::StepError,
    forge::{Change, Forge, Proposal},
    heartbeat::beating,
    planning::render::spec_markdown,
    scope::granted,
    text::{self, PullRequestFacts},
    walls::{Wall, stands},
    workspace::{approved, diff},
};

/// Implements the activities towards the forge.
#[derive(Debug)]
pub struct ForgeSteps {
    context: Arc<Context>,
}

impl ForgeSteps {
    /// With what all activities share.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn forge(&self, url: &str) -> Result<Arc<dyn Forge>, StepError> {
        Ok(self.context.forges.of(url)?)
    }

    async fn publish(&self, input: &PublishBranch) -> Result<String, StepError> {
        let ticket_id = &input.ticket.ticket_id;
        let objects = &self.context.objects;
        let approved = approved::load(objects, ticket_id, &input.spec, &input.policy).await?;
        let (base, commit) = (&input.spec.base_commit, &input.commit);
        let (ticket, url) = (&input.ticket, &input.repository_url);
        let mirror = checkpoint::mirror_with(&self.context, ticket, url, base, commit).await?;
        let git = mirror.git();
        if !git.is_ancestor(base, commit).await? {
            let message = format!(
                "{commit} is not built on the SPEC's base commit {base}; nothing was pushed"
            );
            return Err(StepError::fatal(kind::OUT_OF_SCOPE, message));
        }
        let granted = granted::load(objects, &approved, &input.grants).await?;
        let outside = diff::out_of_scope(git, base, commit, &granted.scope).await?;
        if let Some(first) = outside.first().filter(|_| stands(Wall::Push)) {
            let message = format!(
                "{commit} differs from its base in {} outside the scope, such as {}; nothing was pushed",
                count(outside.len() as u64, "file"),
                shorten(&first.to_string(), 300)
            );
            return Err(StepError::fatal(kind::OUT_OF_SCOPE, message));
        }
        let leaks = self.context.leaks.examine(git, base, commit).await?;
        if let Some(first) = leaks.first().filter(|_| stands(Wall::Push)) {
            let message = format!(
                "{commit} or a commit before it holds {} that must not be pushed, such as {}; nothing was pushed",
                count(leaks.len() as u64, "thing"),
                shorten(&first.to_string(), 200)
            );
            return Err(StepError::fatal(kind::LEAK, message));
        }
        let branch = input.ticket.branch();
        self.forge(&input.repository_url)?
            .publish(&mirror, &branch, commit)
            .await?;
        Ok(branch)
    }

    async fn propose(&self, input: &OpenPullRequest) -> Result<PullRequest, StepError> {
        let objects = &self.context.objects;
        let document = objects.get(&input.spec.document).await?;
        let approved_text = objects.get_text(&input.spec.text).await?;
        let changed = |problem: &dyn std::fmt::Display| {
            StepError::fatal(
                kind::SPEC_CHANGED,
                format!("the stored SPEC is not the approved one: {problem}"),
            )
        };
        let spec: Spec = serde_json::from_slice(&document).map_err(|problem| changed(&problem))?;
        if spec_markdown(&input.ticket.ticket_id, &spec) != approved_text {
            return Err(changed(&"its data does not render to its text"));
        }
        let granted = granted::requests(objects, &input.grants).await?;
        let facts = PullRequestFacts {
            ticket: &input.ticket,
            summary: &input.summary,
            spec: &spec,
            reference: &input.spec,
            approved_by: &input.spec_approved_by,
            grants: &granted,
            head_commit: &input.head_commit,
            agent_summary: &input.agent_summary,
            qa: &input.qa,
        };
        let proposal = Proposal {
            ticket: &input.ticket,
            title: text::pull_request_title(&input.ticket, &spec),
            body: text::pull_request_body(&facts),
            base_branch: &input.base_branch,
            head_commit: &input.head_commit,
        };
        Ok(self.forge(&input.repository_url)?.open(&proposal).await?)
    }
}

fn change(input: &ChangePullRequest) -> Change<'_> {
    Change {
        ticket: &input.ticket,
        pull_request: &input.pull_request,
        by: &input.by,
        at: input.at,
    }
}

#[activities]
impl ForgeSteps {
    /// Checks the scope once more and pushes the commit to the ticket's branch, fast-forward only. Already there is success.
    /// Answers with the branch's name.
    #[activity(definition = definitions::PublishBranch)]
    pub async fn publish_branch(
        self: Arc<Self>,
        context: ActivityContext,
        input: PublishBranch,
    ) -> Result<String, ActivityError> {
        let step = || "pushing the branch".to_owned();
        Ok(beating(&context, step, self.publish(&input)).await??)
    }

    /// Opens the ticket's pull request, or brings the open one up to date. Never opens a second one.
    #[activity(definition = definitions::OpenPullRequest)]
    pub async fn open_pull_request(
        self: Arc<Self>,
        context: ActivityContext,
        input: OpenPullRequest,
    ) -> Result<PullRequest, ActivityError> {
        let step = || "opening the pull request".to_owned();
        Ok(beating(&context, step, self.propose(&input)).await??)
    }

    /// Merges exactly the head that was decided about. Merged already is success.
    #[activity(definition = definitions::MergePullRequest)]
    pub async fn merge_pull_request(
        self: Arc<Self>,
        context: ActivityContext,
        input: ChangePullRequest,
    ) -> Result<MergeResult, ActivityError> {
        let forge = self.forge(&input.repository_url)?;
        let step = || "merging".to_owned();
        let merged = beating(&context, step, forge.merge(change(&input))).await?;
        Ok(merged.map_err(StepError::from)?)
    }

    /// Closes the pull request unless it was merged meanwhile. Closed already is success.
    #[activity(definition = definitions::ClosePullRequest)]
    pub async fn close_pull_request(
        self: Arc<Self>,
        context: ActivityContext,
        input: ChangePullRequest,
    ) -> Result<CloseResult, ActivityError> {
        let forge = self.forge(&input.repository_url)?;
        let step = || "closing the pull request".to_owned();
        let closed = beating(&context, step, forge.close(change(&input))).await?;
        Ok(closed.map_err(StepError::from)?)
    }

    /// Opens a closed pull request again. Open already is success.
    #[activity(definition = definitions::ReopenPullRequest)]
    pub async fn reopen_pull_request(
        self: Arc<Self>,
        context: ActivityContext,
        input: ChangePullRequest,
    ) -> Result<(), ActivityError> {
        let forge = self.forge(&input.repository_url)?;
        let step = || "reopening the pull request".to_owned();
        let reopened = beating(&context, step, forge.reopen(change(&input))).await?;
        Ok(reopened.map_err(StepError::from)?)
    }
}

#[cfg(test)]
#[path = "forge_activities_tests.rs"]
mod tests;
