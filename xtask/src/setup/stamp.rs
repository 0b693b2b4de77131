//! How a second run knows that there is nothing to do, and how two runs at the same time stay out of each other's way.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::manifest::Tools;
use super::platform::Platform;
use super::{pins, progress};

/// Goes up when the layout of `.tools` changes.
const FORMAT: &str = "1";
/// Holds the stamp. It is written last of all.
const FILE: &str = "stamp";

/// The SHA-256 of `parts` in hex. Each part goes in with its length, so that no two lists give the same bytes.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// What a complete `.tools` folder in `dir` says of itself. The place is part of it, since `tools.json` holds absolute
/// paths: a copied folder is not taken for a good one.
pub fn expected(platform: Platform, dir: &Path) -> String {
    let dir = dir.to_string_lossy();
    let mut parts = vec![FORMAT, platform.name(), &dir];
    parts.extend(pins::everything(platform));
    digest(&parts)
}

/// The tools of `dir`, if a finished run with this stamp left them and every file is still there.
pub fn finished(dir: &Path, stamp: &str) -> Option<Tools> {
    let found = std::fs::read_to_string(dir.join(FILE)).ok()?;
    let tools = Tools::read(dir).ok()?;
    (found.trim() == stamp && tools.check_files().is_ok()).then_some(tools)
}

/// Marks `dir` as finished.
pub fn write(dir: &Path, stamp: &str) -> Result<()> {
    super::reachable::write_file(&dir.join(FILE), &format!("{stamp}\n"))
}

/// Waits until no other set-up works on the checkout in `root`. The lock ends with the returned file, so also when
/// this process is killed.
pub fn lock(root: &Path) -> Result<File> {
    // A file that is surely there, outside of the folder that a run may replace. It is opened for writing because some
    // network file systems give an exclusive lock only then; nothing is ever written.
    let path = root.join("xtask/pins/requirements.txt");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| {
            format!(
                "cannot open {} to lock it; may you write to this checkout?",
                path.display()
            )
        })?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            progress::note("Another set-up is at work here; waiting for it to end.")
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::manifest::tests::tools_in;

    const PLATFORM: Platform = Platform::LinuxX86_64;

    #[test]
    fn the_digest_depends_on_every_part_and_on_their_borders() {
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        assert_ne!(digest(&["a", "b"]), digest(&["ab", ""]));
        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
    }

    #[test]
    fn the_stamp_depends_on_platform_and_place() {
        let here = expected(PLATFORM, Path::new("/a/.tools"));
        assert_eq!(here, expected(PLATFORM, Path::new("/a/.tools")));
        assert_ne!(here, expected(PLATFORM, Path::new("/b/.tools")));
        assert_ne!(
            here,
            expected(Platform::LinuxAarch64, Path::new("/a/.tools"))
        );
    }

    #[test]
    fn only_a_finished_folder_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        let stamp = expected(PLATFORM, dir);
        assert!(finished(dir, &stamp).is_none(), "nothing is there");

        let tools = tools_in(dir);
        tools.write(dir).expect("tools.json can be written");
        assert!(finished(dir, &stamp).is_none(), "killed before the stamp");

        write(dir, &stamp).expect("the stamp can be written");
        assert_eq!(finished(dir, &stamp), Some(tools.clone()));
        assert!(finished(dir, "the stamp of other pins").is_none());

        std::fs::remove_file(&tools.temporal).expect("the file can be removed");
        assert!(finished(dir, &stamp).is_none(), "a program has gone");
    }

    #[test]
    fn the_lock_is_held_by_one_and_freed_at_its_end() {
        let root = tempfile::tempdir().expect("a folder");
        let pins = root.path().join("xtask/pins");
        std::fs::create_dir_all(&pins).expect("the folder can be made");
        std::fs::write(pins.join("requirements.txt"), "x==1\n").expect("the file can be written");

        let first = lock(root.path()).expect("it is free");
        let second = File::open(pins.join("requirements.txt")).expect("it is there");
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        second.try_lock().expect("it is free again");
        let kept = std::fs::read_to_string(pins.join("requirements.txt")).expect("it is there");
        assert_eq!(kept, "x==1\n");
    }
}
