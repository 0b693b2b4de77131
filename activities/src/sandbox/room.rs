//! What a room is made of, and bubblewrap's arguments for it.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{KIT, NODE, ROOM_UID, Sandbox, WORKSPACE, runs_as_root};
use crate::walls::{Wall, stands};

/// The two kinds of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// For Pi: may start inner rooms.
    Agent,
    /// For the agent's shell commands and for quality gates.
    Inner,
}

/// Folders beside `/usr` that programs need: links into it on today's distributions, folders on old ones.
pub(super) const SYSTEM_FOLDERS: [&str; 6] =
    ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"];

/// What a room may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the room may live. Kept by those who wait for it.
    pub wall: Duration,
    /// CPU time of each process, in seconds.
    pub cpu_seconds: u64,
    /// Processes and threads in the room at one time.
    pub processes: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// Size of each file written, in bytes.
    pub file_bytes: u64,
    /// Memory of each process, in bytes. Counts what is written to, not the gigabytes that Node only reserves.
    pub memory_bytes: u64,
    /// Memory of all processes of the room together, in bytes, its `/tmp` included. Kept where the host has
    /// [control groups](super::cgroup).
    pub room_memory_bytes: u64,
    /// Size of the room's `/tmp`, in bytes. It is memory.
    pub tmp_bytes: u64,
    /// What the workspace may take on the disk, in bytes. Measured every two seconds.
    pub workspace_bytes: u64,
    /// How many files and folders may be in the workspace. Measured every two seconds.
    pub workspace_entries: u64,
}

impl Limits {
    /// For one shell command or one quality gate: two minutes.
    pub fn for_commands() -> Self {
        Self {
            wall: Duration::from_secs(120),
            cpu_seconds: 1800,
            processes: 256,
            open_files: 1024,
            file_bytes: 1 << 30,
            memory_bytes: 4 << 30,
            room_memory_bytes: 6 << 30,
            tmp_bytes: 256 << 20,
            workspace_bytes: 4 << 30,
            workspace_entries: 500_000,
        }
    }

    /// For an agent's run, which starts rooms within its room: half an hour.
    pub fn for_agents() -> Self {
        Self {
            wall: Duration::from_secs(30 * 60),
            processes: 512,
            ..Self::for_commands()
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Mount {
    ReadOnly { source: PathBuf, target: PathBuf },
    Writable { source: PathBuf, target: PathBuf },
    Memory { target: PathBuf, bytes: u64 },
}

/// A room to be made. Nothing is in it that is not named here or in the module's documentation.
#[derive(Clone, Debug)]
pub struct Room {
    layer: Layer,
    workspace: PathBuf,
    mounts: Vec<Mount>,
    environment: Vec<(OsString, OsString)>,
    limits: Limits,
}

impl Room {
    /// A room with `workspace`, writable, at `/room`. As root, the workspace must belong to the room's user: see
    /// [`give_to_room`](super::give_to_room).
    pub fn new(layer: Layer, workspace: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            layer,
            workspace: workspace.into(),
            mounts: Vec::new(),
            environment: Vec::new(),
            limits,
        }
    }

    /// Shows the host's `source` at `target`, not to be changed.
    #[must_use]
    pub fn read_only(mut self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.mounts.push(Mount::ReadOnly {
            source: source.into(),
            target: target.into(),
        });
        self
    }

    /// Shows the host's `source` at `target`, to be changed.
    #[must_use]
    pub fn writable(mut self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.mounts.push(Mount::Writable {
            source: source.into(),
            target: target.into(),
        });
        self
    }

    /// Puts an empty folder of at most `bytes` in memory at `target`.
    #[must_use]
    pub fn memory(mut self, target: impl Into<PathBuf>, bytes: u64) -> Self {
        self.mounts.push(Mount::Memory {
            target: target.into(),
            bytes,
        });
        self
    }

    /// Sets a variable of the room's environment, which otherwise has `PATH`, `HOME`, `LANG` and `TMPDIR`.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// What the room may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    pub(super) fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }

    pub(super) fn workspace(&self) -> &Path {
        &self.workspace
    }

    pub(super) fn layer(&self) -> Layer {
        self.layer
    }

    /// The whole command line: drop privileges, limit, seal, run `program`.
    pub(super) fn command_line(
        &self,
        sandbox: &Sandbox,
        descriptors: &Descriptors,
        program: &[OsString],
    ) -> Vec<OsString> {
        let mut line = Arguments::default();
        if runs_as_root() {
            // Before bubblewrap: a user namespace made by root maps to root outside, whatever it is called inside.
            line.all([
                "setpriv",
                "--no-new-privs",
                "--clear-groups",
                "--inh-caps=-all",
                "--ambient-caps=-all",
            ]);
            line.all(["--bounding-set=-all"]);
            line.add(format!("--reuid={ROOM_UID}"))
                .add(format!("--regid={ROOM_UID}"))
                .add("--");
        }
        let limits = &self.limits;
        line.all(["prlimit", "--core=0"]);
        line.add(format!("--cpu={}", limits.cpu_seconds));
        line.add(format!("--nofile={}", limits.open_files));
        line.add(format!("--fsize={}", limits.file_bytes));
        line.add(format!("--data={}", limits.memory_bytes));
        line.add("--");
        // When memory runs out, the room goes before the worker does.
        line.all(["choom", "--adjust", "1000", "--"]);
        line.add(&sandbox.tools().bwrap);
        let places = Places {
            etc: &sandbox.kit().join("etc"),
            node: &sandbox.tools().node_prefix,
            workspace: &self.workspace,
        };
        line.0.extend(walls(self.layer, &places, limits));
        for mount in &self.mounts {
            match mount {
                Mount::ReadOnly { source, target } => line.add("--ro-bind").add(source).add(target),
                Mount::Writable { source, target } => line.add("--bind").add(source).add(target),
                Mount::Memory { target, bytes } => line
                    .add("--size")
                    .add(bytes.to_string())
                    .add("--tmpfs")
                    .add(target),
            };
        }
        if self.layer == Layer::Agent {
            line.add("--ro-bind").add(sandbox.kit()).add(KIT);
            line.add("--ro-bind")
                .add(&sandbox.tools().bwrap)
                .add(format!("{KIT}-bwrap"));
        }
        line.all(["--remount-ro", "/"]);
        for (name, value) in &self.environment {
            line.add("--setenv").add(name).add(value);
        }
        line.add("--json-status-fd")
            .add(descriptors.status.to_string());
        line.add("--block-fd").add(descriptors.block.to_string());
        if stands(Wall::SystemCalls) {
            for filter in descriptors.filters {
                line.add("--add-seccomp-fd").add(filter.to_string());
            }
        }
        line.add("--");
        line.0.extend(entry(limits));
        line.0.extend_from_slice(program);
        line.0
    }
}

/// The numbers under which bubblewrap finds the files that we hand it.
pub(super) struct Descriptors {
    pub(super) status: i32,
    pub(super) block: i32,
    pub(super) filters: [i32; 3],
}

/// Where the parts of a room are, seen from where bubblewrap is started: the host, or an agent's room.
pub(super) struct Places<'a> {
    pub(super) etc: &'a Path,
    pub(super) node: &'a Path,
    pub(super) workspace: &'a Path,
}

/// bubblewrap's arguments for what all rooms of a layer have in common. Read-only is not yet the root folder itself,
/// so that more can be mounted.
pub(super) fn walls(layer: Layer, places: &Places<'_>, limits: &Limits) -> Vec<OsString> {
    let mut line = Arguments::default();
    line.all([
        "--unshare-user",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
    ]);
    line.all(["--cap-drop", "ALL", "--hostname", "room"]);
    if !stands(Wall::Network) {
        line.add("--share-net");
    }
    if layer == Layer::Inner {
        line.add("--disable-userns");
    }
    line.all(["--ro-bind", "/usr", "/usr"]);
    for name in SYSTEM_FOLDERS {
        // Links into /usr on today's distributions, folders on old ones.
        match (fs::read_link(name), Path::new(name).is_dir()) {
            (Ok(target), _) => line.add("--symlink").add(target).add(name),
            (Err(_), true) => line.add("--ro-bind").add(name).add(name),
            (Err(_), false) => &mut line,
        };
    }
    for name in ["/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime"] {
        line.add("--ro-bind-try").add(name).add(name);
    }
    for name in ["passwd", "group", "hosts", "nsswitch.conf"] {
        line.add("--ro-bind")
            .add(places.etc.join(name))
            .add(format!("/etc/{name}"));
    }
    line.add("--ro-bind").add(places.node).add(NODE);
    line.all([
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--size",
        "67108864",
        "--tmpfs",
        "/dev/shm",
        "--remount-ro",
        "/dev",
    ]);
    line.add("--size")
        .add(limits.tmp_bytes.to_string())
        .all(["--tmpfs", "/tmp"]);
    line.all(["--size", "67108864", "--tmpfs", "/home/agent"]);
    line.add("--bind")
        .add(places.workspace)
        .add(WORKSPACE)
        .add("--chdir")
        .add(WORKSPACE);
    for (name, value) in usual_environment() {
        line.add("--setenv").add(name).add(value);
    }
    line.0
}

/// What every room has in its environment.
pub(super) fn usual_environment() -> Vec<(String, String)> {
    [
        ("PATH", format!("{NODE}/bin:/usr/local/bin:/usr/bin:/bin")),
        ("HOME", "/home/agent".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TMPDIR", "/tmp".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// What runs first in a room. The kernel counts a user's processes per user namespace, and holds the count against the
/// limit of the process that asks for one more: so this limit is set inside. Set outside, all rooms would share it.
pub(super) fn entry(limits: &Limits) -> Vec<OsString> {
    let mut line = Arguments::default();
    line.add("/usr/bin/prlimit")
        .add(format!("--nproc={}", limits.processes))
        .add("--");
    line.0
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.0.push(argument.as_ref().to_owned());
        self
    }

    fn all<const N: usize>(&mut self, arguments: [&str; N]) -> &mut Self {
        self.0.extend(arguments.iter().map(OsString::from));
        self
    }
}
