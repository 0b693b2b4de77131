//! The `.tools` folder, in a place that the programs' users can reach.
//!
//! As root, Postgres and the sandbox run as users of their own. Such a user cannot pass a directory like `/root` (mode
//! 0700). We never change the mode of what is not ours. If the checkout cannot be passed, `.tools` becomes a symbolic
//! link to a folder of ours below `/var/lib/sallyport/tools`.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{progress, stamp};

/// The link's or folder's name in the checkout.
const NAME: &str = ".tools";
/// Where the tools of checkouts go that other users cannot reach.
const ELSEWHERE: &str = "/var/lib/sallyport/tools";

/// Everybody may enter and read.
const OPEN_DIR: u32 = 0o755;
/// Everybody may read.
const OPEN_FILE: u32 = 0o644;

/// Whether every user can pass `path`: the directory itself and all above it let others through.
///
/// `path` must be canonical. Access lists are not looked at; that the tools really run is tried besides.
pub fn passable(path: &Path) -> bool {
    path.ancestors().all(|directory| {
        fs::metadata(directory).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

/// The canonical path of the existing `.tools` folder of the checkout `root`, if it is in a good place.
pub fn existing(root: &Path, others_must_pass: bool) -> Option<PathBuf> {
    let dir = root.join(NAME).canonicalize().ok()?;
    (dir.is_dir() && (!others_must_pass || passable(&dir))).then_some(dir)
}

/// Makes the `.tools` folder of the checkout `root`, or takes the one that is there, and returns its canonical path.
pub fn make(root: &Path, others_must_pass: bool) -> Result<PathBuf> {
    make_below(root, others_must_pass, Path::new(ELSEWHERE))
}

fn make_below(root: &Path, others_must_pass: bool, elsewhere: &Path) -> Result<PathBuf> {
    if let Some(dir) = existing(root, others_must_pass) {
        return Ok(dir);
    }
    let link = root.join(NAME);
    let is_link = fs::symlink_metadata(&link).is_ok_and(|metadata| metadata.is_symlink());
    if is_link {
        // It leads nowhere, or to a place that the programs' users cannot reach.
        fs::remove_file(&link)
            .with_context(|| format!("cannot remove the link {}", link.display()))?;
    }
    if !others_must_pass || passable(root) {
        make_open_dir(&link)?;
        return canonical(&link);
    }

    let name: String = stamp::digest(&[&root.to_string_lossy()])
        .chars()
        .take(16)
        .collect();
    let dir = elsewhere.join(name);
    for ours in [elsewhere.parent().unwrap_or(elsewhere), elsewhere, &dir] {
        make_open_dir(ours)?;
    }
    let dir = canonical(&dir)?;
    if !passable(&dir) {
        bail!(
            "other users cannot reach {}, but Postgres and the sandbox run as other users when you are root. \
             Move the checkout to where everybody may pass, for example below /opt, or run as an ordinary user.",
            dir.display()
        );
    }
    if link.is_dir() {
        // Left by a run that could use it, as an ordinary user. It holds only what a set-up made.
        fs::remove_dir_all(&link).with_context(|| format!("cannot remove {}", link.display()))?;
    }
    symlink(&dir, &link).with_context(|| format!("cannot make the link {}", link.display()))?;
    progress::note(&format!(
        "Other users cannot pass {}; as root, Postgres and the sandbox run as other users. So the tools go to {}.",
        root.display(),
        dir.display()
    ));
    Ok(dir)
}

/// Makes a directory that everybody may pass, whatever the umask is. One of ours that is there is opened.
pub fn make_open_dir(path: &Path) -> Result<()> {
    // Above ours there may be none yet, as on a small system without /var/lib.
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error)
                .with_context(|| format!("cannot make the folder {}", path.display()));
        }
        _ => {}
    }
    add_mode(path, OPEN_DIR)
}

/// Lets everybody read what was installed in `path`, and run what its owner may run.
pub fn open_tree(path: &Path) -> Result<()> {
    let metadata =
        fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    if metadata.is_dir() {
        add_mode(path, OPEN_DIR)?;
        let entries =
            fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", path.display()))?;
            open_tree(&entry.path())?;
        }
        return Ok(());
    }
    let runs = metadata.permissions().mode() & 0o100 != 0;
    add_mode(path, if runs { OPEN_DIR } else { OPEN_FILE })
}

/// Writes a file that everybody may read, in one step: nobody ever sees half of it.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&fresh, text).with_context(|| format!("cannot write {}", fresh.display()))?;
    add_mode(&fresh, OPEN_FILE)?;
    fs::rename(&fresh, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Adds permissions to those that are there.
fn add_mode(path: &Path, mode: u32) -> Result<()> {
    let metadata =
        fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    let now = metadata.permissions().mode();
    if now & mode == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(now | mode)).with_context(|| {
        format!(
            "cannot open {} for everybody; does it belong to you?",
            path.display()
        )
    })
}

fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("cannot find {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in `/tmp`, which everybody can pass, whatever TMPDIR says.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir_in("/tmp").expect("a folder")
    }

    /// Lets everybody pass the folder (it is made with mode 0700). Returns its canonical path.
    fn open_dir(parent: &tempfile::TempDir) -> PathBuf {
        fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).expect("it is ours");
        parent.path().canonicalize().expect("it is there")
    }

    fn closed_checkout(parent: &Path) -> PathBuf {
        let root = parent.join("checkout");
        fs::create_dir(&root).expect("it can be made");
        fs::set_permissions(&root, Permissions::from_mode(0o700)).expect("it is ours");
        root
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    }

    #[test]
    fn one_closed_directory_above_closes_all_below() {
        let parent = folder();
        let parent = open_dir(&parent);
        let below = parent.join("a/b");
        fs::create_dir_all(&below).expect("it can be made");
        fs::set_permissions(parent.join("a"), Permissions::from_mode(0o755)).expect("it is ours");
        fs::set_permissions(&below, Permissions::from_mode(0o755)).expect("it is ours");
        assert!(passable(&below));
        fs::set_permissions(parent.join("a"), Permissions::from_mode(0o750)).expect("it is ours");
        assert!(!passable(&below));
        assert!(!passable(&parent.join("missing")));
    }

    #[test]
    fn the_folder_is_in_the_checkout_where_that_can_be_passed() {
        let parent = folder();
        let parent = open_dir(&parent);
        let dir = make_below(&parent, true, &parent.join("var/tools")).expect("it can be made");
        assert_eq!(dir, parent.join(NAME));
        assert!(passable(&dir));
    }

    #[test]
    fn a_closed_checkout_gets_a_link_and_keeps_its_mode() {
        let parent = folder();
        let parent = open_dir(&parent);
        let root = closed_checkout(&parent);
        // What an ordinary user's run has left.
        fs::create_dir(root.join(NAME)).expect("it can be made");

        let dir = make_below(&root, true, &parent.join("var/tools")).expect("it can be made");
        assert!(
            dir.starts_with(parent.join("var/tools")),
            "{}",
            dir.display()
        );
        assert!(passable(&dir));
        assert_eq!(root.join(NAME).canonicalize().expect("it leads there"), dir);
        assert_eq!(mode(&root), 0o700);

        // A second call takes it, and a link that leads nowhere is made anew.
        assert_eq!(
            make_below(&root, true, &parent.join("var/tools")).expect("it is there"),
            dir
        );
        fs::remove_file(root.join(NAME)).expect("it is a link");
        symlink("/no/such/place", root.join(NAME)).expect("it can be made");
        assert_eq!(existing(&root, true), None);
        assert_eq!(
            make_below(&root, true, &parent.join("var/tools")).expect("it can be made"),
            dir
        );
    }

    #[test]
    fn an_ordinary_user_stays_in_a_closed_checkout() {
        let parent = folder();
        let parent = open_dir(&parent);
        let root = closed_checkout(&parent);
        let dir = make_below(&root, false, &parent.join("var/tools")).expect("it can be made");
        assert_eq!(dir, root.join(NAME));
        assert!(!parent.join("var").exists());
    }

    #[test]
    fn what_is_installed_is_opened_and_only_programs_run() {
        let parent = folder();
        let tree = parent.path().join("tree");
        fs::create_dir(&tree).expect("it can be made");
        for (name, closed) in [("program", 0o700), ("text", 0o600)] {
            fs::write(tree.join(name), "x").expect("it can be written");
            fs::set_permissions(tree.join(name), Permissions::from_mode(closed))
                .expect("it is ours");
        }
        symlink("/no/such/place", tree.join("link")).expect("it can be made");
        fs::set_permissions(&tree, Permissions::from_mode(0o700)).expect("it is ours");

        open_tree(&tree).expect("it is ours");
        assert_eq!(mode(&tree), 0o755);
        assert_eq!(mode(&tree.join("program")), 0o755);
        assert_eq!(mode(&tree.join("text")), 0o644);
    }
}
