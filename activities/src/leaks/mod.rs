//! What must never be pushed: secrets, and very large files.
//!
//! | to find | look in |
//! | --- | --- |
//! | how secrets of others look | `patterns` |
//! | the installation's own, in whatever form | `known` |
//! | what to tell the agent and the people | [`as_gate`] |
//!
//! Looked at is, byte for byte, each file that a commit adds or changes, commit by commit, since a push takes a commit's
//! parents along. git reads it, from the host's own git directory, so no file of the tree has a say: not in `.gitattributes`,
//! not in any list of exemptions. Who runs the installation may name files that hold what only looks like a secret. What stood in the files before they were changed is no leak of this change; the
//! installation's own secrets always are. A finding names the place and never the secret.

mod as_gate;
mod known;
mod patterns;

use std::{
    borrow::Cow, collections::BTreeSet, ffi::OsStr, fmt, ops::Range, os::unix::ffi::OsStrExt as _,
    sync::Arc,
};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sallyport_ledger::secret::SecretString;
use sallyport_workflows::text::count;

pub use as_gate::{GATE, as_gate};

use self::known::Known;
use crate::{
    git::{Git, GitError},
    workspace::diff::{Change, changes, readable},
};

/// The largest file that may be pushed, in bytes, unless the configuration says otherwise.
pub const LARGEST_FILE: u64 = 5 << 20;

/// Into files of so many bytes is looked in any case, even where smaller ones are too large.
const LOOKED_INTO: u64 = 64 << 20;

/// A file is taken for text if there is no zero byte so far into it.
const TEXT_UP_TO: usize = 8000;

/// Something that must not be pushed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// The file, readable; where its very name holds a secret, that is left out.
    pub path: String,
    /// The line, from 1; nothing for a file that is no text, or for its name.
    pub line: Option<u64>,
    /// What it is.
    pub what: What,
}

/// What must not be pushed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// One of the installation's own secrets.
    OwnSecret,
    /// Something that is told by its form, or by the name before it.
    Secret(&'static str),
    /// More bytes than a file may have.
    TooLarge {
        /// How many it has.
        bytes: u64,
        /// How many it may have.
        limit: u64,
    },
}

impl fmt::Display for Leak {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.path)?;
        if let Some(line) = self.line {
            write!(formatter, ", line {line}")?;
        }
        match &self.what {
            What::OwnSecret => write!(formatter, ": a secret of Sallyport's own installation"),
            What::Secret(what) => write!(formatter, ": {what}"),
            What::TooLarge { bytes, limit } => write!(
                formatter,
                ": {} in one file, at most {} may be",
                count(*bytes, "byte"),
                count(*limit, "byte")
            ),
        }
    }
}

/// Looks for what must not be pushed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LeakCheck {
    known: Arc<Known>,
    largest_file: u64,
    looked_into: u64,
    secret_like: GlobSet,
}

/// What was found in some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hit {
    what: What,
    place: Range<usize>,
}

impl LeakCheck {
    /// Looks for `secrets` beside what looks like one, and for files of more than `largest_file` bytes.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>, largest_file: u64) -> Self {
        Self {
            known: Arc::new(Known::new(secrets)),
            largest_file,
            looked_into: LOOKED_INTO.max(largest_file),
            secret_like: GlobSet::empty(),
        }
    }

    /// Lets files that one of `globs` fits hold what looks like a secret, such as test fixtures do. Never `secrets`.
    ///
    /// # Errors
    /// If one of them is no glob; the error names it.
    pub fn with_secret_like_files(self, globs: &[String]) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(GlobBuilder::new(glob).literal_separator(true).build()?);
        }
        Ok(Self {
            secret_like: set.build()?,
            ..self
        })
    }

    /// What a push of `commit` would let out, if `base` is there already; sorted, each once.
    pub async fn examine(
        &self,
        git: &Git,
        base: &str,
        commit: &str,
    ) -> Result<Vec<Leak>, GitError> {
        let mut leaks = BTreeSet::new();
        let mut before = base.to_owned();
        for commit in commits(git, base, commit).await? {
            leaks.extend(self.step(git, base, &before, &commit).await?);
            before = commit;
        }
        Ok(leaks.into_iter().collect())
    }

    /// The latest commit from `base` to `commit` that can be pushed with all before it. A change that is put on it, and not
    /// on `commit`, leaves behind what leaked in between.
    pub async fn last_clean(
        &self,
        git: &Git,
        base: &str,
        commit: &str,
    ) -> Result<String, GitError> {
        let mut clean = base.to_owned();
        for commit in commits(git, base, commit).await? {
            if !self.step(git, base, &clean, &commit).await?.is_empty() {
                break;
            }
            clean = commit;
        }
        Ok(clean)
    }

    /// `text` with three dots for each secret in it, to be kept and shown.
    pub async fn hide(&self, text: Vec<u8>) -> Vec<u8> {
        let (text, hits) = self.look(text).await;
        without(&text, places(&hits))
    }

    /// The same for a short text, at once.
    pub fn hide_in_text(&self, text: &str) -> String {
        let hits = self.hits(text.as_bytes());
        if hits.is_empty() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&without(text.as_bytes(), places(&hits))).into_owned()
    }

    /// `text` without the installation's own secrets, to be logged. For what programs print: there much looks like a secret.
    pub fn hide_own(&self, text: &str) -> String {
        let mut hidden = String::with_capacity(text.len());
        let mut end = 0;
        for place in self.known.find(text.as_bytes()) {
            // Each form of a secret is text, so no character is cut; if one were, nothing is shown.
            let Some(before) = text.get(end..place.start) else {
                return "[secret]".to_owned();
            };
            hidden.push_str(before);
            hidden.push_str("[secret]");
            end = place.end;
        }
        hidden.push_str(text.get(end..).unwrap_or_default());
        hidden
    }

    /// Whether one of the installation's own secrets stands in `content`.
    pub fn has_own(&self, content: &[u8]) -> bool {
        !self.known.find(content).is_empty()
    }

    /// `content` with three dots for each of the installation's own secrets.
    pub fn hide_own_bytes<'a>(&self, content: &'a [u8]) -> Cow<'a, [u8]> {
        let places = self.known.find(content);
        if places.is_empty() {
            return Cow::Borrowed(content);
        }
        Cow::Owned(without(content, places))
    }

    /// What `commit` adds to the one before it. What its files held on the base was there before this ticket.
    async fn step(
        &self,
        git: &Git,
        base: &str,
        before: &str,
        commit: &str,
    ) -> Result<Vec<Leak>, GitError> {
        let mut old = BTreeSet::new();
        for change in changes(git, base, commit).await? {
            if let Some(blob) = change.old_blob()
                && let Some(content) = self.content(git, blob).await?
            {
                let hits = self.look(content).await;
                old.extend(hits.1.into_iter().map(|hit| hits.0[hit.place].to_vec()));
            }
        }
        let mut leaks = Vec::new();
        for change in changes(git, before, commit).await? {
            let Some(blob) = change.new_blob() else {
                continue;
            };
            let may_look_like_one = self.secret_like.is_match(OsStr::from_bytes(&change.path));
            let counts = |hit: &Hit| hit.what == What::OwnSecret || !may_look_like_one;
            let (name, in_name) = self.look(change.path.clone()).await;
            let path = readable(&without(&name, places(&in_name)));
            let size = size_of(git, blob).await?;
            // A large file may stay one, as long as it can be looked into.
            let is_too_large = size > self.looked_into
                || size > self.largest_file && !self.was_too_large(git, &change).await?;
            if is_too_large {
                leaks.push(Leak {
                    path: path.clone(),
                    line: None,
                    what: What::TooLarge {
                        bytes: size,
                        limit: self.largest_file,
                    },
                });
            }
            leaks.extend(in_name.into_iter().filter(counts).map(|hit| Leak {
                path: path.clone(),
                line: None,
                what: hit.what,
            }));
            let Some(content) = self.content(git, blob).await? else {
                continue;
            };
            let (content, hits) = self.look(content).await;
            let is_text = !content.iter().take(TEXT_UP_TO).any(|byte| *byte == 0);
            let new = hits.into_iter().filter(counts).filter(|hit| {
                hit.what == What::OwnSecret || !old.contains(&content[hit.place.clone()])
            });
            leaks.extend(new.map(|hit| Leak {
                path: path.clone(),
                line: is_text.then(|| line_of(&content, hit.place.start)),
                what: hit.what,
            }));
        }
        Ok(leaks)
    }

    async fn was_too_large(&self, git: &Git, change: &Change) -> Result<bool, GitError> {
        match change.old_blob() {
            Some(blob) => Ok(size_of(git, blob).await? > self.largest_file),
            None => Ok(false),
        }
    }

    /// What is in a blob, if it is not too large to be looked into.
    async fn content(&self, git: &Git, blob: &str) -> Result<Option<Vec<u8>>, GitError> {
        let read = git
            .run("cat-file")
            .arguments(["blob", blob])
            .limit(self.looked_into);
        match read.output().await {
            Ok(content) => Ok(Some(content)),
            Err(GitError::TooMuch { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks on a thread of its own: a large file takes a while.
    async fn look(&self, content: Vec<u8>) -> (Vec<u8>, Vec<Hit>) {
        let this = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let hits = this.hits(&content);
            (content, hits)
        });
        match looking.await {
            Ok(found) => found,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// What is in `content`, in order, each place once: as what it is first told to be.
    fn hits(&self, content: &[u8]) -> Vec<Hit> {
        let own = self.known.find(content).into_iter().map(|place| Hit {
            what: What::OwnSecret,
            place,
        });
        let others = patterns::find(content)
            .into_iter()
            .map(|(what, place)| Hit {
                what: What::Secret(what),
                place,
            });
        let mut hits: Vec<Hit> = Vec::new();
        for hit in own.chain(others) {
            let overlaps = |other: &Hit| {
                hit.place.start < other.place.end && other.place.start < hit.place.end
            };
            if !hits.iter().any(overlaps) {
                hits.push(hit);
            }
        }
        hits.sort_by_key(|hit| hit.place.start);
        hits
    }
}

/// The commits after `base` up to `commit`, the oldest first.
async fn commits(git: &Git, base: &str, commit: &str) -> Result<Vec<String>, GitError> {
    let list = git
        .run("rev-list")
        .arguments(["--reverse", "--topo-order", "--end-of-options"])
        .argument(format!("{base}..{commit}"))
        .text()
        .await?;
    Ok(list.lines().map(str::to_owned).collect())
}

async fn size_of(git: &Git, blob: &str) -> Result<u64, GitError> {
    let size = git.run("cat-file").arguments(["-s", blob]).text().await?;
    size.parse().map_err(|_| GitError::Unexpected {
        command: "cat-file".to_owned(),
        answer: size,
    })
}

fn places(hits: &[Hit]) -> impl Iterator<Item = Range<usize>> {
    hits.iter().map(|hit| hit.place.clone())
}

/// `content` with three dots for each of `places`, which are in order.
fn without(content: &[u8], places: impl IntoIterator<Item = Range<usize>>) -> Vec<u8> {
    let mut shown = Vec::with_capacity(content.len());
    let mut end = 0;
    for place in places {
        shown.extend_from_slice(&content[end..place.start]);
        shown.extend_from_slice(b"...");
        end = place.end;
    }
    shown.extend_from_slice(&content[end..]);
    shown
}

fn line_of(content: &[u8], place: usize) -> u64 {
    1 + content[..place]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count() as u64
}

#[cfg(test)]
mod tests;
