//! `MaintenanceWorkflow` on a real Temporal server: each task's activity is called, and what it did is the result.

use std::{path::Path, sync::Arc};

use sallyport_test_support::temporal::TemporalServer;
use sallyport_workflows::{
    MaintenanceWorkflow, TASK_QUEUE,
    activities::definitions,
    maintenance::{MaintenanceInput, MaintenanceReport, MaintenanceTask},
};
use temporalio_client::WorkflowStartOptions;
use temporalio_common::error::ApplicationFailure;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    harness::{connect, usual},
    histories,
};

/// Does nothing, and says that it did.
pub struct Caretaker;

impl Caretaker {
    fn report(task: MaintenanceTask, asked: &MaintenanceInput) -> MaintenanceReport {
        assert_eq!(asked.task, task);
        MaintenanceReport::new(task, [("removed", 3), ("young", 4)])
    }
}

#[activities]
impl Caretaker {
    #[activity(definition = definitions::CollectGarbage)]
    pub async fn collect_garbage(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: MaintenanceInput,
    ) -> Result<MaintenanceReport, ActivityError> {
        Ok(Self::report(MaintenanceTask::CollectGarbage, &input))
    }

    #[activity(definition = definitions::Retain)]
    pub async fn retain(
        self: Arc<Self>,
        _ctx: ActivityContext,
        _input: MaintenanceInput,
    ) -> Result<MaintenanceReport, ActivityError> {
        let error = std::io::Error::other("the wrong database");
        Err(ApplicationFailure::builder(error)
            .type_name("StepFailed".to_owned())
            .non_retryable(true)
            .build()
            .into())
    }

    #[activity(definition = definitions::RemoveWorkspaces)]
    pub async fn remove_workspaces(
        self: Arc<Self>,
        _ctx: ActivityContext,
        input: MaintenanceInput,
    ) -> Result<MaintenanceReport, ActivityError> {
        Ok(Self::report(MaintenanceTask::RemoveWorkspaces, &input))
    }
}

/// Runs a task: its result, or why it failed, and its history.
async fn run(id: &str, task: MaintenanceTask) -> (Result<MaintenanceReport, String>, Vec<u8>) {
    usual();
    let client = connect(&TemporalServer::shared().address).await;
    let input = MaintenanceInput {
        task,
        host_id: None,
    };
    let options = WorkflowStartOptions::new(TASK_QUEUE, id).build();
    client
        .start_workflow(MaintenanceWorkflow::run, input, options)
        .await
        .expect("it starts");
    let handle = client.get_workflow_handle::<MaintenanceWorkflow>(id);
    let result = handle.get_result(Default::default()).await;
    let history = handle.fetch_history(Default::default()).to_json().await;
    let history = history.expect("a history");
    if let Some(folder) = std::env::var_os("SALLYPORT_SAVE_HISTORIES") {
        histories::save(Path::new(&folder), id, &history);
    }
    (result.map_err(|error| format!("{error:?}")), history)
}

#[tokio::test]
async fn what_a_task_did_is_the_result_and_the_history_replays() {
    let task = MaintenanceTask::CollectGarbage;
    let (report, history) = run("MAINTENANCE-1", task).await;
    let report = report.expect("it succeeds");
    assert_eq!(report.to_string(), "collect_garbage: removed 3, young 4");
    let text = String::from_utf8_lossy(&history);
    assert!(text.contains("collect_garbage"), "{text}");
    histories::replay("a run of maintenance", &history).await;

    let (report, _) = run("MAINTENANCE-2", MaintenanceTask::RemoveWorkspaces).await;
    assert_eq!(
        report.expect("it succeeds").task,
        MaintenanceTask::RemoveWorkspaces
    );
}

#[tokio::test]
async fn a_task_that_fails_for_good_fails_its_run_with_the_reason() {
    let (report, _) = run("MAINTENANCE-3", MaintenanceTask::Retain).await;
    let error = report.expect_err("it fails");
    assert!(error.contains("the wrong database"), "{error}");
}
