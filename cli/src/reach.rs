//! The "reachable" rule. As root, Postgres and the sandbox run as users of their own, and such a user cannot pass a
//! directory like `/root` (mode 0700). We never change the mode of what is not ours: where the place asked for cannot be
//! passed, the data folder becomes a symbolic link to a folder of ours below `/var/lib/sallyport/data`.

use std::{
    fs::{self, Permissions},
    io::ErrorKind,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use sallyport_workflows::revision::sha256_hex;

/// Where the data of installations goes whose folder other users cannot reach.
const ELSEWHERE: &str = "/var/lib/sallyport/data";

/// Others may pass, and only the owner may see what is in it.
const PASSABLE: u32 = 0o711;

/// Makes the data folder at `asked`, or takes the one that is there. Returns its canonical path. With `others_must_pass`
/// every user can pass it afterwards; else only its owner can.
pub fn make(asked: &Path, others_must_pass: bool) -> anyhow::Result<PathBuf> {
    make_below(asked, others_must_pass, Path::new(ELSEWHERE))
}

fn make_below(asked: &Path, others_must_pass: bool, elsewhere: &Path) -> anyhow::Result<PathBuf> {
    let asked = std::path::absolute(asked)
        .with_context(|| format!("cannot tell where {} is", asked.display()))?;
    let parent = asked.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)
        .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    let parent = parent
        .canonicalize()
        .with_context(|| format!("cannot find {}", parent.display()))?;

    let mode = if others_must_pass { PASSABLE } else { 0o700 };
    let taken = asked.canonicalize().ok();
    let is_passable = |folder: &Path| !others_must_pass || folder.parent().is_none_or(passable);
    match taken {
        Some(folder) if is_passable(&folder) => return own(&folder, mode),
        Some(folder) if folder.starts_with(&parent) && !is_empty(&folder) => bail!(
            "other users cannot reach {}, but as root Postgres and the sandbox run as users of their own. Move the \
             folder to where everybody may pass and name it with --data-dir, or run as an ordinary user",
            folder.display()
        ),
        _ => {}
    }
    if is_passable(&parent.join("x")) {
        remove_dead_link(&asked)?;
        return own(&asked, mode);
    }

    let name: String = sha256_hex(asked.to_string_lossy().as_bytes())
        .chars()
        .take(16)
        .collect();
    let folder = elsewhere.join(name);
    fs::create_dir_all(elsewhere)
        .with_context(|| format!("cannot make the folder {}", elsewhere.display()))?;
    let folder = own(&folder, mode)?;
    if !passable(&folder) {
        bail!(
            "other users cannot reach {}, but as root Postgres and the sandbox run as users of their own; choose \
             another folder with --data-dir, or run as an ordinary user",
            folder.display()
        );
    }
    remove_dead_link(&asked)?;
    if asked.is_dir() {
        fs::remove_dir(&asked)
            .with_context(|| format!("cannot replace the empty folder {}", asked.display()))?;
    }
    symlink(&folder, &asked)
        .with_context(|| format!("cannot make the link {}", asked.display()))?;
    Ok(folder)
}

/// Whether every user can pass `folder`: it and all above it let others through. `folder` must be canonical.
pub fn passable(folder: &Path) -> bool {
    folder.ancestors().all(|directory| {
        fs::metadata(directory).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

fn own(folder: &Path, mode: u32) -> anyhow::Result<PathBuf> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error)
                .with_context(|| format!("cannot make the folder {}", folder.display()));
        }
        _ => {}
    }
    fs::set_permissions(folder, Permissions::from_mode(mode)).with_context(|| {
        format!(
            "cannot use the folder {}; does it belong to you? Another one is named with --data-dir",
            folder.display()
        )
    })?;
    folder
        .canonicalize()
        .with_context(|| format!("cannot find {}", folder.display()))
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes a link that leads nowhere, or to a place that can no longer be used.
fn remove_dead_link(path: &Path) -> anyhow::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        fs::remove_file(path)
            .with_context(|| format!("cannot remove the link {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in `/tmp`, which everybody can pass, opened for everybody.
    fn open_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        folder
    }

    fn closed(parent: &Path) -> PathBuf {
        let folder = parent.join("closed");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        folder
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_place_that_can_be_passed_is_taken() {
        let parent = open_folder();
        let asked = parent.path().join("data");
        let folder = make_below(&asked, true, &parent.path().join("elsewhere")).unwrap();
        assert_eq!(folder, asked);
        assert_eq!(mode(&folder), 0o711);
        assert_eq!(make_below(&asked, true, Path::new("/none")).unwrap(), asked);
    }

    #[test]
    fn below_a_closed_folder_it_becomes_a_link_and_the_folder_stays_closed() {
        let parent = open_folder();
        let above = closed(parent.path());
        let asked = above.join("data");
        let elsewhere = parent.path().join("elsewhere");
        // What a temporary folder made for it looks like.
        fs::create_dir(&asked).unwrap();

        let folder = make_below(&asked, true, &elsewhere).unwrap();
        assert!(folder.starts_with(&elsewhere), "{}", folder.display());
        assert!(passable(&folder));
        assert_eq!(asked.canonicalize().unwrap(), folder);
        assert_eq!(mode(&above), 0o700);
        // Again, and after the link's target is gone.
        assert_eq!(make_below(&asked, true, &elsewhere).unwrap(), folder);
        fs::remove_dir(&folder).unwrap();
        assert_eq!(make_below(&asked, true, &elsewhere).unwrap(), folder);
    }

    #[test]
    fn data_that_others_cannot_reach_is_not_moved() {
        let parent = open_folder();
        let asked = closed(parent.path()).join("data");
        fs::create_dir(&asked).unwrap();
        fs::write(asked.join("token"), "x").unwrap();
        let error = make_below(&asked, true, &parent.path().join("elsewhere")).unwrap_err();
        assert!(error.to_string().contains("--data-dir"), "{error}");
        assert!(asked.join("token").exists());
    }

    #[test]
    fn an_ordinary_user_keeps_it_to_themselves() {
        let parent = open_folder();
        let asked = closed(parent.path()).join("data");
        let folder = make_below(&asked, false, Path::new("/none")).unwrap();
        assert_eq!(folder, asked);
        assert_eq!(mode(&folder), 0o700);
    }
}
