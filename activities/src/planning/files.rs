//! Which files a planner's answer may name, in words for the planner where it names others.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_workflows::{
    scope::{MAXIMUM_FILES, MAXIMUM_PATTERNS, RepositoryPath, ScopePattern, ScopeRules},
    spec::{FileChange, Spec, SpecFile, SpecPattern},
};
use serde::Deserialize;

use super::draft::{MAXIMUM_ENTRY, check_text};
use crate::scope::{Scope, twins};

/// A file as the planner names it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftFile {
    path: String,
    change: FileChange,
    reason: String,
}

/// Files as the planner names them by a pattern.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftPattern {
    pattern: String,
    change: FileChange,
    reason: String,
}

/// The files of an answer, sorted. `existing` are the base commit's.
pub(super) fn check_files(
    drafts: Vec<DraftFile>,
    existing: &BTreeSet<String>,
) -> Result<Vec<SpecFile>, String> {
    if drafts.len() > MAXIMUM_FILES {
        let count = drafts.len();
        return Err(format!(
            "`files` has {count} entries; at most {MAXIMUM_FILES} are allowed"
        ));
    }
    let mut files: BTreeMap<RepositoryPath, SpecFile> = BTreeMap::new();
    for draft in drafts {
        check_text("files.reason", &draft.reason, MAXIMUM_ENTRY)?;
        let path = RepositoryPath::try_from(draft.path).map_err(|problem| problem.to_string())?;
        let exists = existing.contains(path.as_str());
        match draft.change {
            FileChange::Create if exists => {
                return Err(format!("`{path}` is to be created, but it exists already"));
            }
            FileChange::Modify | FileChange::Delete if !exists => {
                return Err(format!(
                    "`{path}` is to be changed or deleted, but there is no such file"
                ));
            }
            _ => {}
        }
        let file = SpecFile {
            path: path.clone(),
            change: draft.change,
            reason: draft.reason,
        };
        if files.insert(path.clone(), file).is_some() {
            return Err(format!("`{path}` is listed twice"));
        }
    }
    let files: Vec<SpecFile> = files.into_values().collect();
    check_twins(&files, existing)?;
    Ok(files)
}

/// No file may be planned that the check of the diff would refuse for its name.
fn check_twins(files: &[SpecFile], existing: &BTreeSet<String>) -> Result<(), String> {
    let paths = |change| {
        let of = files.iter().filter(move |file| file.change == change);
        of.map(|file| file.path.as_str())
    };
    let gone: BTreeSet<&str> = paths(FileChange::Delete).collect();
    let stay = existing
        .iter()
        .map(String::as_str)
        .filter(|path| !gone.contains(path));
    let all: Vec<Vec<u8>> = stay
        .chain(paths(FileChange::Create))
        .map(|path| path.as_bytes().to_vec())
        .collect();
    let added: Vec<&[u8]> = paths(FileChange::Create).map(str::as_bytes).collect();
    match twins(&added, &all).into_iter().next() {
        None => Ok(()),
        Some((path, twin)) => Err(format!(
            "`{}` is to be created, and differs from `{twin}` only in case or Unicode form; not every disk can hold both",
            String::from_utf8_lossy(path)
        )),
    }
}

/// The patterns of an answer, with how many of the `existing` files they match.
pub(super) fn check_patterns(
    drafts: Vec<DraftPattern>,
    existing: &BTreeSet<String>,
) -> Result<Vec<SpecPattern>, String> {
    if drafts.len() > MAXIMUM_PATTERNS {
        let count = drafts.len();
        return Err(format!(
            "`patterns` has {count} entries; at most {MAXIMUM_PATTERNS} are allowed"
        ));
    }
    let mut patterns: Vec<SpecPattern> = Vec::new();
    for draft in drafts {
        check_text("patterns.reason", &draft.reason, MAXIMUM_ENTRY)?;
        let pattern =
            ScopePattern::try_from(draft.pattern).map_err(|problem| problem.to_string())?;
        let change = draft.change;
        let matched = Scope::fitting(&pattern, existing.iter().map(String::as_str));
        if matched == 0 && change != FileChange::Create {
            return Err(format!(
                "`{pattern}` is to {} files, and fits none",
                change.name()
            ));
        }
        if matched > MAXIMUM_FILES {
            return Err(format!(
                "`{pattern}` fits {matched} files, more than a person can judge; at most {MAXIMUM_FILES} are allowed"
            ));
        }
        if patterns
            .iter()
            .any(|other| other.pattern == pattern && other.change == change)
        {
            return Err(format!("`{pattern}` is listed twice"));
        }
        patterns.push(SpecPattern {
            pattern,
            change,
            matched: u32::try_from(matched).unwrap_or(u32::MAX),
            reason: draft.reason,
        });
    }
    Ok(patterns)
}

/// Whether `spec` names something, and nothing that the repository keeps from all agents.
pub(super) fn check_scope(spec: &Spec) -> Result<(), String> {
    if spec.files.is_empty() && spec.patterns.is_empty() {
        return Err("`files` is empty: a SPEC names the files that it changes".to_owned());
    }
    let scope = Scope::of(spec, &ScopeRules::default());
    for file in &spec.files {
        scope
            .judge(file.change, file.path.as_str().as_bytes())
            .map_err(|refusal| format!("`{}` cannot be planned: {refusal}", file.path))?;
    }
    Ok(())
}
