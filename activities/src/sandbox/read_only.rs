//! Files of a workspace that its room cannot change.
//!
//! They belong to root, and so do the folders that they lie in. These stay open to the room's group, so that programs can put
//! there what they build, and are sticky: whoever makes a file there may remove it, and nobody else's. Mounts could do
//! the same, but need one for each file, and no program can rename a file over a mount.
//!
//! A worker that is not root shares its user with its rooms and cannot keep anything from them in this way. Then the diff
//! from outside is what holds.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fchmod, fchown,
        fstat, openat, openat2,
    },
    io::Errno,
};

use super::{FileProblem, ROOM_UID, runs_as_root};

/// What the folders are: everybody's to read, the room's to add to, and sticky.
const FOLDER: u32 = 0o1775;

/// Takes `files`, named from `tree` on, away from the room's user, who has the tree already: they can be read and run as
/// before, and neither changed, moved nor removed. What is not there is left out. No link is followed. Must not run while a
/// room has the tree. If the worker is not root, nothing happens.
pub fn keep_read_only(tree: &Path, files: &[Vec<u8>]) -> Result<(), FileProblem> {
    if !runs_as_root() || files.is_empty() {
        return Ok(());
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let problem = |path: &[u8]| {
        let path = tree.join(OsStr::from_bytes(path));
        move |error: Errno| {
            FileProblem::new("keeping from the sandbox", &path, io::Error::from(error))
        }
    };
    let root = openat(CWD, tree, flags, Mode::empty()).map_err(problem(b""))?;
    let mut folders = BTreeSet::from([OsString::new()]);
    for file in files {
        if keep(&root, file).map_err(problem(file))? {
            let above = Path::new(OsStr::from_bytes(file)).ancestors().skip(1);
            folders.extend(above.map(|folder| folder.as_os_str().to_owned()));
        }
    }
    for folder in folders {
        let name = match folder.is_empty() {
            true => OsStr::new("."),
            false => &folder,
        };
        open(&root, name.as_bytes(), flags)
            .and_then(|folder| {
                fchown(&folder, Some(Uid::ROOT), Some(Gid::from_raw(ROOM_UID)))?;
                fchmod(&folder, Mode::from_raw_mode(FOLDER))
            })
            .map_err(problem(folder.as_bytes()))?;
    }
    Ok(())
}

/// Takes one file away. Answers whether it is there.
fn keep(root: &OwnedFd, file: &[u8]) -> Result<bool, Errno> {
    let entry = match open(
        root,
        file,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
    ) {
        Ok(entry) => entry,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(error) => return Err(error),
    };
    let found = fstat(&entry)?.st_mode;
    chownat(
        &entry,
        c"",
        Some(Uid::ROOT),
        Some(Gid::ROOT),
        AtFlags::EMPTY_PATH,
    )?;
    if FileType::from_raw_mode(found) == FileType::RegularFile {
        // It is root's now, so nobody puts something else in its place.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let runs = if found & 0o111 == 0 { 0 } else { 0o111 };
        fchmod(open(root, file, flags)?, Mode::from_raw_mode(0o644 | runs))?;
    }
    Ok(true)
}

/// Opens what is at `path` below `root`, through no link.
fn open(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, OsStr::from_bytes(path), flags, Mode::empty(), resolve)
}
