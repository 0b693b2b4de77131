//! The repository that the demo works on: one that it makes, or a copy of the user's.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use sallyport_test_support::{demo_repository::write_demo_repository, tools::TestTools};

use crate::paint::{Paint, plain, say};

/// A bare repository, which plays the forge.
pub struct Repository {
    origin: PathBuf,
    /// Where the demo's own tests can be run; nothing for a user's repository.
    has_demo_tests: bool,
}

impl Repository {
    /// Makes a small library with a bug and a test that fails because of it.
    pub fn with_a_bug(data_dir: &Path) -> anyhow::Result<Self> {
        let origin = write_demo_repository(&fresh_folder(data_dir)?)?.origin;
        Ok(Self {
            origin,
            has_demo_tests: true,
        })
    }

    /// Makes a bare copy of the user's repository, so that theirs stays as it is.
    pub fn copy_of(path: &Path, data_dir: &Path) -> anyhow::Result<Self> {
        let origin = fresh_folder(data_dir)?.join("origin.git");
        git(&[
            "clone",
            "--quiet",
            "--bare",
            "--no-hardlinks",
            "--",
            &text(path)?,
            &text(&origin)?,
        ])?;
        Ok(Self {
            origin: origin.canonicalize()?,
            has_demo_tests: false,
        })
    }

    /// The address that Sallyport is given.
    pub fn url(&self) -> String {
        format!("file://{}", self.origin.display())
    }

    /// Says what is there, and that its tests fail.
    pub fn show(&self, paint: &Paint) -> anyhow::Result<()> {
        say(&self.url());
        let origin = text(&self.origin)?;
        say(&paint.faint(&plain(
            git(&["-C", &origin, "log", "--oneline", "-5"])?.trim_end(),
        )));
        if self.has_demo_tests {
            self.show_tests("Its tests, before:", false, paint)?;
        }
        Ok(())
    }

    /// Says what the main branch holds now, and that its tests pass.
    pub fn show_result(&self, paint: &Paint) -> anyhow::Result<()> {
        say(&paint.heading("The main branch now"));
        let origin = text(&self.origin)?;
        say(&paint.faint(&plain(
            git(&["-C", &origin, "log", "--oneline", "--graph", "-6"])?.trim_end(),
        )));
        if self.has_demo_tests {
            self.show_tests("Its tests, after:", true, paint)?;
        }
        Ok(())
    }

    fn show_tests(&self, title: &str, expected: bool, paint: &Paint) -> anyhow::Result<()> {
        let checkout = tempfile::tempdir()?;
        let tree = checkout.path().join("tree");
        git(&[
            "clone",
            "--quiet",
            "--",
            &text(&self.origin)?,
            &text(&tree)?,
        ])?;
        let node = TestTools::load()?.node_prefix.join("bin/node");
        let output = Command::new(node)
            .arg("--test")
            .current_dir(&tree)
            .output()
            .context("cannot run node")?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = |name: &str| {
            let line = printed
                .lines()
                .find_map(|line| line.split_once(&format!("{name} ")));
            line.map_or("?".to_owned(), |(_, number)| number.trim().to_owned())
        };
        let passed = output.status.success();
        let counts = format!(
            "node --test: {} passed, {} failed",
            count("pass"),
            count("fail")
        );
        say(&format!(
            "{title} {}",
            if passed {
                paint.green(&counts)
            } else {
                paint.red(&counts)
            }
        ));
        if passed != expected {
            bail!("that is not what the demo expects:\n{printed}");
        }
        Ok(())
    }
}

/// A folder that no earlier run of the demo used: their repositories stay.
fn fresh_folder(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let folders = data_dir.canonicalize()?.join("repositories");
    let next = (1..)
        .map(|number: u32| folders.join(number.to_string()))
        .find(|folder| !folder.exists());
    let folder = next.context("no number is left for a repository")?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!(
            "`git {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is not UTF-8", path.display()))
}
