//! The programs that `cargo xtask setup` has put down, for the tests that run them.

use std::path::PathBuf;

use serde::Deserialize;

/// Node and Pi, as `.tools/tools.json` names them.
#[derive(Debug, Deserialize)]
pub struct Tools {
    node_prefix: PathBuf,
    pi_modules: PathBuf,
}

impl Tools {
    /// Reads the file that the variable `SALLYPORT_TOOLS` names.
    pub fn load() -> Self {
        let path = std::env::var("SALLYPORT_TOOLS").expect(
            "SALLYPORT_TOOLS does not name tools.json: this test runs real programs, run it through `cargo xtask test`",
        );
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {path}: {error}; run `cargo xtask setup`"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The Node program.
    pub fn node(&self) -> PathBuf {
        self.node_prefix.join("bin/node")
    }

    /// The script that is the Pi CLI.
    pub fn pi(&self) -> PathBuf {
        self.pi_modules
            .join("@earendil-works/pi-coding-agent/dist/bundle/cli.js")
    }

    /// A value for PATH with Node first and the system's programs behind it.
    pub fn search_path(&self) -> String {
        format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            self.node_prefix.join("bin").display()
        )
    }
}
