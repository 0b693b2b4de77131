//! The schedules of the installation's maintenance: Temporal starts each run, whichever workers there are.

use std::time::Duration;

use anyhow::Context as _;
use sallyport_workflows::{
    MaintenanceWorkflow, TASK_QUEUE,
    maintenance::{MaintenanceInput, MaintenanceTask},
};
use temporalio_client::{
    Client,
    schedules::{
        CreateScheduleOptions, ScheduleAction, ScheduleError, ScheduleOverlapPolicy, ScheduleSpec,
    },
    tonic::Code,
};

use crate::config::MaintenanceConfig;

/// A run that was missed by more than this, since Temporal was down, waits for the next time.
const CATCH_UP: Duration = Duration::from_secs(60 * 60);

/// Makes each task's schedule as the configuration says, or takes it away where it says so. A schedule that somebody
/// paused stays paused.
///
/// Key: the schedule's id, made of the task and, for a host's own, the host. Again, or from several workers at once,
/// comes to the same.
pub async fn ensure(
    client: &Client,
    config: &MaintenanceConfig,
    host_id: &str,
) -> anyhow::Result<()> {
    for task in MaintenanceTask::ALL {
        let id = schedule_id(task, host_id);
        let every = config.every(task);
        match every {
            Some(every) => put(client, &id, input(task, host_id), every).await,
            None => remove(client, &id).await,
        }
        .with_context(|| format!("cannot bring the schedule {id} at Temporal up to date"))?;
    }
    Ok(())
}

/// The id of a task's schedule.
pub fn schedule_id(task: MaintenanceTask, host_id: &str) -> String {
    match input(task, host_id).host_id {
        Some(host) => format!("sallyport-{}-{host}", task.as_str()),
        None => format!("sallyport-{}", task.as_str()),
    }
}

fn input(task: MaintenanceTask, host_id: &str) -> MaintenanceInput {
    let is_the_hosts = matches!(task, MaintenanceTask::RemoveWorkspaces);
    MaintenanceInput {
        task,
        host_id: is_the_hosts.then(|| host_id.to_owned()),
    }
}

async fn put(
    client: &Client,
    id: &str,
    input: MaintenanceInput,
    every: Duration,
) -> Result<(), ScheduleError> {
    let spec = ScheduleSpec::from_interval(every);
    let action = ScheduleAction::start_workflow(MaintenanceWorkflow::run, input, TASK_QUEUE, id);
    let new = CreateScheduleOptions::builder()
        .action(action.clone())
        .spec(spec.clone())
        .overlap_policy(ScheduleOverlapPolicy::Skip)
        .build();
    match client.create_schedule(id, new).await {
        Ok(_) => {}
        Err(ScheduleError::Rpc(status)) if status.code() == Code::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // Also one that was just made: how much is caught up can only be said here.
    client
        .get_schedule_handle(id)
        .update(
            move |schedule| {
                schedule
                    .set_spec(spec)
                    .set_action(action)
                    .set_overlap_policy(ScheduleOverlapPolicy::Skip)
                    .set_catchup_window(CATCH_UP);
            },
            Default::default(),
        )
        .await
}

async fn remove(client: &Client, id: &str) -> Result<(), ScheduleError> {
    let handle = client.get_schedule_handle(id);
    match handle.delete(Default::default()).await {
        Err(ScheduleError::Rpc(status)) if status.code() == Code::NotFound => Ok(()),
        done => done,
    }
}
