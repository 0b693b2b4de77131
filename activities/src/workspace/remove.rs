//! Removing what an agent left, whatever it is.
//!
//! Folders may be nested deeper than a path can be long or a process can open, and may be closed to their own user. No
//! link is followed.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, statat, unlinkat},
    io::Errno,
};

/// Folders deeper than this are first moved up. Each level holds a file open.
const DEPTH: usize = 64;

/// Removes `path` and all below it. Nothing there is success.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::Directory => {
            return std::fs::remove_file(path);
        }
        Ok(_) => {}
    }
    let mut removal = Removal {
        root: open_folder(CWD, path)?,
        moved: 0,
    };
    // What was moved up is found by the next round.
    loop {
        let before = removal.moved;
        let root = openat(&removal.root, c".", FOLDER, Mode::empty())?;
        removal.empty(&root, 0)?;
        if removal.moved == before {
            break;
        }
    }
    drop(removal);
    std::fs::remove_dir(path)
}

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

struct Removal {
    root: OwnedFd,
    moved: u64,
}

impl Removal {
    fn empty(&mut self, folder: &OwnedFd, depth: usize) -> Result<(), Errno> {
        for name in names(folder)? {
            let is_folder = {
                let found = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(found.st_mode) == FileType::Directory
            };
            if !is_folder {
                unlinkat(folder, &name, AtFlags::empty())?;
                continue;
            }
            let below = open_folder(folder, name.as_c_str())?;
            if depth < DEPTH {
                self.empty(&below, depth + 1)?;
                drop(below);
                unlinkat(folder, &name, AtFlags::REMOVEDIR)?;
            } else {
                self.moved += 1;
                let place = format!(".sallyport-removed-{}-{}", std::process::id(), self.moved);
                renameat(folder, &name, &self.root, place)?;
            }
        }
        Ok(())
    }
}

fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Opens a folder that is to go, and opens it to us first if it is closed.
fn open_folder(parent: impl AsFd, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd, Errno> {
    match openat(&parent, name, FOLDER, Mode::empty()) {
        // Without write permission its entries cannot be removed either.
        Ok(folder) => {
            let found = rustix::fs::fstat(&folder)?;
            if found.st_mode & 0o700 != 0o700 {
                rustix::fs::fchmod(&folder, Mode::RWXU)?;
            }
            Ok(folder)
        }
        Err(Errno::ACCESS) => {
            // It was no link a moment ago, nobody works in here any more, and a link would only lead to a failed open.
            chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?;
            openat(&parent, name, FOLDER, Mode::empty())
        }
        Err(error) => Err(error),
    }
}

/// Makes a folder with `levels` folders in one another.
#[cfg(test)]
pub(crate) fn make_deep(path: &Path, levels: usize) {
    std::fs::create_dir_all(path).unwrap();
    let name = "d";
    let mut folder = openat(CWD, path, FOLDER, Mode::empty()).unwrap();
    for _ in 0..levels {
        rustix::fs::mkdirat(&folder, name, Mode::RWXU).unwrap();
        folder = openat(&folder, name, FOLDER, Mode::empty()).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    #[test]
    fn links_are_removed_and_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        symlink(outside.path(), tree.join("a/link")).unwrap();
        symlink(outside.path().join("kept"), tree.join("file-link")).unwrap();
        fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o0)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.path().join("kept").exists());
        remove_tree(&tree).unwrap();

        symlink(outside.path(), &tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(outside.path().join("kept").exists());
        assert!(fs::symlink_metadata(&tree).is_err());
    }

    #[test]
    fn folders_deeper_than_a_path_can_be_long_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        make_deep(&tree, 3000);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
