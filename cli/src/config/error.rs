//! What is wrong with a configuration.

use std::{io, path::PathBuf};

use super::places::Origin;

/// A configuration that cannot be used. Every message names the file, and where there is one the key, the line and the
/// reason. Values of secrets are never in it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {file}: {source}")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{file}, line {line}: {reason}")]
    Syntax {
        /// Which file.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A key is unknown, missing or has a wrong value.
    #[error("{file}{}, key `{key}`: {reason}", .origin.as_ref().map(|origin| format!(", {origin}")).unwrap_or_default())]
    Key {
        /// The file that was read.
        file: PathBuf,
        /// Where the key, or the nearest key around it, was set; nothing for a top-level key that is missing.
        origin: Option<Origin>,
        /// The key's path.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An environment variable names no key.
    #[error("environment variable {name}: {reason}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
