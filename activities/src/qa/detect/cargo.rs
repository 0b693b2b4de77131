//! Rust, by Cargo.

use super::{Proposal, Root};
use crate::mirror::MirrorError;

pub(super) async fn gates(root: &mut Root<'_>) -> Result<Vec<Proposal>, MirrorError> {
    let Some(text) = root.text("Cargo.toml").await? else {
        return Ok(Vec::new());
    };
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(_) => {
            root.note("Cargo.toml is malformed");
            return Ok(Vec::new());
        }
    };
    if !manifest.contains_key("package") && !manifest.contains_key("workspace") {
        root.note("Cargo.toml has neither a package nor a workspace");
        return Ok(Vec::new());
    }
    // With a committed lock file, what it says is what is tested: a change that does not fit it must bring its own.
    let how = match root.has("Cargo.lock") {
        true => "--workspace --offline --locked",
        false => "--workspace --offline",
    };
    Ok(vec![
        Proposal::optional("Cargo format", "cargo fmt --all --check"),
        Proposal::optional("Cargo clippy", format!("cargo clippy {how} --all-targets")),
        Proposal::required("Cargo build", format!("cargo build {how}")),
        Proposal::required("Cargo tests", format!("cargo test {how}")),
    ])
}
