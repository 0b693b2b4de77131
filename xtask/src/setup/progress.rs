//! What people see: one line for each tool.

use std::io::Write;
use std::time::{Duration, Instant};

/// A line that is not finished: its tool is being installed.
pub struct Step {
    started: Instant,
    finished: bool,
}

/// Begins the line of a tool that is being installed, and says where it comes from.
pub fn begin(name: &str, version: &str, origin: &str) -> Step {
    eprint!("{} ... ", columns(name, version, origin));
    // Progress must be seen at once. If standard error is closed, there is nobody to see it.
    let _ = std::io::stderr().flush();
    Step {
        started: Instant::now(),
        finished: false,
    }
}

impl Step {
    /// Ends the line with the time that it took.
    pub fn done(mut self) {
        self.finished = true;
        eprintln!("{}", seconds(self.started.elapsed()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.finished {
            eprintln!("failed");
        }
    }
}

/// The line of a tool that needs no work.
pub fn found(name: &str, version: &str, origin: &str) {
    eprintln!("{}", columns(name, version, origin));
}

/// A line that belongs to no tool.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// A time for people, in seconds.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn columns(name: &str, version: &str, origin: &str) -> String {
    format!("  {name:<11} {version:<9} {origin}")
}
