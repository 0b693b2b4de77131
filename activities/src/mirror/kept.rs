//! The commits that the mirror keeps for workspaces, though no branch leads to them: `refs/sallyport/<workspace>/<name>`.

use std::{fs, io, path::Path};

use super::{Mirror, MirrorError, Mirrors};
use crate::git::Git;

impl Mirrors {
    /// Lets go of all commits that were kept for `workspace`, in whichever mirror. None is success.
    pub async fn let_go(&self, workspace: &str) -> Result<(), MirrorError> {
        let failed = |source| MirrorError::Io {
            action: "listing",
            path: self.folder.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        for entry in entries {
            let directory = entry.map_err(failed)?.path();
            if directory
                .extension()
                .is_some_and(|extension| extension == "git")
            {
                let mirror = Mirror {
                    lock: directory.with_extension("lock"),
                    git: Git::at(directory),
                    url: String::new(),
                };
                mirror.let_go(workspace).await?;
            }
        }
        Ok(())
    }
}

impl Mirror {
    /// Keeps `commit` from being collected as garbage, as the `number`-th of `workspace`.
    pub async fn keep(
        &self,
        workspace: &str,
        number: u64,
        commit: &str,
    ) -> Result<(), MirrorError> {
        let lock = self.lock().await?;
        self.git
            .run("update-ref")
            .arguments([&format!("refs/sallyport/{workspace}/{number}"), commit])
            .done()
            .await?;
        drop(lock);
        Ok(())
    }

    async fn let_go(&self, workspace: &str) -> Result<(), MirrorError> {
        let lock = self.lock().await?;
        let kept = self
            .git
            .run("for-each-ref")
            .arguments(["--format=delete %(refname)%00%00"])
            .argument(format!("refs/sallyport/{workspace}/"))
            .output()
            .await?;
        // One line each, and refs have no line ends in their names; `-z` wants its own ends only.
        let commands: Vec<u8> = kept.into_iter().filter(|byte| *byte != b'\n').collect();
        self.git
            .run("update-ref")
            .arguments(["-z", "--stdin"])
            .input(commands)
            .done()
            .await?;
        drop(lock);
        Ok(())
    }

    /// Takes what the bundle at `file` has below `refs/checkpoint/`, and keeps it for `workspace` as `checkpoint/<name>`, in
    /// place of what was there.
    pub async fn bring(&self, workspace: &str, file: &Path) -> Result<(), MirrorError> {
        let lock = self.lock().await?;
        self.git
            .run("fetch")
            .arguments(["--quiet", "--no-tags", "--no-write-fetch-head"])
            .arguments(["--no-auto-maintenance", "--"])
            .argument(file)
            .argument(format!(
                "+refs/checkpoint/*:refs/sallyport/{workspace}/checkpoint/*"
            ))
            .network()
            .done()
            .await?;
        drop(lock);
        Ok(())
    }
}
