//! Patterns of paths, and what a repository says with them of every scope.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::problem;
use crate::spec::FileChange;

/// The most patterns in one list.
pub const MAXIMUM_PATTERNS: usize = 20;

/// Files of a repository by their paths from its top: `*` stands for anything within a name, `**` for any number of
/// folders (at the end: for all that is below). There are no other wildcards; letters that mean something in other
/// programs' patterns are refused, so that none is misunderstood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopePattern(String);

/// A pattern that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no pattern of files: {problem}")]
pub struct BadPattern {
    /// The pattern as given, shortened.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl ScopePattern {
    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, between the `/`.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl TryFrom<String> for ScopePattern {
    type Error = BadPattern;

    fn try_from(pattern: String) -> Result<Self, BadPattern> {
        let found = if pattern.ends_with('/') && pattern.len() > 1 {
            Some("write `**` behind the last `/` to mean all that is below a folder")
        } else if pattern.contains(['?', '[', ']', '{', '}']) || pattern.starts_with('!') {
            Some(
                "`?`, `[`, `]`, `{`, `}` and a `!` in front have no meaning in it: there is `*` within a name, and `**` for \
                 folders; write one pattern for each kind",
            )
        } else if pattern
            .split('/')
            .any(|part| part.contains("**") && part != "**")
        {
            Some("`**` stands for whole folders, between two `/`")
        } else if pattern.split('/').all(|part| {
            part.contains('*') && part.chars().all(|letter| matches!(letter, '*' | '.'))
        }) {
            Some("it fits every file; name a folder or an ending")
        } else {
            problem(&pattern)
        };
        match found {
            None => Ok(Self(pattern)),
            Some(problem) => Err(BadPattern {
                pattern: pattern.chars().take(80).collect(),
                problem,
            }),
        }
    }
}

impl From<ScopePattern> for String {
    fn from(pattern: ScopePattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for ScopePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a repository says of the scope of every SPEC: which files may be changed without being named, and which never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScopeRules {
    /// Files that may be created, such as new tests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create: Vec<ScopePattern>,
    /// Files that may be modified, such as lock files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modify: Vec<ScopePattern>,
    /// Files that may be deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delete: Vec<ScopePattern>,
    /// Files that nobody may let an agent change, and all below them; stronger than everything else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub never: Vec<ScopePattern>,
}

impl ScopeRules {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The patterns of files to which `change` may happen.
    pub fn patterns(&self, change: FileChange) -> &[ScopePattern] {
        match change {
            FileChange::Create => &self.create,
            FileChange::Modify => &self.modify,
            FileChange::Delete => &self.delete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misunderstood_is_refused() {
        let of = |text: &str| ScopePattern::try_from(text.to_owned());
        for (bad, why) in [
            ("", "empty"),
            ("**", "every file"),
            ("*/**/*.*", "every file"),
            ("deploy/", "`**` behind"),
            ("src/*.{js,ts}", "no meaning"),
            ("src/[ab].js", "no meaning"),
            ("src/?.js", "no meaning"),
            ("!src/a.js", "no meaning"),
            ("src/**.js", "whole folders"),
            ("/src/*", "relative"),
            ("../*", "`..`"),
            (".git/**", "git's own"),
            ("a\u{202e}b*", "cannot be seen"),
        ] {
            let problem = of(bad).unwrap_err().to_string();
            assert!(problem.contains(why), "{bad:?}: {problem}");
        }
        for good in [
            "Cargo.lock",
            "**/*.snap",
            "src/**",
            ".github/**",
            "a b/*.md",
        ] {
            assert_eq!(of(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn rules_that_say_nothing_are_stored_as_nothing() {
        let json = serde_json::to_string(&ScopeRules::default()).unwrap();
        assert_eq!(json, "{}");
        assert!(serde_json::from_str::<ScopeRules>("{\"nevr\": []}").is_err());
    }
}
