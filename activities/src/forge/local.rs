//! The local forge: a bare git repository on this machine, whose pull requests live in the ledger.
//!
//! A merge happens in the bare repository itself, without a work tree, and moves the base branch only if nobody moved it
//! meanwhile. So two merges at once cannot lose one another, and a merge that was interrupted is found by its commit.

use std::path::PathBuf;

use chrono::Utc;
use futures::future::BoxFuture;
use sallyport_ledger::{
    Database,
    pull_requests::{self, NewPullRequest, PullRequestRow, PullRequestState},
};
use sallyport_workflows::{
    activities::{CloseResult, MergeResult},
    pull_request::PullRequest,
    text::shorten,
    ticket::TicketKey,
};

use super::{Change, Forge, ForgeError, MAXIMUM_REASON, Proposal};
use crate::{
    failure::scrub,
    git::{Git, GitError},
    mirror::Mirror,
    text,
    workspace::diff::{Signature, readable, signed},
};

/// How often a merge is tried while others move the base branch.
const MERGE_TRIES: usize = 5;

/// Who is named for a merge that was not ours.
const SOMEBODY: &str = "somebody on the forge";

/// A bare repository as a forge.
#[derive(Clone, Debug)]
pub struct LocalForge {
    url: String,
    git: Git,
    database: Database,
    author: Signature,
}

/// The folder that `url` names, if it is on this machine: an absolute path, or a `file:` URL.
pub fn path_of(url: &str) -> Option<PathBuf> {
    if url.starts_with('/') {
        return Some(PathBuf::from(url));
    }
    let parsed = reqwest::Url::parse(url).ok()?;
    (parsed.scheme() == "file").then(|| parsed.to_file_path().ok())?
}

impl LocalForge {
    /// The forge of the bare repository at `path`, which the ledger calls `url`.
    pub fn new(url: &str, path: PathBuf, database: Database, author: Signature) -> Self {
        Self {
            url: url.to_owned(),
            git: Git::at(path),
            database,
            author,
        }
    }

    async fn check_bare(&self) -> Result<(), ForgeError> {
        let answer = self
            .git
            .run("rev-parse")
            .arguments(["--is-bare-repository"])
            .text()
            .await;
        let reason = match answer {
            Ok(answer) if answer == "true" => return Ok(()),
            Ok(_) => "it has a work tree, which a push would leave behind; make a bare clone with `git clone --bare`".to_owned(),
            Err(error @ GitError::Failed { .. }) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        Err(ForgeError::Unusable {
            url: scrub(&self.url),
            reason,
        })
    }

    async fn head(&self, branch: &str) -> Result<Option<String>, GitError> {
        self.git.commit(&format!("refs/heads/{branch}")).await
    }

    async fn push(&self, mirror: &Mirror, branch: &str, commit: &str) -> Result<(), ForgeError> {
        self.check_bare().await?;
        // Somebody may push between our look and our push: then git refuses, and we look once more.
        for last in [false, true] {
            if let Some(head) = self.head(branch).await? {
                if head == commit {
                    return Ok(());
                }
                if !mirror.git().is_ancestor(&head, commit).await? {
                    return Err(ForgeError::Diverged {
                        branch: branch.to_owned(),
                        head,
                    });
                }
            }
            // The repository fetches instead of being pushed to: a push would start its `receive-pack`, which runs the
            // repository's hooks whatever our settings say. Without `+` this is fast-forward only, like a push.
            let pushed = self
                .git
                .run("fetch")
                .arguments(["--quiet", "--no-tags", "--no-write-fetch-head", "--"])
                .argument(mirror.git().directory())
                .argument(format!("{commit}:refs/heads/{branch}"))
                .network()
                .done()
                .await;
            match pushed {
                Ok(()) => return Ok(()),
                Err(error) if last => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn pull_request(&self, row: PullRequestRow) -> PullRequest {
        PullRequest {
            url: format!("{}#pull/{}", scrub(&self.url), row.number),
            number: row.number,
            branch: row.branch,
            base_branch: row.base_branch,
            head_commit: row.head_commit,
        }
    }

    async fn row(&self, ticket: &TicketKey) -> Result<PullRequestRow, ForgeError> {
        Ok(pull_requests::get(&self.database, ticket.ledger_id()).await?)
    }

    /// The commit on the base branch that holds `head`, if it is there, whoever merged it.
    async fn merged_as(
        &self,
        row: &PullRequestRow,
        head: &str,
    ) -> Result<Option<String>, ForgeError> {
        let Some(base) = self.head(&row.base_branch).await? else {
            return Ok(None);
        };
        if !self.git.is_ancestor(head, &base).await? {
            return Ok(None);
        }
        let line = self
            .git
            .run("rev-list")
            .arguments(["--first-parent", "--parents", "--max-count=10000", &base])
            .text()
            .await?;
        let merge = line.lines().find_map(|line| {
            let mut commits = line.split(' ');
            let commit = commits.next()?;
            commits
                .skip(1)
                .any(|parent| parent == head)
                .then(|| commit.to_owned())
        });
        Ok(Some(merge.unwrap_or(base)))
    }

    async fn settle(
        &self,
        change: Change<'_>,
        by: &str,
        commit: &str,
    ) -> Result<String, ForgeError> {
        let workflow = change.ticket.ledger_id();
        let row =
            pull_requests::set_merged(&self.database, workflow, by, change.at, commit).await?;
        Ok(row.merge_commit.unwrap_or_else(|| commit.to_owned()))
    }

    async fn merge_now(&self, change: Change<'_>) -> Result<MergeResult, ForgeError> {
        let row = self.row(change.ticket).await?;
        if let Some(commit) = row.merge_commit {
            return Ok(MergeResult::Merged { commit });
        }
        let head = &change.pull_request.head_commit;
        if let Some(commit) = self.merged_as(&row, head).await? {
            let commit = self.settle(change, change.by, &commit).await?;
            return Ok(MergeResult::Merged { commit });
        }
        if row.state == PullRequestState::Closed {
            return Ok(refused("the pull request is closed; reopen it first"));
        }
        let branch_head = self.head(&row.branch).await?;
        if row.head_commit != *head || branch_head.as_deref() != Some(head) {
            let now = branch_head.as_deref().unwrap_or("gone");
            return Ok(refused(&format!(
                "the branch {} is at {now} now, and {head} was decided about",
                row.branch
            )));
        }
        for _ in 0..MERGE_TRIES {
            let Some(base) = self.head(&row.base_branch).await? else {
                return Ok(refused(&format!(
                    "there is no branch {} any more",
                    row.base_branch
                )));
            };
            let tree = match self.merged_tree(&base, head).await? {
                Ok(tree) => tree,
                Err(conflict) => return Ok(refused(&conflict)),
            };
            let message =
                text::merge_message(change.ticket, change.pull_request, &row.title, change.by);
            let commit = signed(self.git.run("commit-tree"), &self.author, change.at)
                .arguments(["-p", &base, "-p", head, &tree])
                .input(message.into_bytes())
                .text()
                .await?;
            let moved = self
                .git
                .run("update-ref")
                .arguments([&format!("refs/heads/{}", row.base_branch), &commit, &base])
                .allow(&[1, 128])
                .answer()
                .await?;
            if moved.code == 0 {
                let commit = self.settle(change, change.by, &commit).await?;
                return Ok(MergeResult::Merged { commit });
            }
        }
        Ok(refused(&format!(
            "others kept moving the branch {}; try again",
            row.base_branch
        )))
    }

    /// The tree of both sides together, or why there is none.
    async fn merged_tree(
        &self,
        base: &str,
        head: &str,
    ) -> Result<Result<String, String>, GitError> {
        // Attributes in the tree could ask for another way to merge. With the empty tree as their source there are none.
        let no_attributes = self
            .git
            .run("hash-object")
            .arguments(["-t", "tree", "--stdin"])
            .text()
            .await?;
        let answer = self
            .git
            .run("merge-tree")
            .variable("GIT_ATTR_SOURCE", no_attributes)
            .arguments([
                "--write-tree",
                "--no-messages",
                "--name-only",
                "-z",
                base,
                head,
            ])
            // 1: conflicts.
            .allow(&[1])
            .answer()
            .await?;
        let mut fields = answer
            .output
            .split(|byte| *byte == 0)
            .filter(|field| !field.is_empty());
        let tree = readable(fields.next().unwrap_or_default());
        if answer.code == 0 {
            return Ok(Ok(tree));
        }
        let files: Vec<String> = fields.map(readable).collect();
        Ok(Err(format!(
            "it conflicts with what was merged meanwhile, in {}",
            files.join(", ")
        )))
    }
}

fn refused(reason: &str) -> MergeResult {
    MergeResult::Refused {
        reason: shorten(reason, MAXIMUM_REASON),
    }
}

impl Forge for LocalForge {
    fn publish<'a>(
        &'a self,
        mirror: &'a Mirror,
        branch: &'a str,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<(), ForgeError>> {
        Box::pin(self.push(mirror, branch, commit))
    }

    fn open<'a>(
        &'a self,
        proposal: &'a Proposal<'a>,
    ) -> BoxFuture<'a, Result<PullRequest, ForgeError>> {
        Box::pin(async move {
            let new = NewPullRequest {
                ticket: proposal.ticket.clone(),
                repository_url: self.url.clone(),
                title: proposal.title.clone(),
                body: proposal.body.clone(),
                branch: proposal.ticket.branch(),
                base_branch: proposal.base_branch.to_owned(),
                head_commit: proposal.head_commit.to_owned(),
                at: Utc::now(),
            };
            let row = pull_requests::open(&self.database, &new).await?;
            Ok(self.pull_request(row))
        })
    }

    fn merge<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<MergeResult, ForgeError>> {
        Box::pin(self.merge_now(change))
    }

    fn close<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<CloseResult, ForgeError>> {
        Box::pin(async move {
            let row = self.row(change.ticket).await?;
            // Merged wins, whoever did it.
            if row.state == PullRequestState::Open
                && let Some(commit) = self
                    .merged_as(&row, &change.pull_request.head_commit)
                    .await?
            {
                let commit = self.settle(change, SOMEBODY, &commit).await?;
                return Ok(CloseResult::Merged { commit });
            }
            let workflow = change.ticket.ledger_id();
            let row =
                pull_requests::set_closed(&self.database, workflow, change.by, change.at).await?;
            Ok(match row.merge_commit {
                Some(commit) => CloseResult::Merged { commit },
                None => CloseResult::Closed,
            })
        })
    }

    fn reopen<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<(), ForgeError>> {
        Box::pin(async move {
            let workflow = change.ticket.ledger_id();
            let row =
                pull_requests::set_reopened(&self.database, workflow, change.by, change.at).await?;
            if row.state == PullRequestState::Merged {
                return Err(ForgeError::WrongState {
                    number: row.number,
                    action: "reopened",
                    state: "merged",
                });
            }
            Ok(())
        })
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
