//! Patterns of paths as regular expressions. One source is run by two engines, this worker's and, inside the room, the
//! JavaScript one that Pi's extension has; so it uses only what means the same in both.

use regex::Regex;
use sallyport_workflows::scope::ScopePattern;

use super::twins::fold;

/// A pattern that can be asked whether it fits a path.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    pattern: ScopePattern,
    source: String,
    /// None fits nothing, which no pattern that is one can come to.
    regex: Option<Regex>,
    is_folded: bool,
}

impl Matcher {
    /// For what is let pass: exactly as it is written, and no name that begins with a dot fits a wildcard.
    pub(super) fn within(pattern: &ScopePattern) -> Self {
        let wildcards = Wildcards {
            name: "[^/.][^/]*",
            folders: "(?:[^/.][^/]*/)*",
            beginning: "(?:[^/.][^/]*)?",
            before_dot: "[^/.][^/]*",
        };
        let source = wildcards.source(pattern.parts());
        Self::new(pattern, format!("^{source}$"), false)
    }

    /// For what is kept back: in any case and Unicode form, and with all that is below.
    pub(super) fn all_below(pattern: &ScopePattern) -> Self {
        let wildcards = Wildcards {
            name: "[^/]+",
            folders: "(?:[^/]+/)*",
            beginning: "[^/]*",
            before_dot: "[^/]*",
        };
        let folded = fold(pattern.as_str());
        let source = wildcards.source(folded.split('/'));
        Self::new(pattern, format!("^{source}(?:/[^/]+)*$"), true)
    }

    fn new(pattern: &ScopePattern, source: String, is_folded: bool) -> Self {
        Self {
            regex: Regex::new(&source).ok(),
            pattern: pattern.clone(),
            source,
            is_folded,
        }
    }

    /// Whether the file at `path` is meant.
    pub(super) fn fits(&self, path: &str) -> bool {
        let fits = |path: &str| {
            self.regex
                .as_ref()
                .is_some_and(|regex| regex.is_match(path))
        };
        if self.is_folded {
            fits(&fold(path))
        } else {
            fits(path)
        }
    }

    /// The pattern as people wrote it.
    pub(crate) fn pattern(&self) -> &ScopePattern {
        &self.pattern
    }

    /// The regular expression. One of what is kept back wants the path folded as [`fold`] does it.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

/// What stands for the wildcards.
struct Wildcards {
    /// A whole name.
    name: &'static str,
    /// Any number of folders, each with a `/` behind it.
    folders: &'static str,
    /// What a name may begin with in front of other letters.
    beginning: &'static str,
    /// The same in front of a dot.
    before_dot: &'static str,
}

impl Wildcards {
    fn source<'a>(&self, parts: impl Iterator<Item = &'a str>) -> String {
        let mut parts = parts.peekable();
        let mut source = String::new();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            match part {
                "**" => {
                    source.push_str(self.folders);
                    if is_last {
                        source.push_str(self.name);
                    }
                    continue;
                }
                "*" => source.push_str(self.name),
                _ => self.push_name(&mut source, part),
            }
            if !is_last {
                source.push('/');
            }
        }
        source
    }

    fn push_name(&self, source: &mut String, part: &str) {
        let mut pieces = part.split('*');
        let first = pieces.next().unwrap_or_default();
        source.push_str(&regex::escape(first));
        for (number, piece) in pieces.enumerate() {
            source.push_str(match number == 0 && first.is_empty() {
                true if piece.starts_with('.') => self.before_dot,
                true => self.beginning,
                false => "[^/]*",
            });
            source.push_str(&regex::escape(piece));
        }
    }
}
