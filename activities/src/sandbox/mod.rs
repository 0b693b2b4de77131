//! The sealed room: where everything runs that an agent, a ticket or a repository could have written.
//!
//! A [`Room`] has nothing in it but the system's programs (read-only), Node, one workspace and what its builder adds. An
//! [`Engine`] makes it, bubblewrap (as the table says) or Docker (`docker`). There are two kinds of room, see [`Layer`]:
//!
//! - **Agent**: Pi itself. It has the agent's session and the model gateway's socket, and may make further namespaces,
//!   since it starts an inner room for each shell command (`launcher`).
//! - **Inner**: a shell command of the agent, or a quality gate. No socket, no session, no way to make namespaces.
//!
//! | wall | made by |
//! | --- | --- |
//! | files | mount namespace, read-only system, an own user (20001) if the worker is root |
//! | network | empty network namespace; other socket families refused by seccomp, since `AF_VSOCK` knows no namespaces |
//! | processes | PID namespace; a room has ended only when its first process is gone, see [`RoomProcess`] |
//! | kernel | seccomp, no capabilities, no new privileges |
//! | environment | emptied before bubblewrap starts, since its first process keeps what bubblewrap was started with |
//! | resources | [`Limits`] |

mod bubblewrap;
mod capture;
pub mod cgroup;
mod command;
mod docker;
mod engine;
mod files;
mod launcher;
mod memory;
mod preflight;
mod process;
mod read_only;
mod room;
mod seccomp;
mod size;
pub(crate) mod socket;
mod spawner;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

pub use capture::{Capture, Captured};
pub use command::{CommandResult, Stopped, run_command, run_in};
pub use docker::rooms::InnerRooms;
pub use engine::{Engine, EngineConfig, EngineName};
pub use files::{FileProblem, give_to_room, open_beneath, read_beneath};
pub(crate) use launcher::{FILE as LAUNCHER, quote};
pub use preflight::{preflight, preflight_without_node, system_program};
pub use process::{RoomExit, RoomInput, RoomOutput, RoomProcess};
pub use read_only::keep_read_only;
pub use room::{Layer, Limits, Room};
pub(crate) use size::outgrown;

use crate::tools::Tools;

/// The user and group that rooms run as if the worker is root. Nobody else should have this number.
pub const ROOM_UID: u32 = 20_001;

/// Where a room finds its workspace.
pub const WORKSPACE: &str = "/room";

/// Where a room finds Node.
pub(crate) const NODE: &str = "/opt/node";

/// Where an agent's room finds what it needs to start an inner room.
pub(crate) const KIT: &str = "/opt/sallyport";

/// How long bubblewrap may take to set a room up or to take it down.
pub(crate) const SETUP_TIMEOUT: Duration = Duration::from_secs(20);

/// A room could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A program is not on this machine.
    #[error(
        "{program} is not on this machine, and without it nothing can be sealed off; install it: {install}"
    )]
    MissingProgram {
        /// The program.
        program: String,
        /// The command that installs it.
        install: &'static str,
    },
    /// bubblewrap, or a program before it, refused to set the room up.
    #[error("the sandbox could not be set up: {reason}")]
    Setup {
        /// What it said.
        reason: String,
    },
    /// The operating system refused something.
    #[error("{action} failed: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A room did not end although it was killed. Its processes may still run.
    #[error("a sandbox did not end within {} seconds of being killed", SETUP_TIMEOUT.as_secs())]
    Undead,
}

impl SandboxError {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

/// What all rooms of a worker share: the programs and the **kit**, a folder with the seccomp filters, the few files
/// that a room has as its `/etc`, and the launcher of inner rooms.
#[derive(Clone, Debug)]
pub struct Sandbox {
    tools: Tools,
    kit: PathBuf,
    /// The kernel's counters, see [`memory`].
    counters: PathBuf,
    engine: Engine,
}

impl Sandbox {
    /// Writes the kit into `folder`, which is created, or brought up to date, if need be. As root, all folders above it
    /// must be passable for everybody.
    pub fn open(tools: &Tools, folder: &Path) -> Result<Self, SandboxError> {
        Self::open_with(tools, folder, &EngineConfig::default())
    }

    /// The same with another engine than bubblewrap.
    pub fn open_with(
        tools: &Tools,
        folder: &Path,
        engine: &EngineConfig,
    ) -> Result<Self, SandboxError> {
        // A worker may have been started with open files of its parent. Rust opens every file so that programs do not
        // inherit it; these were opened by somebody else and would be handed down into each room.
        close_fds::set_fds_cloexec(3, &[]);

        fs::create_dir_all(folder).map_err(SandboxError::io(format!(
            "making the folder {}",
            folder.display()
        )))?;
        let folder = folder.canonicalize().map_err(SandboxError::io(format!(
            "finding the folder {}",
            folder.display()
        )))?;
        let sandbox = Self {
            tools: tools.clone(),
            kit: folder,
            counters: PathBuf::from(memory::COUNTERS),
            engine: engine.open(),
        };
        sandbox.write_kit()?;
        Ok(sandbox)
    }

    /// The programs.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// The kit's folder.
    pub(crate) fn kit(&self) -> &Path {
        &self.kit
    }

    fn launcher(&self) -> String {
        match &self.engine {
            Engine::Bubblewrap { .. } => launcher::script(&Limits::for_commands()),
            Engine::Docker(_) => docker::rooms::LAUNCHER.to_owned(),
        }
    }

    /// What makes rooms.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn write_kit(&self) -> Result<(), SandboxError> {
        let filters = seccomp::filters();
        let account = format!("{ROOM_UID}");
        let (uid, gid) = if runs_as_root() {
            (account.clone(), account)
        } else {
            (
                rustix::process::getuid().as_raw().to_string(),
                rustix::process::getgid().as_raw().to_string(),
            )
        };
        let files: [(&str, u32, Vec<u8>); 12] = [
            (seccomp::AGENT_FILTER, 0o644, filters.agent),
            (seccomp::INNER_FILTER, 0o644, filters.inner),
            (seccomp::CLONE3_FILTER, 0o644, filters.clone3),
            (seccomp::ABI_FILTER, 0o644, filters.abi),
            (
                "etc/passwd",
                0o644,
                format!("agent:x:{uid}:{gid}::/home/agent:/bin/bash\n").into(),
            ),
            ("etc/group", 0o644, format!("agent:x:{gid}:\n").into()),
            (
                "etc/hosts",
                0o644,
                b"127.0.0.1 localhost\n::1 localhost\n".to_vec(),
            ),
            // Docker would show the host's.
            ("etc/resolv.conf", 0o644, Vec::new()),
            (
                docker::rooms::CLIENT.0,
                0o644,
                docker::rooms::CLIENT.1.into(),
            ),
            ("etc/hostname", 0o644, b"room\n".to_vec()),
            (
                "etc/nsswitch.conf",
                0o644,
                b"passwd: files\ngroup: files\nhosts: files\n".to_vec(),
            ),
            (launcher::FILE, 0o755, self.launcher().into()),
        ];
        set_mode(&self.kit, 0o755)?;
        let etc = self.kit.join("etc");
        fs::create_dir_all(&etc).map_err(SandboxError::io(format!(
            "making the folder {}",
            etc.display()
        )))?;
        set_mode(&etc, 0o755)?;
        for (name, mode, content) in files {
            write_whole(&self.kit.join(name), mode, &content)?;
        }
        Ok(())
    }
}

/// Whether this process is root, so that rooms can have a user of their own.
pub(crate) fn runs_as_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_mode(path: &Path, mode: u32) -> Result<(), SandboxError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(SandboxError::io(format!(
        "setting the permissions of {}",
        path.display()
    )))
}

/// Writes a file so that a room that starts at the same moment sees the old one or the new one, never half of it.
fn write_whole(path: &Path, mode: u32, content: &[u8]) -> Result<(), SandboxError> {
    let failed = |source| SandboxError::Io {
        action: format!("writing {}", path.display()),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    io::Write::write_all(&mut file, content).map_err(failed)?;
    File::set_permissions(file.as_file(), Permissions::from_mode(mode)).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
