//! The programs that `cargo xtask setup` puts in place.

use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;

/// Where the programs are: the contents of `tools.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct TestTools {
    /// Temporal's CLI with its dev server.
    pub temporal: PathBuf,
    /// The folder with `postgres`, `initdb` and `pg_ctl`.
    pub postgres_bin_dir: PathBuf,
    /// The folder with `bin/node`.
    pub node_prefix: PathBuf,
}

impl TestTools {
    /// Reads the file that `SALLYPORT_TOOLS` names.
    pub fn load() -> anyhow::Result<Self> {
        let path = Self::manifest()?;
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}: run `cargo xtask setup`", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not as expected", path.display()))
    }

    /// The path of `tools.json`.
    pub fn manifest() -> anyhow::Result<PathBuf> {
        std::env::var_os("SALLYPORT_TOOLS")
            .map(PathBuf::from)
            .context("SALLYPORT_TOOLS is not set: run the tests with `cargo xtask test`")
    }
}
