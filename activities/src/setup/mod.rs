//! The setup phase: what a repository depends on is installed once, on the base commit and with network to the configured
//! registries only; agent and QA then work with the result and without network.
//!
//! `setup` of `.sallyport.toml` runs in a room of its own on a clean checkout. What it leaves there beside the base's
//! files (`node_modules`, a virtual environment, and the home folder, which lies in the tree for this) is the result. It is
//! kept on this host by what it depends on, shown to other rooms read-only, and copied into a workspace or a checkout of QA
//! in a room too: nothing that a package left is opened, followed or run by the worker.
//!
//! | what | where |
//! |---|---|
//! | which registries | [`Registries`] |
//! | the way to them | `proxy`, and `bridge.mjs` inside the room |
//! | when a result can be used again | `key` |
//! | running a setup, and laying its result out | `install` |

mod install;
mod key;
mod proxy;
mod registries;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sallyport_workflows::{failure::kind, text::shorten};
use serde::Deserialize;

pub use self::registries::{BadRegistry, Registries, Registry};
use crate::{
    failure::StepError,
    git::GitError,
    leaks::LeakCheck,
    mirror::{Mirror, MirrorError},
    policy_file::Setup,
    sandbox::{Sandbox, SandboxError, WORKSPACE},
    workspace::{WorkspaceError, checkout, lock::WorkspaceLocks},
};

/// The folder in a tree that is the home of all rooms on it, if there is a setup. git never sees it.
pub const HOME: &str = ".sallyport-home";

/// How often a setup is tried before it has failed: registries are far away.
const TRIES: usize = 2;

/// The home folder as rooms see it.
pub fn home() -> String {
    format!("{WORKSPACE}/{HOME}")
}

/// What an activity says while a setup's `command` runs.
pub fn in_words(command: &str) -> String {
    format!(
        "installing what the repository depends on: {}",
        shorten(command, 80)
    )
}

/// `[worker.setup]`: what a repository's setup may reach.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SetupConfig {
    /// The registries that a setup may reach, as `https://registry.example.com`.
    pub registries: Registries,
    /// A file of certificates that package managers are to trust; if absent, the system's.
    pub ca_file: Option<PathBuf>,
    /// Days after its last use that a result is kept.
    pub keep_days: u32,
}

impl Default for SetupConfig {
    fn default() -> Self {
        Self {
            registries: Registries::default(),
            ca_file: None,
            keep_days: 14,
        }
    }
}

/// A setup has no result.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The command failed.
    #[error(
        "`setup` of `.sallyport.toml`, {command}, {how} on the base commit{refused}; its output ends with: {output}"
    )]
    Failed {
        /// The command, shortened.
        command: String,
        /// What became of it.
        how: String,
        /// What it asked for in vain, in words, or nothing.
        refused: String,
        /// The end of its output.
        output: String,
    },
    /// It left files that would look like an agent's.
    #[error(
        "`setup` of `.sallyport.toml` leaves files that git neither has nor ignores, such as {first}; they would count as the \
         agent's: have `.gitignore` of the base branch name them"
    )]
    NotIgnored {
        /// The first of them.
        first: String,
    },
    /// A checkout could not be made.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The mirror could not do its part.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// git could not do its part.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The room could not be made.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The operating system refused something.
    #[error("{action} failed: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl SetupError {
    fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

impl From<SetupError> for StepError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Failed { .. } | SetupError::NotIgnored { .. } => {
                Self::fatal(kind::SETUP_FAILED, error)
            }
            SetupError::Workspace(error) => error.into(),
            SetupError::Mirror(error) => error.into(),
            SetupError::Git(error) => error.into(),
            SetupError::Sandbox(error) => Self::step(error),
            SetupError::Io { .. } => Self::step(error),
        }
    }
}

/// What is set up, and from what.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The repository's mirror.
    pub mirror: &'a Mirror,
    /// The base commit.
    pub base: &'a str,
    /// What its policy says.
    pub setup: &'a Setup,
}

impl<'a> Subject<'a> {
    /// The repository behind `mirror`, set up at `base` as `setup` says.
    pub fn new(mirror: &'a Mirror, base: &'a str, setup: &'a Setup) -> Self {
        Self {
            mirror,
            base,
            setup,
        }
    }
}

/// The results of setups that are kept on this host.
#[derive(Debug)]
pub struct Setups {
    folder: PathBuf,
    config: SetupConfig,
    sandbox: Sandbox,
    leaks: LeakCheck,
    locks: WorkspaceLocks,
}

/// The result of a setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    key: String,
    tree: PathBuf,
}

impl Installed {
    /// By what it is known: the same for all that it depends on.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Setups {
    /// Those in `folder`, which is made on demand. Nobody but the worker may write there.
    pub fn new(folder: PathBuf, config: SetupConfig, sandbox: Sandbox, leaks: LeakCheck) -> Self {
        Self {
            folder,
            config,
            sandbox,
            leaks,
            locks: WorkspaceLocks::default(),
        }
    }

    /// The result of a setup: known, or made now, which `announce` is told.
    pub async fn installed(
        &self,
        subject: Subject<'_>,
        announce: impl FnOnce(&str),
    ) -> Result<Installed, SetupError> {
        let key = key::of(subject.mirror, subject.base, subject.setup).await?;
        let _alone = self.locks.hold(&key).await;
        let folder = self.folder.join(&key);
        let installed = Installed {
            tree: folder.join("tree"),
            key,
        };
        if !installed.tree.is_dir() {
            announce(&subject.setup.command);
            let new = self.folder.join(format!("{}.new", installed.key));
            let mut tries = 1..=TRIES;
            loop {
                tries.next();
                match self.make(subject, &new).await {
                    Ok(()) => break,
                    Err(SetupError::Failed { .. }) if !tries.is_empty() => {}
                    Err(problem) => {
                        checkout::remove(&new).await?;
                        return Err(problem);
                    }
                }
            }
            fs::rename(&new, &folder).map_err(SetupError::io("keeping the result of a setup"))?;
        }
        // Says when it was used last.
        fs::File::open(&folder)
            .and_then(|opened| opened.set_modified(SystemTime::now()))
            .map_err(SetupError::io("marking the result of a setup as used"))?;
        Ok(installed)
    }

    /// Puts the result of a setup into `tree`, as [`installed`](Self::installed) and [`lay_out`](Self::lay_out) do.
    pub async fn prepare(
        &self,
        subject: Subject<'_>,
        tree: &Path,
        announce: impl FnOnce(&str),
    ) -> Result<(), SetupError> {
        let installed = self.installed(subject, announce).await?;
        self.lay_out(&installed, tree).await
    }

    /// Removes what was not used for long, and what a killed worker left half-made. Returns how many results.
    pub async fn sweep(&self, now: SystemTime) -> Result<u64, SetupError> {
        let reading = SetupError::io("looking at the results of setups");
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(reading)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(reading(error)),
        };
        let kept = Duration::from_secs(u64::from(self.config.keep_days) * 24 * 60 * 60);
        let mut removed = 0;
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let key = name.strip_suffix(".new").unwrap_or(&name);
            let _alone = self.locks.hold(key).await;
            let used = entry.metadata().and_then(|found| found.modified());
            let is_old =
                used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > kept));
            // Whoever makes one holds its lock.
            if is_old || name != key {
                removed += u64::from(is_old && entry.path().is_dir());
                checkout::remove(&entry.path()).await?;
            }
        }
        Ok(removed)
    }
}
