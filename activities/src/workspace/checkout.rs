//! Laying out a commit's files for the room.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{Workspace, WorkspaceError, remove::remove_tree};
use crate::{git::Git, sandbox::give_to_room};

/// Lays out `commit` in the workspace, anew: what was there is gone, the agent's session too.
pub async fn prepare(git: &Git, workspace: &Workspace, commit: &str) -> Result<(), WorkspaceError> {
    let root = workspace.root();
    remove(root).await?;
    for folder in [root, &workspace.session(), &workspace.run()] {
        make_passable(folder).map_err(WorkspaceError::io("making", folder))?;
    }
    give_to_room(&workspace.session())?;
    check_out(git, &workspace.index(), commit, &workspace.tree()).await
}

/// Writes the files of `commit` into the new folder `tree` and gives it to the room's user.
pub async fn check_out(
    git: &Git,
    index: &Path,
    commit: &str,
    tree: &Path,
) -> Result<(), WorkspaceError> {
    remove(tree).await?;
    make_passable(tree).map_err(WorkspaceError::io("making", tree))?;
    read_tree(git, index, commit).await?;
    git.run("checkout-index")
        .index(index)
        .work_tree(tree)
        .arguments(["--all", "--force", "--quiet"])
        .done()
        .await?;
    let tree = tree.to_owned();
    let given = tokio::task::spawn_blocking(move || give_to_room(&tree));
    given.await.map_err(|error| WorkspaceError::Io {
        action: "handing over",
        path: index.to_owned(),
        source: std::io::Error::other(error),
    })??;
    Ok(())
}

/// Makes the folder `path`, and those above it, so that the room's user can pass it whatever our umask is. What is
/// there already above it stays as it is.
pub fn make_passable(path: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?,
        }
    }
    Ok(())
}

/// Makes `index` anew, with exactly the files of `commit`.
pub(super) async fn read_tree(git: &Git, index: &Path, commit: &str) -> Result<(), WorkspaceError> {
    let lock = index.with_extension("lock");
    for stale in [index, &lock] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(WorkspaceError::io("removing", stale)(error));
            }
            _ => {}
        }
    }
    git.run("read-tree")
        .index(index)
        .argument(commit)
        .done()
        .await?;
    Ok(())
}

/// Removes a folder that an agent may have filled; gone already is success.
pub async fn remove(path: &Path) -> Result<(), WorkspaceError> {
    let folder = path.to_owned();
    tokio::task::spawn_blocking(move || remove_tree(&folder))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(WorkspaceError::io("removing", path))
}

#[cfg(test)]
mod tests {
    use sallyport_workflows::ticket::TicketKey;

    use super::*;
    use crate::{mirror::Mirrors, testing::Origin};

    #[tokio::test]
    async fn a_checkout_runs_no_filter_and_is_laid_out_anew() {
        let marker = tempfile::tempdir().unwrap();
        let ran = marker.path().join("ran");
        let origin = Origin::new(&[("a.txt", "a\n"), ("crlf.txt", "x\r\ny\n")]).await;
        let attributes = b"* filter=evil text=auto eol=crlf ident\n";
        let commit = origin
            .commit_entries(&[
                ("100644", ".gitattributes", attributes),
                ("100755", "run.sh", b"#!/bin/sh\n$Id$\n"),
                ("120000", "link", b"/etc/passwd"),
            ])
            .await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path().join("m"))
            .fetch(origin.url())
            .await
            .unwrap();
        for half in ["smudge", "clean"] {
            mirror
                .git()
                .run("config")
                .arguments([
                    &format!("filter.evil.{half}"),
                    &format!("touch {}; cat", ran.display()),
                ])
                .done()
                .await
                .unwrap();
        }
        let workspace = Workspace::of(folder.path(), &TicketKey::first("flux-lens", "FL-1"));
        prepare(mirror.git(), &workspace, &commit).await.unwrap();
        let tree = workspace.tree();
        let read = |name: &str| fs::read_to_string(tree.join(name)).unwrap();
        assert_eq!(read("crlf.txt"), "x\r\ny\n");
        assert_eq!(read("run.sh"), "#!/bin/sh\n$Id$\n");
        let mode = |name: &str| {
            fs::symlink_metadata(tree.join(name))
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!(mode("run.sh") & 0o111, 0o111);
        assert!(
            fs::symlink_metadata(tree.join("link"))
                .unwrap()
                .is_symlink()
        );
        assert!(!tree.join(".git").exists());
        assert!(!ran.exists());

        fs::write(tree.join("left over"), "").unwrap();
        fs::write(workspace.session().join("old"), "").unwrap();
        prepare(mirror.git(), &workspace, &commit).await.unwrap();
        assert!(!tree.join("left over").exists());
        assert!(!workspace.session().join("old").exists());
    }
}
