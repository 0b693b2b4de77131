//! The activities that a ticket's workflow calls: declared here with their time-outs and retry policies, implemented in
//! the crate `sallyport-activities`.
//!
//! Every input that writes something carries a [`StepKey`]: the idempotency key. Inputs and outputs stay below 2 KiB;
//! what is larger goes through object storage as an [`crate::ObjectRef`].

mod forge;
mod ledger;
mod maintenance;
mod planning;
mod tickets;
mod timing;
mod workspace;

pub use forge::*;
pub use ledger::*;
pub use maintenance::*;
pub use planning::*;
pub use tickets::*;
pub use timing::Timing;
pub use workspace::*;

use serde::{Deserialize, Serialize};

use crate::ticket::TicketKey;

/// The idempotency key of one step: the workflow, and a number that the workflow counts up in its own state (activity
/// ids start again after continue-as-new).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// Which attempt at which ticket.
    pub ticket: TicketKey,
    /// The step's number, from 1.
    pub sequence: u64,
}

impl std::fmt::Display for StepKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.ticket, self.sequence)
    }
}

/// The declarations as types, for `#[activity(definition = ...)]`.
pub mod definitions {
    pub use super::{
        forge::definitions::*, ledger::definitions::*, maintenance::definitions::*,
        planning::definitions::*, tickets::definitions::*, workspace::definitions::*,
    };
}
