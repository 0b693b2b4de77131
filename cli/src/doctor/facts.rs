//! What is so on this machine. Nothing is judged here, and nothing is changed but temporary folders.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sallyport_activities::{
    sandbox::{self, EngineConfig, EngineName, ROOM_UID, Sandbox, cgroup::Cgroups},
    tools::{PI_CLI, Tools, ToolsError},
};

use super::distribution::Distribution;
use crate::reach;

/// What is so on a machine.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who we are.
    pub uid: u32,
    /// Who rooms run as.
    pub room_uid: u32,
    /// Which Linux.
    pub distribution: Distribution,
    /// What the kernel says of user namespaces.
    pub kernel: Kernel,
    /// The programs that rooms need.
    pub programs: Vec<Program>,
    /// Where bubblewrap is.
    pub bwrap: Option<PathBuf>,
    /// Which engine is configured.
    pub engine: EngineName,
    /// Whether it makes rooms.
    pub rooms: Probe,
    /// What a room's control group limits, or why it has none.
    pub cgroups: Result<String, String>,
    /// The list of tools.
    pub manifest: PathBuf,
    /// The tools in it, or why it cannot be read.
    pub tools: Result<Vec<Tool>, String>,
    /// The data folder's disk.
    pub disk: Disk,
}

/// The kernel's settings for user namespaces, as they stand in `/proc/sys`; nothing where it has no such setting.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// `/proc/sys/kernel/osrelease`.
    pub release: String,
    /// `kernel.unprivileged_userns_clone`: Debian's switch.
    pub unprivileged_userns_clone: Option<String>,
    /// `kernel.apparmor_restrict_unprivileged_userns`: Ubuntu's.
    pub apparmor_restrict_unprivileged_userns: Option<String>,
    /// `user.max_user_namespaces`: how many there may be.
    pub max_user_namespaces: Option<String>,
    /// A profile that comes with newer Ubuntus: lets bubblewrap make a room, and nothing in it a further one.
    pub bwrap_userns_restrict: bool,
}

/// A program that rooms need.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// The package that has it.
    pub package: &'static str,
    /// Whether it is there.
    pub found: bool,
}

/// What came of making a room.
#[derive(Clone, Debug)]
pub enum Probe {
    /// It is sealed, and starts rooms within.
    Works,
    /// It could not be made, or is not as it should be.
    Fails(String),
    /// It was not tried, because something is missing.
    NotTried(String),
}

/// One of the pinned tools.
#[derive(Clone, Debug)]
pub struct Tool {
    /// As a person calls it.
    pub name: &'static str,
    /// Where it should be.
    pub path: PathBuf,
    /// Whether it is there.
    pub found: bool,
}

/// The data folder's disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The data folder, which need not be there.
    pub folder: PathBuf,
    /// How much may still be written, in bytes; nothing if the system does not say.
    pub free: Option<u64>,
}

/// Looks at this machine.
pub async fn gather(
    manifest: &Path,
    data_dir: &Path,
    engine: &EngineConfig,
) -> anyhow::Result<Facts> {
    let uid = rustix::process::geteuid().as_raw();
    let listed = Tools::load(manifest);
    let mut programs = vec![
        program("git", "git"),
        program("bwrap", "bubblewrap"),
        program("prlimit", "util-linux"),
        program("choom", "util-linux"),
    ];
    if uid == 0 {
        programs.push(program("setpriv", "util-linux"));
    }
    let bwrap = match &listed {
        Ok(tools) => Some(tools.bwrap.clone()),
        Err(_) => sandbox::system_program("bwrap"),
    };
    Ok(Facts {
        uid,
        room_uid: if uid == 0 { ROOM_UID } else { uid },
        distribution: Distribution::here(uid == 0),
        kernel: kernel(),
        engine: engine.engine,
        rooms: try_rooms(listed.as_ref().ok(), bwrap.as_deref(), data_dir, engine).await?,
        bwrap,
        programs,
        cgroups: Cgroups::find()
            .map(|cgroups| cgroups.to_string())
            .map_err(|reason| reason.to_string()),
        tools: tools(manifest, listed),
        manifest: manifest.to_owned(),
        disk: Disk {
            folder: data_dir.to_owned(),
            free: free(data_dir),
        },
    })
}

fn program(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        found: sandbox::system_program(name).is_some(),
    }
}

fn setting(name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    Some(text.trim().to_owned())
}

fn kernel() -> Kernel {
    Kernel {
        release: setting("kernel/osrelease").unwrap_or_default(),
        unprivileged_userns_clone: setting("kernel/unprivileged_userns_clone"),
        apparmor_restrict_unprivileged_userns: setting(
            "kernel/apparmor_restrict_unprivileged_userns",
        ),
        max_user_namespaces: setting("user/max_user_namespaces"),
        bwrap_userns_restrict: Path::new("/etc/apparmor.d/bwrap-userns-restrict").exists()
            && !Path::new("/etc/apparmor.d/disable/bwrap-userns-restrict").exists(),
    }
}

/// Makes a room as a worker would. Without the list of tools it is made without Node, which says as much of the kernel.
async fn try_rooms(
    listed: Option<&Tools>,
    bwrap: Option<&Path>,
    data_dir: &Path,
    engine: &EngineConfig,
) -> anyhow::Result<Probe> {
    let bwrap = match (bwrap, engine.engine) {
        (Some(bwrap), _) => bwrap,
        (None, EngineName::Docker) => Path::new(""),
        (None, EngineName::Bubblewrap) => {
            return Ok(Probe::NotTried("bubblewrap is not on this machine".into()));
        }
    };
    let folder = probe_folder(data_dir)?;
    let tools = match listed {
        Some(tools) => tools.clone(),
        None => {
            let empty = folder.path().join("no-node");
            fs::create_dir(&empty).context("cannot make a temporary folder")?;
            Tools {
                bwrap: bwrap.to_owned(),
                node_prefix: empty,
                temporal: PathBuf::new(),
                postgres_bin_dir: PathBuf::new(),
                pi_modules: PathBuf::new(),
            }
        }
    };
    let tried = async {
        let sandbox = Sandbox::open_with(&tools, &folder.path().join("kit"), engine)?;
        match listed {
            Some(_) => sandbox::preflight(&sandbox, folder.path()).await,
            None => sandbox::preflight_without_node(&sandbox, folder.path()).await,
        }
    };
    Ok(match tried.await {
        Ok(()) => Probe::Works,
        Err(error) => Probe::Fails(error.to_string()),
    })
}

/// A folder that the room's user can pass, gone when it is dropped: where the workspaces are, if they are anywhere yet.
fn probe_folder(data_dir: &Path) -> anyhow::Result<tempfile::TempDir> {
    let usable = data_dir
        .canonicalize()
        .is_ok_and(|folder| reach::passable(&folder));
    let made = if usable {
        tempfile::tempdir_in(data_dir).or_else(|_| tempfile::tempdir())
    } else {
        tempfile::tempdir()
    };
    let folder = made.context("cannot make a temporary folder")?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
        .context("cannot open a temporary folder to the room's user")?;
    Ok(folder)
}

fn tools(manifest: &Path, listed: Result<Tools, ToolsError>) -> Result<Vec<Tool>, String> {
    // One that is missing makes the list unusable for others, but here all are wanted.
    let tools = match listed {
        Ok(tools) => tools,
        Err(ToolsError::Missing { .. }) => fs::read(manifest)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()))?,
        Err(error) => return Err(error.to_string()),
    };
    let tool = |name, path: PathBuf| Tool {
        name,
        found: path.exists(),
        path,
    };
    Ok(vec![
        tool("Postgres", tools.postgres_bin_dir.join("postgres")),
        tool("Node", tools.node()),
        tool("Pi", tools.pi_modules.join(PI_CLI)),
        tool("Temporal", tools.temporal),
    ])
}

/// How much may be written where `folder` is, or will be.
fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
