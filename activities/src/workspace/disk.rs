//! Whether the data folder's disk has room for more work.

use std::path::Path;

use crate::failure::StepError;

/// With less, in bytes, nothing new is begun: a full disk fails in the middle of things.
const LEAST_FREE: u64 = 512 << 20;

/// An error, to be tried again, if the disk of `folder` is all but full.
pub fn check(folder: &Path) -> Result<(), StepError> {
    let disk = rustix::fs::statvfs(folder).map_err(StepError::step)?;
    judge(disk.f_bavail.saturating_mul(disk.f_frsize), folder)
}

fn judge(free: u64, folder: &Path) -> Result<(), StepError> {
    if free >= LEAST_FREE {
        return Ok(());
    }
    Err(StepError::step(format!(
        "only {} MiB are free for {}, and at least {} are needed to begin; make room on this host, and the step is tried again",
        free >> 20,
        folder.display(),
        LEAST_FREE >> 20
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_place_to_begin() {
        let folder = Path::new("/srv/data");
        assert!(judge(LEAST_FREE, folder).is_ok());
        let error = judge(LEAST_FREE - 1, folder).unwrap_err();
        assert!(!error.is_final());
        assert!(
            error
                .to_string()
                .starts_with("only 511 MiB are free for /srv/data"),
            "{error}"
        );
        assert!(check(&std::env::temp_dir()).is_ok());
        assert!(check(Path::new("/nowhere")).is_err());
    }
}
