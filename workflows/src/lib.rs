//! The contract of Sallyport: what a ticket, a SPEC, a gate, a decision and a state are, which activities exist with
//! their time-outs and retry policies, and [`workflow::TicketWorkflow`], the life of one attempt at a ticket.
//!
//! Everything here is pure: no clock, no randomness, no environment, no I/O. `clippy.toml` beside this crate's
//! manifest refuses what would make a workflow diverge on replay.
//!
//! | to find | look in |
//! | --- | --- |
//! | the states and which may follow which | [`state`] |
//! | the input of a ticket's workflow, and its id | [`ticket`] |
//! | what a gate asks and what answers it | [`gate`], [`decision`], [`revision`] |
//! | what else people may do to a ticket | [`command`] |
//! | limits and deadlines | [`policy`] |
//! | the activities, their inputs and outputs | [`activities`] |
//! | the stages of a ticket's life | [`workflow`] |
//! | what an installation does beside its tickets | [`maintenance`] |

pub mod activities;
pub mod command;
pub mod decision;
pub mod failure;
pub mod gate;
pub mod maintenance;
pub mod object_ref;
pub mod policy;
pub mod pull_request;
pub mod questions;
pub mod revision;
pub mod scope;
pub mod search_attributes;
pub mod spec;
pub mod state;
pub mod state_diagram;
pub mod status;
pub mod text;
pub mod ticket;
pub mod usage;
pub mod workflow;

pub use maintenance::MaintenanceWorkflow;
pub use object_ref::ObjectRef;
pub use state::State;
pub use workflow::TicketWorkflow;

/// The task queue that workflows and all activities that need no particular host are on.
pub const TASK_QUEUE: &str = "sallyport";

/// The task queue of one worker host: steps that need the workspace on that host's disk go there.
pub fn host_task_queue(host_id: &str) -> String {
    format!("sallyport-host-{host_id}")
}
