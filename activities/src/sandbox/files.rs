//! Files that pass between host and room.
//!
//! A room's user can leave anything in its workspace: a link to `/etc/shadow`, a pipe that blocks whoever opens it, a
//! million folders. The host never follows a link there, and opens only what is a file.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, openat,
        openat2,
    },
    io::Errno,
};

use super::{ROOM_UID, runs_as_root};

/// Folders may be nested this deep. Each level costs an open file while a tree is walked.
const MAXIMUM_DEPTH: usize = 200;

/// A file or folder could not be handed over or taken.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path} failed: {reason}")]
pub struct FileProblem {
    action: &'static str,
    path: PathBuf,
    reason: String,
}

impl FileProblem {
    pub(super) fn new(action: &'static str, path: &Path, reason: impl ToString) -> Self {
        Self {
            action,
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Makes the room's user the owner of `path` and of all below it. Links are changed themselves, never what they point
/// to. If the worker is not root, rooms run as its own user, and there is nothing to do. Must not run while a room has
/// the folder.
pub fn give_to_room(path: &Path) -> Result<(), FileProblem> {
    if !runs_as_root() {
        return Ok(());
    }
    let problem = |error: Errno| {
        FileProblem::new("giving to the sandbox's user", path, io::Error::from(error))
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    match openat(CWD, path, flags, Mode::empty()) {
        Ok(folder) => {
            chown_below(&folder, 0).map_err(problem)?;
            rustix::fs::fchown(
                &folder,
                Some(Uid::from_raw(ROOM_UID)),
                Some(Gid::from_raw(ROOM_UID)),
            )
            .map_err(problem)
        }
        Err(Errno::NOTDIR | Errno::LOOP) => chown_entry(CWD, path).map_err(problem),
        Err(error) => Err(problem(error)),
    }
}

fn chown_entry(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(ROOM_UID), Gid::from_raw(ROOM_UID));
    chownat(
        folder,
        name,
        Some(user),
        Some(group),
        AtFlags::SYMLINK_NOFOLLOW,
    )
}

fn chown_below(folder: &OwnedFd, depth: usize) -> Result<(), Errno> {
    if depth > MAXIMUM_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        chown_entry(folder, name)?;
        // Some file systems do not say what an entry is; opening it as a folder does.
        if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
            match openat(folder, name, flags, Mode::empty()) {
                Ok(below) => chown_below(&below, depth + 1)?,
                Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Opens the regular file `relative` below `root`, for reading. Fails if any part of `relative` is a link or leads out
/// of `root`, or if it is no regular file. Never blocks.
pub fn open_beneath(root: &Path, relative: &Path) -> Result<File, FileProblem> {
    let problem = |reason: &dyn ToString| {
        FileProblem::new("opening", &root.join(relative), reason.to_string())
    };
    let errno = |error: Errno| problem(&io::Error::from(error));
    let root_folder = openat(
        CWD,
        root,
        OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH,
        Mode::empty(),
    )
    .map_err(errno)?;
    // NONBLOCK: a pipe that nobody writes to would block the opening itself.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(&root_folder, relative, flags, Mode::empty(), resolve).map_err(errno)?;
    let kind = FileType::from_raw_mode(fstat(&file).map_err(errno)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(problem(&"it is no regular file"));
    }
    Ok(file.into())
}

/// The content of the regular file `relative` below `root`, as [`open_beneath`] opens it. Fails if there are more than
/// `limit` bytes.
pub fn read_beneath(root: &Path, relative: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
    let path = root.join(relative);
    let mut content = Vec::new();
    open_beneath(root, relative)?
        .take(limit + 1)
        .read_to_end(&mut content)
        .map_err(|error| FileProblem::new("reading", &path, error))?;
    if content.len() as u64 > limit {
        return Err(FileProblem::new(
            "reading",
            &path,
            format!("it is larger than {limit} bytes"),
        ));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, symlink},
    };

    use super::*;

    #[test]
    fn only_regular_files_inside_are_opened() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("folder/file"), "content").unwrap();
        symlink(outside.path().join("secret"), at("link")).unwrap();
        symlink(outside.path(), at("linked")).unwrap();
        symlink("folder", at("inside")).unwrap();
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::from_raw_mode(0o600)).unwrap();

        let read = |name: &str| read_beneath(root.path(), Path::new(name), 100);
        assert_eq!(read("folder/file").unwrap(), b"content");
        for name in [
            "link",
            "linked/secret",
            "inside/file",
            "pipe",
            "folder",
            "../x",
            "/etc/passwd",
            "none",
            "",
        ] {
            assert!(read(name).is_err(), "{name}");
        }
        assert!(
            read_beneath(root.path(), Path::new("folder/file"), 6).is_err(),
            "too large"
        );
    }

    #[test]
    fn a_tree_is_given_without_following_links() {
        if !runs_as_root() {
            return;
        }
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("mine"), "").unwrap();
        let tree = tempfile::tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "").unwrap();
        symlink(outside.path(), at("a/linked")).unwrap();
        symlink(outside.path().join("mine"), at("a/link")).unwrap();

        give_to_room(tree.path()).unwrap();
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        for name in ["", "a", "a/b", "a/b/file", "a/link", "a/linked"] {
            assert_eq!(owner(&at(name)), ROOM_UID, "{name}");
        }
        assert_eq!(owner(outside.path()), 0);
        assert_eq!(owner(&outside.path().join("mine")), 0);
    }
}
