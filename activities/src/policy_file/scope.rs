//! `[scope]`: which files may be changed without being named, and which never.

use sallyport_workflows::scope::{MAXIMUM_PATTERNS, ScopePattern, ScopeRules};
use serde::Deserialize;
use toml::Spanned;

use super::{PolicyProblem, wrong};

/// A pattern with its place in the file.
type Entry = Spanned<String>;

/// As [`ScopeRules`], whose patterns would not say where they stand.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScopeEntry {
    create: Vec<Entry>,
    modify: Vec<Entry>,
    delete: Vec<Entry>,
    never: Vec<Entry>,
}

impl ScopeEntry {
    /// The rules, if all patterns are ones.
    pub(super) fn checked(self, text: &str) -> Result<ScopeRules, PolicyProblem> {
        Ok(ScopeRules {
            create: patterns(text, self.create)?,
            modify: patterns(text, self.modify)?,
            delete: patterns(text, self.delete)?,
            never: patterns(text, self.never)?,
        })
    }
}

fn patterns(text: &str, entries: Vec<Entry>) -> Result<Vec<ScopePattern>, PolicyProblem> {
    let mut patterns = Vec::new();
    for entry in entries {
        let at = entry.span().start;
        if patterns.len() == MAXIMUM_PATTERNS {
            let problem = format!("there are more than {MAXIMUM_PATTERNS} patterns in this list");
            return Err(wrong(text, at, &problem));
        }
        let pattern = ScopePattern::try_from(entry.into_inner())
            .map_err(|problem| wrong(text, at, &problem.to_string()))?;
        if patterns.contains(&pattern) {
            return Err(wrong(text, at, "this pattern is there twice"));
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_file::parse;

    #[test]
    fn rules_on_scope_are_lists_of_patterns() {
        let text = "[scope]\ncreate = ['test/**']\nmodify = ['Cargo.lock']\nnever = ['deploy', '.github']\n";
        let rules = parse(Some(text.as_bytes())).unwrap().scope;
        let texts = |patterns: &[ScopePattern]| {
            patterns.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(texts(&rules.create), ["test/**"]);
        assert_eq!(texts(&rules.modify), ["Cargo.lock"]);
        assert!(rules.delete.is_empty());
        assert_eq!(texts(&rules.never), ["deploy", ".github"]);
        let many: Vec<String> = (0..21).map(|number| format!("'f{number}'")).collect();
        let many = format!("[scope]\ncreate = [{}]\n", many.join(","));
        let problem = parse(Some(many.as_bytes())).unwrap_err().to_string();
        assert!(problem.contains("more than 20"));
    }
}
