//! One shell command in an inner room: a quality gate.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{Capture, Captured, Layer, Limits, Room, Sandbox, SandboxError, outgrown};

/// How much of a command's output is kept, from each end.
const KEPT_BYTES: usize = 128 << 10;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// Its exit code, 128 and the signal's number if a signal ended it: 137 if we did, because its time was up or its
    /// workspace grew too large.
    pub exit: i32,
    /// Whether it was ended because its time was up.
    pub timed_out: bool,
    /// What it wrote to its standard output and, in the order of arrival, to its standard error.
    pub output: Captured,
    /// How long it took.
    pub duration: Duration,
}

impl CommandResult {
    /// Whether it ended by itself with 0.
    pub fn success(&self) -> bool {
        self.exit == 0 && !self.timed_out
    }
}

/// Runs `command` with bash in an inner room on `workspace`. Returns when every process that it started is gone.
pub async fn run_command(
    sandbox: &Sandbox,
    workspace: &Path,
    command: &str,
    limits: Limits,
) -> Result<CommandResult, SandboxError> {
    let wall = limits.wall;
    let room = Room::new(Layer::Inner, workspace, limits);
    let start = Instant::now();
    // One stream for both, so that a failure's message stands where it belongs. The command comes as an argument of its
    // own and is not part of any other shell's text.
    let program = [
        "/bin/bash",
        "-c",
        r#"exec 2>&1; exec /bin/bash -c "$1" </dev/null"#,
        "bash",
        command,
    ];
    let mut process = sandbox.spawn(&room, &program).await?;
    drop(process.stdin.take());
    let output = tokio::spawn(Capture::new(KEPT_BYTES, KEPT_BYTES).drain(process.stdout.take()));
    let complaints = tokio::spawn(Capture::new(2048, 2048).drain(process.stderr.take()));

    let ended = tokio::select! {
        exit = timeout(wall, process.wait()) => exit.map_err(|_| None),
        reason = outgrown(workspace, room.limits()) => Err(Some(reason)),
    };
    let (exit, timed_out, outgrown) = match ended {
        Ok(exit) => (exit?, false, None),
        Err(reason) => (process.kill().await?, reason.is_none(), reason),
    };
    let duration = start.elapsed();
    // The room is gone, and with it every writer: both end at once.
    let (output, complaints) = (output.await, complaints.await);
    let read = |captured: Result<Capture, tokio::task::JoinError>| {
        captured.map(Capture::finish).unwrap_or_default()
    };
    let (mut output, complaints) = (read(output), read(complaints));
    if let Some(reason) = outgrown {
        output.text.push_str(&format!("\n[ended: {reason}]\n"));
    } else if !exit.completed && !timed_out {
        return Err(SandboxError::Setup {
            reason: complaints.text.trim().to_owned(),
        });
    }
    Ok(CommandResult {
        exit: exit.code,
        timed_out,
        output,
        duration,
    })
}
