//! Lives that take the rows of the table which chance takes too seldom.

use crate::chance::Life;

/// All of them.
pub fn lives() -> Vec<Life> {
    Vec::new()
}
