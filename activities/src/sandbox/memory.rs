//! Whether the kernel killed programs because memory ran out.
//!
//! A room's processes are the first to go then (`choom`), bubblewrap's own among them, so that a room may end without a
//! word. The kernel counts such kills for the whole machine and does not say whom it killed. So the count alone proves
//! nothing; together with an end by `SIGKILL` that was not ours it does.

use std::{fs, path::Path};

/// Where the kernel counts.
pub(super) const COUNTERS: &str = "/proc/vmstat";

/// How often the kernel has killed a program for its memory since the machine started; nothing if it does not say.
pub(super) fn kills(counters: &Path) -> Option<u64> {
    fs::read_to_string(counters)
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_counts() {
        assert!(kills(Path::new(COUNTERS)).is_some());
        assert_eq!(kills(Path::new("/nowhere")), None);
    }
}
