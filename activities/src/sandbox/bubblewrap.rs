//! Rooms made by bubblewrap.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
    },
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::unix::pipe,
    process::{Child, Command},
    time::timeout,
};

use super::{
    Capture, Layer, Room, SETUP_TIMEOUT, Sandbox, SandboxError,
    cgroup::{Cgroups, RoomGroup},
    process::{self, RoomExit, RoomInput, RoomOutput, RoomProcess},
    room::Descriptors,
    seccomp::{ABI_FILTER, AGENT_FILTER, CLONE3_FILTER, INNER_FILTER},
    spawner,
};

/// Where bubblewrap finds the files that we hand it. Far from 0, 1 and 2, and below what a shell uses itself.
const DESCRIPTORS: Descriptors = Descriptors {
    status: 20,
    block: 21,
    filters: [22, 23, 24],
};

/// A room that runs. Dropping it kills it, without waiting for its end.
///
/// It has two processes that are not the program's: bubblewrap outside, which is our child and passes the program's exit
/// code on, and the first process inside. The outer one may end first; the kernel lets the inner one end only when all
/// others in the room are gone. So a room is over when a file descriptor on the first process inside says so.
#[derive(Debug)]
pub(super) struct Running {
    outer: Child,
    first: Arc<OwnedFd>,
    status: BufReader<pipe::Receiver>,
    exit: Option<RoomExit>,
    group: Option<RoomGroup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status {
    child_pid: Option<i32>,
    exit_code: Option<i32>,
}

/// Makes `room` and starts `program` in it, an absolute path in the room and its arguments.
pub(super) async fn spawn(
    sandbox: &Sandbox,
    cgroups: Option<&Cgroups>,
    room: &Room,
    program: &[&str],
) -> Result<RoomProcess, SandboxError> {
    let program: Vec<_> = program.iter().map(Into::into).collect();
    let line = room.command_line(sandbox, &DESCRIPTORS, &program);

    let (status, status_end) = io::pipe().map_err(SandboxError::io("making a pipe"))?;
    let (block_end, block) = io::pipe().map_err(SandboxError::io("making a pipe"))?;
    let mut mappings = vec![
        FdMapping {
            parent_fd: status_end.into(),
            child_fd: DESCRIPTORS.status,
        },
        FdMapping {
            parent_fd: block_end.into(),
            child_fd: DESCRIPTORS.block,
        },
    ];
    let layer_filter = match room.layer() {
        Layer::Agent => AGENT_FILTER,
        Layer::Inner => INNER_FILTER,
    };
    for (name, child_fd) in [layer_filter, CLONE3_FILTER, ABI_FILTER]
        .into_iter()
        .zip(DESCRIPTORS.filters)
    {
        mappings.push(FdMapping {
            parent_fd: open_filter(&sandbox.kit().join(name))?,
            child_fd,
        });
    }

    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        // Not only for the program, which gets its environment from bubblewrap: bubblewrap's first process in the
        // room shows the environment that it was started with in /proc/1/environ.
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
        .fd_mappings(mappings)
        .map_err(|error| SandboxError::Setup {
            reason: format!("descriptors collide: {error}"),
        })?;
    // The command, and with it our copies of the descriptors, is dropped by the spawner.
    let mut outer = spawner::spawn(command)
        .await
        .map_err(|source| SandboxError::Io {
            action: format!("starting {} for a sandbox", line[0].to_string_lossy()),
            source,
        })?;

    let status = pipe::Receiver::from_owned_fd(status.into())
        .map_err(SandboxError::io("watching a sandbox"))?;
    let mut status = BufReader::new(status);
    let Ok(Some(first)) = timeout(SETUP_TIMEOUT, first_process(&mut status)).await else {
        return Err(setup_problem(outer).await);
    };
    // Now, while bubblewrap still waits for us: the number cannot have been given to another process yet.
    let number = first.as_raw_nonzero().get();
    let Ok(first) = pidfd_open(first, PidfdFlags::empty()) else {
        return Err(setup_problem(outer).await);
    };
    let group = match cgroups {
        None => None,
        Some(cgroups) => {
            let group = cgroups.make(room.limits());
            let group = group.map_err(SandboxError::io("making a control group"))?;
            let added = group.add(number);
            if !added.map_err(SandboxError::io("putting a sandbox into its control group"))? {
                // It has given up by itself, and says why.
                return Err(setup_problem(outer).await);
            }
            Some(group)
        }
    };
    if File::from(OwnedFd::from(block)).write_all(b"1").is_err() {
        // Nobody reads any more: it has given up by itself, and says why.
        return Err(setup_problem(outer).await);
    }

    Ok(RoomProcess {
        stdin: outer.stdin.take().map(|stdin| Box::pin(stdin) as RoomInput),
        stdout: outer
            .stdout
            .take()
            .map(|stdout| Box::pin(stdout) as RoomOutput),
        stderr: outer
            .stderr
            .take()
            .map(|stderr| Box::pin(stderr) as RoomOutput),
        running: process::Running::Bubblewrap(Running {
            outer,
            first: Arc::new(first),
            status,
            exit: None,
            group,
        }),
    })
}

/// Blocks until the process is gone, which it soon is: it has been killed.
fn wait_for_end(process: &OwnedFd) -> Result<(), SandboxError> {
    let limit = Timespec {
        tv_sec: SETUP_TIMEOUT.as_secs() as i64,
        tv_nsec: 0,
    };
    loop {
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)) {
            Ok(0) => return Err(SandboxError::Undead),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => {
                return Err(SandboxError::io("waiting for a sandbox's processes")(
                    error.into(),
                ));
            }
        }
    }
}

fn open_filter(path: &Path) -> Result<OwnedFd, SandboxError> {
    File::open(path)
        .map(Into::into)
        .map_err(SandboxError::io(format!("reading {}", path.display())))
}

/// The number of the first process in the room, or nothing if bubblewrap gave up before there was one.
async fn first_process(status: &mut BufReader<pipe::Receiver>) -> Option<Pid> {
    let mut line = String::new();
    status.read_line(&mut line).await.ok()?;
    let status: Status = serde_json::from_str(&line).ok()?;
    status.child_pid.and_then(Pid::from_raw)
}

/// Ends a room that did not come into being, and says why.
async fn setup_problem(mut outer: Child) -> SandboxError {
    // It has usually ended by itself; then this does nothing, and what it said can still be read.
    let said = Capture::new(2048, 2048).drain(outer.stderr.take());
    let reason = match timeout(Duration::from_secs(2), said).await {
        Ok(said) => said.finish().text.trim().to_owned(),
        Err(_) => String::new(),
    };
    let _ = outer.start_kill();
    let _ = timeout(SETUP_TIMEOUT, outer.wait()).await;
    let reason = if reason.is_empty() {
        "bubblewrap did not answer".to_owned()
    } else {
        reason
    };
    SandboxError::Setup { reason }
}

impl Running {
    pub(super) async fn wait(&mut self) -> Result<RoomExit, SandboxError> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let status = self
            .outer
            .wait()
            .await
            .map_err(SandboxError::io("waiting for a sandbox"))?;
        // Whatever happened to the outer process: nothing in the room may outlive it.
        let _ = pidfd_send_signal(&self.first, Signal::KILL);
        let first = Arc::clone(&self.first);
        tokio::task::spawn_blocking(move || wait_for_end(&first))
            .await
            .map_err(|error| SandboxError::Io {
                action: "waiting for a sandbox".to_owned(),
                source: error.into(),
            })??;
        // If the outer process ended first, the first one inside has become our child. Otherwise this finds nothing.
        let _ = waitid(
            WaitId::PidFd(self.first.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        let reported = self.reported_exit_code().await;
        let code = reported
            .or(status.code())
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let exit = RoomExit {
            code,
            completed: reported.is_some(),
        };
        self.exit = Some(exit);
        Ok(exit)
    }

    /// The exit code as bubblewrap wrote it down when it saw the program end.
    async fn reported_exit_code(&mut self) -> Option<i32> {
        let mut line = String::new();
        self.status.read_line(&mut line).await.ok()?;
        serde_json::from_str::<Status>(&line).ok()?.exit_code
    }

    pub(super) fn ran_out_of_memory(&self) -> Option<bool> {
        self.group.as_ref().map(RoomGroup::ran_out_of_memory)
    }

    pub(super) async fn kill(&mut self) -> Result<RoomExit, SandboxError> {
        // The inner one first: the outer one then sees it end and buries it.
        let _ = pidfd_send_signal(&self.first, Signal::KILL);
        if let Ok(exit) = timeout(SETUP_TIMEOUT / 2, self.wait()).await {
            return exit;
        }
        let _ = self.outer.start_kill();
        timeout(SETUP_TIMEOUT, self.wait())
            .await
            .map_err(|_| SandboxError::Undead)?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.exit.is_none() {
            let _ = pidfd_send_signal(&self.first, Signal::KILL);
        }
    }
}
