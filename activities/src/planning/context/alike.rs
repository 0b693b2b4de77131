//! Earlier tickets of the repository that are like the new one.

use super::{Part, report::tokens};
use crate::planning::earlier::Earlier;

/// Shows as many of them as `budget` tokens hold, the most alike first.
pub(super) fn alike(earlier: &[Earlier], budget: u64) -> Part {
    let mut part = Part::new("Earlier tickets that are alike");
    let mut left = budget;
    for Earlier { what, why, text } in earlier {
        let needed = tokens(text);
        if needed > left {
            part.leave_out(format!("{what}: no room was left"));
            continue;
        }
        left -= needed;
        part.show(what, why, text.clone());
    }
    part
}
