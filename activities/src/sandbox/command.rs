//! One shell command in an inner room: a quality gate.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{Capture, Captured, Layer, Limits, Room, Sandbox, SandboxError, memory, outgrown};

/// How much of a command's output is kept, from each end.
const KEPT_BYTES: usize = 128 << 10;

/// The exit code of what `SIGKILL` ended.
const KILLED: i32 = 128 + 9;

/// What runs a command, which is the last argument. One stream for both outputs, so that a failure's message stands where it
/// belongs. The command comes as an argument of its own and is not part of any other shell's text.
pub(super) const SHELL: [&str; 4] = [
    "/bin/bash",
    "-c",
    r#"exec 2>&1; exec /bin/bash -c "$1" </dev/null"#,
    "bash",
];

/// Why a command did not end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Its time was up.
    TimeUp,
    /// The kernel killed programs of the room, or all of it, because its memory or the machine's ran out.
    OutOfMemory,
    /// Its workspace grew too large; in words.
    Outgrown(String),
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// Its exit code, 128 and the signal's number if a signal ended it: 137 if it was [stopped](Stopped).
    pub exit: i32,
    /// Why it did not end by itself; nothing if it did.
    pub stopped: Option<Stopped>,
    /// What it wrote to its standard output and, in the order of arrival, to its standard error.
    pub output: Captured,
    /// How long it took.
    pub duration: Duration,
}

impl CommandResult {
    /// Whether it ended by itself with 0.
    pub fn success(&self) -> bool {
        self.exit == 0 && self.stopped.is_none()
    }
}

/// Runs `command` with bash in an inner room on `workspace`. Returns when every process that it started is gone.
pub async fn run_command(
    sandbox: &Sandbox,
    workspace: &Path,
    command: &str,
    limits: Limits,
) -> Result<CommandResult, SandboxError> {
    run_in(
        sandbox,
        &Room::new(Layer::Inner, workspace, limits),
        command,
    )
    .await
}

/// Runs `command` with bash in `room`. Returns when every process that it started is gone.
pub async fn run_in(
    sandbox: &Sandbox,
    room: &Room,
    command: &str,
) -> Result<CommandResult, SandboxError> {
    let wall = room.limits().wall;
    let kills_before = memory::kills(&sandbox.counters);
    let start = Instant::now();
    let mut program = SHELL.to_vec();
    program.push(command);
    let mut process = sandbox.spawn(room, &program).await?;
    drop(process.stdin.take());
    let output = tokio::spawn(Capture::new(KEPT_BYTES, KEPT_BYTES).drain(process.stdout.take()));
    let complaints = tokio::spawn(Capture::new(2048, 2048).drain(process.stderr.take()));

    let ended = tokio::select! {
        exit = timeout(wall, process.wait()) => exit.map_err(|_| Stopped::TimeUp),
        reason = outgrown(room.workspace(), room.limits()) => Err(Stopped::Outgrown(reason)),
    };
    let (exit, mut stopped) = match ended {
        Ok(exit) => (exit?, None),
        Err(reason) => (process.kill().await?, Some(reason)),
    };
    let duration = start.elapsed();
    let own_memory_ran_out = process.ran_out_of_memory() == Some(true);
    let memory_ran_out = memory::kills(&sandbox.counters) > kills_before;
    // The room is gone, and with it every writer: both end at once.
    let (output, complaints) = (output.await, complaints.await);
    let read = |captured: Result<Capture, tokio::task::JoinError>| {
        captured.map(Capture::finish).unwrap_or_default()
    };
    let (mut output, complaints) = (read(output), read(complaints));
    if stopped.is_none() && !exit.success() && own_memory_ran_out {
        stopped = Some(Stopped::OutOfMemory);
        let most = room.limits().room_memory_bytes >> 20;
        output.text.push_str(&format!(
            "\n[while this ran, the kernel killed programs because the room's memory ran out: {most} MiB]\n"
        ));
    } else if stopped.is_none() && !exit.success() && memory_ran_out {
        let killed = !exit.completed || exit.code == KILLED;
        stopped = killed.then_some(Stopped::OutOfMemory);
        output.text.push_str(
            "\n[while this ran, the kernel killed programs because the machine's memory ran out]\n",
        );
    }
    match &stopped {
        Some(Stopped::Outgrown(reason)) => {
            output.text.push_str(&format!("\n[ended: {reason}]\n"));
        }
        None if !exit.completed => {
            let reason = match complaints.text.trim() {
                "" => "it was killed from outside",
                said => said,
            };
            return Err(SandboxError::Setup {
                reason: reason.to_owned(),
            });
        }
        _ => {}
    }
    Ok(CommandResult {
        exit: exit.code,
        stopped,
        output,
        duration,
    })
}
