//! Reading a repository where it lies, for those who want to look and leave nothing behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Mirror, MirrorError};
use crate::git::Git;

impl Mirror {
    /// The repository at `path`, which is a git directory or a work tree. It is only for reading: it has no lock, and must
    /// not be fetched into.
    pub fn in_place(path: &Path) -> Result<Self, MirrorError> {
        let failed = |source| MirrorError::Io {
            action: "looking for a git repository at",
            path: path.to_owned(),
            source,
        };
        let directory = git_directory(path).map_err(failed)?;
        Ok(Self {
            lock: directory.join("sallyport.lock"),
            git: Git::at(directory),
            url: path.display().to_string(),
        })
    }
}

fn git_directory(path: &Path) -> io::Result<PathBuf> {
    let path = fs::canonicalize(path)?;
    let inside = path.join(".git");
    let directory = if inside.is_dir() {
        inside
    } else if inside.is_file() {
        // A linked work tree, or a submodule.
        let link = fs::read_to_string(&inside)?;
        let link = link.strip_prefix("gitdir:").unwrap_or_default().trim();
        fs::canonicalize(path.join(link))?
    } else {
        path
    };
    match directory.join("HEAD").is_file() {
        true => Ok(directory),
        false => Err(io::Error::other(
            "there is none; name a work tree's top or a git directory",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Origin;

    #[tokio::test]
    async fn a_repository_is_found_from_its_work_tree_and_from_a_linked_one() {
        let origin = Origin::new(&[("a.txt", "a\n")]).await;
        let bare = origin.git().directory();
        let found = Mirror::in_place(bare).unwrap();
        let head = origin.head("main").await;
        assert_eq!(found.files(&head).await.unwrap()[0].path, "a.txt");
        let tree = tempfile::tempdir().unwrap();
        fs::write(
            tree.path().join(".git"),
            format!("gitdir: {}\n", bare.display()),
        )
        .unwrap();
        assert_eq!(Mirror::in_place(tree.path()).unwrap().git(), found.git());
        let none = tempfile::tempdir().unwrap();
        let error = Mirror::in_place(none.path()).unwrap_err().to_string();
        assert!(error.contains("name a work tree's top"), "{error}");
        assert!(Mirror::in_place(Path::new("/nonexistent")).is_err());
    }
}
