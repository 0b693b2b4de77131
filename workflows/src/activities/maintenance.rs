//! The activities that look after an installation, one for each task of [`crate::maintenance`].

#![expect(
    missing_docs,
    reason = "the marker structs that the macro makes carry no documentation"
)]

use temporalio_macros::activity_definitions;
use temporalio_sdk::activities::ActivityError;

use super::Timing;
use crate::maintenance::{MaintenanceInput, MaintenanceReport};

/// Any of them: hours where there is much to do, dead after a minute without a heartbeat. Three tries; the next run of
/// the schedule is the fourth.
pub const MAINTENANCE: Timing = Timing::seconds(6 * 60 * 60).heartbeat(60);

/// Declarations of the activities that look after an installation. Each can be run at any time and any number of times:
/// it does what is still to be done.
pub struct MaintenanceActivities;

#[activity_definitions]
impl MaintenanceActivities {
    /// Removes objects that nothing refers to.
    #[activity(name = "collect_garbage")]
    pub fn collect_garbage(input: MaintenanceInput) -> Result<MaintenanceReport, ActivityError> {
        unimplemented!()
    }

    /// Archives and removes what the ledger has kept long enough.
    #[activity(name = "retain")]
    pub fn retain(input: MaintenanceInput) -> Result<MaintenanceReport, ActivityError> {
        unimplemented!()
    }

    /// Removes the workspaces of tickets that ended long enough ago, on the host whose queue it is on.
    #[activity(name = "remove_workspaces")]
    pub fn remove_workspaces(input: MaintenanceInput) -> Result<MaintenanceReport, ActivityError> {
        unimplemented!()
    }

    /// Writes into the inbox what the ticket systems list and the inbox does not have.
    #[activity(name = "reconcile")]
    pub fn reconcile(input: MaintenanceInput) -> Result<MaintenanceReport, ActivityError> {
        unimplemented!()
    }

    /// Copies the histories of closed runs to object storage, before Temporal forgets them.
    #[activity(name = "export_histories")]
    pub fn export_histories(input: MaintenanceInput) -> Result<MaintenanceReport, ActivityError> {
        unimplemented!()
    }
}

pub(super) mod definitions {
    pub use super::maintenance_activities::*;
}
