//! Where the repository is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The canonical path of the checkout that this program works on.
///
/// `cargo run` tells the package's folder at run time. The one of the build is only a fall-back, since a checkout may
/// have been moved after it.
pub fn root() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.parent().unwrap_or(Path::new("/"));
    root.canonicalize().with_context(|| {
        format!(
            "cannot find the checkout at {}; call `cargo xtask` inside it",
            root.display()
        )
    })
}
