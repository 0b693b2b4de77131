//! The schedules of maintenance at a real Temporal server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sallyport_test_support::temporal::TemporalServer;
use sallyport_worker::{
    config::{MaintenanceConfig, TemporalConfig},
    schedules::{ensure, schedule_id},
    temporal::connect,
};
use sallyport_workflows::maintenance::{MaintenanceInput, MaintenanceTask};
use temporalio_client::{
    Client,
    schedules::{ScheduleDescription, ScheduleDescriptionAction},
};
use temporalio_common::protos::temporal::api::enums::v1::ScheduleOverlapPolicy;

async fn client(server: &TemporalServer) -> Client {
    let config = TemporalConfig {
        address: server.address.clone(),
        ..TemporalConfig::default()
    };
    connect(&config, "test").await.unwrap()
}

async fn description(client: &Client, id: &str) -> Option<ScheduleDescription> {
    let handle = client.get_schedule_handle(id);
    handle.describe(Default::default()).await.ok()
}

fn interval(description: &ScheduleDescription) -> Duration {
    let schedule = description.raw().schedule.as_ref().unwrap();
    let interval = schedule.spec.as_ref().unwrap().interval[0];
    interval.interval.unwrap().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_as_the_configuration_says_whoever_makes_them() {
    let server = TemporalServer::own().unwrap();
    let client = client(&server).await;
    let config = MaintenanceConfig::default();
    // Many workers at once.
    let workers = (0..5).map(|_| {
        let (client, config) = (client.clone(), config.clone());
        tokio::spawn(async move { ensure(&client, &config, "host-1").await })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap().unwrap();
    }
    for task in MaintenanceTask::ALL {
        let id = schedule_id(task, "host-1");
        let made = description(&client, &id).await.expect("it is there");
        let minutes = match task {
            MaintenanceTask::Reconcile => 5,
            MaintenanceTask::ExportHistories => 60,
            _ => 24 * 60,
        };
        assert_eq!(interval(&made), Duration::from_secs(minutes * 60));
        let schedule = made.raw().schedule.clone().unwrap();
        let policies = schedule.policies.unwrap();
        assert_eq!(policies.overlap_policy(), ScheduleOverlapPolicy::Skip);
        assert_eq!(policies.catchup_window.unwrap().seconds, 3600);
        let ScheduleDescriptionAction::StartWorkflow(action) = made.action() else {
            panic!("it starts a workflow");
        };
        assert_eq!(action.workflow_type(), "maintenance");
        assert_eq!(action.task_queue(), "sallyport");
        let input: Option<MaintenanceInput> = action.args().await.unwrap();
        let input = input.expect("an input");
        assert_eq!(input.task, task);
        let is_the_hosts = task == MaintenanceTask::RemoveWorkspaces;
        assert_eq!(input.host_id.is_some(), is_the_hosts, "{task:?}");
    }

    // What somebody paused stays paused; another interval is taken; what is switched off goes, on this host only.
    let collect = schedule_id(MaintenanceTask::CollectGarbage, "host-1");
    let handle = client.get_schedule_handle(collect.as_str());
    handle
        .pause(Some("looking into it"), Default::default())
        .await
        .unwrap();
    ensure(&client, &config, "host-2").await.unwrap();
    let other = MaintenanceConfig {
        collect_garbage_minutes: 60,
        retain_minutes: 0,
        remove_workspaces_minutes: 0,
        ..MaintenanceConfig::default()
    };
    for _ in 0..2 {
        ensure(&client, &other, "host-1").await.unwrap();
    }
    let paused = description(&client, &collect).await.unwrap();
    assert!(paused.paused());
    assert_eq!(interval(&paused), Duration::from_secs(60 * 60));
    let gone = |task, host| {
        let client = client.clone();
        async move {
            description(&client, &schedule_id(task, host))
                .await
                .is_none()
        }
    };
    assert!(gone(MaintenanceTask::Retain, "host-1").await);
    assert!(gone(MaintenanceTask::RemoveWorkspaces, "host-1").await);
    assert!(!gone(MaintenanceTask::RemoveWorkspaces, "host-2").await);
}
