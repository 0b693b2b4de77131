//! Whether this machine can seal a room at all, asked before any work is taken.

use std::path::Path;

use super::{Limits, Sandbox, SandboxError, run_command, runs_as_root};

const INSTALL_BUBBLEWRAP: &str = "`apt-get install bubblewrap` (Debian, Ubuntu), `dnf install bubblewrap` (Fedora) or `pacman -S bubblewrap` (Arch)";
const INSTALL_UTIL_LINUX: &str =
    "`apt-get install util-linux` (Debian, Ubuntu) or your distribution's util-linux package";

/// Checks that the programs that make a room are there, and makes one: in it, Node must run and the network must not be
/// there. `folder` is any folder that the room's user reaches; it is not changed.
pub async fn preflight(sandbox: &Sandbox, folder: &Path) -> Result<(), SandboxError> {
    if !sandbox.tools().bwrap.is_file() {
        return Err(missing(
            sandbox.tools().bwrap.display().to_string(),
            INSTALL_BUBBLEWRAP,
        ));
    }
    let mut programs = vec!["prlimit", "choom"];
    if runs_as_root() {
        programs.push("setpriv");
    }
    for program in programs {
        let found = [
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/sbin",
            "/bin",
        ]
        .iter()
        .any(|folder| Path::new(folder).join(program).is_file());
        if !found {
            return Err(missing(program.to_owned(), INSTALL_UTIL_LINUX));
        }
    }

    let probe = tempfile::tempdir_in(folder).map_err(SandboxError::io(format!(
        "making a folder in {}",
        folder.display()
    )))?;
    super::give_to_room(probe.path()).map_err(|problem| SandboxError::Setup {
        reason: problem.to_string(),
    })?;
    // /proc/net/route has one line, its heading, where there is no network.
    let check = r#"node --version && touch /room/probe && [ "$(wc -l </proc/net/route)" -le 1 ] && echo sealed"#;
    let result = run_command(sandbox, probe.path(), check, Limits::for_commands()).await?;
    if result.success() && result.output.text.ends_with("sealed\n") {
        return Ok(());
    }
    Err(SandboxError::Setup {
        reason: format!(
            "a sandbox starts, but is not as it should be (exit {}): {}",
            result.exit,
            result.output.text.trim()
        ),
    })
}

fn missing(program: String, install: &'static str) -> SandboxError {
    SandboxError::MissingProgram { program, install }
}
