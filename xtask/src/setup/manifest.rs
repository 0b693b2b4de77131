//! `.tools/tools.json`: where each tool is, for the programs that use them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::pins::PI_PACKAGE;
use super::reachable;

/// The file's name in the `.tools` folder.
const FILE: &str = "tools.json";

/// Absolute, canonical paths of all tools. `sallyport_activities::tools::Tools` reads the same file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Temporal's command line, which has the dev server.
    pub temporal: PathBuf,
    /// The folder with `initdb`, `pg_ctl` and `postgres`.
    pub postgres_bin_dir: PathBuf,
    /// The folder with `bin/node`.
    pub node_prefix: PathBuf,
    /// The `node_modules` folder that holds Pi.
    pub pi_modules: PathBuf,
    /// bubblewrap.
    pub bwrap: PathBuf,
}

impl Tools {
    /// Where the file is, below the `.tools` folder `dir`.
    pub fn file(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// Reads the file of the `.tools` folder `dir`.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = Self::file(dir);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not as it should be", path.display()))
    }

    /// Writes the file into the `.tools` folder `dir`, in one step.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot write the tools as JSON")?;
        reachable::write_file(&Self::file(dir), &format!("{text}\n"))
    }

    /// Whether every file that the users of the tools start is there.
    pub fn check_files(&self) -> Result<()> {
        let postgres =
            ["initdb", "pg_ctl", "postgres"].map(|name| self.postgres_bin_dir.join(name));
        let files = postgres.into_iter().chain([
            self.temporal.clone(),
            self.node_prefix.join("bin/node"),
            self.pi_modules.join(PI_PACKAGE).join("package.json"),
            self.bwrap.clone(),
        ]);
        for file in files {
            if !file.is_file() {
                bail!("{} is missing; run `cargo xtask setup`", file.display());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A complete set of (empty) tools below `dir`.
    pub fn tools_in(dir: &Path) -> Tools {
        let tools = Tools {
            temporal: dir.join("temporal"),
            postgres_bin_dir: dir.join("postgres"),
            node_prefix: dir.join("node"),
            pi_modules: dir.join("pi"),
            bwrap: dir.join("bwrap"),
        };
        let package = tools.pi_modules.join(PI_PACKAGE);
        for folder in [
            &tools.postgres_bin_dir,
            &tools.node_prefix.join("bin"),
            &package,
        ] {
            std::fs::create_dir_all(folder).expect("the folder can be made");
        }
        for file in [
            tools.temporal.clone(),
            tools.postgres_bin_dir.join("initdb"),
            tools.postgres_bin_dir.join("pg_ctl"),
            tools.postgres_bin_dir.join("postgres"),
            tools.node_prefix.join("bin/node"),
            package.join("package.json"),
            tools.bwrap.clone(),
        ] {
            std::fs::write(file, "").expect("the file can be written");
        }
        tools
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let tools = tools_in(dir.path());
        tools.write(dir.path()).expect("it can be written");
        assert_eq!(Tools::read(dir.path()).expect("it can be read"), tools);
    }

    #[test]
    fn every_file_is_missed() {
        let dir = tempfile::tempdir().expect("a folder");
        let tools = tools_in(dir.path());
        tools.check_files().expect("all are there");
        for file in [
            "temporal",
            "postgres/initdb",
            "postgres/pg_ctl",
            "postgres/postgres",
            "node/bin/node",
            "bwrap",
        ] {
            let path = dir.path().join(file);
            std::fs::remove_file(&path).expect("it can be removed");
            let error = tools.check_files().expect_err("one is missing");
            assert!(error.to_string().contains(file), "{error}");
            std::fs::write(&path, "").expect("it can be written");
        }
    }
}
