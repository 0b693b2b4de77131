//! Whatever a Makefile calls tests.

use super::{Proposal, Root};
use crate::mirror::MirrorError;

/// Where `make` looks, in its order.
const FILES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

/// The targets that stand for tests; the first that is there counts.
const TARGETS: [&str; 2] = ["test", "check"];

/// `covered`: whether something else is required already.
pub(super) async fn gates(
    root: &mut Root<'_>,
    covered: bool,
) -> Result<Vec<Proposal>, MirrorError> {
    let Some(file) = FILES.into_iter().find(|file| root.has(file)) else {
        return Ok(Vec::new());
    };
    let Some(text) = root.text(file).await? else {
        return Ok(Vec::new());
    };
    let Some(target) = TARGETS.into_iter().find(|target| has_target(&text, target)) else {
        root.note(format!("{file} has no target `test` or `check`"));
        return Ok(Vec::new());
    };
    let (name, command) = (format!("Make {target}"), format!("make {target}"));
    Ok(vec![if covered {
        Proposal::optional(name, command)
    } else {
        Proposal::required(name, command)
    }])
}

/// Whether a rule of `text` makes `target`. Not what only looks like one: a recipe's line, `x := y`, `.PHONY: x`.
fn has_target(text: &str, target: &str) -> bool {
    text.lines().any(|line| {
        if line.starts_with(['\t', '#', '.']) {
            return false;
        }
        let Some((targets, rest)) = line.split_once(':') else {
            return false;
        };
        !rest.trim_start_matches(':').starts_with('=')
            && targets.split_ascii_whitespace().any(|name| name == target)
    })
}
