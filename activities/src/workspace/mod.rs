//! A ticket's folder on a worker's host, and what passes between it and git.
//!
//! ```text
//! workspaces/<name>/
//!   tree/      the files; the room sees this folder as /room. Whatever is in here may be hostile.
//!   index      git's index, which the room never sees
//!   session/   the agent's session
//!   run/       what exists only while an agent runs
//!   qa-<n>/    a clean checkout while QA runs
//!   generation which of the hosts that ever held the workspace this is; written when it is whole
//! ```
//!
//! There is no git directory in here: commits are made in the host's mirror, from outside.

pub mod approved;
pub mod checkout;
pub mod diff;
pub mod disk;
pub mod ignore;
pub mod lock;
pub(crate) mod read;
pub mod remove;
mod scan;
pub mod snapshot;

use std::{
    io,
    path::{Path, PathBuf},
};

use sallyport_workflows::{revision::sha256_hex, ticket::TicketKey};

use crate::{git::GitError, mirror::MirrorError, sandbox::FileProblem};

/// A workspace could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// git could not do its part.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The mirror could not do its part.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// A file could not be handed over.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// There is more in the workspace than is looked at.
    #[error(
        "there are more than {limit} files in the workspace; what an agent makes must be smaller"
    )]
    TooManyFiles {
        /// The most that is looked at.
        limit: usize,
    },
    /// The operating system refused something.
    #[error("{action} {path} failed: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl WorkspaceError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// Where a ticket's files are on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    name: String,
    root: PathBuf,
}

impl Workspace {
    /// The workspace of `ticket` below `data_dir`. It need not exist.
    pub fn of(data_dir: &Path, ticket: &TicketKey) -> Self {
        let name = name_of(ticket);
        Self {
            root: data_dir.join("workspaces").join(&name),
            name,
        }
    }

    /// Its name: letters, digits, `-` and `_`; different for different tickets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files that the room sees.
    pub fn tree(&self) -> PathBuf {
        self.root.join("tree")
    }

    /// git's index.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The agent's session.
    pub fn session(&self) -> PathBuf {
        self.root.join("session")
    }

    /// What exists only while an agent runs.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Which of the hosts that ever held the workspace this is, as a number.
    pub fn generation(&self) -> PathBuf {
        self.root.join("generation")
    }

    /// A clean checkout for the QA of step `sequence`.
    pub fn qa(&self, sequence: u64) -> PathBuf {
        self.root.join(format!("qa-{sequence}"))
    }
}

/// People read the beginning; the end makes it unique whatever characters the ticket's id has.
fn name_of(ticket: &TicketKey) -> String {
    let readable: String = ticket
        .ticket_id
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
        .take(40)
        .collect();
    let hash = &sha256_hex(ticket.workflow_id().as_bytes())[..8];
    format!("ticket-{readable}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_harmless_and_unique() {
        let name = |id: &str| name_of(&TicketKey::first("flux-lens", id));
        assert!(name("FL-1").starts_with("ticket-FL-1-"));
        assert_ne!(name("../FL-1"), name("FL-1"));
        assert!(!name("../../etc").contains(['/', '.']));
        let mut second = TicketKey::first("flux-lens", "FL-1");
        second.attempt = 2;
        assert_ne!(name_of(&second), name("FL-1"));
    }
}
