//! Inner rooms on request: an agent's container asks for each shell command by a socket, and gets a second container for it,
//! which has the workspace and nothing else of the first.
//!
//! A request is a line of JSON, `{"command": "..."}`. The answer is the output in pieces, each with its length in front (4 bytes,
//! big-endian), then a length of 0 and the exit code (4 bytes). Whoever hangs up ends the command.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::super::{
    Capture, Engine, Layer, Limits, Room, Sandbox, SandboxError, command::SHELL, socket,
};

/// The launcher of an agent's container.
pub(in super::super) const LAUNCHER: &str = "#!/bin/bash
# Written by Sallyport: has the worker run the shell command $1 in a room of its own.
unset BASH_ENV ENV
exec /opt/node/bin/node /opt/sallyport/inner-room.mjs \"$1\"
";

/// What the launcher runs.
pub(in super::super) const CLIENT: (&str, &str) =
    ("inner-room.mjs", include_str!("inner-room.mjs"));

/// Where an agent's container finds the socket.
const IN_ROOM: &str = "/run/rooms";
const SOCKET: &str = "rooms.sock";

/// The longest request, in bytes. A shell command is an argument, and those have at most 128 KiB.
const LONGEST_REQUEST: u64 = 1 << 20;

/// How much of a command's output is passed on, from each end.
const KEPT_BYTES: usize = 512 << 10;

#[derive(Deserialize)]
struct Request {
    command: String,
}

/// Makes inner rooms for one agent's room. Dropped, it ends them all.
#[derive(Debug)]
pub struct InnerRooms {
    folder: PathBuf,
    server: JoinHandle<()>,
    closed: CancellationToken,
    commands: TaskTracker,
}

impl InnerRooms {
    /// For an agent's room on `workspace`, with the socket in the new folder `folder`. Nothing if the engine's agent rooms make
    /// their inner rooms themselves.
    pub fn open(sandbox: &Sandbox, folder: &Path, workspace: &Path) -> io::Result<Option<Self>> {
        if !matches!(sandbox.engine(), Engine::Docker(_)) {
            return Ok(None);
        }
        let listener = socket::listen(folder, SOCKET)?;
        let (closed, commands) = (CancellationToken::new(), TaskTracker::new());
        let shared = Arc::new((sandbox.clone(), workspace.to_owned()));
        let server = tokio::spawn(serve(listener, shared, closed.clone(), commands.clone()));
        Ok(Some(Self {
            folder: folder.to_owned(),
            server,
            closed,
            commands,
        }))
    }

    /// `room` with the socket in it.
    pub fn shown_to(&self, room: Room) -> Room {
        room.read_only(&self.folder, IN_ROOM)
    }

    /// Ends all inner rooms, and returns when they are gone.
    pub async fn finish(self) {
        self.closed.cancel();
        self.server.abort();
        self.commands.close();
        self.commands.wait().await;
    }
}

impl Drop for InnerRooms {
    fn drop(&mut self) {
        self.closed.cancel();
        self.server.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn serve(
    listener: UnixListener,
    shared: Arc<(Sandbox, PathBuf)>,
    closed: CancellationToken,
    commands: TaskTracker,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, closed) = (Arc::clone(&shared), closed.clone());
        commands.spawn(async move {
            let (sandbox, workspace) = &*shared;
            if let Err(problem) = answer(sandbox, workspace, stream, &closed).await {
                tracing::warn!(%problem, "a shell command had no room");
            }
        });
    }
}

async fn answer(
    sandbox: &Sandbox,
    workspace: &Path,
    stream: UnixStream,
    closed: &CancellationToken,
) -> Result<(), SandboxError> {
    let said = || SandboxError::io("answering an agent's room");
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from.take(LONGEST_REQUEST));
    let mut line = String::new();
    from.read_line(&mut line).await.map_err(said())?;
    let request: Request = serde_json::from_str(&line).map_err(|error| said()(error.into()))?;

    let room = Room::new(Layer::Inner, workspace, Limits::for_commands());
    let mut program = SHELL.to_vec();
    program.push(&request.command);
    let mut process = sandbox.spawn(&room, &program).await?;
    drop(process.stdin.take());
    let output = tokio::spawn(Capture::new(KEPT_BYTES, KEPT_BYTES).drain(process.stdout.take()));
    let complaints = tokio::spawn(Capture::new(2048, 2048).drain(process.stderr.take()));
    let mut nothing = [0; 1];
    let exit = tokio::select! {
        exit = process.wait() => exit?,
        _ = from.read(&mut nothing) => process.kill().await?,
        () = closed.cancelled() => process.kill().await?,
    };
    let output = output.await.map(Capture::finish).unwrap_or_default();
    let complaints = complaints.await.map(Capture::finish).unwrap_or_default();
    let mut frames = Vec::new();
    for text in [output.text, complaints.text] {
        if !text.is_empty() {
            frames.extend(u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
            frames.extend(text.as_bytes());
        }
    }
    frames.extend(0_u32.to_be_bytes());
    frames.extend(exit.code.to_be_bytes());
    // Whoever hung up does not want it.
    let _ = to.write_all(&frames).await;
    let _ = to.shutdown().await;
    Ok(())
}
