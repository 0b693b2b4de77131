//! The activities on a host with a workspace; declared in `sallyport_workflows::activities::WorkspaceActivities`.

#![expect(
    missing_docs,
    reason = "the constants that the macro makes carry no documentation"
)]

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use sallyport_ledger::{
    garbage, hosts,
    qa_results::{self, NewQaReport},
};
use sallyport_workflows::{
    activities::{
        AgentRun, HostClaim, PrepareWorkspace, QaResult, RemoveWorkspace, RunAgent, RunQa,
        definitions,
    },
    ticket::TicketKey,
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoint,
    context::Context,
    execution::{self, AgentHeartbeat, RunEnd},
    failure::StepError,
    heartbeat::{self, beating},
    leaks,
    qa::{
        self, QaRoom, Subject,
        earlier::EarlierResults,
        report::{Facts, Report, markdown},
        rule::Judged,
    },
    setup,
    walls::{Wall, stands},
    workspace::{Workspace, approved, checkout, disk, snapshot::Source},
};

/// Implements the activities on a host with a workspace.
#[derive(Debug)]
pub struct WorkspaceSteps {
    context: Arc<Context>,
}

impl WorkspaceSteps {
    /// With what all activities share.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn workspace(&self, ticket: &TicketKey) -> Workspace {
        Workspace::of(&self.context.data_dir, ticket)
    }

    async fn prepare(
        &self,
        input: &PrepareWorkspace,
        announce: impl FnOnce(&str),
    ) -> Result<(), StepError> {
        let (context, ticket) = (&self.context, &input.ticket);
        disk::check(&context.data_dir)?;
        let id = &ticket.ticket_id;
        let approved = approved::load(&context.objects, id, &input.spec, &input.policy).await?;
        let workspace = self.workspace(ticket);
        let _alone = context.workspace_locks.hold(workspace.name()).await;
        let claim = checkpoint::held(context, ticket).await?;
        let (base, start) = (&input.spec.base_commit, &input.start_commit);
        let mirror =
            checkpoint::mirror_with(context, ticket, &input.repository_url, base, start).await?;
        checkout::prepare(mirror.git(), &workspace, start).await?;
        if let Some(setup) = &approved.policy.repository.setup {
            let subject = setup::Subject::new(&mirror, base, setup);
            let tree = workspace.tree();
            context.setups.prepare(subject, &tree, announce).await?;
        }
        let source = Source {
            mirror: &mirror,
            workspace: &workspace,
            leaks: &context.leaks,
            base,
            head: start,
        };
        checkpoint::begin(context, ticket, source).await?;
        checkpoint::settle(&workspace, &claim)
    }

    async fn check(
        &self,
        input: &RunQa,
        mut announce: impl FnMut(&str),
    ) -> Result<QaResult, StepError> {
        let ticket = &input.key.ticket;
        disk::check(&self.context.data_dir)?;
        let objects = &self.context.objects;
        let approved =
            approved::load(objects, &ticket.ticket_id, &input.spec, &input.policy).await?;
        let (base, commit) = (&input.spec.base_commit, &input.commit);
        let url = &input.repository_url;
        let mirror = checkpoint::mirror_with(&self.context, ticket, url, base, commit).await?;
        let workspace = self.workspace(ticket);
        let _alone = self.context.workspace_locks.hold(workspace.name()).await;
        let earlier = EarlierResults::in_folder(self.context.data_dir.join("earlier-results"));
        let policy = &approved.policy.repository;
        let installed = match &policy.setup {
            None => None,
            Some(setup) => {
                let subject = setup::Subject::new(&mirror, base, setup);
                let announce = |command: &str| announce(&setup::in_words(command));
                Some(self.context.setups.installed(subject, announce).await?)
            }
        };
        let setups = &self.context.setups;
        let room = QaRoom {
            sandbox: &self.context.sandbox,
            objects,
            git: mirror.git(),
            workspace: &workspace,
            earlier: &earlier,
            leaks: &self.context.leaks,
            installed: installed.as_ref().map(|installed| (setups, installed)),
        };
        let subject = Subject {
            commit,
            base,
            gates: &policy.gates,
        };
        let mut findings = qa::examine(room, input.key.sequence, subject, announce).await?;
        let begun = Instant::now();
        let mut leaks = self
            .context
            .leaks
            .examine(mirror.git(), subject.base, subject.commit)
            .await?;
        if !stands(Wall::SecretScan) {
            leaks.clear();
        }
        let gate = leaks::as_gate(objects, &leaks, begun.elapsed()).await?;
        findings.gates.push(gate);
        // The report names them all, and a report is no place where anybody looks for what is referred to.
        garbage::record(&self.context.database, ticket, &findings.outputs()).await?;
        let facts = Facts {
            ticket_id: &ticket.ticket_id,
            commit: &input.commit,
            spec: &approved.spec,
            reference: &input.spec,
            policy,
        };
        let report = Report::new(&facts, &findings);
        let json = serde_json::to_vec_pretty(&report).map_err(StepError::step)?;
        let row = NewQaReport {
            commit: report.commit.clone(),
            base_commit: report.base_commit.clone(),
            passed: report.passed,
            reason: report.reason.clone(),
            flagged_tests: findings.flagged_tests(),
            report: self.context.store(ticket, markdown(&report)).await?,
            report_json: self.context.store(ticket, json).await?,
        };
        // One that was silent for long must not replace what another host found since.
        checkpoint::held(&self.context, ticket).await?;
        qa_results::record(&self.context.database, &input.key, &row, &findings.rows()).await?;
        Ok(QaResult {
            passed: row.passed,
            gates: findings.gates.iter().map(Judged::result).collect(),
            flagged_tests: row.flagged_tests,
            report: row.report,
            report_json: row.report_json,
        })
    }

    async fn run(
        &self,
        input: &RunAgent,
        progress: watch::Sender<AgentHeartbeat>,
        cancel: CancellationToken,
    ) -> Result<AgentRun, RunEnd> {
        let workspace = self.workspace(&input.key.ticket);
        let _alone = tokio::select! {
            alone = self.context.workspace_locks.hold(workspace.name()) => alone,
            () = cancel.cancelled() => return Err(RunEnd::Cancelled),
        };
        execution::run_agent(&self.context, input, progress, cancel).await
    }

    async fn remove(&self, ticket: &TicketKey) -> Result<(), StepError> {
        let workspace = self.workspace(ticket);
        let _alone = self.context.workspace_locks.hold(workspace.name()).await;
        self.context.mirrors.let_go(workspace.name()).await?;
        checkout::remove(workspace.root()).await?;
        let Context {
            database, host_id, ..
        } = &*self.context;
        Ok(hosts::forget(database, ticket, host_id).await?)
    }
}

#[activities]
impl WorkspaceSteps {
    /// Answers with the host that holds the ticket's workspace if it is alive, else with the living host that has the
    /// fewest tickets at work for its slots. Fails as long as there is none. Again answers the same host as long as it lives.
    #[activity(definition = definitions::ClaimHost)]
    pub async fn claim_host(
        self: Arc<Self>,
        _context: ActivityContext,
        ticket: TicketKey,
    ) -> Result<HostClaim, ActivityError> {
        let claim = hosts::claim(&self.context.database, &ticket).await;
        let claim = claim.map_err(StepError::from)?.ok_or_else(|| {
            StepError::step("no host is alive; start a worker, and the ticket goes on")
        })?;
        Ok(HostClaim {
            host_id: claim.host_id,
            task_queue: claim.task_queue,
        })
    }

    /// Checks the SPEC's revision and lays out the workspace, with a checkpoint of it. Again lays it out anew. Fails on a
    /// host that does not hold the ticket.
    #[activity(definition = definitions::PrepareWorkspace)]
    pub async fn prepare_workspace(
        self: Arc<Self>,
        context: ActivityContext,
        input: PrepareWorkspace,
    ) -> Result<(), ActivityError> {
        let step = Mutex::new("laying out the workspace".to_owned());
        let announce = |command: &str| {
            *step.lock().unwrap_or_else(PoisonError::into_inner) = setup::in_words(command);
        };
        let told = || step.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(beating(&context, told, self.prepare(&input, announce)).await??)
    }

    /// Runs the agent and judges what it left. Again goes on in the same workspace and conversation, and with what was spent
    /// already taken off; on another host in their latest checkpoint. Fails on a host that does not hold the ticket.
    /// Heartbeats by a timer carry an [`AgentHeartbeat`]; a cancellation, or a lease that runs out, empties the room first.
    #[activity(definition = definitions::RunAgent)]
    pub async fn run_agent(
        self: Arc<Self>,
        context: ActivityContext,
        input: RunAgent,
    ) -> Result<AgentRun, ActivityError> {
        let (progress, watched) = watch::channel(AgentHeartbeat {
            step: "starting".to_owned(),
            ..AgentHeartbeat::default()
        });
        let cancel = CancellationToken::new();
        let run = self.run(&input, progress, cancel.clone());
        tokio::pin!(run);
        let lost = self.context.lease.lost();
        tokio::pin!(lost);
        let mut is_lost = false;
        let mut ticks = interval(heartbeat::EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                end = &mut run => return match end {
                    Ok(run) => Ok(run),
                    Err(RunEnd::Cancelled) if is_lost => {
                        let error = StepError::step(
                            "this host could not renew its lease, so that another may go on with the ticket",
                        );
                        Err(error.retry_after(Some(checkpoint::AFTER_A_LOST_LEASE)).into())
                    }
                    Err(RunEnd::Cancelled) => Err(ActivityError::cancelled()),
                    Err(RunEnd::Failed(error)) => Err(error.into()),
                },
                // Not dropped: only when the run returns is the room known to be empty.
                () = context.cancelled(), if !cancel.is_cancelled() => cancel.cancel(),
                () = &mut lost, if !is_lost => {
                    is_lost = true;
                    cancel.cancel();
                }
                _ = ticks.tick() => {
                    let progress = watched.borrow().clone();
                    context.record_heartbeat(progress).await?;
                }
            }
        }
    }

    /// Runs the gates on clean checkouts of the commit and its base. Again starts anew, but for what is known of the base,
    /// and replaces the results of the same step; but not on a host that does not hold the ticket any more. Heartbeats by a
    /// timer name the gate; a cancellation kills it.
    #[activity(definition = definitions::RunQa)]
    pub async fn run_qa(
        self: Arc<Self>,
        context: ActivityContext,
        input: RunQa,
    ) -> Result<QaResult, ActivityError> {
        let step = Mutex::new("laying out a clean checkout".to_owned());
        let announce = |gate: &str| {
            *step.lock().unwrap_or_else(PoisonError::into_inner) = format!("running {gate}");
        };
        let told = || AgentHeartbeat {
            step: step.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ..AgentHeartbeat::default()
        };
        Ok(beating(&context, told, self.check(&input, announce)).await??)
    }

    /// Removes the workspace. Gone already is success.
    #[activity(definition = definitions::RemoveWorkspace)]
    pub async fn remove_workspace(
        self: Arc<Self>,
        context: ActivityContext,
        input: RemoveWorkspace,
    ) -> Result<(), ActivityError> {
        let step = || "removing the workspace".to_owned();
        Ok(beating(&context, step, self.remove(&input.ticket)).await??)
    }
}

#[cfg(test)]
#[path = "workspace_activities_tests.rs"]
mod tests;
