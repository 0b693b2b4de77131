//! A container that runs.

use std::{pin::Pin, time::Duration};

use bollard::{
    Docker as Client,
    container::LogOutput,
    errors::Error,
    query_parameters::{InspectContainerOptions, KillContainerOptions, WaitContainerOptions},
};
use futures::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncWriteExt as _, copy, duplex},
    runtime::Handle,
    task::JoinHandle,
    time::timeout,
};

use super::{
    super::{RoomExit, RoomInput, RoomOutput, SETUP_TIMEOUT, SandboxError},
    by_force, failed,
    lifeline::Lifeline,
};

/// How much is between a container and whoever reads what it wrote, in bytes.
const BUFFER: usize = 64 << 10;

/// The exit code of what `SIGKILL` ended.
const KILLED: i32 = 128 + 9;

/// How long the engine may take to tell what became of a container that has ended.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// A container. Dropped, it is removed, without waiting for it.
#[derive(Debug)]
pub(in super::super) struct Running {
    client: Client,
    id: String,
    lifeline: Option<Lifeline>,
    end: Option<JoinHandle<Result<i32, SandboxError>>>,
    exit: Option<RoomExit>,
    was_killed: bool,
    memory_ran_out: bool,
}

impl Running {
    pub(super) fn new(client: Client, id: String, lifeline: Lifeline) -> Self {
        Self {
            client,
            id,
            lifeline: Some(lifeline),
            end: None,
            exit: None,
            was_killed: false,
            memory_ran_out: false,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// As if the worker had died.
    #[cfg(test)]
    pub(in super::super) fn lose_lifeline(&mut self) {
        self.lifeline = None;
    }

    /// Waits for its end from now on.
    pub(super) fn watch(&mut self) {
        let (client, id) = (self.client.clone(), self.id.clone());
        self.end = Some(tokio::spawn(async move { end_of(&client, &id).await }));
    }

    pub(in super::super) async fn wait(&mut self) -> Result<RoomExit, SandboxError> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let code = match &mut self.end {
            Some(end) => end.await.map_err(|error| SandboxError::Io {
                action: "waiting for a container".to_owned(),
                source: error.into(),
            })??,
            None => KILLED,
        };
        self.end = None;
        let looked = self
            .client
            .inspect_container(&self.id, None::<InspectContainerOptions>);
        if let Ok(Ok(found)) = timeout(AFTERWARDS, looked).await {
            let state = found.state.unwrap_or_default();
            self.memory_ran_out = state.oom_killed.unwrap_or(false);
        }
        let exit = RoomExit {
            code,
            completed: !(self.was_killed || code == KILLED && self.memory_ran_out),
        };
        self.exit = Some(exit);
        self.lifeline = None;
        let removed = self
            .client
            .remove_container(&self.id, Some(by_force()))
            .await;
        if let Err(problem) = removed {
            tracing::warn!(container = %self.id, %problem, "a container that has ended could not be removed");
        }
        Ok(exit)
    }

    pub(in super::super) async fn kill(&mut self) -> Result<RoomExit, SandboxError> {
        if self.exit.is_none() {
            self.was_killed = true;
            let kill = KillContainerOptions {
                signal: "SIGKILL".to_owned(),
            };
            // It may have ended by itself a moment ago.
            let _ = self.client.kill_container(&self.id, Some(kill)).await;
        }
        timeout(SETUP_TIMEOUT, self.wait())
            .await
            .map_err(|_| SandboxError::Undead)?
    }

    pub(in super::super) fn ran_out_of_memory(&self) -> bool {
        self.memory_ran_out
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.exit.is_some() {
            return;
        }
        if let Some(end) = self.end.take() {
            end.abort();
        }
        let (client, id, lifeline) = (self.client.clone(), self.id.clone(), self.lifeline.take());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = client.remove_container(&id, Some(by_force())).await;
                drop(lifeline);
            });
        }
    }
}

/// The exit code of a container, when it has ended.
async fn end_of(client: &Client, id: &str) -> Result<i32, SandboxError> {
    let options = WaitContainerOptions {
        condition: "not-running".to_owned(),
    };
    let mut waiting = Box::pin(client.wait_container(id, Some(options)));
    let code = match waiting.next().await {
        Some(Ok(answer)) => answer.status_code,
        // What the library makes of any code but 0.
        Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(failed("waiting for a container")(error)),
        None => {
            return Err(SandboxError::Setup {
                reason: "Docker's engine went away while a container ran".to_owned(),
            });
        }
    };
    Ok(i32::try_from(code).unwrap_or(KILLED))
}

/// A container's input, which ends when whoever has it lets go of it.
pub(super) fn input(mut input: RoomInput) -> RoomInput {
    let (near, mut far) = duplex(BUFFER);
    tokio::spawn(async move {
        // A container that does not read any more is no error.
        let _ = copy(&mut far, &mut input).await;
        let _ = input.shutdown().await;
    });
    Box::pin(near)
}

/// What a container writes, as the two streams that it is.
pub(super) fn split(
    mut output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
) -> (RoomOutput, RoomOutput) {
    let (stdout, mut to_stdout) = duplex(BUFFER);
    let (stderr, mut to_stderr) = duplex(BUFFER);
    tokio::spawn(async move {
        while let Some(Ok(piece)) = output.next().await {
            // Whoever does not read any more does not hold up the other stream.
            let _ = match piece {
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    to_stdout.write_all(&message).await
                }
                LogOutput::StdErr { message } => to_stderr.write_all(&message).await,
                LogOutput::StdIn { .. } => Ok(()),
            };
        }
    });
    (Box::pin(stdout), Box::pin(stderr))
}
