//! Bare copies of the repositories that tickets work on, one for each URL, and the commits that agents made.
//!
//! `refs/heads/*` are the repository's branches as they were when last fetched; `refs/sallyport/<workspace>/<n>` keep
//! our own commits. Whoever writes refs holds the mirror's file lock, so that workers of one host do not collide. A
//! mirror that a kill left half done, or that is damaged, is made anew.

mod in_place;
mod kept;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sallyport_workflows::revision::sha256_hex;

use crate::{
    failure::scrub,
    git::{Git, GitError},
};

/// A repository cannot be copied or read.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The repository itself cannot be reached, or is none.
    #[error(
        "the repository {url} cannot be read: {source}; check its URL and whether this worker may read it"
    )]
    Unreachable {
        /// Which repository, without credentials.
        url: String,
        /// What git said.
        source: GitError,
    },
    /// The repository has no such branch.
    #[error(
        "the repository {url} has no {branch}; push the branch, or set `base_branch` in sallyport.toml"
    )]
    NoBranch {
        /// Which repository, without credentials.
        url: String,
        /// What is missing, such as `branch main`.
        branch: String,
    },
    /// The mirror was never made on this host, or lacks a commit.
    #[error("this host's mirror of {url} lacks {what}")]
    Missing {
        /// Which repository, without credentials.
        url: String,
        /// What is missing.
        what: String,
    },
    /// A file is larger than is read.
    #[error("{path} at {commit} has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// The file.
        path: String,
        /// The commit.
        commit: String,
        /// The file's size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The mirror cannot be worked on.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The folder of mirrors cannot be worked on.
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

/// A file in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path; never with a control character, and UTF-8, since others are left out.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The name of its content.
    pub object: String,
}

/// Something that lies in a folder of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; never with a control character, and UTF-8, since others are left out.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What lies in a folder of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Whether it may be executed.
        executable: bool,
    },
    /// A folder.
    Folder,
    /// A link or a submodule.
    Other,
}

/// All mirrors of this host.
#[derive(Clone, Debug)]
pub struct Mirrors {
    folder: PathBuf,
}

/// The mirror of one repository.
#[derive(Clone, Debug)]
pub struct Mirror {
    git: Git,
    lock: PathBuf,
    url: String,
}

impl Mirrors {
    /// The mirrors below `folder`, an absolute path.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn mirror(&self, url: &str) -> Mirror {
        let name = &sha256_hex(url.as_bytes())[..16];
        Mirror {
            git: Git::at(self.folder.join(format!("{name}.git"))),
            lock: self.folder.join(format!("{name}.lock")),
            url: url.to_owned(),
        }
    }

    /// The mirror of `url`, brought up to date; made if there is none.
    pub async fn fetch(&self, url: &str) -> Result<Mirror, MirrorError> {
        let mirror = self.mirror(url);
        let failed = |source| MirrorError::Io {
            action: "making the folder",
            path: self.folder.clone(),
            source,
        };
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let lock = mirror.lock().await?;
        if !mirror.git.directory().join("HEAD").is_file() {
            mirror.make_anew().await?;
        } else if let Err(problem) = mirror.fetch_branches().await {
            // Whose fault is it? If the repository answers, the mirror is damaged.
            mirror.ask_repository().await?;
            tracing::warn!(url = %scrub(url), %problem, "a damaged mirror is made anew");
            mirror.make_anew().await?;
        }
        drop(lock);
        Ok(mirror)
    }

    /// The mirror of `url` with `commit` in it. Fetches only if the commit is missing.
    pub async fn with_commit(&self, url: &str, commit: &str) -> Result<Mirror, MirrorError> {
        let mirror = self.mirror(url);
        if mirror.git.directory().join("HEAD").is_file() && mirror.has(commit).await? {
            return Ok(mirror);
        }
        let mirror = self.fetch(url).await?;
        if mirror.has(commit).await? {
            return Ok(mirror);
        }
        Err(MirrorError::Missing {
            url: scrub(url),
            what: format!("commit {commit}"),
        })
    }
}

impl Mirror {
    /// The git directory.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// The repository's URL. May hold credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether `commit` is here.
    pub async fn has(&self, commit: &str) -> Result<bool, MirrorError> {
        Ok(self.git.commit(commit).await?.is_some())
    }

    /// The branch that the repository's `HEAD` names. Asks the repository.
    pub async fn default_branch(&self) -> Result<String, MirrorError> {
        let answer = self.ask_repository().await?;
        let branch = answer.lines().find_map(|line| {
            line.strip_prefix("ref: refs/heads/")?
                .strip_suffix("\tHEAD")
        });
        branch
            .map(str::to_owned)
            .ok_or_else(|| self.no_branch("HEAD that names a branch"))
    }

    /// The commit at `branch`'s head, as it was when last fetched.
    pub async fn head(&self, branch: &str) -> Result<String, MirrorError> {
        let head = self.git.commit(&format!("refs/heads/{branch}")).await?;
        head.ok_or_else(|| self.no_branch(&format!("branch {branch}")))
    }

    /// The content of the regular file at `path` in `commit`, or nothing if there is none. More than `limit` bytes are
    /// an error.
    pub async fn read(
        &self,
        commit: &str,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, MirrorError> {
        let entry = self
            .git
            .run("ls-tree")
            .arguments(["-z", "--long", "--full-tree", commit, "--", path])
            .output()
            .await?;
        let Some(entry) = entry.split(|byte| *byte == 0).find_map(TreeEntry::parse) else {
            return Ok(None);
        };
        if entry.path != path.as_bytes() || !entry.is_regular() {
            return Ok(None);
        }
        if entry.bytes > limit {
            return Err(MirrorError::TooLarge {
                path: path.to_owned(),
                commit: commit.to_owned(),
                bytes: entry.bytes,
                limit,
            });
        }
        let content = self
            .git
            .run("cat-file")
            .arguments(["blob", entry.object])
            .output()
            .await?;
        Ok(Some(content))
    }

    /// The regular files in `commit` whose names are plain text, sorted by path.
    pub async fn files(&self, commit: &str) -> Result<Vec<TreeFile>, MirrorError> {
        let entries = self
            .git
            .run("ls-tree")
            .arguments(["-r", "-z", "--long", "--full-tree", commit])
            .output()
            .await?;
        let files = entries
            .split(|byte| *byte == 0)
            .filter_map(TreeEntry::parse)
            .filter(TreeEntry::is_regular)
            .filter_map(|entry| {
                let path = str::from_utf8(entry.path).ok()?.to_owned();
                let (bytes, object) = (entry.bytes, entry.object.to_owned());
                (!path.chars().any(char::is_control)).then_some(TreeFile {
                    path,
                    bytes,
                    object,
                })
            });
        Ok(files.collect())
    }

    /// What lies directly in `folder` of `commit`, sorted by name; `folder` is empty for the top and must exist. A list of
    /// more than `limit` bytes is an error.
    pub async fn entries(
        &self,
        commit: &str,
        folder: &str,
        limit: u64,
    ) -> Result<Vec<Entry>, MirrorError> {
        let entries = self
            .git
            .run("ls-tree")
            .arguments(["-z", "--long", "--full-tree"])
            .argument(format!("{commit}:{folder}"))
            .limit(limit)
            .output()
            .await?;
        let entries = entries
            .split(|byte| *byte == 0)
            .filter_map(TreeEntry::parse)
            .filter_map(|entry| {
                let name = str::from_utf8(entry.path).ok()?.to_owned();
                let kind = match entry.mode {
                    "100644" => EntryKind::File { executable: false },
                    "100755" => EntryKind::File { executable: true },
                    "040000" => EntryKind::Folder,
                    _ => EntryKind::Other,
                };
                (!name.chars().any(char::is_control)).then_some(Entry { name, kind })
            });
        Ok(entries.collect())
    }

    async fn fetch_branches(&self) -> Result<(), GitError> {
        self.git
            .run("fetch")
            .arguments(["--quiet", "--prune", "--no-tags", "--no-write-fetch-head"])
            .arguments(["--no-auto-maintenance", "--force", "--", &self.url])
            .argument("refs/heads/*:refs/heads/*")
            .network()
            .done()
            .await
    }

    async fn ask_repository(&self) -> Result<String, MirrorError> {
        // Not in the mirror, which may be damaged or missing. Without a git directory `ls-remote` needs none.
        let folder = self.lock.parent().unwrap_or(Path::new("/"));
        Git::at(folder)
            .run("ls-remote")
            .arguments(["--symref", "--", &self.url, "HEAD"])
            .network()
            .text()
            .await
            .map_err(|source| MirrorError::Unreachable {
                url: scrub(&self.url),
                source,
            })
    }

    /// Makes the mirror beside its place and then moves it there, so that it is never seen half done.
    async fn make_anew(&self) -> Result<(), MirrorError> {
        let old = self.git.directory();
        let new = old.with_extension("new");
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| MirrorError::Io {
                action,
                path,
                source,
            }
        };
        remove_folder(&new).map_err(io("removing", &new))?;
        let fresh = Self {
            git: Git::create_bare(&new).await?,
            ..self.clone()
        };
        if let Err(source) = fresh.fetch_branches().await {
            remove_folder(&new).map_err(io("removing", &new))?;
            return Err(MirrorError::Unreachable {
                url: scrub(&self.url),
                source,
            });
        }
        if old.exists() {
            // Agents' commits exist nowhere else. What can still be read of them is saved.
            let saved = fresh
                .git
                .run("fetch")
                .arguments(["--quiet", "--no-tags", "--no-write-fetch-head", "--"])
                .argument(old)
                .argument("refs/sallyport/*:refs/sallyport/*")
                .network()
                .done()
                .await;
            if let Err(problem) = saved {
                tracing::warn!(mirror = %old.display(), %problem, "the commits of a damaged mirror are lost");
            }
            remove_folder(old).map_err(io("removing", old))?;
        }
        fs::rename(&new, old).map_err(io("moving a new mirror to", old))
    }

    async fn lock(&self) -> Result<File, MirrorError> {
        let path = self.lock.clone();
        let failed = |source| MirrorError::Io {
            action: "locking",
            path: self.lock.clone(),
            source,
        };
        // Another process may hold it for as long as a fetch takes.
        let locked = tokio::task::spawn_blocking(move || {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            file.lock()?;
            Ok(file)
        });
        locked
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(failed)
    }

    fn no_branch(&self, branch: &str) -> MirrorError {
        MirrorError::NoBranch {
            url: scrub(&self.url),
            branch: branch.to_owned(),
        }
    }
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A line of `git ls-tree -z --long`: `<mode> <type> <object> <size>\t<path>`.
pub(crate) struct TreeEntry<'a> {
    pub(crate) mode: &'a str,
    pub(crate) object: &'a str,
    bytes: u64,
    pub(crate) path: &'a [u8],
}

impl<'a> TreeEntry<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let mut words = str::from_utf8(&line[..tab]).ok()?.split_ascii_whitespace();
        let (mode, _type, object) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            mode,
            object,
            bytes: words.next()?.parse().unwrap_or(0),
            path: &line[tab + 1..],
        })
    }

    fn is_regular(&self) -> bool {
        matches!(self.mode, "100644" | "100755")
    }
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
