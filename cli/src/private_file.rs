//! Files that only their owner may read, and what is put in them.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::Context as _;

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            // The file may have been there with another mode.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file that only its owner may read, unless it is there. In one step: a process that was killed leaves no half
/// of it, and of two that try at once one wins.
pub fn write_once(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    write_private(&fresh, text)?;
    match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
        _ => {}
    }
    fs::remove_file(&fresh).with_context(|| format!("cannot remove {}", fresh.display()))
}

/// 256 random bits in hexadecimal.
pub fn random_hex() -> anyhow::Result<String> {
    let random = random()?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// 256 random bits.
pub fn random() -> anyhow::Result<[u8; 32]> {
    let mut random = [0; 32];
    let filled = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .context("cannot get random bytes from the system")?;
    anyhow::ensure!(
        filled == random.len(),
        "the system gave {filled} random bytes instead of {}",
        random.len()
    );
    Ok(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write_once(&path, "first").unwrap();
        write_once(&path, "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_was_open_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, "old and longer").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn no_two_random_texts_are_the_same() {
        assert_ne!(random_hex().unwrap(), random_hex().unwrap());
        assert_eq!(random_hex().unwrap().len(), 64);
    }
}
