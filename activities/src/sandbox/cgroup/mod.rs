//! Limits for all processes of a room together, by control groups: where this host lets us divide the group that we are in.
//! Elsewhere the limits of each process (rlimits) are what there is.
//!
//! | limit | version 2 | version 1 |
//! |---|---|---|
//! | memory, its `/tmp` included | `memory.max`, no swap, and all goes at once | `memory.limit_in_bytes` |
//! | processes and threads | `pids.max` | `pids.max` |
//! | CPU, against others | half a usual share: `cpu.weight` | `cpu.shares` |
//!
//! A group below our own never lifts a limit that our own has. With version 2 a group that has processes cannot be divided
//! (see `cgroups(7)`), so a service wants `Delegate=yes` and `DelegateSubgroup=` of systemd; root takes the top group.

mod layout;
#[cfg(test)]
mod tests;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use self::layout::Layout;
use super::Limits;

/// What the names of our groups begin with.
const PREFIX: &str = "sallyport-";

/// Why there are no groups for rooms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoCgroups(pub(super) String);

/// The place where groups for rooms are made.
#[derive(Clone, Debug)]
pub struct Cgroups {
    layout: Layout,
    left_over: Arc<Mutex<Vec<PathBuf>>>,
}

impl Cgroups {
    /// Finds it, and removes what workers left there that are gone.
    pub fn find() -> Result<Self, NoCgroups> {
        let read = |path: &str| {
            fs::read_to_string(path)
                .map_err(|error| NoCgroups(format!("{path} cannot be read: {error}")))
        };
        let (mounts, own) = (read("/proc/self/mounts")?, read("/proc/self/cgroup")?);
        let layout = Layout::find(&mounts, &own, super::runs_as_root())?;
        let cgroups = Self {
            layout,
            left_over: Arc::default(),
        };
        cgroups.remove_orphans();
        // Whether it really can be done shows only when it is.
        let probe = cgroups.make(&Limits::for_commands());
        probe.map_err(|error| NoCgroups(format!("no group can be made: {error}")))?;
        Ok(cgroups)
    }

    /// Makes a group with `limits`.
    pub(super) fn make(&self, limits: &Limits) -> io::Result<RoomGroup> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        self.remove_left_over();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let mut group = RoomGroup {
            folders: Vec::new(),
            memory_events: self.layout.memory_events(&name),
            left_over: Arc::clone(&self.left_over),
        };
        for folder in self.layout.folders(&name) {
            fs::create_dir(&folder).map_err(|error| at(&folder, &error))?;
            group.folders.push(folder);
        }
        for setting in self.layout.settings(&name, limits) {
            match fs::write(&setting.file, &setting.value) {
                // Not all kernels have all files.
                Err(error) if !setting.is_needed && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(&setting.file, &error)),
                Ok(()) => {}
            }
        }
        Ok(group)
    }

    fn remove_left_over(&self) {
        let mut left = self
            .left_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        left.retain(|folder| fs::remove_dir(folder).is_err() && folder.exists());
    }

    fn remove_orphans(&self) {
        let is_gone = |name: &str| {
            let owner = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split('-').next());
            let owner = owner.and_then(|pid| pid.parse::<u32>().ok());
            owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        };
        for folder in self.layout.parents() {
            let Ok(entries) = fs::read_dir(folder) else {
                continue;
            };
            for entry in entries.flatten() {
                if is_gone(&entry.file_name().to_string_lossy()) {
                    // A room that outlives its worker for a moment keeps it; the next start removes it.
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }
}

impl fmt::Display for Cgroups {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layout.fmt(formatter)
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// One room's group. Dropped, it goes, at once or when its last process has.
#[derive(Debug)]
pub(super) struct RoomGroup {
    folders: Vec<PathBuf>,
    memory_events: PathBuf,
    left_over: Arc<Mutex<Vec<PathBuf>>>,
}

impl RoomGroup {
    /// Puts a process into it, and with it all that it starts from now on. Answers whether the process is still there.
    pub(super) fn add(&self, pid: i32) -> io::Result<bool> {
        for folder in &self.folders {
            let file = folder.join("cgroup.procs");
            match fs::write(&file, pid.to_string()) {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
                Err(error) => return Err(at(&file, &error)),
                Ok(()) => {}
            }
        }
        Ok(true)
    }

    /// Whether the kernel killed one of its processes because the group's memory ran out.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(&self.memory_events).unwrap_or_default();
        events
            .lines()
            .filter_map(|line| line.strip_prefix("oom_kill "))
            .any(|count| count.trim() != "0")
    }
}

impl Drop for RoomGroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            if fs::remove_dir(folder).is_err() {
                let mut left = self
                    .left_over
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                left.push(folder.clone());
            }
        }
    }
}
