//! Forges: where branches are published and pull requests live. A trait, and a file for each vendor.
//!
//! To add one: implement [`Forge`] in a file here, and name its URLs in [`Forges::of`].

pub mod local;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use sallyport_ledger::{Database, LedgerError};
use sallyport_workflows::{
    activities::{CloseResult, MergeResult},
    failure::kind,
    pull_request::PullRequest,
    ticket::TicketKey,
};

use crate::{
    failure::{StepError, scrub},
    git::GitError,
    mirror::Mirror,
    workspace::diff::Signature,
};

/// The longest reason that a refusal keeps, in characters.
pub const MAXIMUM_REASON: usize = 300;

/// The forge did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// No forge is known for a URL.
    #[error(
        "no forge is known for {url}; so far only repositories on this machine are, as `file:///path/to/bare.git`"
    )]
    UnknownForge {
        /// The URL, without credentials.
        url: String,
    },
    /// The repository is none that can be published to.
    #[error("{url} cannot be published to: {reason}")]
    Unusable {
        /// The URL, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
    /// The branch holds commits that are not ours.
    #[error(
        "the branch {branch} holds {head}, which is not ours; move it away on the forge, then retry"
    )]
    Diverged {
        /// The branch.
        branch: String,
        /// Its head.
        head: String,
    },
    /// The pull request is not in a state for this.
    #[error("pull request #{number} cannot be {action}: it is {state}")]
    WrongState {
        /// Which.
        number: u64,
        /// What was tried, such as `reopened`.
        action: &'static str,
        /// What it is.
        state: &'static str,
    },
    /// git could not do its part.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The ledger could not do its part.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<ForgeError> for StepError {
    fn from(error: ForgeError) -> Self {
        match &error {
            ForgeError::UnknownForge { .. } | ForgeError::Unusable { .. } => {
                Self::fatal(kind::REPOSITORY_UNAVAILABLE, &error)
            }
            ForgeError::Diverged { .. } => Self::fatal(kind::BRANCH_DIVERGED, &error),
            ForgeError::WrongState { .. } | ForgeError::Ledger(LedgerError::NotFound { .. }) => {
                Self::fatal(kind::STEP_FAILED, &error)
            }
            ForgeError::Git(_) | ForgeError::Ledger(_) => Self::step(&error),
        }
    }
}

/// A pull request to open.
#[derive(Clone, Debug)]
pub struct Proposal<'a> {
    /// Which ticket: one pull request each.
    pub ticket: &'a TicketKey,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch to merge into.
    pub base_branch: &'a str,
    /// The published commit.
    pub head_commit: &'a str,
}

/// A change to an open pull request.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Which ticket's.
    pub ticket: &'a TicketKey,
    /// The pull request, with the head that was decided about.
    pub pull_request: &'a PullRequest,
    /// Who wants it.
    pub by: &'a str,
    /// The time on record.
    pub at: DateTime<Utc>,
}

/// A forge, for one repository. Everything may be done again.
pub trait Forge: Send + Sync {
    /// Pushes `commit` from the mirror to `branch`, fast-forward only. There already is success.
    fn publish<'a>(
        &'a self,
        mirror: &'a Mirror,
        branch: &'a str,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<(), ForgeError>>;

    /// Opens the ticket's pull request, or brings the open one up to date.
    fn open<'a>(
        &'a self,
        proposal: &'a Proposal<'a>,
    ) -> BoxFuture<'a, Result<PullRequest, ForgeError>>;

    /// Merges exactly the head that was decided about. Merged already is success.
    fn merge<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<MergeResult, ForgeError>>;

    /// Closes it, unless it was merged meanwhile. Closed already is success.
    fn close<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<CloseResult, ForgeError>>;

    /// Opens it again. Open already is success.
    fn reopen<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<(), ForgeError>>;
}

/// The forges that are known.
#[derive(Clone, Debug)]
pub struct Forges {
    database: Database,
    author: Signature,
}

impl Forges {
    /// Forges whose merge commits are made by `author`. The local forge's pull requests live in `database`.
    pub fn new(database: Database, author: Signature) -> Self {
        Self { database, author }
    }

    /// The forge of the repository at `url`.
    pub fn of(&self, url: &str) -> Result<Arc<dyn Forge>, ForgeError> {
        match local::path_of(url) {
            Some(path) => Ok(Arc::new(local::LocalForge::new(
                url,
                path,
                self.database.clone(),
                self.author.clone(),
            ))),
            None => Err(ForgeError::UnknownForge { url: scrub(url) }),
        }
    }
}
