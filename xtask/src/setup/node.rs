//! Node.js and the Pi coding agent, which come as npm packages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::pins::{self, NpmProject, PI_PACKAGE};
use super::platform::Platform;
use super::python::on_machine;
use super::shelf::{Item, Shelf};
use super::unprivileged::Unprivileged;
use super::version::Version;
use super::{path_tools, progress};
use crate::command;

/// The folder name of Node on the shelf.
pub const NODE: &str = "node";
/// The folder name of Pi on the shelf.
pub const PI: &str = "pi";
/// What npm makes.
const MODULES: &str = "node_modules";

/// The folder with `bin/node`: the machine's, if it is new enough, else the pinned one.
pub fn node(shelf: &mut Shelf, user: Unprivileged, platform: Platform) -> Result<PathBuf> {
    if let Some(found) = path_tools::node(user) {
        progress::found("Node", &found.version.to_string(), &on_machine(&found.path));
        return Ok(found.path);
    }
    let project = pins::node(platform);
    let package = platform.node_package();
    let version = project.version(package)?;
    let item = Item {
        title: "Node",
        name: NODE,
        version: &version,
        fingerprint: &project.fingerprint(),
        origin: &format!("npm, {package}"),
    };
    let prefix = |folder: &Path| folder.join(MODULES).join(package);
    let folder = shelf.put(
        &item,
        |folder| install(project, folder),
        |folder| same_version(user.version(prefix(folder).join("bin/node"))?, &version),
    )?;
    Ok(prefix(&folder))
}

/// The `node_modules` folder that holds Pi, tried with the Node.js in `node`.
pub fn pi(shelf: &mut Shelf, user: Unprivileged, node: &Path) -> Result<PathBuf> {
    let version = pins::PI.version(PI_PACKAGE)?;
    let item = Item {
        title: "Pi",
        name: PI,
        version: &version,
        fingerprint: &pins::PI.fingerprint(),
        origin: &format!("npm, {PI_PACKAGE}"),
    };
    let folder = shelf.put(
        &item,
        |folder| install(pins::PI, folder),
        |folder| {
            let program = pi_program(&folder.join(MODULES).join(PI_PACKAGE))?;
            let mut pi = user.command(node.join("bin/node"));
            // Pi looks into its user's folder, which the sandbox's user does not have.
            pi.arg(program).arg("--version").env("HOME", "/nonexistent");
            pi.env("PI_OFFLINE", "1").env("PI_TELEMETRY", "0");
            same_version(Unprivileged::version_of(&mut pi)?, &version)
        },
    )?;
    Ok(folder.join(MODULES))
}

/// The script that Pi's package calls `pi`.
fn pi_program(package: &Path) -> Result<PathBuf> {
    let path = package.join("package.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    let program = manifest["bin"]["pi"]
        .as_str()
        .with_context(|| format!("{} names no program `pi`", path.display()))?;
    Ok(package.join(program))
}

fn same_version(found: Version, pinned: &str) -> Result<()> {
    if Version::find(pinned) != Some(found) {
        bail!("it says that it is {found}, pinned is {pinned}");
    }
    Ok(())
}

/// Installs a project exactly as locked into `folder`, running no script of any package.
fn install(project: NpmProject, folder: &Path) -> Result<()> {
    for (name, text) in [
        ("package.json", project.manifest),
        ("package-lock.json", project.lock),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut npm = command::tied("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--include=optional",
        "--install-strategy=hoisted",
    ])
    .args([
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ])
    // Pi wants a newer Node than the one that runs npm may be; it is run with the pinned one.
    .arg("--engine-strict=false")
    .current_dir(folder);
    let advice = "If npm could not reach its package registry: its own settings for a mirror or proxy hold here too. \
                  Then run this again.";
    command::capture_or_advise(&mut npm, advice)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_program_of_pi() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("package.json");
        std::fs::write(&path, r#"{"bin": {"pi": "dist/cli.js"}}"#).expect("it can be written");
        assert_eq!(
            pi_program(dir.path()).expect("it is named"),
            dir.path().join("dist/cli.js")
        );
        std::fs::write(&path, r#"{"bin": {}}"#).expect("it can be written");
        let error = pi_program(dir.path()).expect_err("it is not named");
        assert!(
            error.to_string().contains("names no program `pi`"),
            "{error}"
        );
    }

    #[test]
    fn another_version_than_the_pinned_is_refused() {
        assert!(same_version(Version(24, 21, 0), "24.21.0").is_ok());
        assert!(same_version(Version(20, 20, 2), "24.21.0").is_err());
    }
}
