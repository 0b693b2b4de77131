//! The agent's changes, taken from outside the room.
//!
//! git runs with the mirror as its git directory, an index of ours and none of the tree's configuration, so nothing that
//! the agent wrote is executed or read as configuration. Nobody works in the tree any more when this runs. Only paths
//! in scope (see [`crate::scope`]) are ever put into the index, and the resulting tree is compared with the base commit
//! once more.

use std::{collections::HashSet, ffi::OsStr, fmt, fs, os::unix::ffi::OsStrExt as _, path::Path};

use chrono::{DateTime, Utc};
use sallyport_workflows::spec::FileChange;

use super::{
    Workspace, WorkspaceError,
    checkout::read_tree,
    ignore,
    scan::{Found, Tree},
};
use crate::{
    git::{Git, GitError},
    mirror::Mirror,
    scope::{Refusal, Scope, twins},
    walls::{Wall, stands},
};

/// The most that is kept of a diff's text, in bytes.
const DIFF_LIMIT: u64 = 16 << 20;

/// Who made a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name.
    pub name: String,
    /// The email address.
    pub email: String,
}

impl Default for Signature {
    fn default() -> Self {
        Self {
            name: "Sallyport".to_owned(),
            email: "sallyport@localhost".to_owned(),
        }
    }
}

/// What a commit of the agent's changes shall be.
#[derive(Clone, Debug)]
pub struct CommitPlan<'a> {
    /// The commit that the SPEC was written against; all changes are judged against it.
    pub base: &'a str,
    /// The commit that the new one is put on.
    pub parent: &'a str,
    /// What may differ from the base.
    pub scope: &'a Scope,
    /// The commit's message.
    pub message: &'a str,
    /// Who makes it.
    pub author: &'a Signature,
    /// Its date: the same input makes the same commit.
    pub at: DateTime<Utc>,
}

/// What the agent left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// Changes inside the scope, committed.
    Committed {
        /// The new commit, in the mirror.
        commit: String,
        /// The diff against the base.
        diff: Vec<u8>,
        /// How many files differ from the base.
        files: u32,
    },
    /// Changes outside the scope; nothing is committed.
    OutOfScope {
        /// What is refused and why, sorted by its path.
        refused: Vec<Refused>,
    },
    /// Nothing that could be committed.
    NoChanges,
}

/// A change that is not in scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The path, readable.
    pub path: String,
    /// Why.
    pub why: Refusal,
}

impl Refused {
    fn new(path: &[u8], why: Refusal) -> Self {
        let path = readable(path);
        Self { path, why }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, why } = self;
        write!(formatter, "`{path}`: {why}")
    }
}

/// Judges and commits what is in the workspace's tree.
pub async fn collect(
    mirror: &Mirror,
    workspace: &Workspace,
    plan: &CommitPlan<'_>,
) -> Result<Collected, WorkspaceError> {
    let git = mirror.git();
    let mut staged = stage(mirror, workspace, plan).await?;
    let tree = git
        .run("write-tree")
        .index(&workspace.index())
        .text()
        .await?;
    let changes = changes(git, plan.base, &tree).await?;
    staged.extend(outside(git, &tree, &changes, plan.scope).await?);
    if !staged.is_empty() && stands(Wall::Diff) {
        staged.sort();
        staged.dedup_by(|one, other| one.path == other.path);
        return Ok(Collected::OutOfScope { refused: staged });
    }
    let before = git
        .run("rev-parse")
        .argument(format!("{}^{{tree}}", plan.parent))
        .text()
        .await?;
    if tree == before || changes.is_empty() {
        return Ok(Collected::NoChanges);
    }
    let commit = commit_tree(git, &tree, &[plan.parent], plan).await?;
    Ok(Collected::Committed {
        diff: diff_text(git, plan.base, &commit, &[]).await?,
        files: u32::try_from(changes.len()).unwrap_or(u32::MAX),
        commit,
    })
}

/// What in `commit` differs from `base` and may not.
pub async fn out_of_scope(
    git: &Git,
    base: &str,
    commit: &str,
    scope: &Scope,
) -> Result<Vec<Refused>, GitError> {
    let changes = changes(git, base, commit).await?;
    outside(git, commit, &changes, scope).await
}

/// Makes a commit object of `tree` on `parents`, with the plan's message, author and date.
async fn commit_tree(
    git: &Git,
    tree: &str,
    parents: &[&str],
    plan: &CommitPlan<'_>,
) -> Result<String, GitError> {
    let mut command = signed(git.run("commit-tree"), plan.author, plan.at);
    for parent in parents {
        command = command.arguments(["-p", parent]);
    }
    command
        .argument(tree)
        .input(plan.message.as_bytes().to_vec())
        .text()
        .await
}

/// Sets who makes a commit and when.
pub(crate) fn signed(
    mut command: crate::git::Invocation,
    author: &Signature,
    at: DateTime<Utc>,
) -> crate::git::Invocation {
    let date = format!("@{} +0000", at.timestamp());
    for role in ["AUTHOR", "COMMITTER"] {
        command = command
            .variable(&format!("GIT_{role}_NAME"), &author.name)
            .variable(&format!("GIT_{role}_EMAIL"), &author.email)
            .variable(&format!("GIT_{role}_DATE"), &date);
    }
    command
}

/// Brings the index from the base commit to what is in the tree, as far as the scope allows; answers what it does not.
async fn stage(
    mirror: &Mirror,
    workspace: &Workspace,
    plan: &CommitPlan<'_>,
) -> Result<Vec<Refused>, WorkspaceError> {
    let (git, index, folder) = (mirror.git(), workspace.index(), workspace.tree());
    let tree = {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || Tree::open(&folder))
            .await
            .map_err(std::io::Error::other)
            .map_err(WorkspaceError::io("looking at", workspace.root()))??
    };
    let find = |path: &[u8]| {
        tree.find(path)
            .map_err(WorkspaceError::io("looking at", &folder))
    };
    read_tree(git, &index, plan.base).await?;

    let mut refused = Vec::new();
    let mut present: Vec<Vec<u8>> = Vec::new();
    let mut gone: Vec<Vec<u8>> = Vec::new();
    let tracked = tracked(git, &index).await?;
    for path in &tracked {
        match find(path)? {
            // A link may be the one that the base has there; the comparison at the end tells.
            Found::File | Found::Link => present.push(path.clone()),
            Found::Nothing => gone.push(path.clone()),
            // A repository of its own; git does not look into it, and so would not list what is in it.
            Found::Folder if find(&[path, &b"/.git"[..]].concat())? != Found::Nothing => {
                refused.push(Refused::new(&[path, &b"/"[..]].concat(), Refusal::NoFile));
            }
            Found::Folder => gone.push(path.clone()),
            Found::Special => refused.push(Refused::new(path, Refusal::NoFile)),
        }
    }

    let mut allowed: Vec<Vec<u8>> = Vec::new();
    let rules_file = workspace.root().join("ignore-rules");
    let rules = ignore::rules(mirror, plan.base).await?;
    fs::write(&rules_file, rules).map_err(WorkspaceError::io("writing", &rules_file))?;
    for path in ignore::untracked(git, &index, &folder, &rules_file).await? {
        if !stands(Wall::Diff) {
            present.push(path);
            continue;
        }
        match plan.scope.judge(FileChange::Create, &path) {
            Ok(()) => allowed.push(path),
            Err(why) => refused.push(Refused::new(&path, why)),
        }
    }
    // What people named is taken whether it is ignored or not.
    let named = plan.scope.files().map(|(path, _)| path.as_str().as_bytes());
    allowed.extend(named.map(<[u8]>::to_vec));
    allowed.sort_unstable();
    allowed.dedup();
    let known: HashSet<&Vec<u8>> = tracked.iter().collect();
    for path in &allowed {
        if known.contains(path) {
            continue;
        }
        match find(path)? {
            Found::File => present.push(path.clone()),
            Found::Link | Found::Special => refused.push(Refused::new(path, Refusal::NoFile)),
            Found::Nothing | Found::Folder => {}
        }
    }

    // First what goes: a file may stand where a folder was.
    update(git, &index, &folder, &["--force-remove"], gone).await?;
    update(git, &index, &folder, &["--add", "--replace"], present).await?;
    Ok(refused)
}

async fn update(
    git: &Git,
    index: &Path,
    tree: &Path,
    how: &[&str],
    paths: Vec<Vec<u8>>,
) -> Result<(), GitError> {
    if paths.is_empty() {
        return Ok(());
    }
    let mut list = paths.join(&0);
    list.push(0);
    git.run("update-index")
        .index(index)
        .work_tree(tree)
        .arguments(how)
        .arguments(["-z", "--stdin"])
        .input(list)
        .done()
        .await
}

/// The files and links in the index. Submodules are left out: nothing of theirs is ever changed.
async fn tracked(git: &Git, index: &Path) -> Result<Vec<Vec<u8>>, GitError> {
    let list = git
        .run("ls-files")
        .index(index)
        .arguments(["-z", "--cached", "--stage"]);
    Ok(paths(&list.output().await?))
}

/// The files and links of a commit, as [`tracked`] has those of the index.
pub(crate) async fn paths_at(git: &Git, commit: &str) -> Result<Vec<Vec<u8>>, GitError> {
    let list = git
        .run("ls-tree")
        .arguments(["-r", "-z", "--full-tree", commit]);
    Ok(paths(&list.output().await?))
}

/// The paths in a list whose lines begin with a mode and have a tab before the path.
fn paths(list: &[u8]) -> Vec<Vec<u8>> {
    list.split(|byte| *byte == 0)
        .filter_map(|line| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            (!line.starts_with(b"160000")).then(|| line[tab + 1..].to_vec())
        })
        .collect()
}

/// One path that differs between two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    old_mode: String,
    new_mode: String,
    old_id: String,
    new_id: String,
    pub(crate) path: Vec<u8>,
}

impl Change {
    fn kind(&self) -> FileChange {
        match (self.old_mode.as_str(), self.new_mode.as_str()) {
            ("000000", _) => FileChange::Create,
            (_, "000000") => FileChange::Delete,
            _ => FileChange::Modify,
        }
    }

    /// Whether it may be: what happens is in scope, and there is nothing but a regular file on either side.
    fn judge(&self, scope: &Scope) -> Result<(), Refusal> {
        let regular = |mode: &str| matches!(mode, "000000" | "100644" | "100755");
        scope.judge(self.kind(), &self.path)?;
        match regular(&self.old_mode) && regular(&self.new_mode) {
            true => Ok(()),
            false => Err(Refusal::NoFile),
        }
    }

    /// The content before, if there was a file or a link.
    pub(crate) fn old_blob(&self) -> Option<&str> {
        has_content(&self.old_mode).then_some(self.old_id.as_str())
    }

    /// The content after, if there is a file or a link.
    pub(crate) fn new_blob(&self) -> Option<&str> {
        has_content(&self.new_mode).then_some(self.new_id.as_str())
    }
}

fn has_content(mode: &str) -> bool {
    matches!(mode, "100644" | "100755" | "120000")
}

/// What differs between two commits or trees: contents, modes, and what exists on one side only.
pub(crate) async fn changes(git: &Git, base: &str, new: &str) -> Result<Vec<Change>, GitError> {
    let raw = git
        .run("diff-tree")
        .arguments([
            "-r",
            "--raw",
            "--no-abbrev",
            "-z",
            "--no-renames",
            "--no-ext-diff",
        ])
        // Otherwise an added submodule would not be seen at all.
        .argument("--ignore-submodules=none")
        .arguments([base, new])
        .output()
        .await?;
    let mut fields = raw.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let Some(head) = fields.next().filter(|head| !head.is_empty()) {
        let unexpected = || GitError::Unexpected {
            command: "diff-tree".to_owned(),
            answer: readable(head),
        };
        let head = str::from_utf8(head).map_err(|_| unexpected())?;
        let mut words = head.strip_prefix(':').unwrap_or_default().split(' ');
        let (old_mode, new_mode) = (words.next(), words.next());
        let (old_id, new_id) = (words.next(), words.next());
        let (Some(old_mode), Some(new_mode), Some(old_id), Some(new_id), Some(path)) =
            (old_mode, new_mode, old_id, new_id, fields.next())
        else {
            return Err(unexpected());
        };
        changes.push(Change {
            old_mode: old_mode.to_owned(),
            new_mode: new_mode.to_owned(),
            old_id: old_id.to_owned(),
            new_id: new_id.to_owned(),
            path: path.to_vec(),
        });
    }
    Ok(changes)
}

/// Which of `changes`, which led to `tree`, are not allowed.
async fn outside(
    git: &Git,
    tree: &str,
    changes: &[Change],
    scope: &Scope,
) -> Result<Vec<Refused>, GitError> {
    let mut refused: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            let why = change.judge(scope).err()?;
            Some(Refused::new(&change.path, why))
        })
        .collect();
    let added = changes
        .iter()
        .filter(|change| change.kind() == FileChange::Create);
    let added: Vec<&[u8]> = added.map(|change| change.path.as_slice()).collect();
    if !added.is_empty() {
        let all = paths_at(git, tree).await?;
        let twins = twins(&added, &all).into_iter();
        refused.extend(
            twins.map(|(path, twin)| Refused::new(path, Refusal::Twin(readable(twin.as_bytes())))),
        );
    }
    Ok(refused)
}

/// The diff as text, of `paths` and all below them or, if there are none, of everything. One that is far too long is
/// replaced by its statistics.
pub(crate) async fn diff_text(
    git: &Git,
    base: &str,
    commit: &str,
    paths: &[&[u8]],
) -> Result<Vec<u8>, GitError> {
    let diff = |form: &str| {
        git.run("diff-tree")
            .arguments([
                "-r",
                "--no-renames",
                "--no-ext-diff",
                "--no-textconv",
                "--no-color",
            ])
            .arguments([form, base, commit, "--"])
            .arguments(paths.iter().map(|path| OsStr::from_bytes(path)))
            .limit(DIFF_LIMIT)
    };
    match diff("--patch").output().await {
        Err(GitError::TooMuch { .. }) => {
            let mut text = b"The diff is too long to be shown. What changed:\n\n".to_vec();
            text.extend(diff("--stat").output().await?);
            Ok(text)
        }
        other => other,
    }
}

/// A path for people: in one line, without control characters, and what is no UTF-8 replaced.
pub fn readable(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for letter in String::from_utf8_lossy(path).chars() {
        if letter.is_control() {
            text.extend(letter.escape_default());
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
