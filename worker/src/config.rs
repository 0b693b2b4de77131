//! The sections `[temporal]` and `[worker]` of the configuration.

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
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            host_slots: 2,
            shutdown_grace_seconds: 10,
        }
    }
}
