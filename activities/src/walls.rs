//! Which of the sealed room's walls stand: all of them. Only `cargo xtask attack --walls`, in builds with the feature `chaos`,
//! takes one away at a time, to see what else holds.

use serde::Deserialize;

/// A wall that can be taken away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// Pi's extension refuses tool calls.
    Extension,
    /// Files outside the scope are root's.
    ReadOnlyFiles,
    /// Shell commands have a room inside Pi's.
    InnerRoom,
    /// Rooms have a network of their own.
    Network,
    /// System calls are filtered.
    SystemCalls,
    /// A setup reaches the configured registries only.
    Registries,
    /// The diff is judged from outside.
    Diff,
    /// QA looks for secrets and large files.
    SecretScan,
    /// What is pushed is judged once more.
    Push,
}

/// Whether `wall` stands.
#[cfg(not(feature = "chaos"))]
pub(crate) const fn stands(_wall: Wall) -> bool {
    true
}

#[cfg(feature = "chaos")]
static MISSING: std::sync::OnceLock<Wall> = std::sync::OnceLock::new();

/// Whether `wall` stands.
#[cfg(feature = "chaos")]
pub(crate) fn stands(wall: Wall) -> bool {
    MISSING.get() != Some(&wall)
}

/// Takes `wall` away, in this process and for good.
#[cfg(feature = "chaos")]
pub fn take_away(wall: Wall) {
    tracing::error!(
        ?wall,
        "a wall of the sealed room is taken away, as an attack's trial asked"
    );
    let _ = MISSING.set(wall);
}
