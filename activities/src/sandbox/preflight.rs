//! Whether this machine can seal a room at all, asked before any work is taken.

use std::path::{Path, PathBuf};

use tokio::time::timeout;

use super::{
    Capture, Engine, InnerRooms, KIT, LAUNCHER, Layer, Limits, Room, SETUP_TIMEOUT, Sandbox,
    SandboxError, run_command, runs_as_root,
};

const INSTALL_BUBBLEWRAP: &str = "`apt-get install bubblewrap` (Debian, Ubuntu), `dnf install bubblewrap` (Fedora) or `pacman -S bubblewrap` (Arch)";
const INSTALL_UTIL_LINUX: &str =
    "`apt-get install util-linux` (Debian, Ubuntu) or your distribution's util-linux package";

/// Where a program of the system is. The path of whoever calls us does not matter to a worker.
pub fn system_program(name: &str) -> Option<PathBuf> {
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .map(|folder| Path::new(folder).join(name))
    .find(|path| path.is_file())
}

/// Checks that the programs that make a room are there, and makes two: one in which Node must run and the network must not
/// be there, and an agent's, from which a further one must start. `folder` is any folder that the room's user reaches; it
/// is not changed.
pub async fn preflight(sandbox: &Sandbox, folder: &Path) -> Result<(), SandboxError> {
    check(sandbox, folder, "node --version && ").await
}

/// The same for a machine that has no Node yet: what is asked is whether the kernel allows rooms at all.
pub async fn preflight_without_node(sandbox: &Sandbox, folder: &Path) -> Result<(), SandboxError> {
    check(sandbox, folder, "").await
}

async fn check(sandbox: &Sandbox, folder: &Path, first: &str) -> Result<(), SandboxError> {
    match sandbox.engine() {
        Engine::Bubblewrap { .. } => require_programs(sandbox)?,
        // In the room, for its first process.
        Engine::Docker(_) => require(["flock"])?,
    }
    let probe = tempfile::tempdir_in(folder).map_err(SandboxError::io(format!(
        "making a folder in {}",
        folder.display()
    )))?;
    make_rooms(sandbox, &probe, first).await
}

fn require_programs(sandbox: &Sandbox) -> Result<(), SandboxError> {
    if !sandbox.tools().bwrap.is_file() {
        return Err(missing(
            sandbox.tools().bwrap.display().to_string(),
            INSTALL_BUBBLEWRAP,
        ));
    }
    require(["prlimit", "choom"])?;
    match runs_as_root() {
        true => require(["setpriv"]),
        false => Ok(()),
    }
}

fn require<const N: usize>(programs: [&str; N]) -> Result<(), SandboxError> {
    let is_missing = |program: &&str| system_program(program).is_none();
    match programs.into_iter().find(is_missing) {
        Some(program) => Err(missing(program.to_owned(), INSTALL_UTIL_LINUX)),
        None => Ok(()),
    }
}

async fn make_rooms(
    sandbox: &Sandbox,
    probe: &tempfile::TempDir,
    first: &str,
) -> Result<(), SandboxError> {
    super::give_to_room(probe.path()).map_err(|problem| SandboxError::Setup {
        reason: problem.to_string(),
    })?;
    // /proc/net/route has one line, its heading, where there is no network.
    let command = format!(
        r#"{first}touch /room/probe && [ "$(wc -l </proc/net/route)" -le 1 ] && echo sealed"#
    );
    let result = run_command(sandbox, probe.path(), &command, Limits::for_commands()).await?;
    if !(result.success() && result.output.text.ends_with("sealed\n")) {
        return Err(SandboxError::Setup {
            reason: format!(
                "a sandbox starts, but is not as it should be (exit {}): {}",
                result.exit,
                result.output.text.trim()
            ),
        });
    }
    room_in_room(sandbox, probe.path()).await
}

/// Starts a room from within an agent's, as each shell command of an agent is: some machines allow only the outer one.
async fn room_in_room(sandbox: &Sandbox, workspace: &Path) -> Result<(), SandboxError> {
    let mut room = Room::new(Layer::Agent, workspace, Limits::for_agents());
    let folder =
        tempfile::tempdir_in(sandbox.kit()).map_err(SandboxError::io("making a folder"))?;
    let rooms = InnerRooms::open(sandbox, &folder.path().join("rooms"), workspace)
        .map_err(SandboxError::io("offering rooms to a sandbox"))?;
    if let Some(rooms) = &rooms {
        room = rooms.shown_to(room);
    }
    let launcher = format!("{KIT}/{LAUNCHER}");
    let mut process = sandbox.spawn(&room, &[&launcher, "echo sealed"]).await?;
    drop(process.stdin.take());
    let output = tokio::spawn(Capture::new(4096, 4096).drain(process.stdout.take()));
    let exit = match timeout(SETUP_TIMEOUT, process.wait()).await {
        Ok(exit) => exit?,
        Err(_) => process.kill().await?,
    };
    let said = output.await.map(Capture::finish).unwrap_or_default().text;
    if exit.success() && said == "sealed\n" {
        return Ok(());
    }
    Err(SandboxError::Setup {
        reason: format!(
            "a sandbox starts, but none from within an agent's (exit {}): {}",
            exit.code,
            said.trim()
        ),
    })
}

fn missing(program: String, install: &'static str) -> SandboxError {
    SandboxError::MissingProgram { program, install }
}
