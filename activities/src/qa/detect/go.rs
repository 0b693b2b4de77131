//! Go modules.

use super::{Proposal, Root};
use crate::mirror::MirrorError;

/// No network, neither for modules nor for another Go. The cache would not fit into the room's home.
const ENVIRONMENT: &str = r#"GOPROXY=off GOTOOLCHAIN=local GOCACHE="$PWD/.cache/go-build""#;

pub(super) async fn gates(root: &mut Root<'_>) -> Result<Vec<Proposal>, MirrorError> {
    let Some(text) = root.text("go.mod").await? else {
        return Ok(Vec::new());
    };
    if !text.lines().any(|line| line.starts_with("module ")) {
        root.note("go.mod names no module");
        return Ok(Vec::new());
    }
    let go = |words: &str| format!("{ENVIRONMENT} go {words} ./...");
    Ok(vec![
        Proposal::optional("Go vet", go("vet")),
        Proposal::required("Go build", go("build")),
        Proposal::required("Go tests", go("test")),
    ])
}
