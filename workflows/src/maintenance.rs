//! What an installation does from time to time beside its tickets: each run is one task, and one activity does it.
//!
//! Temporal's schedules start the runs; the worker makes the schedules. A further task is a variant of
//! [`MaintenanceTask`], a declaration in [`crate::activities::MaintenanceActivities`], and a line in `perform`.

#![expect(
    missing_docs,
    reason = "the handler constants that the macro makes carry no documentation"
)]

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use temporalio_common::ActivityDefinition;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowContextView, WorkflowResult};
use temporalio_workflow::{ActivityExecutionError, WorkflowTermination};

use crate::{
    activities::{MAINTENANCE, MaintenanceActivities},
    host_task_queue,
};

/// How long a task waits for its host. One that stays away is asked again by the next run.
const HOST_WAIT: Duration = Duration::from_secs(60 * 60);

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceTask {
    /// Remove objects that nothing refers to.
    CollectGarbage,
    /// Archive and remove what the ledger has kept long enough.
    Retain,
    /// Remove the workspaces of tickets that ended long ago, on one host.
    RemoveWorkspaces,
    /// Ask the ticket systems for events whose webhook never came.
    Reconcile,
    /// Copy the histories of closed runs, before Temporal forgets them.
    ExportHistories,
}

impl MaintenanceTask {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CollectGarbage,
        Self::Retain,
        Self::RemoveWorkspaces,
        Self::Reconcile,
        Self::ExportHistories,
    ];

    /// The fixed name, as schedules and histories have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CollectGarbage => "collect_garbage",
            Self::Retain => "retain",
            Self::RemoveWorkspaces => "remove_workspaces",
            Self::Reconcile => "reconcile",
            Self::ExportHistories => "export_histories",
        }
    }

    /// What Temporal's UI says of its activity.
    const fn summary(self) -> &'static str {
        match self {
            Self::CollectGarbage => "Remove objects that nothing refers to",
            Self::Retain => "Archive and remove what was kept long enough",
            Self::RemoveWorkspaces => "Remove the workspaces of tickets that ended",
            Self::Reconcile => "Ask the ticket systems for events whose webhook never came",
            Self::ExportHistories => "Copy the histories of closed runs",
        }
    }
}

/// What a run is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceInput {
    /// The task.
    pub task: MaintenanceTask,
    /// The host whose task it is; nothing where any worker may do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
}

/// What a run did: the workflow's result, as Temporal's UI shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceReport {
    /// The task.
    pub task: MaintenanceTask,
    /// What was found and done, counted.
    pub counts: BTreeMap<String, u64>,
}

impl MaintenanceReport {
    /// A report with these counts.
    pub fn new<const N: usize>(task: MaintenanceTask, counts: [(&str, u64); N]) -> Self {
        let counts = counts.map(|(name, count)| (name.to_owned(), count));
        Self {
            task,
            counts: BTreeMap::from(counts),
        }
    }
}

impl std::fmt::Display for MaintenanceReport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.task.as_str())?;
        for (index, (name, count)) in self.counts.iter().enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            write!(formatter, "{separator}{name} {count}")?;
        }
        Ok(())
    }
}

/// One run of one task.
#[workflow]
pub struct MaintenanceWorkflow {
    input: MaintenanceInput,
}

type Ctx = WorkflowContext<MaintenanceWorkflow>;

#[workflow_methods]
impl MaintenanceWorkflow {
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: MaintenanceInput) -> Self {
        Self { input }
    }

    /// Has the task's activity done, and answers with what it did.
    #[run(name = "maintenance")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<MaintenanceReport> {
        let input = ctx.state(|run| run.input.clone());
        let report = perform(ctx, input).await?;
        ctx.set_current_details(report.to_string());
        Ok(report)
    }
}

async fn perform(
    ctx: &Ctx,
    input: MaintenanceInput,
) -> Result<MaintenanceReport, WorkflowTermination> {
    type Activities = MaintenanceActivities;
    match input.task {
        MaintenanceTask::CollectGarbage => call(ctx, Activities::collect_garbage, input).await,
        MaintenanceTask::Retain => call(ctx, Activities::retain, input).await,
        MaintenanceTask::RemoveWorkspaces => call(ctx, Activities::remove_workspaces, input).await,
        MaintenanceTask::Reconcile => call(ctx, Activities::reconcile, input).await,
        MaintenanceTask::ExportHistories => call(ctx, Activities::export_histories, input).await,
    }
}

/// Calls the activity, on its host where it has one. One that fails for good fails the run, with its reason.
async fn call<A>(
    ctx: &Ctx,
    activity: A,
    input: MaintenanceInput,
) -> Result<MaintenanceReport, WorkflowTermination>
where
    A: ActivityDefinition<Input = MaintenanceInput, Output = MaintenanceReport>,
{
    let queue = input.host_id.as_deref().map(host_task_queue);
    let mut options = MAINTENANCE.options_on(input.task.summary(), queue);
    options.schedule_to_start_timeout = input.host_id.is_some().then_some(HOST_WAIT);
    match ctx.execute_activity(activity, input, options).await {
        Ok(report) => Ok(report),
        Err(ActivityExecutionError::Cancelled(_)) => Err(WorkflowTermination::cancelled()),
        Err(error) => Err(error.into()),
    }
}
