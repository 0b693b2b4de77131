//! The worker: takes workflow tasks and activities from Temporal and runs them on this host.
//!
//! It listens on two task queues. The common queue `sallyport` has the workflows and every activity that needs no
//! particular host; the queue `sallyport-host-<id>` has the steps that need the workspace on this host's disk.

#[cfg(feature = "chaos")]
mod boundary;
pub mod config;
pub mod exports;
pub mod histories;
pub mod schedules;
pub mod temporal;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use sallyport_activities::{
    context::Context, forge_activities::ForgeSteps, ledger_activities::LedgerSteps,
    maintenance_activities::MaintenanceSteps, planning_activities::PlanningSteps,
    ticket_activities::TicketSteps, workspace_activities::WorkspaceSteps,
};
use sallyport_ledger::{
    config::RetentionConfig,
    hosts::{self, Host},
};
use sallyport_workflows::{MaintenanceWorkflow, TASK_QUEUE, TicketWorkflow, host_task_queue};
use temporalio_client::Client;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder},
};
use tokio_util::sync::CancellationToken;

use config::WorkerConfig;
use exports::ExportSteps;

/// Light activities at once: they wait for the network most of the time.
const COMMON_SLOTS: usize = 50;

/// Runs both workers until `shutdown` is cancelled; then running activities get the configured time to stop.
///
/// The future is not `Send`, since workflow code runs in it: block on it, do not spawn it.
pub async fn run(
    client: Client,
    config: &WorkerConfig,
    retention: RetentionConfig,
    context: Arc<Context>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let runtime = Runtime::from_current_tokio(Default::default())
        .context("cannot start Temporal's runtime")?;
    let grace = Duration::from_secs(config.shutdown_grace_seconds);
    let host_queue = host_task_queue(&context.host_id);
    let this = Host {
        host_id: context.host_id.clone(),
        task_queue: host_queue.clone(),
        slots: config.host_slots.max(1),
    };

    let maintenance = MaintenanceSteps::new(context.clone(), retention);
    #[cfg_attr(
        not(feature = "chaos"),
        expect(unused_mut, reason = "chaos adds to it")
    )]
    let mut common = WorkerOptions::new(TASK_QUEUE.to_owned())
        .graceful_shutdown_period(grace)
        .tuner(tuner(COMMON_SLOTS))
        .register_workflow::<TicketWorkflow>()?
        .register_workflow::<MaintenanceWorkflow>()?
        .register_activities(LedgerSteps::new(context.clone()))
        .register_activities(TicketSteps::new(context.clone()))
        .register_activities(PlanningSteps::new(context.clone()))
        .register_activities(ForgeSteps::new(context.clone()))
        .register_activities(WorkspaceSteps::new(context.clone()))
        .register_activities(MaintenanceSteps::new(context.clone(), retention))
        .register_activities(ExportSteps::new(client.clone(), context.clone()))
        .build();
    #[cfg_attr(
        not(feature = "chaos"),
        expect(unused_mut, reason = "chaos adds to it")
    )]
    let mut host = WorkerOptions::new(host_queue.clone())
        .graceful_shutdown_period(grace)
        .tuner(tuner(this.slots))
        .register_activities(ForgeSteps::new(context.clone()))
        .register_activities(WorkspaceSteps::new(context.clone()))
        .register_activities(MaintenanceSteps::new(context.clone(), retention))
        .build();
    #[cfg(feature = "chaos")]
    if let Some(asked) = config.boundary_hook {
        common.activity_inbound_interceptor(boundary::Boundary { asked });
        host.activity_inbound_interceptor(boundary::Boundary { asked });
    }

    let mut common = Worker::new(&runtime, client.clone(), common)
        .map_err(|error| anyhow::anyhow!("cannot start the worker on `{TASK_QUEUE}`: {error}"))?;
    let mut host = Worker::new(&runtime, client, host)
        .map_err(|error| anyhow::anyhow!("cannot start the worker on `{host_queue}`: {error}"))?;
    let (stop_common, stop_host) = (common.shutdown_handle(), host.shutdown_handle());
    let Context {
        database, lease, ..
    } = &*context;
    lease
        .renew(database, &this, config.lease())
        .await
        .map_err(|error| anyhow::anyhow!("cannot take this host's lease: {error}"))?;
    tracing::info!(common_queue = TASK_QUEUE, host_queue, "worker is ready");

    let work = async {
        let stop = async {
            shutdown.cancelled().await;
            tracing::info!("worker stops: running activities get {} s", grace.as_secs());
            stop_common();
            stop_host();
        };
        let sweep = shutdown.run_until_cancelled(maintenance.sweep());
        tokio::join!(common.run(), host.run(), stop, sweep)
    };
    let (common, host, ..) = tokio::select! {
        ended = work => ended,
        () = lease.keep(database, &this, config.lease()) => unreachable!("it never ends"),
    };
    // Nothing runs here any more: others need not wait for the lease to run out.
    if let Err(problem) = hosts::end_lease(database, &this.host_id).await {
        tracing::warn!(%problem, "this host's lease could not be ended; it runs out by itself");
    }
    common.map_err(|error| anyhow::anyhow!("the worker on `{TASK_QUEUE}` failed: {error}"))?;
    host.map_err(|error| anyhow::anyhow!("the worker on `{host_queue}` failed: {error}"))?;
    Ok(())
}

fn tuner(activities: usize) -> TunerHolder {
    TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(100))
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(activities))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(100))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build()
}
