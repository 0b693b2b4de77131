//! Whether the base branch is still what a SPEC assumes: whether any file in its scope is another one now.

use std::collections::BTreeSet;

use sallyport_workflows::failure::kind;

use crate::{
    failure::{StepError, scrub},
    git::GitError,
    mirror::{Mirror, MirrorError},
    scope::Scope,
    workspace::diff::{changes, diff_text, readable},
};

/// The commits cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum BaseCheckError {
    /// The commit that the SPEC was written against is gone.
    #[error(
        "commit {commit}, which the SPEC was written against, is on no branch of {url} any more, so nobody can tell what \
         changed since: plan the ticket again, with `sallyport retry ID --from PLANNING`"
    )]
    Lost {
        /// The commit.
        commit: String,
        /// The repository, without credentials.
        url: String,
    },
    /// The mirror cannot be read.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// git could not do its part.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<BaseCheckError> for StepError {
    fn from(error: BaseCheckError) -> Self {
        match error {
            BaseCheckError::Lost { .. } => Self::fatal(kind::REPOSITORY_UNAVAILABLE, error),
            BaseCheckError::Mirror(error) => error.into(),
            BaseCheckError::Git(error) => error.into(),
        }
    }
}

/// What changed of a scope's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFiles {
    /// How many of them.
    pub files: u32,
    /// The first of them, readable.
    pub first: String,
    /// The diff of just these files.
    pub diff: Vec<u8>,
}

/// What of `scope` differs between the commits `from` and `to`, nothing if it is all the same. Modes count, and files that
/// exist in only one of them. Neither needs to be an ancestor of the other.
pub async fn changed(
    mirror: &Mirror,
    from: &str,
    to: &str,
    scope: &Scope,
) -> Result<Option<ChangedFiles>, BaseCheckError> {
    if from == to {
        return Ok(None);
    }
    if !mirror.has(from).await? {
        return Err(BaseCheckError::Lost {
            commit: from.to_owned(),
            url: scrub(mirror.url()),
        });
    }
    let git = mirror.git();
    let changes = changes(git, from, to).await?;
    let named = scope.files().map(|(path, _)| path.as_str().as_bytes());
    let fits = |path: &&[u8]| !scope.changes(path).is_empty();
    let affected: BTreeSet<&[u8]> = named
        .filter(|path| changes.iter().any(|change| affects(&change.path, path)))
        .chain(changes.iter().map(|change| &*change.path).filter(fits))
        .collect();
    let Some(first) = affected.first() else {
        return Ok(None);
    };
    let mut paths: Vec<&[u8]> = affected.iter().copied().collect();
    // What now stands where a folder of theirs was, or the other way round.
    paths.extend(
        changes
            .iter()
            .map(|change| change.path.as_slice())
            .filter(|changed| affected.iter().any(|path| is_below(path, changed))),
    );
    paths.sort_unstable();
    paths.dedup();
    Ok(Some(ChangedFiles {
        files: u32::try_from(affected.len()).unwrap_or(u32::MAX),
        first: readable(first),
        diff: diff_text(git, from, to, &paths).await?,
    }))
}

/// Whether a change at `changed` makes `path` another file: it is that file, or is in a folder in its place, or stands in
/// the place of a folder that it is in.
fn affects(changed: &[u8], path: &[u8]) -> bool {
    changed == path || is_below(changed, path) || is_below(path, changed)
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

#[cfg(test)]
#[path = "base_check_tests.rs"]
mod tests;
