//! Looking at a tree that an agent left, without opening any of it.

use std::{ffi::CString, fs::File, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, chmodat, fstat, openat, openat2,
        statat,
    },
    io::Errno,
};

use super::WorkspaceError;
use crate::sandbox::runs_as_root;

/// The most files and folders that a workspace may have.
const MAXIMUM_ENTRIES: usize = 300_000;

/// Folders deeper than this are not looked into. No path that a SPEC can list, and none that a repository can
/// reasonably have, is as deep.
const MAXIMUM_DEPTH: usize = 256;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing; or a part of the way there is a link or no folder.
    Nothing,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A folder.
    Folder,
    /// A pipe, a socket or a device.
    Special,
}

/// A tree to look at.
#[derive(Debug)]
pub(super) struct Tree(OwnedFd);

impl Tree {
    /// Opens the tree at `path`, counts what is in it, and opens to ourselves what was closed to us.
    pub(super) fn open(path: &Path) -> Result<Self, WorkspaceError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |error: Errno| WorkspaceError::io("looking at", path)(error.into());
        let root = openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
        let mut walk = Walk {
            entries: 0,
            // Root reads everything.
            opens: !runs_as_root(),
        };
        let top = openat(&root, c".", flags, Mode::empty()).map_err(failed)?;
        match walk.below(&top, 0) {
            Err(Errno::NOSPC) => Err(WorkspaceError::TooManyFiles {
                limit: MAXIMUM_ENTRIES,
            }),
            Err(error) => Err(failed(error)),
            Ok(()) => Ok(Self(root)),
        }
    }

    /// What is at `path`, as git names it. No link is followed, also not in the middle of the path.
    pub(super) fn find(&self, path: &[u8]) -> Result<Found, std::io::Error> {
        let Ok(name) = CString::new(path) else {
            return Ok(Found::Nothing);
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.0, name, flags, Mode::empty(), resolve) {
            Ok(entry) => Ok(kind_of(&File::from(entry))?),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => {
                Ok(Found::Nothing)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn kind_of(entry: &File) -> Result<Found, Errno> {
    Ok(match FileType::from_raw_mode(fstat(entry)?.st_mode) {
        FileType::RegularFile => Found::File,
        FileType::Symlink => Found::Link,
        FileType::Directory => Found::Folder,
        _ => Found::Special,
    })
}

struct Walk {
    entries: usize,
    opens: bool,
}

impl Walk {
    /// `NOSPC` stands for too many entries.
    fn below(&mut self, folder: &OwnedFd, depth: usize) -> Result<(), Errno> {
        let mut folders = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.entries += 1;
            if self.entries > MAXIMUM_ENTRIES {
                return Err(Errno::NOSPC);
            }
            let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let kind = FileType::from_raw_mode(found.st_mode);
            if self.opens {
                let needed = match kind {
                    FileType::Directory => 0o700,
                    FileType::RegularFile => 0o400,
                    _ => 0,
                };
                if found.st_mode & needed != needed {
                    // It is no link, and nobody works in the tree any more.
                    let mode = Mode::from_raw_mode((found.st_mode & 0o777) | needed);
                    chmodat(folder, name, mode, AtFlags::empty())?;
                }
            }
            if kind == FileType::Directory && depth < MAXIMUM_DEPTH {
                folders.push(name.to_owned());
            }
        }
        for name in folders {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = openat(folder, name, flags, Mode::empty())?;
            self.below(&below, depth + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, os::unix::net::UnixListener};

    use super::*;

    #[test]
    fn nothing_is_found_behind_a_link() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("d/file"), "").unwrap();
        symlink(outside.path(), at("link")).unwrap();
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::RWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        for (path, expected) in [
            (&b"d/file"[..], Found::File),
            (b"d", Found::Folder),
            (b"link", Found::Link),
            (b"link/secret", Found::Nothing),
            (b"d/file/x", Found::Nothing),
            (b"none", Found::Nothing),
            (b"pipe", Found::Special),
            (b"socket", Found::Special),
            (b"a\0b", Found::Nothing),
        ] {
            assert_eq!(tree.find(path).unwrap(), expected, "{path:?}");
        }
        assert!(tree.find(b"../x").is_err());
    }
}
