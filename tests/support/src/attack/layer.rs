//! What can hold an attack, and what of it can be taken away.

use std::fmt;

/// What can hold an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Our extension of Pi: refuses a tool call before it happens.
    Extension,
    /// The command line that Pi is started with: nothing of the repository configures it.
    PiFlags,
    /// Only Pi's own events count, not what looks like one.
    Events,
    /// Each shell command has a room of its own inside Pi's.
    InnerRoom,
    /// The room has files of its own: a mount namespace.
    Files,
    /// Files outside the scope are root's.
    ReadOnly,
    /// The room has a network of its own: a network namespace.
    Network,
    /// The room has processes of its own: a PID namespace.
    Processes,
    /// The room's environment is emptied.
    Environment,
    /// An ordinary user without capabilities and without new privileges.
    Privileges,
    /// System calls and socket families that are refused.
    SystemCalls,
    /// Limits on time, memory, processes, files and output.
    Limits,
    /// The model gateway's list of what may be asked for.
    Gateway,
    /// What may be spent.
    Budget,
    /// git on the host reads nothing of the tree as configuration.
    HostGit,
    /// The copy of a workspace that an agent is working in.
    Checkpoint,
    /// The diff, judged from outside.
    Diff,
    /// The check for secrets and large files.
    Leaks,
    /// The same, and the scope, once more before the push.
    Push,
    /// QA judges a checkout of the commit, by the gates that the base commit names.
    QualityGates,
    /// The proxy that leads an installation to the registries.
    Registries,
    /// What an installation may leave.
    Installed,
    /// What a SPEC may contain.
    SpecContract,
    /// What a request for more scope may contain.
    ScopeRequest,
    /// A person decides, by an API that an agent cannot reach.
    People,
}

impl Layer {
    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Extension => "Pi's extension",
            Self::PiFlags => "Pi's command line",
            Self::Events => "Pi's events",
            Self::InnerRoom => "inner room",
            Self::Files => "room's files",
            Self::ReadOnly => "read-only files",
            Self::Network => "room's network",
            Self::Processes => "room's processes",
            Self::Environment => "empty environment",
            Self::Privileges => "no privileges",
            Self::SystemCalls => "system call filter",
            Self::Limits => "limits",
            Self::Gateway => "model gateway",
            Self::Budget => "budget",
            Self::HostGit => "git of the host",
            Self::Checkpoint => "checkpoint",
            Self::Diff => "diff from outside",
            Self::Leaks => "secret scan",
            Self::Push => "check before the push",
            Self::QualityGates => "quality gates",
            Self::Registries => "registries' proxy",
            Self::Installed => "rules of the setup",
            Self::SpecContract => "SPEC's contract",
            Self::ScopeRequest => "scope request's rules",
            Self::People => "people's gates",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A layer that `cargo xtask attack --without` can take away, with its name in the worker's configuration.
pub const WALLS: [(&str, Layer); 9] = [
    ("extension", Layer::Extension),
    ("read-only-files", Layer::ReadOnly),
    ("inner-room", Layer::InnerRoom),
    ("network", Layer::Network),
    ("system-calls", Layer::SystemCalls),
    ("registries", Layer::Registries),
    ("diff", Layer::Diff),
    ("secret-scan", Layer::Leaks),
    ("push", Layer::Push),
];
