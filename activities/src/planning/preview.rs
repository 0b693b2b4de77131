//! Planning without a workflow: what `sallyport plan` does. Reads a repository in place and touches nothing.

use std::path::Path;

use sallyport_workflows::{
    failure::kind, policy::InstallationPolicy, questions::MAXIMUM_QUESTIONS, usage::Usage,
};

use super::{
    context::{
        RepositoryContext, Search, Source, gather,
        report::{ContextReport, Shown},
    },
    look::Looking,
    model::Planner,
    plan::{Outcome, PlanTask, plan},
    policy::{policy_at, policy_of},
    progress::Progress,
    render::{questions_markdown, spec_markdown},
    symbols::reader::SymbolReader,
};
use crate::{failure::StepError, mirror::Mirror, policy_file::Policy};

/// A ticket to plan.
#[derive(Clone, Copy, Debug)]
pub struct Ticket<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its words.
    pub text: &'a str,
}

/// What there is to plan with.
#[derive(Debug)]
pub struct Preview {
    /// What the planner is shown.
    context: RepositoryContext,
    mirror: Mirror,
}

/// A SPEC that nobody approves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewedSpec {
    /// SPEC.md; or the questions that the planner would ask on the ticket, one a line.
    pub text: String,
    /// Whether it is questions.
    pub asks: bool,
    /// What the planner looked at by itself.
    pub looked: Vec<Shown>,
    /// What the model's answers cost.
    pub usage: Usage,
}

impl Preview {
    /// Reads the repository at `path`, a git directory or a work tree, at `revision`. Shows at most
    /// `budget_tokens` of it.
    pub async fn gather(
        path: &Path,
        revision: &str,
        ticket: Ticket<'_>,
        budget_tokens: u64,
        symbols: &SymbolReader,
        progress: &Progress,
    ) -> Result<Self, StepError> {
        let mirror = Mirror::in_place(path)?;
        let commit = mirror
            .git()
            .commit(revision)
            .await
            .map_err(StepError::step)?;
        let commit = commit.ok_or_else(|| {
            let what = format!("{} has no commit {revision}", path.display());
            StepError::fatal(kind::REPOSITORY_UNAVAILABLE, what)
        })?;
        let source = Source {
            mirror: &mirror,
            commit: &commit,
        };
        let search = Search {
            ticket: ticket.text,
            // They are in an installation's ledger, and this knows none.
            earlier: &[],
            budget_tokens,
            symbols,
            progress,
        };
        let context = gather(&source, &search).await?;
        Ok(Self { context, mirror })
    }

    /// What the planner is shown and why, and what is left out.
    pub fn report(&self) -> ContextReport {
        self.context.report()
    }

    /// The policy that a SPEC is written under: an installation's as it is by default, made stricter by `file`, or by the
    /// repository's own `.sallyport.toml` where none is given.
    pub async fn policy(&self, file: Option<&[u8]>) -> Result<Policy, StepError> {
        let installation = InstallationPolicy::default();
        let (mirror, commit) = (&self.mirror, self.context.commit.as_str());
        match file {
            Some(file) => policy_of(mirror, commit, Some(file), &installation).await,
            None => policy_at(mirror, commit, &installation).await,
        }
    }

    /// Asks `planner`, who may spend what a ticket's planning may cost under `policy`.
    pub async fn plan(
        &self,
        planner: &dyn Planner,
        policy: &Policy,
        ticket: Ticket<'_>,
        progress: &Progress,
    ) -> Result<PreviewedSpec, StepError> {
        let task = PlanTask {
            ticket_id: ticket.id,
            ticket: ticket.text,
            repository: &self.context,
            policy,
            revised: &[],
            questions_left: MAXIMUM_QUESTIONS as usize,
            progress,
            cost_left_micro_usd: policy.effective.budget.planning_cost_micro_usd,
            day: None,
            responses: None,
        };
        let source = Source {
            mirror: &self.mirror,
            commit: &self.context.commit,
        };
        let mut looking = Looking::new(source, &self.context.files, progress);
        let (outcome, usage) = plan(planner, &task, &mut looking).await?;
        let asks = matches!(outcome, Outcome::Questions(_));
        let text = match outcome {
            Outcome::Spec(spec) => spec_markdown(ticket.id, &spec),
            Outcome::Questions(questions) => questions_markdown(&questions),
        };
        Ok(PreviewedSpec {
            text,
            asks,
            looked: looking.seen().to_vec(),
            usage,
        })
    }
}
