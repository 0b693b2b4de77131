//! The pinned programs that `cargo xtask setup` put into place, and where they are.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Where the programs are that Sallyport starts. Read from `.tools/tools.json`; all paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Temporal's CLI, with its dev server.
    pub temporal: PathBuf,
    /// The folder of Postgres's programs.
    pub postgres_bin_dir: PathBuf,
    /// A folder with `bin/node` in it.
    pub node_prefix: PathBuf,
    /// The `node_modules` folder that holds Pi.
    pub pi_modules: PathBuf,
    /// bubblewrap.
    pub bwrap: PathBuf,
}

/// The tools cannot be used. Every message says what to run.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// The list itself cannot be read.
    #[error("cannot read the list of tools {path}: {source}; run `cargo xtask setup`")]
    Unreadable {
        /// The list.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The list is not what we write.
    #[error("the list of tools {path} is damaged: {source}; run `cargo xtask setup`")]
    Malformed {
        /// The list.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A program is not where the list says.
    #[error("{name} is not at {path}; run `cargo xtask setup`")]
    Missing {
        /// What is missing, as a person calls it.
        name: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
}

impl Tools {
    /// Reads the list at `path` and checks that each program is there.
    pub fn load(path: &Path) -> Result<Self, ToolsError> {
        let text = fs::read_to_string(path).map_err(|source| ToolsError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let tools: Self = serde_json::from_str(&text).map_err(|source| ToolsError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        for (name, path) in [
            ("Temporal's CLI", tools.temporal.clone()),
            ("Postgres", tools.postgres_bin_dir.join("postgres")),
            ("Node", tools.node()),
            ("Pi", tools.pi_modules.join(PI_CLI)),
            ("bubblewrap", tools.bwrap.clone()),
        ] {
            if !path.exists() {
                return Err(ToolsError::Missing { name, path });
            }
        }
        Ok(tools)
    }

    /// The `node` program, on the host.
    pub fn node(&self) -> PathBuf {
        self.node_prefix.join("bin/node")
    }
}

/// Pi's command line program, relative to a `node_modules` folder.
pub const PI_CLI: &str = "@earendil-works/pi-coding-agent/dist/bundle/cli.js";

/// The tools that tests run with.
#[cfg(test)]
pub(crate) fn for_tests() -> Tools {
    let list = std::env::var_os("SALLYPORT_TOOLS")
        .expect("this test needs the pinned tools (SALLYPORT_TOOLS is not set): run it through `cargo xtask test`");
    Tools::load(Path::new(&list)).expect("the pinned tools are there: run `cargo xtask setup`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, relative: &str) -> PathBuf {
        let path = folder.join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    }

    fn complete(folder: &Path) -> Tools {
        write(folder, "pg/bin/postgres");
        write(folder, "node/bin/node");
        write(folder, &format!("node_modules/{PI_CLI}"));
        Tools {
            temporal: write(folder, "temporal"),
            postgres_bin_dir: folder.join("pg/bin"),
            node_prefix: folder.join("node"),
            pi_modules: folder.join("node_modules"),
            bwrap: write(folder, "bwrap"),
        }
    }

    #[test]
    fn a_complete_set_of_tools_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let tools = complete(folder.path());
        let list = folder.path().join("tools.json");
        fs::write(&list, serde_json::to_vec(&tools).unwrap()).unwrap();
        assert_eq!(Tools::load(&list).unwrap(), tools);
    }

    #[test]
    fn each_problem_says_to_run_the_setup() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("tools.json");
        let no_list = Tools::load(&list).unwrap_err().to_string();

        fs::write(&list, "{").unwrap();
        let damaged = Tools::load(&list).unwrap_err().to_string();

        let tools = complete(folder.path());
        fs::write(&list, serde_json::to_vec(&tools).unwrap()).unwrap();
        fs::remove_file(tools.pi_modules.join(PI_CLI)).unwrap();
        let missing = Tools::load(&list).unwrap_err().to_string();

        assert!(missing.starts_with("Pi is not at "), "{missing}");
        for message in [no_list, damaged, missing] {
            assert!(message.contains("cargo xtask setup"), "{message}");
        }
    }
}
