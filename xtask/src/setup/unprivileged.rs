//! Running a tool as the user that will run it: the sandbox's when we are root, else ourselves.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use super::version::Version;
use crate::command;

/// The user and group of the sandbox when Sallyport runs as root. Nobody's account: it owns no files.
const SANDBOX_ID: &str = "20001";

/// Starts programs without privileges and with an empty environment.
#[derive(Clone, Copy, Debug)]
pub struct Unprivileged {
    root: bool,
}

impl Unprivileged {
    /// `root` says whether this process is root and so has privileges to drop.
    pub fn new(root: bool) -> Self {
        Self { root }
    }

    /// A command that runs `program` without privileges.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = if self.root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", SANDBOX_ID, "--regid", SANDBOX_ID]);
            command.args(["--clear-groups", "--no-new-privs", "--"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        // `/`, because the checkout may be closed to the other user.
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .current_dir("/");
        command
    }

    /// The version that `program` reports. An error if it does not run here or reports none.
    pub fn version(self, program: impl AsRef<OsStr>) -> Result<Version> {
        Self::version_of(self.command(program).arg("--version"))
    }

    /// The version that `command` prints.
    pub fn version_of(command: &mut Command) -> Result<Version> {
        let said = command::capture(command)?;
        Version::find(&said)
            .ok_or_else(|| anyhow!("it printed no version but: {}", said.trim()))
            .with_context(|| format!("{:?} --version", command.get_program()))
    }
}
