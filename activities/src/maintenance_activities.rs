//! The activities that look after an installation; declared in
//! `sallyport_workflows::activities::MaintenanceActivities`.

#![expect(
    missing_docs,
    reason = "the constants that the macro makes carry no documentation"
)]

use std::{fs, path::Path, sync::Arc, time::SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_ledger::{
    Database,
    config::RetentionConfig,
    garbage::{self, GarbageError},
    hosts, reconciliation,
    retention::{self, RetentionError},
    workflows,
};
use sallyport_workflows::{
    activities::definitions,
    failure::kind,
    maintenance::{MaintenanceInput, MaintenanceReport, MaintenanceTask},
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    context::Context,
    failure::StepError,
    heartbeat::beating,
    reconciliation::{Reconciled, reconcile},
    workspace::{Workspace, checkout},
};

/// Implements the activities that look after an installation.
#[derive(Debug)]
pub struct MaintenanceSteps {
    context: Arc<Context>,
    retention: RetentionConfig,
}

impl MaintenanceSteps {
    /// With what all activities share, and how long things are kept.
    pub fn new(context: Arc<Context>, retention: RetentionConfig) -> Self {
        Self { context, retention }
    }

    async fn collect(&self, now: DateTime<Utc>) -> Result<MaintenanceReport, StepError> {
        let task = MaintenanceTask::CollectGarbage;
        let Some(safe_age) = days(self.retention.unreferenced_objects_days) else {
            return Ok(MaintenanceReport::new(task, []));
        };
        let Context {
            database, objects, ..
        } = &*self.context;
        let done = garbage::collect(database, objects, now, safe_age, false).await?;
        Ok(MaintenanceReport::new(
            task,
            [
                ("objects", done.objects),
                ("referred", done.referred),
                ("young", done.young),
                ("removed", done.removed),
                ("removed_bytes", done.removed_bytes),
                ("recovered", done.recovered),
                ("purged", done.purged),
            ],
        ))
    }

    async fn retain_all(&self, now: DateTime<Utc>) -> Result<MaintenanceReport, StepError> {
        let Context {
            database, objects, ..
        } = &*self.context;
        let before = |kept: u32| days(kept).map(|kept| now - kept);
        let mut report = MaintenanceReport::new(MaintenanceTask::Retain, []);
        let mut count = |name: &str, count: u64| {
            report.counts.insert(name.to_owned(), count);
        };
        if let Some(before) = before(self.retention.agent_logs_days) {
            let done = retention::agent_logs::archive(database, objects, before, now).await?;
            count("archived_logs", done.tickets);
            count("archived_log_lines", done.lines);
        }
        if let Some(before) = before(self.retention.tickets_days) {
            let done = retention::tickets::archive(database, objects, before, now).await?;
            count("archived_tickets", done);
        }
        if let Some(before) = before(self.retention.notifications_days) {
            let done = retention::remove_notifications(database, before).await?;
            count("removed_notifications", done);
        }
        if let Some(before) = before(self.retention.inbox_days) {
            count(
                "removed_events",
                retention::remove_events(database, before).await?,
            );
        }
        Ok(report)
    }

    async fn ask_sources(&self, now: DateTime<Utc>) -> Result<MaintenanceReport, StepError> {
        let Context {
            database, sources, ..
        } = &*self.context;
        let begins = reconciliation::ledger_begins(database).await?;
        let since = events_count_from(begins, self.retention.inbox_days, now);
        let mut all = Reconciled::default();
        // One that is down keeps nobody from asking the others.
        let mut failed = None;
        for (name, source) in sources.iter() {
            match reconcile(database, name, source, since).await {
                Ok(done) => all = all + done,
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(MaintenanceReport::new(
            MaintenanceTask::Reconcile,
            [
                ("events", all.events),
                ("taken", all.taken),
                ("too_old", all.too_old),
                ("unreadable", all.unreadable),
                ("begun_again", all.begun_again),
            ],
        ))
    }

    /// Removes what is left on this host of tickets that ended long ago or went on elsewhere, as when a worker starts.
    pub async fn sweep(&self) {
        match self.sweep_workspaces(Utc::now()).await {
            Ok(report) => tracing::info!(counts = ?report.counts, "old workspaces are removed"),
            Err(problem) => tracing::warn!(%problem, "old workspaces could not be removed"),
        }
    }

    async fn sweep_workspaces(&self, now: DateTime<Utc>) -> Result<MaintenanceReport, StepError> {
        let task = MaintenanceTask::RemoveWorkspaces;
        let setups = self.context.setups.sweep(SystemTime::now()).await?;
        let Some(kept) = days(self.retention.workspaces_days) else {
            return Ok(MaintenanceReport::new(task, [("setups", setups)]));
        };
        let Context {
            database, data_dir, ..
        } = &*self.context;
        let (found, over) = workspaces_over(database, data_dir, now - kept).await?;
        for workspace in &over {
            let _alone = self.context.workspace_locks.hold(workspace.name()).await;
            self.remove(workspace).await?;
        }
        let lost = self.remove_lost().await?;
        let parked = self.remove_parked(now - kept).await?;
        Ok(MaintenanceReport::new(
            task,
            [
                ("workspaces", found),
                ("removed", over.len() as u64),
                ("lost", lost),
                ("parked", parked),
                ("setups", setups),
            ],
        ))
    }

    /// Removes what is here of tickets that went on on another host. Returns how many.
    async fn remove_lost(&self) -> Result<u64, StepError> {
        let Context {
            database,
            data_dir,
            host_id,
            ..
        } = &*self.context;
        let mut removed = 0;
        for ticket in hosts::held_elsewhere(database, host_id).await? {
            let workspace = Workspace::of(data_dir, &ticket);
            if workspace.root().symlink_metadata().is_err() {
                continue;
            }
            let _alone = self.context.workspace_locks.hold(workspace.name()).await;
            // It may have come back in the meantime.
            let claim = hosts::claim_of(database, &ticket).await?;
            if claim.is_some_and(|claim| claim.host_id != *host_id) {
                self.remove(&workspace).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes what is here of tickets that have been parked since before `before`; a retry begins with their checkpoint.
    /// Their commits stay in the mirror. Returns how many.
    async fn remove_parked(&self, before: DateTime<Utc>) -> Result<u64, StepError> {
        let Context {
            database, data_dir, ..
        } = &*self.context;
        let mut removed = 0;
        for ticket in workflows::parked_before(database, before).await? {
            let workspace = Workspace::of(data_dir, &ticket);
            if workspace.root().symlink_metadata().is_ok() {
                let _alone = self.context.workspace_locks.hold(workspace.name()).await;
                checkout::remove(workspace.root()).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn remove(&self, workspace: &Workspace) -> Result<(), StepError> {
        self.context.mirrors.let_go(workspace.name()).await?;
        Ok(checkout::remove(workspace.root()).await?)
    }
}

/// From when on an event of a list counts. What happened before there was this ledger was never meant for it; and what the
/// inbox may have forgotten by now must not be taken for new.
fn events_count_from(
    ledger_begins: DateTime<Utc>,
    inbox_days: u32,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    days(inbox_days).map_or(ledger_begins, |kept| ledger_begins.max(now - kept))
}

/// How many workspaces there are on this host, and those of tickets that ended before `before`. One that belongs to no
/// ticket of the ledger stays: it may be younger than the ledger's backup.
async fn workspaces_over(
    database: &Database,
    data_dir: &Path,
    before: DateTime<Utc>,
) -> Result<(u64, Vec<Workspace>), StepError> {
    let folder = data_dir.join("workspaces");
    let unreadable =
        |error| StepError::step(format!("reading {} failed: {error}", folder.display()));
    let mut found = 0;
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        entry.map_err(unreadable)?;
        found += 1;
    }
    if found == 0 {
        return Ok((0, Vec::new()));
    }
    let over = workflows::ended_before(database, before)
        .await?
        .iter()
        .map(|ticket| Workspace::of(data_dir, ticket))
        .filter(|workspace| workspace.root().symlink_metadata().is_ok())
        .collect();
    Ok((found, over))
}

/// So many days; nothing for 0, which means for ever.
fn days(days: u32) -> Option<TimeDelta> {
    (days > 0).then(|| TimeDelta::days(i64::from(days)))
}

impl From<GarbageError> for StepError {
    fn from(error: GarbageError) -> Self {
        match error {
            GarbageError::Ledger(error) => error.into(),
            GarbageError::Objects(error) => error.into(),
            GarbageError::NothingReferred(_) => Self::fatal(kind::STEP_FAILED, error),
        }
    }
}

impl From<RetentionError> for StepError {
    fn from(error: RetentionError) -> Self {
        match error {
            RetentionError::Ledger(error) => error.into(),
            RetentionError::Objects(error) => error.into(),
            RetentionError::Json { .. } => Self::fatal(kind::STEP_FAILED, error),
        }
    }
}

#[activities]
impl MaintenanceSteps {
    /// Removes objects that nothing refers to. Again does what is still to be done; a cancellation breaks it off.
    #[activity(definition = definitions::CollectGarbage)]
    pub async fn collect_garbage(
        self: Arc<Self>,
        context: ActivityContext,
        _input: MaintenanceInput,
    ) -> Result<MaintenanceReport, ActivityError> {
        let step = || "collecting garbage".to_owned();
        Ok(beating(&context, step, self.collect(Utc::now())).await??)
    }

    /// Archives and removes what the ledger has kept long enough. Again does what is still to be done; a cancellation
    /// breaks it off.
    #[activity(definition = definitions::Retain)]
    pub async fn retain(
        self: Arc<Self>,
        context: ActivityContext,
        _input: MaintenanceInput,
    ) -> Result<MaintenanceReport, ActivityError> {
        let step = || "archiving".to_owned();
        Ok(beating(&context, step, self.retain_all(Utc::now())).await??)
    }

    /// Removes the workspaces of tickets that ended long ago and that their own end did not remove: this host was lost to
    /// the ticket, or its workflow was terminated. Again does what is still to be done.
    #[activity(definition = definitions::RemoveWorkspaces)]
    pub async fn remove_workspaces(
        self: Arc<Self>,
        context: ActivityContext,
        _input: MaintenanceInput,
    ) -> Result<MaintenanceReport, ActivityError> {
        let step = || "removing workspaces".to_owned();
        Ok(beating(&context, step, self.sweep_workspaces(Utc::now())).await??)
    }

    /// Writes into the inbox what the ticket systems list and the inbox does not have. Again adds nothing; a cancellation
    /// breaks it off.
    #[activity(definition = definitions::Reconcile)]
    pub async fn reconcile(
        self: Arc<Self>,
        context: ActivityContext,
        _input: MaintenanceInput,
    ) -> Result<MaintenanceReport, ActivityError> {
        let step = || "asking the ticket systems".to_owned();
        Ok(beating(&context, step, self.ask_sources(Utc::now())).await??)
    }
}

#[cfg(test)]
#[path = "maintenance_activities_tests.rs"]
mod tests;
