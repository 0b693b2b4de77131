//! The top of a repository at a commit, read within bounds.

use std::collections::BTreeMap;

use crate::{
    git::GitError,
    mirror::{Entry, EntryKind, Mirror, MirrorError},
};

/// The largest file that is read, in bytes.
const MAXIMUM_BYTES: u64 = 256 << 10;

/// The longest list of a folder that is read, in bytes.
const MAXIMUM_LIST: u64 = 1 << 20;

/// What lies at the top of a repository.
pub(super) struct Root<'a> {
    mirror: &'a Mirror,
    commit: &'a str,
    entries: BTreeMap<String, EntryKind>,
    notes: Vec<String>,
}

impl<'a> Root<'a> {
    pub(super) async fn open(mirror: &'a Mirror, commit: &'a str) -> Result<Self, MirrorError> {
        let mut root = Self {
            mirror,
            commit,
            entries: BTreeMap::new(),
            notes: Vec::new(),
        };
        let entries = root.list("").await?;
        root.entries = entries
            .into_iter()
            .map(|entry| (entry.name, entry.kind))
            .collect();
        Ok(root)
    }

    /// Whether `name` is a regular file.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self.entries.get(name), Some(EntryKind::File { .. }))
    }

    /// Whether `name` is a regular file that may be executed.
    pub(super) fn is_executable(&self, name: &str) -> bool {
        self.entries.get(name) == Some(&EntryKind::File { executable: true })
    }

    /// The names of the regular files.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        let files = self.entries.iter();
        files.filter_map(|(name, kind)| matches!(kind, EntryKind::File { .. }).then_some(&**name))
    }

    /// The names of the regular files directly in the folder `name`; none if it is no folder.
    pub(super) async fn files_in(&mut self, name: &str) -> Result<Vec<String>, MirrorError> {
        if self.entries.get(name) != Some(&EntryKind::Folder) {
            return Ok(Vec::new());
        }
        let entries = self.list(name).await?;
        let files = entries
            .into_iter()
            .filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
        Ok(files.map(|entry| entry.name).collect())
    }

    /// The text of the regular file at `path`; nothing if there is none, or it is too large or no text.
    pub(super) async fn text(&mut self, path: &str) -> Result<Option<String>, MirrorError> {
        // Nothing is asked of git for what is not there.
        if !path.contains('/') && !self.has(path) {
            return Ok(None);
        }
        let content = match self.mirror.read(self.commit, path, MAXIMUM_BYTES).await {
            Err(MirrorError::TooLarge { bytes, .. }) => {
                self.note(format!("{path} has {bytes} bytes and was not read"));
                return Ok(None);
            }
            other => other?,
        };
        let Some(content) = content else {
            return Ok(None);
        };
        let text = String::from_utf8(content).ok();
        if text.is_none() {
            self.note(format!("{path} is no text"));
        }
        Ok(text)
    }

    /// Says something about a file that was passed over. Never a word of the file itself.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(super) fn notes(self) -> Vec<String> {
        self.notes
    }

    async fn list(&mut self, folder: &str) -> Result<Vec<Entry>, MirrorError> {
        match self.mirror.entries(self.commit, folder, MAXIMUM_LIST).await {
            Err(MirrorError::Git(GitError::TooMuch { .. })) => {
                let place = if folder.is_empty() { "the top" } else { folder };
                self.note(format!("there are too many files in {place}"));
                Ok(Vec::new())
            }
            other => other,
        }
    }
}
