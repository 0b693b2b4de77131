//! Servers that tests start: they live as long as the test process and die with it, however it ends.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
};

use anyhow::Context;

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts `program` with its output in `log`. The kernel kills it when this process ends.
///
/// The kernel's promise (`PR_SET_PDEATHSIG`) is bound to the thread that started the child, and test threads end with
/// their test; so one thread that never ends starts them all.
pub fn spawn_for_life(mut program: Command, log: &Path) -> anyhow::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let name = program.get_program().to_string_lossy().into_owned();
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    program
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
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
        .map_err(|_| anyhow::anyhow!("the thread that starts servers has ended"))?;
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
