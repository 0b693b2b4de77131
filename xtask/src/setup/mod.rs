//! `cargo xtask setup`: the pinned tools, in `.tools/`.
//!
//! A tool that is on `PATH` in a good version is used; else it is installed from the pins in `xtask/pins`, each in a
//! folder of its own that gets its name only when it is complete. `tools.json` says where everything is. A stamp,
//! written last, tells the next run that there is nothing to do.

mod bubblewrap;
mod distribution;
mod manifest;
mod node;
mod path_tools;
mod pins;
mod platform;
mod prerequisites;
mod progress;
mod python;
mod reachable;
mod shelf;
mod stamp;
mod unprivileged;
mod version;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;

use crate::checkout;
use manifest::Tools;
use platform::Platform;
use shelf::Shelf;
use unprivileged::Unprivileged;

/// Sets up what is not there, and returns the path of `tools.json`.
pub fn run() -> Result<PathBuf> {
    let platform = Platform::here()?;
    let root = checkout::root()?;
    let is_root = platform::is_root()?;
    if let Some(file) = ready(&root, is_root, platform) {
        return Ok(file);
    }
    let _lock = stamp::lock(&root)?;
    // Another run may have done it while we waited.
    if let Some(file) = ready(&root, is_root, platform) {
        return Ok(file);
    }

    let started = Instant::now();
    progress::note("Setting up the tools in .tools (once for each change of the pinned versions)");
    prerequisites::check()?;
    let user = Unprivileged::new(is_root);
    let bwrap = bubblewrap::ensure(user, is_root)?;
    let dir = reachable::make(&root, is_root)?;
    install(&dir, user, platform, bwrap)?;
    progress::note(&format!(
        "The tools are ready, after {}.",
        progress::seconds(started.elapsed())
    ));
    Ok(Tools::file(&dir))
}

/// Sets up what only the tests need, beside what [`run`] does, and returns the folder of Schemathesis.
pub fn for_tests() -> Result<PathBuf> {
    let root = checkout::root()?;
    let dir = reachable::make(&root, platform::is_root()?)?;
    let _lock = stamp::lock(&root)?;
    let mut shelf = Shelf::open(&dir)?;
    let folder = python::schemathesis(&mut shelf)?;
    shelf.finish(&[python::SCHEMATHESIS])?;
    Ok(folder)
}

/// The path of `tools.json`, if an earlier run has finished and everything is still in its place.
fn ready(root: &Path, is_root: bool, platform: Platform) -> Option<PathBuf> {
    let dir = reachable::existing(root, is_root)?;
    stamp::finished(&dir, &stamp::expected(platform, &dir))?;
    progress::note("The tools in .tools are ready.");
    Some(Tools::file(&dir))
}

/// Fills the folder `dir`, and marks it as finished.
fn install(dir: &Path, user: Unprivileged, platform: Platform, bwrap: PathBuf) -> Result<()> {
    let mut shelf = Shelf::open(dir)?;
    let temporal = python::temporal(&mut shelf, user)?;
    let postgres_bin_dir = python::postgres(&mut shelf, user)?;
    let node_prefix = node::node(&mut shelf, user, platform)?;
    let pi_modules = node::pi(&mut shelf, user, &node_prefix)?;
    let tools = Tools {
        temporal,
        postgres_bin_dir,
        node_prefix,
        pi_modules,
        bwrap,
    };
    tools.check_files()?;
    tools.write(dir)?;
    stamp::write(dir, &stamp::expected(platform, dir))?;
    shelf.finish(&[python::TEMPORAL, python::POSTGRES, node::NODE, node::PI])
}
