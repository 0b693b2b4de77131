//! The programs of a local installation: started, watched, started again when they die, and stopped in order.
//!
//! Each program runs in a process group of its own, so that a Ctrl-C in the terminal reaches only `sallyport dev`, which
//! then stops them in the right order. That none of them outlives `sallyport dev`, however it ends, is the kernel's
//! work: util-linux's `setpriv --pdeathsig KILL` asks it to kill the program when its parent dies. "Parent" means the
//! *thread* that started it; therefore `sallyport dev` runs on a single-threaded runtime on its main thread, which lives
//! as long as the process.

use std::{
    ffi::OsStr,
    fs::OpenOptions,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The pause before a program that died is started again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A program that ran this long starts again with the first pause.
const STEADY: Duration = Duration::from_secs(30);

/// A user that a program runs as, when we are root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// A program to keep running.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is called in messages and in `run.json`.
    pub name: &'static str,
    /// The program and its arguments.
    pub command: Vec<std::ffi::OsString>,
    /// Whether it starts with an empty environment; else with ours.
    pub bare: bool,
    /// Variables to set, or to take away.
    pub environment: Vec<(String, Option<String>)>,
    /// Who it runs as; nothing for ourselves.
    pub account: Option<Account>,
    /// Where its output goes, appended.
    pub log: PathBuf,
    /// What asks it to stop.
    pub stop_signal: Signal,
    /// How long it may take to stop before it is killed.
    pub grace: Duration,
}

/// A command that dies with this thread, and runs as `account` where one is given.
pub fn bound_command(
    account: Option<Account>,
    command: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL"]);
    if let Some(Account { uid, gid }) = account {
        bound.args([
            format!("--reuid={uid}"),
            format!("--regid={gid}"),
            "--clear-groups".to_owned(),
        ]);
    }
    bound.arg("--").args(command).stdin(Stdio::null());
    bound
}

/// Leaves a command only what any program needs of the environment.
pub fn bare(command: &mut Command) {
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", "/")
        .env("LANG", "C.UTF-8");
}

impl Program {
    fn spawn(&self) -> anyhow::Result<tokio::process::Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot open {}", self.log.display()))?;
        let errors = log
            .try_clone()
            .with_context(|| format!("cannot open {} twice", self.log.display()))?;
        let mut command = bound_command(self.account, &self.command);
        if self.bare {
            bare(&mut command);
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdout(log).stderr(errors).process_group(0);
        tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {} with setpriv", self.name))
    }
}

/// What happened to a program.
#[derive(Debug)]
pub enum Event {
    /// It runs, as this process.
    Started {
        /// Which program.
        name: &'static str,
        /// Its process id.
        pid: u32,
    },
    /// It ended although nobody asked it to, or could not be started.
    Died {
        /// Which program.
        name: &'static str,
        /// How it ended.
        how: String,
        /// How long until it is started again.
        pause: Duration,
    },
}

/// A program that is kept running.
#[derive(Debug)]
pub struct Kept {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Kept {
    /// Keeps `program` running until it is stopped. Must be called inside a `LocalSet` on the main thread. `at_once`
    /// kills it without a grace.
    pub fn start(
        program: Program,
        events: mpsc::UnboundedSender<Event>,
        at_once: CancellationToken,
    ) -> Self {
        let stop = CancellationToken::new();
        Self {
            stop: stop.clone(),
            task: tokio::task::spawn_local(keep(program, events, stop, at_once)),
        }
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        // It only fails if the task panicked; then the child was killed when it was dropped.
        let _ = self.task.await;
    }
}

async fn keep(
    program: Program,
    events: mpsc::UnboundedSender<Event>,
    stop: CancellationToken,
    at_once: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let started = Instant::now();
        let how = match program.spawn() {
            Err(error) => format!("{error:#}"),
            Ok(mut child) => {
                if let Some(pid) = child.id() {
                    let name = program.name;
                    // Nobody listens any more once everything stops.
                    let _ = events.send(Event::Started { name, pid });
                }
                tokio::select! {
                    ended = child.wait() => describe(ended),
                    () = stop.cancelled() => return end(&program, child, &at_once).await,
                }
            }
        };
        if started.elapsed() > STEADY {
            pause = FIRST_PAUSE;
        }
        let name = program.name;
        let _ = events.send(Event::Died { name, how, pause });
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn describe(ended: std::io::Result<ExitStatus>) -> String {
    match ended {
        // `exit status: 1`, `signal: 9 (SIGKILL)`
        Ok(status) => status.to_string(),
        Err(error) => format!("cannot tell how it ended: {error}"),
    }
}

async fn end(program: &Program, mut child: tokio::process::Child, at_once: &CancellationToken) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| !at_once.is_cancelled()) {
        // It fails only if the process is gone already.
        let _ = kill_process(pid, program.stop_signal);
        tokio::select! {
            waited = timeout(program.grace, child.wait()) => if waited.is_ok() { return },
            () = at_once.cancelled() => {}
        }
    }
    // As above.
    let _ = child.kill().await;
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn program(folder: &Path, script: &str) -> Program {
        Program {
            name: "test",
            command: ["sh", "-c", script].map(Into::into).to_vec(),
            bare: false,
            environment: vec![("SALLYPORT_TEST_ONLY".into(), Some("given".into()))],
            account: None,
            log: folder.join("test.log"),
            stop_signal: Signal::TERM,
            grace: Duration::from_secs(30),
        }
    }

    async fn started(events: &mut mpsc::UnboundedReceiver<Event>) -> u32 {
        loop {
            match events.recv().await.expect("the program is kept") {
                Event::Started { pid, .. } => return pid,
                Event::Died { .. } => {}
            }
        }
    }

    fn is_alive(pid: u32) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn one_that_dies_is_started_again_and_one_that_is_stopped_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, mut events) = mpsc::unbounded_channel();
        let log = folder.path().join("test.log");
        tokio::task::LocalSet::new()
            .run_until(async {
                let sleeper = program(
                    folder.path(),
                    "echo run $SALLYPORT_TEST_ONLY; exec sleep 1000",
                );
                let kept = Kept::start(sleeper, sender, CancellationToken::new());
                let first = started(&mut events).await;
                // Once its line is in the log it is `sh` or `sleep`, no longer setpriv.
                while !fs::read_to_string(&log).is_ok_and(|text| text.contains("run given")) {
                    tokio::task::yield_now().await;
                }
                let pid = Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
                kill_process(pid, Signal::KILL).unwrap();
                let died = events.recv().await.unwrap();
                assert!(
                    matches!(&died, Event::Died { how, .. } if how.contains("signal: 9")),
                    "{died:?}"
                );
                let second = started(&mut events).await;
                assert_ne!(first, second);
                kept.stop().await;
                assert!(!is_alive(second));
                assert!(events.recv().await.is_none(), "nothing more happens to it");
            })
            .await;
    }

    #[tokio::test]
    async fn one_that_does_not_want_to_stop_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, mut events) = mpsc::unbounded_channel();
        let at_once = CancellationToken::new();
        tokio::task::LocalSet::new()
            .run_until(async {
                let stubborn = program(folder.path(), "trap '' TERM; while :; do sleep 1000; done");
                let kept = Kept::start(stubborn, sender, at_once.clone());
                let pid = started(&mut events).await;
                at_once.cancel();
                kept.stop().await;
                assert!(!is_alive(pid));
            })
            .await;
    }
}
