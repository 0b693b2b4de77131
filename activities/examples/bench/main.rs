//! Measures what tests do not: how long a room takes to start, and how soon a large repository can be worked on.
//!
//! `cargo xtask bench rooms` and `cargo xtask bench workspace` run it.

#![expect(clippy::print_stdout, reason = "the table is what it is run for")]

mod rooms;
mod series;
mod workspace;

use anyhow::{Context as _, bail};
use sallyport_activities::tools::Tools;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let number = match arguments.next() {
        Some(number) => number.parse().context("the second argument is a number")?,
        None => 0,
    };
    let manifest = std::env::var_os("SALLYPORT_TOOLS")
        .context("SALLYPORT_TOOLS names no list of tools; run `cargo xtask bench`")?;
    let tools = Tools::load(manifest.as_ref())?;
    match what.as_str() {
        "rooms" => rooms::measure(&tools, number).await,
        "workspace" => workspace::measure(&tools, number).await,
        other => bail!("there is no bench `{other}`: `rooms RUNS` or `workspace FILES`"),
    }
}

/// A folder that the rooms' user can pass, gone when it is dropped.
fn folder() -> anyhow::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}
