//! A copy of a workspace, as a git bundle, that another host can go on from.
//!
//! | in the bundle | what |
//! | --- | --- |
//! | `refs/checkpoint/tree` | the tree, as a commit on the base: only what differs from it takes room |
//! | `refs/checkpoint/session` | the agent's session |
//! | `refs/checkpoint/head` | the latest commit that was made of the agent's work, if there is one |
//!
//! It may be taken while the agent works. So nothing in the workspace is opened but by `workspace::read`, which follows no link, and git
//! is only told what was read. Equal workspaces make equal bundles. The installation's own secrets are left out.
//!
//! Not in it: what the base's rules ignore, unless the scope names it; repositories within the repository; empty folders; more
//! than [`MOST_BYTES`] in all.

mod stream;

use std::{collections::HashSet, path::Path};

use sha1::{Digest as _, Sha1};

use self::stream::Commit;
use super::{
    Workspace, WorkspaceError,
    checkout::{self, check_out, read_tree},
    ignore,
    read::{Entry, Folder, Read},
};
use crate::{
    git::{Git, GitError},
    leaks::{LeakCheck, What},
    mirror::{Mirror, TreeEntry},
    scope::Scope,
};

/// The most that is copied, in bytes of files.
const MOST_BYTES: u64 = 128 << 20;

/// The most of that which may be files that the base does not have.
const MOST_NEW_BYTES: u64 = 64 << 20;

/// The most of these files.
const MOST_NEW_FILES: usize = 10_000;

/// The largest bundle, in bytes.
const LARGEST_BUNDLE: u64 = 256 << 20;

const TREE: &str = "refs/checkpoint/tree";
const SESSION: &str = "refs/checkpoint/session";
const HEAD: &str = "refs/checkpoint/head";

/// What a copy is taken of.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The repository.
    pub mirror: &'a Mirror,
    /// The workspace.
    pub workspace: &'a Workspace,
    /// What must not be in a copy.
    pub leaks: &'a LeakCheck,
    /// The commit that the SPEC was written against.
    pub base: &'a str,
    /// The latest commit that was made of the agent's work, or the base.
    pub head: &'a str,
}

/// A copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// A git bundle that needs the base commit.
    pub bundle: Vec<u8>,
    /// Files that should be in it and are not: too large, too many, or not to be read.
    pub left_out: usize,
}

/// Copies a workspace. Of files that the base does not have and ignores, those in `scope` come along.
pub async fn take(source: Source<'_>, scope: &Scope) -> Result<Snapshot, WorkspaceError> {
    let scratch = Scratch::new(source).await?;
    let tracked = tracked(source.mirror.git(), source.base).await?;
    let mut new = scratch.untracked_files().await?;
    new.extend(
        scope
            .files()
            .map(|(path, _)| path.as_str().as_bytes().to_vec()),
    );
    let session = scratch.session_files().await?;
    let copy = Copy {
        leaks: source.leaks.clone(),
        left: MOST_BYTES,
        left_out: 0,
    };
    let (workspace, base) = (source.workspace.clone(), source.base.to_owned());
    let copying = tokio::task::spawn_blocking(move || {
        let mut copy = copy;
        let tree = copy.tree(&workspace.tree(), &base, &tracked, &new)?;
        let session = copy.session(&workspace.session(), &session)?;
        Ok::<_, WorkspaceError>((tree, session, copy.left_out))
    });
    let copied = copying.await.map_err(std::io::Error::other);
    let io = WorkspaceError::io("copying", source.workspace.root());
    let (tree, session, left_out) = copied.map_err(io)??;
    Ok(Snapshot {
        bundle: scratch.bundle(tree, session).await?,
        left_out,
    })
}

/// The copy of a workspace that was just laid out at `source.head`.
pub async fn of_commit(source: Source<'_>) -> Result<Snapshot, WorkspaceError> {
    let scratch = Scratch::new(source).await?;
    let tree = Commit::new(TREE, Some(source.head));
    Ok(Snapshot {
        bundle: scratch.bundle(tree, Commit::new(SESSION, None)).await?,
        left_out: 0,
    })
}

/// Brings what is in a bundle into the mirror, where it is kept for the workspace.
pub async fn bring(
    mirror: &Mirror,
    workspace: &Workspace,
    base: &str,
    bundle: &[u8],
) -> Result<(), WorkspaceError> {
    // A bundle can only be put on what a ref leads to.
    mirror.keep(workspace.name(), 0, base).await?;
    // In the workspace: what a kill leaves behind goes with it.
    let root = workspace.root();
    let file = checkout::make_passable(root)
        .and_then(|()| tempfile::NamedTempFile::new_in(root))
        .and_then(|file| std::fs::write(file.path(), bundle).map(|()| file))
        .map_err(WorkspaceError::io("writing a bundle in", root))?;
    Ok(mirror.bring(workspace.name(), file.path()).await?)
}

/// Lays the workspace out as it was when the copy was taken that [`bring`] brought, anew: what was there is gone.
pub async fn lay_out(mirror: &Mirror, workspace: &Workspace) -> Result<(), WorkspaceError> {
    checkout::remove(workspace.root()).await?;
    for folder in [workspace.root(), &workspace.run()] {
        checkout::make_passable(folder).map_err(WorkspaceError::io("making", folder))?;
    }
    for (part, folder) in [("tree", workspace.tree()), ("session", workspace.session())] {
        let commit = format!("refs/sallyport/{}/checkpoint/{part}", workspace.name());
        check_out(mirror.git(), &workspace.index(), &commit, &folder).await?;
    }
    Ok(())
}

/// A repository of its own for one copy, which sees the mirror's objects.
struct Scratch<'a> {
    source: Source<'a>,
    folder: tempfile::TempDir,
    git: Git,
}

impl<'a> Scratch<'a> {
    async fn new(source: Source<'a>) -> Result<Self, WorkspaceError> {
        let root = source.workspace.root();
        let io = |source| WorkspaceError::io("making a folder in", root)(source);
        let folder = tempfile::tempdir_in(root).map_err(io)?;
        let git = Git::create_bare(&folder.path().join("scratch.git")).await?;
        let objects = source.mirror.git().directory().join("objects");
        let alternates = git.directory().join("objects/info/alternates");
        let mut line = objects.into_os_string();
        line.push("\n");
        std::fs::create_dir_all(git.directory().join("objects/info"))
            .and_then(|()| std::fs::write(&alternates, line.as_encoded_bytes()))
            .map_err(io)?;
        Ok(Self {
            source,
            folder,
            git,
        })
    }

    /// The files of the tree that the base neither has nor ignores.
    async fn untracked_files(&self) -> Result<Vec<Vec<u8>>, WorkspaceError> {
        let Source {
            mirror,
            workspace,
            base,
            ..
        } = self.source;
        let (index, rules) = (self.path("index"), self.path("rules"));
        read_tree(&self.git, &index, base).await?;
        let lines = ignore::rules(mirror, base).await?;
        std::fs::write(&rules, lines).map_err(WorkspaceError::io("writing", &rules))?;
        Ok(ignore::untracked(&self.git, &index, &workspace.tree(), &rules).await?)
    }

    async fn session_files(&self) -> Result<Vec<Vec<u8>>, WorkspaceError> {
        let (index, rules) = (self.path("no-index"), self.path("no-rules"));
        std::fs::write(&rules, "").map_err(WorkspaceError::io("writing", &rules))?;
        let session = self.source.workspace.session();
        Ok(ignore::untracked(&self.git, &index, &session, &rules).await?)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn bundle(&self, tree: Commit, session: Commit) -> Result<Vec<u8>, WorkspaceError> {
        let Source {
            base, head, leaks, ..
        } = self.source;
        let mut stream = tree.into_stream();
        stream.extend(session.into_stream());
        stream.extend(b"done\n");
        self.git
            .run("fast-import")
            .arguments(["--quiet", "--done"])
            .input(stream)
            .done()
            .await?;
        let mut parts = vec![TREE, SESSION];
        if head != base {
            let leaks = leaks.examine(&self.git, base, head).await?;
            if !leaks.iter().any(|leak| leak.what == What::OwnSecret) {
                self.git
                    .run("update-ref")
                    .arguments([HEAD, head])
                    .done()
                    .await?;
                parts.push(HEAD);
            }
        }
        let bundle = self
            .git
            .run("bundle")
            .arguments(["create", "--quiet", "-"])
            .arguments(parts)
            .argument(format!("^{base}"))
            .limit(LARGEST_BUNDLE);
        Ok(bundle.output().await?)
    }
}

/// A file or link of the base.
struct Tracked {
    mode: String,
    blob: String,
    path: Vec<u8>,
}

/// The base's files and links; submodules stay what they are.
async fn tracked(git: &Git, base: &str) -> Result<Vec<Tracked>, GitError> {
    let list = git
        .run("ls-tree")
        .arguments(["-r", "-z", "--long", "--full-tree", base])
        .output()
        .await?;
    let entries = list.split(|byte| *byte == 0).filter_map(TreeEntry::parse);
    let files = entries.filter(|entry| entry.mode != "160000");
    let tracked = files.map(|entry| Tracked {
        mode: entry.mode.to_owned(),
        blob: entry.object.to_owned(),
        path: entry.path.to_vec(),
    });
    Ok(tracked.collect())
}

/// What was copied so far.
struct Copy {
    leaks: LeakCheck,
    left: u64,
    left_out: usize,
}

impl Copy {
    fn tree(
        &mut self,
        folder: &Path,
        base: &str,
        tracked: &[Tracked],
        new: &[Vec<u8>],
    ) -> Result<Commit, WorkspaceError> {
        let open = Folder::open(folder).map_err(WorkspaceError::io("looking at", folder))?;
        let mut commit = Commit::new(TREE, Some(base));
        let mut seen = HashSet::new();
        for file in tracked {
            seen.insert(file.path.as_slice());
            match open.read(&file.path, self.left) {
                Read::Nothing => commit.delete(&file.path),
                Read::Refused => self.left_out += 1,
                Read::Found(entry) if entry.mode() == file.mode && blob(&entry) == file.blob => {}
                Read::Found(entry) => self.put(&mut commit, &file.path, entry),
            }
        }
        let (mut files, mut bytes) = (0, 0);
        for path in new.iter().filter(|path| seen.insert(path.as_slice())) {
            let limit = self.left.min(MOST_NEW_BYTES - bytes);
            match open.read(path, limit) {
                Read::Nothing => {}
                Read::Found(entry) if files < MOST_NEW_FILES && fits_into_git(path, &entry) => {
                    files += 1;
                    bytes += entry.content().len() as u64;
                    self.put(&mut commit, path, entry);
                }
                Read::Found(_) | Read::Refused => self.left_out += 1,
            }
        }
        Ok(commit)
    }

    fn session(&mut self, folder: &Path, files: &[Vec<u8>]) -> Result<Commit, WorkspaceError> {
        let open = Folder::open(folder).map_err(WorkspaceError::io("looking at", folder))?;
        let mut commit = Commit::new(SESSION, None);
        for path in files {
            match open.read(path, self.left) {
                Read::Found(mut entry) if fits_into_git(path, &entry) => {
                    // Pi may be in the middle of a line.
                    if path.ends_with(b".jsonl") {
                        entry.keep_whole_lines();
                    }
                    self.put(&mut commit, path, entry);
                }
                Read::Nothing => {}
                Read::Found(_) | Read::Refused => self.left_out += 1,
            }
        }
        Ok(commit)
    }

    fn put(&mut self, commit: &mut Commit, path: &[u8], entry: Entry) {
        if self.leaks.has_own(path) {
            self.left_out += 1;
            return;
        }
        self.left -= entry.content().len() as u64;
        let content = self.leaks.hide_own_bytes(entry.content());
        commit.file(path, entry.mode(), &content);
    }
}

/// The id that git gives to the content of a file or link.
fn blob(entry: &Entry) -> String {
    let content = entry.content();
    let hash = Sha1::new()
        .chain_update(format!("blob {}\0", content.len()))
        .chain_update(content)
        .finalize();
    hex::encode(hash)
}

/// Whether git takes an entry of this name. It refuses what is its own on some system, and then all the rest with it.
fn fits_into_git(path: &[u8], entry: &Entry) -> bool {
    // A repository within the repository.
    if path.ends_with(b"/") {
        return false;
    }
    path.split(|byte| matches!(byte, b'/' | b'\\')).all(|name| {
        let name = name.to_ascii_lowercase();
        if entry.is_link() && (name.starts_with(b".git") || name.contains(&b'~')) {
            return false;
        }
        let name = name.split(|byte| *byte == b':').next().unwrap_or_default();
        let end = name.iter().rposition(|byte| !matches!(byte, b' ' | b'.'));
        let name = &name[..end.map_or(0, |end| end + 1)];
        !matches!(name, b".git" | b"git~1")
    })
}

#[cfg(test)]
#[path = "../snapshot_tests.rs"]
mod tests;
