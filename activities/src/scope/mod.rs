//! What an agent may change. Compiled from the approved SPEC, from what people granted beyond it, and from the repository's
//! rules; the one type that all ask who let a change pass or refuse it: Pi's extension (through [`crate::agent`]), the
//! read-only files, the diff, and the push.
//!
//! | what happens | what it takes |
//! |---|---|
//! | a file is new, tests too | the SPEC, a grant or `scope.create` of `.sallyport.toml` lets it be created |
//! | a file is changed, lock files too | one of them lets it be modified (`scope.modify`) |
//! | a file goes | one of them lets it be deleted (`scope.delete`) |
//! | a rename | is a deletion and a creation; it takes both |
//! | a mode | executable or not is part of a file's content; a regular file may become either |
//! | a link, a submodule, a special file | is never in scope, on neither side |
//! | a name in another case or Unicode form | is another file; a new one beside its twin is refused: not every disk can hold both |
//! | a file that `scope.never` names | is never in scope, whoever lists or grants it |
//! | a pattern | never fits a name that begins with a dot, unless it says the dot; never adds what git ignores |
//!
//! | what | where |
//! |---|---|
//! | what a grant adds | [`granted`] |
//! | what an agent may ask for | [`request`] |

pub mod granted;
mod matcher;
pub mod request;
mod twins;

use std::collections::{BTreeMap, BTreeSet};

use sallyport_workflows::{
    scope::{RepositoryPath, ScopePattern, ScopeRules},
    spec::{FileChange, Spec},
};

pub(crate) use matcher::Matcher;
pub use twins::twins;

/// What may be changed, and how.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    files: BTreeMap<RepositoryPath, BTreeSet<FileChange>>,
    patterns: Vec<(FileChange, Matcher)>,
    never: Vec<Matcher>,
}

/// Why a change is not in scope, in words that complete "`path`: ".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Nobody named it.
    #[error("the SPEC does not list it")]
    NotListed,
    /// It may be changed in another way.
    #[error("it is in scope to {}, and not to {}", names(.may), .not.name())]
    OtherChange {
        /// What may happen to it.
        may: BTreeSet<FileChange>,
        /// What happened to it.
        not: FileChange,
    },
    /// The repository keeps it from all agents.
    #[error("`.sallyport.toml` keeps it from every agent, by `{0}` in `scope.never`")]
    Never(ScopePattern),
    /// It is not, or was not, a regular file.
    #[error("it is a link, a submodule or something else that is no regular file")]
    NoFile,
    /// Beside it there is one of nearly the same name.
    #[error(
        "its name differs from `{0}` only in case or Unicode form, and not every disk can hold both"
    )]
    Twin(String),
}

/// What may happen to a file, such as "create or modify".
pub(crate) fn names(changes: &BTreeSet<FileChange>) -> String {
    let names: Vec<_> = changes.iter().map(|change| change.name()).collect();
    names.join(" or ")
}

impl Scope {
    /// What `spec` lists, as `rules` allow it, which are those of the policy that it was approved with. Rules that widen
    /// it are taken from the SPEC itself, as people read them.
    pub fn of(spec: &Spec, rules: &ScopeRules) -> Self {
        let mut scope = Self::listed(spec);
        for change in FileChange::ALL {
            for pattern in spec.scope_rules.patterns(change) {
                scope.patterns.push((change, Matcher::within(pattern)));
            }
        }
        let never: BTreeSet<_> = spec.scope_rules.never.iter().chain(&rules.never).collect();
        scope.never = never.into_iter().map(Matcher::all_below).collect();
        scope
    }

    /// Only what `spec` itself lists, without any rule of the repository's.
    pub fn listed(spec: &Spec) -> Self {
        let mut scope = Self::default();
        for file in &spec.files {
            let changes = scope.files.entry(file.path.clone()).or_default();
            changes.insert(file.change);
        }
        for listed in &spec.patterns {
            let matcher = Matcher::within(&listed.pattern);
            scope.patterns.push((listed.change, matcher));
        }
        scope
    }

    /// How many of the files at `paths` a pattern of a SPEC fits.
    pub fn fitting<'a>(pattern: &ScopePattern, paths: impl Iterator<Item = &'a str>) -> usize {
        let matcher = Matcher::within(pattern);
        paths.filter(|path| matcher.fits(path)).count()
    }

    /// Lets anything happen to the file at `path`, but for what the repository keeps from all agents.
    pub fn grant(&mut self, path: RepositoryPath) {
        self.files.insert(path, FileChange::ALL.into());
    }

    /// Whether `change` may happen to the file at `path`, as git names it.
    pub fn judge(&self, change: FileChange, path: &[u8]) -> Result<(), Refusal> {
        if let Some(pattern) = self.kept(path) {
            return Err(Refusal::Never(pattern.clone()));
        }
        let may = self.changes(path);
        if may.contains(&change) {
            Ok(())
        } else if may.is_empty() {
            Err(Refusal::NotListed)
        } else {
            Err(Refusal::OtherChange { may, not: change })
        }
    }

    /// What may happen to the file at `path`. Nothing, if it is no path that a scope could hold.
    pub fn changes(&self, path: &[u8]) -> BTreeSet<FileChange> {
        let Some(path) = as_path(path) else {
            return BTreeSet::new();
        };
        if self.kept(path.as_str().as_bytes()).is_some() {
            return BTreeSet::new();
        }
        let mut changes = self.files.get(&path).cloned().unwrap_or_default();
        for (change, matcher) in &self.patterns {
            if matcher.fits(path.as_str()) {
                changes.insert(*change);
            }
        }
        changes
    }

    /// By which pattern of `scope.never` the repository keeps the file at `path` from all agents.
    pub fn kept(&self, path: &[u8]) -> Option<&ScopePattern> {
        let path = String::from_utf8_lossy(path);
        let fits = |matcher: &&Matcher| matcher.fits(&path);
        self.never.iter().find(fits).map(Matcher::pattern)
    }

    /// Whether the file at `path`, which exists, may be changed in any way.
    pub fn may_touch(&self, path: &[u8]) -> bool {
        let changes = self.changes(path);
        changes.contains(&FileChange::Modify) || changes.contains(&FileChange::Delete)
    }

    /// Whether anything may happen to the file at `path`, so that nobody need be asked about it.
    pub fn is_open(&self, path: &[u8]) -> bool {
        self.changes(path).len() == FileChange::ALL.len()
    }

    /// The files that are named by their paths, sorted, and what may happen to them.
    pub fn files(&self) -> impl Iterator<Item = (&RepositoryPath, &BTreeSet<FileChange>)> {
        self.files.iter()
    }

    /// What may happen to the files that fit a pattern.
    pub(crate) fn patterns(&self) -> &[(FileChange, Matcher)] {
        &self.patterns
    }

    /// What the repository keeps from all agents.
    pub(crate) fn never(&self) -> &[Matcher] {
        &self.never
    }
}

impl FromIterator<RepositoryPath> for Scope {
    /// A scope of files to which anything may happen.
    fn from_iter<I: IntoIterator<Item = RepositoryPath>>(paths: I) -> Self {
        let mut scope = Self::default();
        for path in paths {
            scope.grant(path);
        }
        scope
    }
}

fn as_path(path: &[u8]) -> Option<RepositoryPath> {
    let path = str::from_utf8(path).ok()?;
    RepositoryPath::try_from(path.to_owned()).ok()
}

#[cfg(test)]
mod tests;
