//! What makes rooms: bubblewrap, or a Docker engine.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::Deserialize;

use super::{
    cgroup::Cgroups,
    docker::{DOCKER_SOCKET, Docker},
};

/// An engine's name in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// bubblewrap: namespaces made by a program of the host.
    #[default]
    Bubblewrap,
    /// A Docker engine, by its API.
    Docker,
}

impl fmt::Display for EngineName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Docker => "docker",
        })
    }
}

/// `[worker.sandbox]`: what makes rooms.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Which engine.
    pub engine: EngineName,
    /// The Docker engine's socket.
    pub docker_socket: PathBuf,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            engine: EngineName::default(),
            docker_socket: PathBuf::from(DOCKER_SOCKET),
        }
    }
}

/// An engine that is ready to make rooms.
#[derive(Clone, Debug)]
pub enum Engine {
    /// bubblewrap.
    Bubblewrap {
        /// Groups for rooms, where this host has them.
        cgroups: Option<Cgroups>,
    },
    /// A Docker engine.
    Docker(Arc<Docker>),
}

impl EngineConfig {
    pub(super) fn open(&self) -> Engine {
        match self.engine {
            EngineName::Bubblewrap => Engine::Bubblewrap {
                cgroups: find_cgroups(),
            },
            EngineName::Docker => Engine::Docker(Arc::new(Docker::new(&self.docker_socket))),
        }
    }
}

impl Engine {
    /// Its name.
    pub fn name(&self) -> EngineName {
        match self {
            Self::Bubblewrap { .. } => EngineName::Bubblewrap,
            Self::Docker(_) => EngineName::Docker,
        }
    }

    /// Whether a room is limited as a whole.
    pub fn limits_rooms(&self) -> bool {
        match self {
            Self::Bubblewrap { cgroups } => cgroups.is_some(),
            Self::Docker(_) => true,
        }
    }
}

fn find_cgroups() -> Option<Cgroups> {
    match Cgroups::find() {
        Ok(cgroups) => {
            tracing::info!(%cgroups, "rooms have control groups");
            Some(cgroups)
        }
        Err(reason) => {
            tracing::info!(%reason, "rooms have no control groups: memory is limited for each process alone");
            None
        }
    }
}
