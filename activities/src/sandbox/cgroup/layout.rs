//! Where control groups are on this host, and what their files are called; see `cgroups(7)`.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{super::Limits, NoCgroups};

/// The controllers without which a group would limit nothing.
const NEEDED: [&str; 2] = ["memory", "pids"];

/// Of a usual share of the CPU, which is 100 in version 2 and 1024 in version 1, what a room gets where there is not enough.
const WEIGHT: u64 = 50;
const SHARES: u64 = 512;

/// Where groups can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One tree, and the group in it that can be divided.
    V2 { parent: PathBuf, has_cpu: bool },
    /// A tree for each controller, and our own group in each.
    V1 {
        memory: PathBuf,
        pids: PathBuf,
        cpu: Option<PathBuf>,
    },
}

/// What is written to a file of a group.
pub(super) struct Setting {
    pub(super) file: PathBuf,
    pub(super) value: String,
    /// Whether a kernel without it is no kernel for us.
    pub(super) is_needed: bool,
}

impl Layout {
    /// Finds it in the texts of `/proc/self/mounts` and `/proc/self/cgroup`.
    pub(super) fn find(mounts: &str, own: &str, is_root: bool) -> Result<Self, NoCgroups> {
        let v1 = |controller: &str| {
            let mount = mount_of(mounts, "cgroup", Some(controller))?;
            let path = own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                controllers
                    .split(',')
                    .any(|name| name == controller)
                    .then_some(path)
            })?;
            Some(below(&mount, path))
        };
        if let (Some(memory), Some(pids)) = (v1("memory"), v1("pids")) {
            let cpu = v1("cpu");
            return Ok(Self::V1 { memory, pids, cpu });
        }
        let Some(mount) = mount_of(mounts, "cgroup2", None) else {
            return Err(NoCgroups("none are mounted".to_owned()));
        };
        let path = own
            .lines()
            .find_map(|line| line.strip_prefix("0::"))
            .unwrap_or("/");
        let group = below(&mount, path);
        let mut candidates = vec![group.clone()];
        // A service's process may stand in a group of its own below the one that is the service's to divide.
        candidates.extend(
            group
                .parent()
                .filter(|parent| parent.starts_with(&mount))
                .map(Path::to_owned),
        );
        if is_root {
            candidates.push(mount);
        }
        candidates.dedup();
        let mut problem = String::new();
        for parent in candidates {
            match divide(&parent) {
                Ok(controllers) => {
                    let has_cpu = controllers.iter().any(|name| name == "cpu");
                    return Ok(Self::V2 { parent, has_cpu });
                }
                Err(why) => problem = why,
            }
        }
        Err(NoCgroups(problem))
    }

    /// The folders of the group `name`.
    pub(super) fn folders(&self, name: &str) -> Vec<PathBuf> {
        self.parents().map(|parent| parent.join(name)).collect()
    }

    /// The folders in which groups are made.
    pub(super) fn parents(&self) -> impl Iterator<Item = &PathBuf> {
        let all = match self {
            Self::V2 { parent, .. } => [Some(parent), None, None],
            Self::V1 { memory, pids, cpu } => [Some(memory), Some(pids), cpu.as_ref()],
        };
        all.into_iter().flatten()
    }

    /// The file that counts what the kernel killed in the group `name`.
    pub(super) fn memory_events(&self, name: &str) -> PathBuf {
        match self {
            Self::V2 { parent, .. } => parent.join(name).join("memory.events"),
            Self::V1 { memory, .. } => memory.join(name).join("memory.oom_control"),
        }
    }

    /// What makes the group `name` keep `limits`.
    pub(super) fn settings(&self, name: &str, limits: &Limits) -> Vec<Setting> {
        let (bytes, processes) = (
            limits.room_memory_bytes.to_string(),
            limits.processes.to_string(),
        );
        let needed = |parent: &Path, file: &str, value: &str| Setting {
            file: parent.join(name).join(file),
            value: value.to_owned(),
            is_needed: true,
        };
        let wanted = |parent: &Path, file: &str, value: &str| Setting {
            is_needed: false,
            ..needed(parent, file, value)
        };
        match self {
            Self::V2 { parent, has_cpu } => {
                let mut settings = vec![
                    needed(parent, "memory.max", &bytes),
                    wanted(parent, "memory.swap.max", "0"),
                    wanted(parent, "memory.oom.group", "1"),
                    needed(parent, "pids.max", &processes),
                ];
                if *has_cpu {
                    settings.push(wanted(parent, "cpu.weight", &WEIGHT.to_string()));
                }
                settings
            }
            Self::V1 { memory, pids, cpu } => {
                let mut settings = vec![
                    needed(memory, "memory.limit_in_bytes", &bytes),
                    wanted(memory, "memory.memsw.limit_in_bytes", &bytes),
                    needed(pids, "pids.max", &processes),
                ];
                if let Some(cpu) = cpu {
                    settings.push(wanted(cpu, "cpu.shares", &SHARES.to_string()));
                }
                settings
            }
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, has_cpu) = match self {
            Self::V2 { has_cpu, .. } => (2, *has_cpu),
            Self::V1 { cpu, .. } => (1, cpu.is_some()),
        };
        let cpu = if has_cpu { ", CPU" } else { "" };
        write!(
            formatter,
            "version {version}: memory, processes{cpu} of a room together"
        )
    }
}

/// Has the group at `parent` hand its controllers down. Answers which.
fn divide(parent: &Path) -> Result<Vec<String>, String> {
    let words = |file: &str| -> Result<Vec<String>, String> {
        let path = parent.join(file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    let offered = words("cgroup.controllers")?;
    if let Some(missing) = NEEDED
        .iter()
        .find(|name| !offered.iter().any(|offered| offered == *name))
    {
        return Err(format!(
            "{} has no controller `{missing}`",
            parent.display()
        ));
    }
    let control = parent.join("cgroup.subtree_control");
    let wanted: Vec<&String> = offered
        .iter()
        .filter(|name| NEEDED.contains(&name.as_str()) || *name == "cpu")
        .collect();
    let handed_down = words("cgroup.subtree_control")?;
    if !wanted.iter().all(|name| handed_down.contains(name)) {
        let all: Vec<String> = wanted.iter().map(|name| format!("+{name}")).collect();
        fs::write(&control, all.join(" ")).map_err(|error| {
            format!(
                "{} cannot be divided, since it has processes or is not ours: {error}",
                parent.display()
            )
        })?;
    }
    Ok(wanted.into_iter().cloned().collect())
}

/// Where a tree is mounted: of `kind`, and with `option`, such as a controller's name.
fn mount_of(mounts: &str, kind: &str, option: Option<&str>) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (folder, found, options) = (words.next()?, words.next()?, words.next()?);
        let fits = option.is_none_or(|option| options.split(',').any(|name| name == option));
        (found == kind && fits).then(|| PathBuf::from(folder))
    })
}

/// The group at `path` of the tree at `mount`; its top where the path leads elsewhere, as in a namespace of its own.
fn below(mount: &Path, path: &str) -> PathBuf {
    let group = mount.join(path.trim_start_matches('/'));
    match group.is_dir() && !path.contains("..") {
        true => group,
        false => mount.to_owned(),
    }
}
