//! Programs that tests and the demo start: they die with whoever started them, however that ends.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};

/// Where a program's output goes.
#[derive(Clone, Debug)]
pub enum Output {
    /// Into this file, which is made anew.
    Log(PathBuf),
    /// To where ours goes.
    Inherit,
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a program. The kernel kills it when this process ends, if the command was made by [`dies_with_us`].
///
/// The kernel's promise (`PR_SET_PDEATHSIG`) is bound to the thread that started the child, and test threads end with
/// their test; so one thread that never ends starts them all.
///
/// # Errors
/// If the program cannot be started or its log cannot be written.
pub fn spawn(mut program: Command, output: &Output) -> anyhow::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let name = program.get_program().to_string_lossy().into_owned();
    program.stdin(Stdio::null());
    if let Output::Log(log) = output {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        program.stdout(file.try_clone()?).stderr(file);
    }
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut program, answer) in inbox {
                let _ = answer.send(program.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    starter
        .send((program, answer))
        .map_err(|_| anyhow::anyhow!("the thread that starts programs has ended"))?;
    child
        .recv()?
        .with_context(|| format!("cannot start `{name}`"))
}

/// A command that runs `program` so that it is killed when its starter ends.
pub fn dies_with_us(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Asks a process to stop (`SIGTERM`) or ends it at once (`SIGKILL`).
///
/// # Errors
/// If there is no such process, or it is not ours.
pub fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .context("cannot run `kill`")?;
    if !status.success() {
        bail!("process {pid} cannot be sent {name}");
    }
    Ok(())
}

/// Whether a process is there that is no zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state stands behind the name, which is in parentheses and may hold anything.
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Waits until `holds`, asking again and again; gives up after `limit`.
///
/// # Errors
/// If it does not happen within `limit`; `what` completes the sentence "waited ... in vain until".
pub async fn until<T>(
    limit: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let asking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            if let Some(found) = holds().await {
                return found;
            }
        }
    };
    match tokio::time::timeout(limit, asking).await {
        Ok(found) => Ok(found),
        Err(_) => bail!("waited {limit:?} in vain until {what}"),
    }
}

/// The last lines of a log, for an error's text.
#[must_use]
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
