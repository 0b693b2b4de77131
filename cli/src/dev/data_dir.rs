//! The data folder of a local installation: who uses it, its secrets, its logs, and what runs.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    exit::{Exit, Problem},
    instance::{RUN_FILE, Run, TOKEN_FILE},
    private_file::{random_hex, write_once},
    reach,
};

/// A log that is longer than this when its program starts is put aside as `NAME.log.1`.
const LONGEST_LOG: u64 = 16 * 1024 * 1024;

/// A data folder that this process, and no other, uses.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    after_a_crash: bool,
    /// Holds the lock; the system frees it when this process ends in whatever way.
    _lock: File,
}

impl DataDir {
    /// Makes or takes the folder at `asked`, and locks it.
    pub fn open(asked: &Path, as_root: bool) -> Result<Self, Problem> {
        let path = reach::make(asked, as_root)?;
        let owner = fs::metadata(&path)
            .with_context(|| format!("cannot look at {}", path.display()))?
            .uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(Problem::new(
                Exit::Failed,
                format!(
                    "the data folder {} belongs to another user (uid {owner})",
                    path.display()
                ),
            )
            .hint("run as that user, or choose another folder with `--data-dir DIR`"));
        }
        let lock = lock(&path)?;
        for folder in ["logs", "objects"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder)
                .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)))
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let after_a_crash = path.join(RUN_FILE).exists();
        Ok(Self {
            path,
            after_a_crash,
            _lock: lock,
        })
    }

    /// Its canonical path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it that everybody may pass, made if it is not there.
    pub fn passable_folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.path.join(name);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(folder)
    }

    /// Whether the one before did not stop in order.
    pub fn after_a_crash(&self) -> bool {
        self.after_a_crash
    }

    /// The file of the token that `sallyport` uses; made if it is not there.
    pub fn token_file(&self) -> anyhow::Result<PathBuf> {
        self.secret(TOKEN_FILE)
    }

    /// The file of a secret: 256 random bits in hexadecimal, made once and kept, for its owner only.
    pub fn secret(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        write_once(&path, &format!("{}\n", random_hex()?))?;
        Ok(path)
    }

    /// The file that the output of the program `name` goes to.
    pub fn log_file(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join("logs").join(format!("{name}.log"));
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LONGEST_LOG) {
            fs::rename(&path, path.with_extension("log.1"))
                .with_context(|| format!("cannot put {} aside", path.display()))?;
        }
        Ok(path)
    }

    /// Says what runs, for the commands of people and for tests. No secret is in it, so everybody may read it.
    pub fn write_run(&self, run: &Run) -> anyhow::Result<()> {
        let path = self.path.join(RUN_FILE);
        let fresh = self.path.join(".run.json.new");
        let text = serde_json::to_string_pretty(run).context("cannot write what runs as JSON")?;
        fs::write(&fresh, text + "\n")
            .and_then(|()| fs::set_permissions(&fresh, fs::Permissions::from_mode(0o644)))
            .and_then(|()| fs::rename(&fresh, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Nothing runs any more.
    pub fn remove_run(&self) -> anyhow::Result<()> {
        let path = self.path.join(RUN_FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

fn lock(folder: &Path) -> Result<File, Problem> {
    let path = folder.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // Who it is is said where it can be read.
            let _ = file.read_to_string(&mut process);
            let process = process.trim();
            return Err(Problem::new(
                Exit::Conflict,
                format!(
                    "`sallyport dev` is running already in {}{}",
                    folder.display(),
                    if process.is_empty() {
                        String::new()
                    } else {
                        format!(" (process {process})")
                    }
                ),
            )
            .hint("use that one, stop it first, or choose another folder with `--data-dir DIR`"));
        }
        Err(TryLockError::Error(error)) => {
            return Err(anyhow::Error::new(error)
                .context(format!("cannot lock {}", path.display()))
                .into());
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_uses_a_folder() {
        let parent = tempfile::tempdir().unwrap();
        let asked = parent.path().join("data");
        let first = DataDir::open(&asked, false).unwrap();
        let problem = DataDir::open(&asked, false).unwrap_err();
        assert_eq!(problem.exit, Exit::Conflict);
        assert!(
            problem.message.contains(&std::process::id().to_string()),
            "{problem}"
        );
        drop(first);
        DataDir::open(&asked, false).unwrap();
    }

    #[test]
    fn secrets_are_made_once_and_for_the_owner() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::open(&parent.path().join("data"), false).unwrap();
        let file = data.secret("token").unwrap();
        let token = fs::read_to_string(&file).unwrap();
        assert_eq!(token.trim().len(), 64);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_to_string(data.secret("token").unwrap()).unwrap(),
            token
        );
        assert_ne!(
            fs::read_to_string(data.secret("decision-key").unwrap()).unwrap(),
            token
        );
        let left: Vec<_> = fs::read_dir(data.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().ends_with(".new"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
