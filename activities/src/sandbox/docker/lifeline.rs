//! What ties a container to its worker: a file that the worker has locked, and the script that waits for the lock.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::super::SandboxError;

/// Where the container finds the file.
pub(super) const IN_ROOM: &str = "/opt/lifeline";

/// The container's first process. It starts the program and waits: for the program's end, or for the lock, which the kernel
/// takes from a worker that dies, however it dies. The first process's end is the end of all.
pub(super) const SCRIPT: &str = r#"exec 3<&0 </dev/null
"$@" <&3 3<&- &
program=$!
exec 3<&-
while kill -0 $program 2>/dev/null; do
  flock --exclusive /opt/lifeline true &
  wait -n $program $!
  kill -0 $program 2>/dev/null || break
  # The program is there: the lock is ours, or somebody killed what waited for it.
  flock --exclusive --nonblock /opt/lifeline true && exit 137
done
wait $program"#;

/// A locked file. Dropped, it is unlocked and gone.
#[derive(Debug)]
pub(super) struct Lifeline {
    path: PathBuf,
    _locked: File,
}

impl Lifeline {
    /// Makes one in the kit.
    pub(super) fn tie(kit: &Path) -> Result<Self, SandboxError> {
        let folder = kit.join("lifelines");
        let action = || format!("tying a container to {}", folder.display());
        fs::create_dir_all(&folder).map_err(SandboxError::io(action()))?;
        super::super::set_mode(&folder, 0o755)?;
        let path = folder.join(Uuid::new_v4().to_string());
        let file = File::create_new(&path).map_err(SandboxError::io(action()))?;
        super::super::set_mode(&path, 0o444)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| SandboxError::io(action())(error.into()))?;
        Ok(Self {
            path,
            _locked: file,
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
