//! How files are named that an agent may change: each by its path, or several by a pattern.

mod pattern;

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use pattern::{BadPattern, MAXIMUM_PATTERNS, ScopePattern, ScopeRules};

/// The most files that one SPEC may list.
pub const MAXIMUM_FILES: usize = 100;

/// The longest path, in bytes.
pub const MAXIMUM_PATH_BYTES: usize = 512;

/// Whether a letter shows nothing, or turns the direction of writing: what has it reads as something else than it is.
pub const fn is_hidden(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// A path inside a repository: relative, `/` between its parts, no `.`, `..` or empty part, nothing below `.git`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryPath(String);

/// A path that is not one of a repository's files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is no path inside the repository: {problem}")]
pub struct BadPath {
    /// The path as given, shortened.
    pub path: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl RepositoryPath {
    /// The path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RepositoryPath {
    type Error = BadPath;

    fn try_from(path: String) -> Result<Self, BadPath> {
        match problem(&path) {
            None => Ok(Self(path)),
            Some(problem) => Err(BadPath {
                path: path.chars().take(80).collect(),
                problem,
            }),
        }
    }
}

/// Why `path` names nothing inside a repository, or nothing.
fn problem(path: &str) -> Option<&'static str> {
    Some(if path.is_empty() {
        "it is empty"
    } else if path.len() > MAXIMUM_PATH_BYTES {
        "it is longer than 512 bytes"
    } else if path.starts_with('/') {
        "it must be relative"
    } else if path.chars().any(char::is_control) {
        "it has a control character"
    } else if path
        .chars()
        .any(|letter| is_hidden(letter) || (letter.is_whitespace() && letter != ' '))
    {
        "it has a character that cannot be seen"
    } else if path.contains("  ") || path.split('/').any(|part| part.trim() != part) {
        "it has a space that cannot be seen"
    } else if path.contains('\\') {
        "it has a backslash; parts are separated by `/`"
    } else if path
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        "no part may be empty, `.` or `..`"
    } else if path
        .split('/')
        .any(|part| part.eq_ignore_ascii_case(".git"))
    {
        "git's own files are off limits"
    } else {
        return None;
    })
}

impl From<RepositoryPath> for String {
    fn from(path: RepositoryPath) -> Self {
        path.0
    }
}

impl fmt::Display for RepositoryPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The most files that one request for more scope may name.
pub const MAXIMUM_REQUESTED_FILES: usize = 20;

/// The longest reason that a request for more scope may give, in bytes.
pub const MAXIMUM_REASON_BYTES: usize = 2000;

/// The agent's wish to change further files. What the SCOPE gate asks about; see [`crate::revision::scope_revision`].
/// Stored as JSON, and named by its content's hash wherever it was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeRequest {
    /// The files, from 1 to [`MAXIMUM_REQUESTED_FILES`], each once and none that is in scope already.
    pub paths: Vec<RepositoryPath>,
    /// Why, at most [`MAXIMUM_REASON_BYTES`]. The agent's words: shown, never acted on.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Result<RepositoryPath, BadPath> {
        RepositoryPath::try_from(text.to_owned())
    }

    #[test]
    fn paths_that_leave_the_repository_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            ".git/config",
            "a/.GIT/x",
            "a\nb",
            "a\\b",
            "src/list\u{200b}.js",
            "src/\u{202e}sj.js",
            "a\u{a0}b",
            "a  b",
            "conftest.py ",
            "src/ a",
        ] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        for good in [
            "a",
            "src/lib.rs",
            ".github/workflows/ci.yml",
            "a b/ü.txt",
            ".gitignore",
        ] {
            assert!(path(good).is_ok(), "{good:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_stays_inside(text in "\\PC{0,40}") {
            if let Ok(path) = path(&text) {
                prop_assert!(!path.as_str().starts_with('/'));
                prop_assert!(!path.as_str().split('/').any(|part| part == ".."));
            }
        }
    }
}
