//! Times of the same thing, and what to say of them.

use std::time::Duration;

/// The times that something took.
#[derive(Debug, Default)]
pub struct Series(Vec<Duration>);

impl Series {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Median, least, and what 95 of 100 do not exceed, in milliseconds, as cells of a table.
    pub fn cells(&self) -> String {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = |percent: usize| {
            let place = (sorted.len().saturating_sub(1)) * percent / 100;
            let time = sorted.get(place).copied().unwrap_or_default();
            format!("{:.1}", time.as_secs_f64() * 1000.0)
        };
        format!("{:>9} {:>9} {:>9}", at(50), at(0), at(95))
    }
}
