//! The stored list of changes that were refused: a line for each, its path, a tab, and why.

use crate::workspace::diff::Refused;

/// A change that was refused, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedPath {
    /// The path, readable.
    pub(super) path: String,
    /// Why, in words.
    pub(super) why: String,
}

/// The list as text. A readable path has no tab.
pub(super) fn write(refused: &[Refused]) -> String {
    let lines = refused
        .iter()
        .map(|Refused { path, why }| format!("{path}\t{why}\n"));
    lines.collect()
}

/// What [`write()`] wrote.
pub(super) fn read(list: &str) -> Vec<RefusedPath> {
    let lines = list
        .lines()
        .map(|line| line.split_once('\t').unwrap_or((line, "")));
    let refused = lines.map(|(path, why)| RefusedPath {
        path: path.to_owned(),
        why: why.to_owned(),
    });
    refused.collect()
}
