//! What a container is made of, so that it is the room that bubblewrap would make.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount as Bind, MountType,
    ResourcesUlimits,
};

use super::{
    super::{
        KIT, Layer, NODE, ROOM_UID, Room, Sandbox, SandboxError, WORKSPACE,
        room::{Mount, SYSTEM_FOLDERS, usual_environment},
        runs_as_root,
    },
    LABEL,
    lifeline::{self, Lifeline},
    profile,
};
use crate::walls::{Wall, stands};

/// Docker's own list of what is hidden in `/proc`, and all of `/sys`.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys",
];

/// Docker's own list of what may only be read in `/proc`.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// How much of the CPU a room gets where there is not enough: half of the usual 1024.
const CPU_SHARES: i64 = 512;

/// The container for `room`, in which `program` runs.
pub(super) fn body(
    sandbox: &Sandbox,
    room: &Room,
    (image, lifeline): (&str, &Lifeline),
    program: &[&str],
) -> Result<ContainerCreateBody, SandboxError> {
    let limits = room.limits();
    let user = if runs_as_root() {
        format!("{ROOM_UID}:{ROOM_UID}")
    } else {
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        format!("{}:{}", uid.as_raw(), gid.as_raw())
    };
    let (uid, gid) = user.split_once(':').unwrap_or((&user, &user));
    let mut memory = HashMap::from([
        (
            "/tmp".to_owned(),
            format!("rw,exec,nosuid,nodev,mode=1777,size={}", limits.tmp_bytes),
        ),
        (
            "/home/agent".to_owned(),
            format!("rw,exec,nosuid,nodev,mode=0755,uid={uid},gid={gid},size=67108864"),
        ),
    ]);
    let mut mounts = system(sandbox)?;
    mounts.push(bind(lifeline.path(), Path::new(lifeline::IN_ROOM), true)?);
    mounts.push(bind(room.workspace(), Path::new(WORKSPACE), false)?);
    for mount in room.mounts() {
        match mount {
            Mount::ReadOnly { source, target } => mounts.push(bind(source, target, true)?),
            Mount::Writable { source, target } => mounts.push(bind(source, target, false)?),
            Mount::Memory { target, bytes } => {
                let options =
                    format!("rw,exec,nosuid,nodev,mode=0755,uid={uid},gid={gid},size={bytes}");
                memory.insert(text(target)?, options);
            }
        }
    }
    if room.layer() == Layer::Agent {
        mounts.push(bind(sandbox.kit(), Path::new(KIT), true)?);
    }
    let mut environment: Vec<(String, String)> = usual_environment();
    for (name, value) in room.environment() {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        environment.retain(|(known, _)| *known != name);
        environment.push((name.into_owned(), value.into_owned()));
    }
    let mut command = ["/bin/bash", "-c", lifeline::SCRIPT, "room"]
        .map(str::to_owned)
        .to_vec();
    command.extend(program.iter().map(|word| (*word).to_owned()));
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut security = vec!["no-new-privileges:true".to_owned()];
    if stands(Wall::SystemCalls) {
        security.push(format!("seccomp={}", profile::json()));
    } else {
        security.push("seccomp=unconfined".to_owned());
    }
    let ulimit = |name: &str, limit: u64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(bytes(limit)),
        hard: Some(bytes(limit)),
    };
    let host = HostConfig {
        mounts: Some(mounts),
        tmpfs: Some(memory),
        shm_size: Some(64 << 20),
        readonly_rootfs: Some(true),
        // Also in a trial without this wall: the engine is not in the trial's network namespace.
        network_mode: Some("none".to_owned()),
        ipc_mode: Some("private".to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(security),
        masked_paths: Some(MASKED.map(str::to_owned).to_vec()),
        readonly_paths: Some(READ_ONLY.map(str::to_owned).to_vec()),
        memory: Some(bytes(limits.room_memory_bytes)),
        memory_swap: Some(bytes(limits.room_memory_bytes)),
        // The script, what it waits for, and the program's own.
        pids_limit: Some(bytes(limits.processes) + 2),
        cpu_shares: Some(CPU_SHARES),
        oom_score_adj: Some(1000),
        ulimits: Some(vec![
            ulimit("core", 0),
            ulimit("cpu", limits.cpu_seconds),
            ulimit("nofile", limits.open_files),
            ulimit("fsize", limits.file_bytes),
            ulimit("data", limits.memory_bytes),
        ]),
        // What a room says is ours to keep, and not the engine's.
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        ..HostConfig::default()
    };
    Ok(ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some("room".to_owned()),
        user: Some(user),
        cmd: Some(command),
        env: Some(
            environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        working_dir: Some(WORKSPACE.to_owned()),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        labels: Some(HashMap::from([(LABEL.to_owned(), text(sandbox.kit())?)])),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    })
}

/// What every room has of the host.
fn system(sandbox: &Sandbox) -> Result<Vec<Bind>, SandboxError> {
    let mut mounts = vec![
        bind(Path::new("/usr"), Path::new("/usr"), true)?,
        bind(&sandbox.tools().node_prefix, Path::new(NODE), true)?,
    ];
    for name in SYSTEM_FOLDERS {
        let path = Path::new(name);
        // A link into /usr is in the image; a folder, as old distributions have it, is mounted.
        if path.is_dir() && !path.is_symlink() {
            mounts.push(bind(path, path, true)?);
        }
    }
    for name in ["/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime"] {
        if let Ok(source) = Path::new(name).canonicalize() {
            mounts.push(bind(&source, Path::new(name), true)?);
        }
    }
    for name in [
        "passwd",
        "group",
        "hosts",
        "nsswitch.conf",
        "resolv.conf",
        "hostname",
    ] {
        let source = sandbox.kit().join("etc").join(name);
        mounts.push(bind(&source, Path::new(&format!("/etc/{name}")), true)?);
    }
    Ok(mounts)
}

fn bind(source: &Path, target: &Path, read_only: bool) -> Result<Bind, SandboxError> {
    Ok(Bind {
        typ: Some(MountType::BIND),
        source: Some(text(source)?),
        target: Some(text(target)?),
        read_only: Some(read_only),
        ..Bind::default()
    })
}

/// A path as the API takes it.
fn text(path: &Path) -> Result<String, SandboxError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| SandboxError::Setup {
            reason: format!(
                "{} is not UTF-8, and Docker's API takes nothing else",
                path.display()
            ),
        })
}
