//! A running room, whichever engine made it.

use std::{fmt, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Engine, Room, Sandbox, SandboxError, bubblewrap, docker};

/// What a program reads.
pub type RoomInput = Pin<Box<dyn AsyncWrite + Send>>;

/// What a program wrote.
pub type RoomOutput = Pin<Box<dyn AsyncRead + Send>>;

/// How a room ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomExit {
    /// The program's exit code, 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// Whether the program ran and ended by itself. Otherwise the room never came into being, or was killed from outside.
    pub completed: bool,
}

impl RoomExit {
    /// Whether the program ended by itself with 0.
    pub fn success(self) -> bool {
        self.completed && self.code == 0
    }
}

/// A running room. Dropping it kills it, without waiting for its end.
pub struct RoomProcess {
    /// The program's standard input.
    pub stdin: Option<RoomInput>,
    /// The program's standard output. Must be read, or the program will wait.
    pub stdout: Option<RoomOutput>,
    /// The program's standard error. Must be read, or the program will wait.
    pub stderr: Option<RoomOutput>,
    pub(super) running: Running,
}

/// What an engine knows of a room that runs.
#[derive(Debug)]
pub(super) enum Running {
    Bubblewrap(bubblewrap::Running),
    Docker(docker::Running),
}

impl fmt::Debug for RoomProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RoomProcess")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes `room` and starts `program` in it, an absolute path in the room and its arguments.
    pub async fn spawn(&self, room: &Room, program: &[&str]) -> Result<RoomProcess, SandboxError> {
        match &self.engine {
            Engine::Bubblewrap { cgroups } => {
                bubblewrap::spawn(self, cgroups.as_ref(), room, program).await
            }
            Engine::Docker(docker) => docker.spawn(self, room, program).await,
        }
    }
}

impl RoomProcess {
    /// Waits until the program has ended and every process in the room is gone. Processes that the program left behind
    /// are killed. May be cancelled and called again.
    pub async fn wait(&mut self) -> Result<RoomExit, SandboxError> {
        match &mut self.running {
            Running::Bubblewrap(running) => running.wait().await,
            Running::Docker(running) => running.wait().await,
        }
    }

    /// Kills everything in the room and returns when all of it is gone.
    pub async fn kill(&mut self) -> Result<RoomExit, SandboxError> {
        match &mut self.running {
            Running::Bubblewrap(running) => running.kill().await,
            Running::Docker(running) => running.kill().await,
        }
    }

    /// Whether the kernel killed a process of the room because its memory ran out. Nothing if nobody counts that here.
    pub(super) fn ran_out_of_memory(&self) -> Option<bool> {
        match &self.running {
            Running::Bubblewrap(running) => running.ran_out_of_memory(),
            Running::Docker(running) => Some(running.ran_out_of_memory()),
        }
    }
}
