//! The activity `export_histories`: copies the histories of closed runs to object storage, before Temporal forgets them.
//! It lives here and not beside the others because it needs Temporal's client.

#![expect(
    missing_docs,
    reason = "the constants that the macro makes carry no documentation"
)]

use std::{collections::BTreeSet, fmt, sync::Arc};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use sallyport_activities::{context::Context, failure::StepError, heartbeat::beating};
use sallyport_ledger::{
    audit::read::Audited,
    history_exports::{self, HistoryExport},
    workflows,
};
use sallyport_workflows::{
    activities::definitions,
    maintenance::{MaintenanceInput, MaintenanceReport, MaintenanceTask},
};
use temporalio_client::{Client, tonic::Request};
use temporalio_common::protos::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::histories;

/// How many workflows are listed at once.
const PAGE: u32 = 200;
/// How many of a workflow's runs are listed at once.
const RUNS: i32 = 100;

/// Implements the export.
pub struct ExportSteps {
    client: Client,
    context: Arc<Context>,
}

impl fmt::Debug for ExportSteps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExportSteps")
            .finish_non_exhaustive()
    }
}

/// What an export found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Tickets that were looked at.
    pub tickets: u64,
    /// Runs whose histories were copied.
    pub runs: u64,
    /// Tickets of which Temporal knows no run, and of which none was exported.
    pub unknown: u64,
    /// Tickets that failed; the log says why, and the next run tries them again.
    pub failed: u64,
}

/// A run that has closed.
struct ClosedRun {
    run_id: String,
    closed_at: DateTime<Utc>,
}

impl ExportSteps {
    /// With the connection to Temporal, and what all activities share.
    pub fn new(client: Client, context: Arc<Context>) -> Self {
        Self { client, context }
    }

    /// Copies what is not copied by `now`.
    ///
    /// # Errors
    /// If the ledger cannot say which workflows there are. What goes wrong with one of them is counted.
    pub async fn export_all(&self, now: DateTime<Utc>) -> Result<Exported, StepError> {
        let mut done = Exported::default();
        let mut after = None;
        loop {
            let page = history_exports::due(&self.context.database, now, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(done);
            };
            after = Some(last.workflow);
            for audited in &page {
                done.tickets += 1;
                match self.export(audited).await {
                    Ok(Some(runs)) => done.runs += runs,
                    Ok(None) => done.unknown += 1,
                    Err(error) => {
                        done.failed += 1;
                        let workflow = &audited.workflow_id;
                        tracing::warn!(workflow, "cannot export its histories: {error:#}");
                    }
                }
            }
        }
    }

    /// Copies one workflow's closed runs. Returns how many were new; nothing if there is no run at all.
    async fn export(&self, audited: &Audited) -> anyhow::Result<Option<u64>> {
        let Context { database, .. } = &*self.context;
        let known: BTreeSet<String> = history_exports::of_workflow(database, audited.workflow)
            .await?
            .into_iter()
            .map(|export| export.run_id)
            .collect();
        let (closed, any) = self.closed_runs(&audited.workflow_id).await?;
        if !any && known.is_empty() {
            return Ok(None);
        }
        let mut new = 0;
        for run in closed.iter().filter(|run| !known.contains(&run.run_id)) {
            let name = Some(run.run_id.as_str());
            // Forgotten since it was listed.
            let Some(found) = histories::fetch(&self.client, &audited.workflow_id, name).await?
            else {
                continue;
            };
            let content = serde_json::to_vec(&found.history).context("cannot write JSON")?;
            let ticket = workflows::find(database, &audited.workflow_id).await?.key();
            let export = HistoryExport {
                run_id: run.run_id.clone(),
                events: found.history.events.len() as u64,
                closed_at: run.closed_at,
                content: self.context.store(&ticket, content).await?,
            };
            new += u64::from(history_exports::record(database, audited.workflow, &export).await?);
        }
        Ok(Some(new))
    }

    /// A workflow's runs that have closed, the first to close first, and whether there is a run at all. By Temporal's
    /// list, which also has what was reset; what it has not caught up with is found the next time.
    async fn closed_runs(&self, workflow_id: &str) -> anyhow::Result<(Vec<ClosedRun>, bool)> {
        let mut service = self.client.connection().workflow_service();
        let (mut closed, mut any, mut next_page_token) = (Vec::new(), false, Vec::new());
        loop {
            let request = ListWorkflowExecutionsRequest {
                namespace: self.client.options().namespace.clone(),
                page_size: RUNS,
                query: format!("WorkflowId = '{}'", workflow_id.replace('\'', "''")),
                next_page_token,
            };
            let page = service
                .list_workflow_executions(Request::new(request))
                .await
                .map_err(|status| anyhow::anyhow!("{}", status.message()))
                .with_context(|| format!("cannot list the runs of {workflow_id}"))?
                .into_inner();
            for run in page.executions {
                any = true;
                let (Some(execution), Some(time)) = (run.execution, run.close_time) else {
                    continue;
                };
                let nanos = u32::try_from(time.nanos).unwrap_or_default();
                let closed_at = DateTime::from_timestamp(time.seconds, nanos)
                    .context("Temporal told a time that there is not")?;
                closed.push(ClosedRun {
                    run_id: execution.run_id,
                    closed_at,
                });
            }
            next_page_token = page.next_page_token;
            if next_page_token.is_empty() {
                break;
            }
        }
        closed.sort_by_key(|run| run.closed_at);
        Ok((closed, any))
    }
}

#[activities]
impl ExportSteps {
    /// Copies the histories of closed runs. Key: the workflow and the run. Again does what is still to be done; a
    /// cancellation breaks it off.
    #[activity(definition = definitions::ExportHistories)]
    pub async fn export_histories(
        self: Arc<Self>,
        context: ActivityContext,
        _input: MaintenanceInput,
    ) -> Result<MaintenanceReport, ActivityError> {
        let step = || "exporting histories".to_owned();
        let done = beating(&context, step, self.export_all(Utc::now())).await??;
        Ok(MaintenanceReport::new(
            MaintenanceTask::ExportHistories,
            [
                ("tickets", done.tickets),
                ("runs", done.runs),
                ("unknown", done.unknown),
                ("failed", done.failed),
            ],
        ))
    }
}
