//! Installed tools in the `.tools` folder. A tool is there completely or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{progress, reachable};

/// What the names of folders begin with that are not finished.
const UNFINISHED: &str = ".new-";

/// The `.tools` folder, while we hold the lock.
pub struct Shelf {
    dir: PathBuf,
    /// Folders that belong to the tools of today.
    kept: Vec<PathBuf>,
}

/// What is to be on the shelf.
pub struct Item<'a> {
    /// The name that people see.
    pub title: &'a str,
    /// The first part of the folder's name.
    pub name: &'a str,
    /// The pinned version.
    pub version: &'a str,
    /// A short name of exactly what is pinned, so that a new hash or lock file means a new folder.
    pub fingerprint: &'a str,
    /// Where it comes from, for people.
    pub origin: &'a str,
}

impl Shelf {
    /// Opens the folder and removes what a killed run has left.
    pub fn open(dir: &Path) -> Result<Self> {
        let shelf = Self {
            dir: dir.to_owned(),
            kept: Vec::new(),
        };
        // What resists is in nobody's way, since each run has names of its own. `finish` tries again.
        let _ = shelf.remove_folders(|name| name.starts_with(UNFINISHED));
        Ok(shelf)
    }

    /// Puts a tool on the shelf, unless it stands there, and returns its folder.
    ///
    /// `install` fills an empty folder. `check` looks whether the tool in a folder works; what fails it is installed
    /// anew, and what fails it after that is an error. Both get a folder that other users can reach.
    pub fn put(
        &mut self,
        item: &Item,
        install: impl FnOnce(&Path) -> Result<()>,
        check: impl Fn(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let folder = self.dir.join(format!(
            "{}-{}-{}",
            item.name, item.version, item.fingerprint
        ));
        self.kept.push(folder.clone());
        if folder.is_dir() {
            if check(&folder).is_ok() {
                progress::found(item.title, item.version, "from an earlier run");
                return Ok(folder);
            }
            remove(&folder)?;
        }
        let step = progress::begin(item.title, item.version, item.origin);
        // The process id keeps us apart from a child of a killed run that may still be writing.
        let fresh = self
            .dir
            .join(format!("{UNFINISHED}{}-{}", std::process::id(), item.name));
        reachable::make_open_dir(&fresh)?;
        let installed = install(&fresh)
            .and_then(|()| reachable::open_tree(&fresh))
            .and_then(|()| check(&fresh).context("it was installed but does not work"))
            .with_context(|| format!("cannot set up {} {}", item.title, item.version));
        if installed.is_err() {
            // The error matters; should this fail too, the next run removes the folder.
            let _ = fs::remove_dir_all(&fresh);
        }
        installed?;
        fs::rename(&fresh, &folder).with_context(|| {
            format!("cannot rename {} to {}", fresh.display(), folder.display())
        })?;
        step.done();
        Ok(folder)
    }

    /// Removes the tools of earlier pins, each known by its item's name, and leftovers of killed runs. A Sallyport that
    /// was started with old tools must be started again.
    pub fn finish(&self, names: &[&str]) -> Result<()> {
        let kept: Vec<String> = self.kept.iter().map(|path| name_of(path)).collect();
        self.remove_folders(|name| {
            let ours = names.iter().any(|own| name.starts_with(&format!("{own}-")));
            name.starts_with(UNFINISHED) || (ours && !kept.iter().any(|keep| keep == name))
        })
    }

    fn remove_folders(&self, unwanted: impl Fn(&str) -> bool) -> Result<()> {
        let entries = fs::read_dir(&self.dir)
            .with_context(|| format!("cannot list {}", self.dir.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot list {}", self.dir.display()))?
                .path();
            if path.is_dir() && unwanted(&name_of(&path)) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const ITEM: Item = Item {
        title: "Tool",
        name: "tool",
        version: "1.0",
        fingerprint: "abcd",
        origin: "a test",
    };

    fn fill(folder: &Path) -> Result<()> {
        fs::write(folder.join("program"), "good")?;
        Ok(())
    }

    fn check(folder: &Path) -> Result<()> {
        match fs::read_to_string(folder.join("program"))?.as_str() {
            "good" => Ok(()),
            other => bail!("it is {other}"),
        }
    }

    fn never(_: &Path) -> Result<()> {
        bail!("nothing was to be installed")
    }

    #[test]
    fn a_tool_is_installed_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut shelf = Shelf::open(dir.path()).expect("it is empty");
        let folder = shelf.put(&ITEM, fill, check).expect("it installs");
        assert_eq!(folder, dir.path().join("tool-1.0-abcd"));
        assert_eq!(shelf.put(&ITEM, never, check).expect("it is there"), folder);
    }

    #[test]
    fn a_failed_or_killed_install_leaves_nothing_that_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut shelf = Shelf::open(dir.path()).expect("it is empty");
        let half = |folder: &Path| {
            fs::write(folder.join("program"), "half")?;
            Ok(())
        };
        let error = shelf.put(&ITEM, half, check).expect_err("it does not work");
        let text = format!("{error:#}");
        assert!(
            text.contains("cannot set up Tool 1.0") && text.contains("it is half"),
            "{text}"
        );
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0);

        fs::create_dir(dir.path().join(".new-1-tool")).expect("a killed run leaves it");
        let mut shelf = Shelf::open(dir.path()).expect("it can be cleaned");
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0);
        shelf.put(&ITEM, fill, check).expect("it installs");
    }

    #[test]
    fn a_broken_tool_is_installed_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut shelf = Shelf::open(dir.path()).expect("it is empty");
        let folder = shelf.put(&ITEM, fill, check).expect("it installs");
        fs::write(folder.join("program"), "broken").expect("it can be written");
        shelf.put(&ITEM, fill, check).expect("it installs again");
        check(&folder).expect("it is good again");
    }

    #[test]
    fn only_old_tools_of_ours_are_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["tool-0.9-ffff", "tooling", "notes-1"] {
            fs::create_dir(dir.path().join(name)).expect("it can be made");
        }
        let mut shelf = Shelf::open(dir.path()).expect("it can be read");
        shelf.put(&ITEM, fill, check).expect("it installs");
        shelf.finish(&["tool"]).expect("they can be removed");
        let mut left: Vec<String> = fs::read_dir(dir.path())
            .expect("it is there")
            .map(|entry| name_of(&entry.expect("it can be read").path()))
            .collect();
        left.sort();
        assert_eq!(left, ["notes-1", "tool-1.0-abcd", "tooling"]);
    }
}
