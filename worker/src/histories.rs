//! Workflows' histories, as Temporal has them: what really happened, to compare the audit log with.

use anyhow::Context as _;
use sallyport_ledger::audit::{bundle::Recorded, history::records};
use temporalio_client::{
    Client,
    tonic::{Code, Request},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    history::v1::{History, history_event::Attributes},
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

/// How many events are asked for at once.
const PAGE: i32 = 1000;

/// The history of one run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The run's id.
    pub run_id: String,
    /// The run before it, which continued as this one.
    pub previous: Option<String>,
    /// Its events.
    pub history: History,
}

/// The history of a workflow's run, by default the latest, or nothing if Temporal does not have it (any more).
pub async fn fetch(
    client: &Client,
    workflow_id: &str,
    run_id: Option<&str>,
) -> anyhow::Result<Option<Run>> {
    let mut service = client.connection().workflow_service();
    let mut history = History::default();
    let mut next_page_token = Vec::new();
    loop {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: client.options().namespace.clone(),
            execution: Some(WorkflowExecution {
                workflow_id: workflow_id.to_owned(),
                run_id: run_id.unwrap_or_default().to_owned(),
            }),
            maximum_page_size: PAGE,
            next_page_token,
            ..Default::default()
        };
        let page = match service
            .get_workflow_execution_history(Request::new(request))
            .await
        {
            Ok(page) => page.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => {
                return Err(anyhow::anyhow!("{}", status.message()))
                    .with_context(|| format!("cannot read the history of {workflow_id}"));
            }
        };
        history
            .events
            .extend(page.history.into_iter().flat_map(|history| history.events));
        next_page_token = page.next_page_token;
        if next_page_token.is_empty() {
            break;
        }
    }
    let started = history
        .events
        .first()
        .and_then(|event| event.attributes.as_ref());
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = started else {
        return Ok(None);
    };
    Ok(Some(Run {
        run_id: started.original_execution_run_id.clone(),
        previous: Some(started.continued_execution_run_id.clone()).filter(|id| !id.is_empty()),
        history,
    }))
}

/// The histories of all runs of a workflow, the latest first. The last one says whether an earlier run is missing.
pub async fn fetch_all(client: &Client, workflow_id: &str) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    let mut run_id: Option<String> = None;
    while let Some(run) = fetch(client, workflow_id, run_id.as_deref()).await? {
        run_id = run.previous.clone();
        runs.push(run);
        if run_id.is_none() {
            break;
        }
    }
    Ok(runs)
}

/// A history as it was exported.
pub fn read_exported(json: &[u8]) -> anyhow::Result<History> {
    serde_json::from_slice(json).context("an exported history is not as Temporal writes it")
}

/// What a run's activities were asked to put on record, in order.
pub fn recorded(history: &History) -> Vec<Recorded> {
    let completed: std::collections::BTreeSet<i64> = history
        .events
        .iter()
        .filter_map(|event| match &event.attributes {
            Some(Attributes::ActivityTaskCompletedEventAttributes(completed)) => {
                Some(completed.scheduled_event_id)
            }
            _ => None,
        })
        .collect();
    let mut recorded = Vec::new();
    for event in &history.events {
        let Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) = &event.attributes
        else {
            continue;
        };
        let name = scheduled
            .activity_type
            .as_ref()
            .map(|kind| kind.name.as_str());
        let input = scheduled
            .input
            .as_ref()
            .and_then(|input| input.payloads.first());
        if let (Some(activity), Some(input)) = (name.filter(|name| records(name)), input) {
            recorded.push(Recorded {
                activity: activity.to_owned(),
                input: String::from_utf8_lossy(&input.data).into_owned(),
                completed: completed.contains(&event.event_id),
            });
        }
    }
    recorded
}
