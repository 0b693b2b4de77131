//! The activities that plan; declared in `sallyport_workflows::activities::PlanningActivities`.

#![expect(
    missing_docs,
    reason = "the constants that the macro makes carry no documentation"
)]

use std::sync::Arc;

use sallyport_workflows::{
    activities::{
        BaseCheck, ChangedBase, CheckBase, LoadPolicy, PinnedPolicy, PlanInput, PlanOutcome,
        Planned, RevisedSpec, definitions,
    },
    failure::kind,
    gate::BaseChange,
    policy::InstallationPolicy,
    spec::{Spec, SpecRef},
    text::shorten,
    ticket::TicketKey,
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    base_check,
    context::Context,
    failure::StepError,
    heartbeat::beating,
    mirror::Mirror,
    planning::{
        context::{Search, Source, gather},
        earlier::alike,
        look::Looking,
        plan::{Outcome, PlanTask, plan},
        planners::DEFAULT,
        policy::policy_at,
        progress::Progress,
        render::{percent, spec_markdown},
        responses::Responses,
    },
    policy_file::Policy,
    scope::Scope,
    tickets,
    workspace::approved::{self, revision_of},
};

/// Implements the activities that plan.
#[derive(Debug)]
pub struct PlanningSteps {
    context: Arc<Context>,
}

impl PlanningSteps {
    /// With what all activities share.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    async fn pin(&self, input: LoadPolicy) -> Result<PinnedPolicy, StepError> {
        let url = &input.repository_url;
        let mirror = self.context.mirrors.fetch(url).await?;
        let base_branch = match self.context.configured_base_branch(url) {
            Some(branch) => branch.to_owned(),
            None => mirror.default_branch().await?,
        };
        let head = mirror.head(&base_branch).await?;
        let (ticket, installation) = (&input.ticket, &input.installation);
        let pinned = self.pin_at(ticket, &mirror, base_branch, head, installation);
        let before = input.planner.as_deref();
        let planner = self.context.planners.choose(ticket, url, before).to_owned();
        Ok(PinnedPolicy {
            planner: Some(planner),
            ..pinned.await?
        })
    }

    /// Reads the policy at a commit of the base branch and stores it.
    async fn pin_at(
        &self,
        ticket: &TicketKey,
        mirror: &Mirror,
        base_branch: String,
        base_commit: String,
        installation: &InstallationPolicy,
    ) -> Result<PinnedPolicy, StepError> {
        let policy = policy_at(mirror, &base_commit, installation).await?;
        let json = serde_json::to_vec(&policy).map_err(StepError::step)?;
        Ok(PinnedPolicy {
            base_branch,
            base_commit,
            policy: self.context.store(ticket, json).await?,
            effective: policy.effective,
            planner: None,
        })
    }

    /// Compares the files in scope at the base branch's head with what the SPEC was written against.
    async fn compare_base(&self, input: CheckBase) -> Result<BaseCheck, StepError> {
        let objects = &self.context.objects;
        let approved =
            approved::load(objects, &input.ticket.ticket_id, &input.spec, &input.policy).await?;
        let mirror = self.context.mirrors.fetch(&input.repository_url).await?;
        let head = mirror.head(&input.base_branch).await?;
        let from = &input.spec.base_commit;
        let scope = Scope::listed(&approved.spec);
        let Some(changed) = base_check::changed(&mirror, from, &head, &scope).await? else {
            return Ok(BaseCheck::Unchanged);
        };
        let pinned = self
            .pin_at(
                &input.ticket,
                &mirror,
                input.base_branch,
                head.clone(),
                &input.installation,
            )
            .await?;
        let change = BaseChange {
            from: from.clone(),
            to: head.clone(),
            files: changed.files,
            first: shorten(&changed.first, 120),
            diff: self.context.store(&input.ticket, changed.diff).await?,
        };
        let spec = SpecRef {
            revision: revision_of(&approved.text, &head, &pinned.policy),
            base_commit: head,
            ..input.spec
        };
        Ok(BaseCheck::Changed(Box::new(ChangedBase {
            spec,
            pinned,
            change,
        })))
    }

    async fn plan_ticket(
        &self,
        input: PlanInput,
        progress: &Progress,
    ) -> Result<Planned, StepError> {
        let objects = &self.context.objects;
        let base_commit = &input.pinned.base_commit;
        let planner_name = input.pinned.planner.as_deref().unwrap_or(DEFAULT);
        let planner = self.context.planners.get(planner_name).ok_or_else(|| {
            let problem = format!(
                "this worker's configuration has no planner `{planner_name}`, which another worker chose: give all \
                 workers the same `[[model.planners]]`, and retry"
            );
            StepError::transient(kind::STEP_FAILED, problem)
        })?;
        let policy = objects.get(&input.pinned.policy).await?;
        let policy: Policy = serde_json::from_slice(&policy)
            .map_err(|problem| StepError::fatal(kind::POLICY_INVALID, problem))?;
        let ticket = tickets::readable(&objects.get(&input.summary.content).await?);
        let mut earlier: Vec<RevisedSpec> = match &input.seen {
            Some(seen) => serde_json::from_slice(&objects.get(seen).await?)
                .map_err(|problem| StepError::fatal(kind::STEP_FAILED, problem))?,
            None => Vec::new(),
        };
        earlier.extend(input.revised);
        let mut revised = Vec::new();
        for earlier in &earlier {
            let text = objects.get_text(&earlier.text).await?;
            revised.push((text, objects.get_text(&earlier.comments).await?));
        }
        let mirror = self
            .context
            .mirrors
            .with_commit(&input.repository_url, base_commit)
            .await?;
        let source = Source {
            mirror: &mirror,
            commit: base_commit,
        };
        progress.say("looking for earlier tickets that are alike");
        let key = &input.key.ticket;
        let others = alike(&self.context, key, &input.repository_url, &ticket).await?;
        let search = Search {
            ticket: &ticket,
            earlier: &others,
            budget_tokens: planner.context_tokens,
            symbols: &self.context.symbols,
            progress,
        };
        let repository = gather(&source, &search).await?;
        let ticket_id = &input.key.ticket.ticket_id;
        let task = PlanTask {
            ticket_id,
            ticket: &ticket,
            repository: &repository,
            policy: &policy,
            revised: &revised,
            questions_left: input.questions_left as usize,
            progress,
            cost_left_micro_usd: input.cost_left_micro_usd,
            day: Some(&self.context.day_budget),
            responses: Some(Responses {
                context: &self.context,
                step: &input.key,
                planner: planner_name,
            }),
        };
        let mut looking = Looking::new(source, &repository.files, progress);
        let (outcome, usage) = plan(&*planner.model, &task, &mut looking).await?;
        let mut report = repository.report();
        report.looked = looking.seen().to_vec();
        let report = report.markdown();
        let report = self.context.store(&input.key.ticket, report).await?;
        let outcome = match outcome {
            Outcome::Spec(spec) => {
                let stored = self.store(&input.key.ticket, &spec, &input.pinned).await?;
                PlanOutcome::Spec(SpecRef {
                    context: Some(report.clone()),
                    ..stored
                })
            }
            Outcome::Questions(questions) => PlanOutcome::Questions(questions),
        };
        let seen = match earlier.is_empty() {
            true => None,
            false => {
                let json = serde_json::to_vec(&earlier).map_err(StepError::step)?;
                Some(self.context.store(&input.key.ticket, json).await?)
            }
        };
        Ok(Planned {
            outcome,
            usage,
            seen,
            context: Some(report),
        })
    }

    async fn store(
        &self,
        ticket: &TicketKey,
        spec: &Spec,
        pinned: &PinnedPolicy,
    ) -> Result<SpecRef, StepError> {
        let text = spec_markdown(&ticket.ticket_id, spec);
        let document = serde_json::to_vec(spec).map_err(StepError::step)?;
        Ok(SpecRef {
            revision: revision_of(&text, &pinned.base_commit, &pinned.policy),
            text: self.context.store(ticket, text).await?,
            document: self.context.store(ticket, document).await?,
            base_commit: pinned.base_commit.clone(),
            files: spec.file_count(),
            confidence_percent: percent(spec.confidence),
            context: None,
        })
    }
}

#[activities]
impl PlanningSteps {
    /// Fetches the repository, reads `.sallyport.toml` at the base branch's head, and stores both policies. A read: again
    /// may find a newer head, and the workflow takes what it is answered.
    #[activity(definition = definitions::LoadPolicy)]
    pub async fn load_policy(
        self: Arc<Self>,
        context: ActivityContext,
        input: LoadPolicy,
    ) -> Result<PinnedPolicy, ActivityError> {
        let step = || "fetching the repository".to_owned();
        Ok(beating(&context, step, self.pin(input)).await??)
    }

    /// Checks the approved SPEC's bytes, fetches the repository and compares the files in scope. A read: again may find a
    /// newer head, and the workflow takes what it is answered.
    #[activity(definition = definitions::CheckBase)]
    pub async fn check_base(
        self: Arc<Self>,
        context: ActivityContext,
        input: CheckBase,
    ) -> Result<BaseCheck, ActivityError> {
        let step = || "fetching the repository".to_owned();
        Ok(beating(&context, step, self.compare_base(input)).await??)
    }

    /// Asks the planner for a SPEC and stores it. Key: the ticket and each whole request. Again finds the answers that were
    /// paid already and goes on from there; what came to nothing twice is forgotten, and asked for anew. Heartbeats with what
    /// is done; a cancellation ends the request.
    #[activity(definition = definitions::Plan)]
    pub async fn plan(
        self: Arc<Self>,
        context: ActivityContext,
        input: PlanInput,
    ) -> Result<Planned, ActivityError> {
        let progress = Progress::default();
        let step = || progress.now();
        Ok(beating(&context, step, self.plan_ticket(input, &progress)).await??)
    }
}

#[cfg(test)]
#[path = "planning_activities_tests.rs"]
mod tests;
