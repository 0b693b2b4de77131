//! The sections `[temporal]`, `[worker]` and `[maintenance]` of the configuration.

use std::time::Duration;

use sallyport_activities::{sandbox::EngineConfig, setup::SetupConfig};
use sallyport_workflows::maintenance::MaintenanceTask;
use serde::Deserialize;

/// `[temporal]`: where Temporal is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemporalConfig {
    /// The frontend's address, with `http://` or `https://`.
    pub address: String,
    /// The namespace that tickets live in.
    pub namespace: String,
}

impl Default for TemporalConfig {
    fn default() -> Self {
        Self {
            address: "http://127.0.0.1:7233".to_owned(),
            namespace: "default".to_owned(),
        }
    }
}

/// `[worker]`: what this host takes on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// How many tickets' steps may run in this host's workspaces at once, from 1.
    pub host_slots: usize,
    /// Seconds that a running activity gets to stop when the worker is told to.
    pub shutdown_grace_seconds: u64,
    /// Seconds that this host is taken for alive after it last said so, from 5. Then others go on with its tickets.
    pub lease_seconds: u64,
    /// Seconds between two copies of a working agent's workspace, from 1. What was done since is lost with a host.
    pub checkpoint_seconds: u64,
    /// The largest file that a change may add, in MiB.
    pub largest_file_mib: u16,
    /// Files that may hold what looks like a secret, as globs from the top of the repository.
    pub secret_like_files: Vec<String>,
    /// What a repository's setup may reach, and how long its result is kept.
    pub setup: SetupConfig,
    /// What makes the rooms that agents and gates run in.
    pub sandbox: EngineConfig,
    /// Who is asked at each activity's boundaries.
    #[cfg(feature = "chaos")]
    pub boundary_hook: Option<std::net::SocketAddr>,
    /// The wall of the sealed room that is taken away.
    #[cfg(feature = "chaos")]
    pub missing_wall: Option<sallyport_activities::walls::Wall>,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            host_slots: 2,
            shutdown_grace_seconds: 10,
            lease_seconds: 120,
            checkpoint_seconds: 120,
            largest_file_mib: 5,
            secret_like_files: Vec::new(),
            setup: SetupConfig::default(),
            sandbox: EngineConfig::default(),
            #[cfg(feature = "chaos")]
            boundary_hook: None,
            #[cfg(feature = "chaos")]
            missing_wall: None,
        }
    }
}

impl WorkerConfig {
    /// How long this host's lease is.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds.max(5))
    }

    /// How often a working agent's workspace is copied.
    pub fn checkpoint_every(&self) -> Duration {
        Duration::from_secs(self.checkpoint_seconds.max(1))
    }
}

/// `[maintenance]`: how often the installation is looked after, in minutes. 0 is never.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaintenanceConfig {
    /// Objects that nothing refers to are removed.
    pub collect_garbage_minutes: u32,
    /// What was kept long enough is archived and removed.
    pub retain_minutes: u32,
    /// Each host removes the workspaces of tickets that ended long ago.
    pub remove_workspaces_minutes: u32,
    /// The ticket systems are asked for events whose webhook never came.
    pub reconcile_minutes: u32,
    /// The histories of closed runs are copied, before Temporal forgets them.
    pub export_histories_minutes: u32,
}

const DAILY: u32 = 24 * 60;

impl Default for MaintenanceConfig {
    fn default() -> Self {
        Self {
            collect_garbage_minutes: DAILY,
            retain_minutes: DAILY,
            remove_workspaces_minutes: DAILY,
            reconcile_minutes: 5,
            export_histories_minutes: 60,
        }
    }
}

impl MaintenanceConfig {
    /// How often a task is done; nothing for never.
    pub fn every(&self, task: MaintenanceTask) -> Option<Duration> {
        let minutes = match task {
            MaintenanceTask::CollectGarbage => self.collect_garbage_minutes,
            MaintenanceTask::Retain => self.retain_minutes,
            MaintenanceTask::RemoveWorkspaces => self.remove_workspaces_minutes,
            MaintenanceTask::Reconcile => self.reconcile_minutes,
            MaintenanceTask::ExportHistories => self.export_histories_minutes,
        };
        (minutes > 0).then(|| Duration::from_secs(u64::from(minutes) * 60))
    }
}
