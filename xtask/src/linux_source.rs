//! A large real repository: Linux, as Debian packs its source.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::checkout;
use crate::command::{capture, capture_or_advise, tied};

/// The package, and the folder in it.
const PACKAGE: &str = "linux-source-6.1";

/// The repository's work tree, made once: one commit with all that the package has.
pub fn repository() -> Result<PathBuf> {
    let folder = checkout::root()?.join(".tools").join(PACKAGE);
    let done = folder.join("repository");
    if done.is_dir() {
        return Ok(done);
    }
    // What an earlier try left half done.
    let work = folder.join("work");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    eprintln!("fetching {PACKAGE} and making a repository of it, which takes a few minutes");
    let mut fetch = tied("apt-get");
    fetch.args(["download", PACKAGE]).current_dir(&work);
    capture_or_advise(
        &mut fetch,
        "this needs Debian's apt; as root, `apt-get update` may help",
    )?;
    let package = only_file(&work, "deb")?;
    capture(tied("dpkg-deb").arg("--extract").arg(package).arg(&work))?;
    let source = work.join("usr/src").join(format!("{PACKAGE}.tar.xz"));
    capture(
        tied("tar")
            .arg("--extract")
            .arg("--file")
            .arg(source)
            .arg("--directory")
            .arg(&work),
    )?;
    let tree = work.join(PACKAGE);
    let git = |arguments: &[&str]| {
        capture(
            tied("git")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .current_dir(&tree)
                .args([
                    "-c",
                    "user.name=Bench",
                    "-c",
                    "user.email=bench@example.com",
                ])
                .args(["-c", "core.autocrlf=false", "-c", "gc.auto=0"])
                .args(arguments),
        )
    };
    git(&["init", "--quiet", "."])?;
    git(&["add", "--all", "--force", "."])?;
    git(&["commit", "--quiet", "--message", PACKAGE])?;
    fs::rename(&tree, &done).with_context(|| format!("cannot make {}", done.display()))?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    Ok(done)
}

fn only_file(folder: &Path, ending: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .find(|path| path.extension().is_some_and(|found| found == ending))
        .with_context(|| format!("apt put no .{ending} file into {}", folder.display()))
}
