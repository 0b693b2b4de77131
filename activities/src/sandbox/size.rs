//! How much lies in a workspace. It is a folder of the host's disk, so nothing but this bounds it.

use std::{os::fd::OwnedFd, path::Path, time::Duration};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};
use tokio::time::sleep;

use super::Limits;

/// How often a workspace is measured while a room has it.
const EVERY: Duration = Duration::from_secs(2);

/// How deep is measured. A folder below counts as one entry.
const MAXIMUM_DEPTH: usize = 200;

/// Ends when there is more in `workspace` than `limits` allow, and says so. Never ends otherwise.
pub(crate) async fn outgrown(workspace: &Path, limits: &Limits) -> String {
    let (workspace, bytes, entries) = (
        workspace.to_owned(),
        limits.workspace_bytes,
        limits.workspace_entries,
    );
    loop {
        let path = workspace.clone();
        let room = Room { bytes, entries };
        match tokio::task::spawn_blocking(move || fits(&path, room)).await {
            Ok(true) | Err(_) => sleep(EVERY).await,
            Ok(false) => {
                return format!(
                    "its files take more than {bytes} bytes, or are more than {entries}"
                );
            }
        }
    }
}

/// How much more may be found.
struct Room {
    bytes: u64,
    entries: u64,
}

fn fits(workspace: &Path, mut room: Room) -> bool {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    match openat(CWD, workspace, flags, Mode::empty()) {
        Ok(folder) => take(&folder, &mut room, 0).is_some(),
        Err(_) => true,
    }
}

/// Takes what is in a folder off `room`; nothing if it does not fit. What vanishes meanwhile does not count.
fn take(folder: &OwnedFd, room: &mut Room, depth: usize) -> Option<()> {
    let Ok(entries) = Dir::read_from(folder) else {
        return Some(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(_) => return None,
        };
        room.entries = room.entries.checked_sub(1)?;
        // What it takes on the disk: a file may be long and empty.
        room.bytes = room.bytes.checked_sub(
            u64::try_from(stat.st_blocks)
                .unwrap_or(0)
                .saturating_mul(512),
        )?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && depth < MAXIMUM_DEPTH {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
            if let Ok(below) = openat(folder, name, flags, Mode::empty()) {
                take(&below, room, depth + 1)?;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn bytes_and_entries_are_counted_and_links_are_not_followed() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("a/b")).unwrap();
        fs::write(tree.path().join("a/b/file"), vec![1; 100_000]).unwrap();
        symlink("/", tree.path().join("a/link")).unwrap();
        let fits = |bytes, entries| fits(tree.path(), Room { bytes, entries });
        assert!(fits(200_000, 4));
        assert!(!fits(200_000, 3));
        assert!(!fits(99_000, 4));
    }
}
