//! What holds a room to each of its limits.

use sallyport_activities::sandbox::Limits;
use sallyport_workflows::text::{grouped, seconds};

use super::report::Limit;

/// The limits of a shell command's or a gate's container.
pub fn of_docker() -> Vec<Limit> {
    let mut limits = of_bubblewrap(true);
    for limit in &mut limits {
        limit.kept_by = match limit.kept_by {
            "control group" | "control group, and rlimit (NPROC)" => {
                "Docker's engine, by a control group"
            }
            other => other,
        };
    }
    limits
}

/// The limits of a shell command's or a gate's room, on a host that has control groups for rooms or has not.
pub fn of_bubblewrap(has_cgroups: bool) -> Vec<Limit> {
    let limits = Limits::for_commands();
    let limit = |of, allowed: String, kept_by| Limit {
        of,
        allowed,
        kept_by,
    };

    vec![
        limit(
            "wall time",
            "as the ticket's policy says".to_owned(),
            "the worker, which ends the room",
        ),
        limit(
            "CPU time",
            format!("{} each process", seconds(limits.cpu_seconds)),
            "rlimit (CPU)",
        ),
        limit(
            "memory",
            format!("{} each process", mebibytes(limits.memory_bytes)),
            "rlimit (DATA)",
        ),
        match has_cgroups {
            true => limit(
                "memory",
                format!("{} in the room", mebibytes(limits.room_memory_bytes)),
                "control group",
            ),
            false => limit("memory", "any in the room".to_owned(), "no control group"),
        },
        limit(
            "processes",
            format!("{} in the room", limits.processes),
            match has_cgroups {
                true => "control group, and rlimit (NPROC)",
                false => "rlimit (NPROC), counted in the room's user namespace",
            },
        ),
        limit(
            "open files",
            format!("{} each process", grouped(limits.open_files)),
            "rlimit (NOFILE)",
        ),
        limit(
            "size of a file",
            mebibytes(limits.file_bytes),
            "rlimit (FSIZE)",
        ),
        limit("/tmp", mebibytes(limits.tmp_bytes), "the size of its tmpfs"),
        limit(
            "workspace",
            format!(
                "{}, {} files",
                mebibytes(limits.workspace_bytes),
                grouped(limits.workspace_entries)
            ),
            "the worker, which measures every 2 seconds",
        ),
        limit(
            "output",
            "its beginning and its end".to_owned(),
            "the worker, which reads and forgets the rest",
        ),
    ]
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", grouped(bytes >> 20))
}
