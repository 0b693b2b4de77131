//! The starter: where events come in and people's requests are answered. It checks, writes down, and starts or asks
//! Temporal's workflows; it decides nothing itself.
//!
//! | to find | look in |
//! | --- | --- |
//! | the HTTP server and all its routes | [`server`] |
//! | webhooks: signature, size, parsing | [`webhooks`] |
//! | how an event becomes a workflow | [`dispatcher`] |
//! | when the audit log is sealed | [`sealer`] |
//! | the API, its types and its errors | [`api`] |
//! | who may do what | [`api::auth`] |
//! | how a decision reaches the workflow | [`decide`] |
//! | how a command (retry, cancel, ...) reaches it | [`command`] |
//! | what live streams show | [`feed`] |
//! | everything that speaks to Temporal | [`temporal`] |
//! | every sentence that the API says | [`text`] |
//!
//! A webhook that was answered 200 is never lost: its event is on disk before the answer. A starter keeps nothing in
//! memory that another one would miss, so any number of them may run.

pub mod api;
pub mod command;
pub mod config;
pub mod decide;
pub mod dispatcher;
pub mod feed;
pub mod openapi;
pub mod sealer;
pub mod server;
pub mod state;
pub mod temporal;
pub mod text;
pub mod webhooks;

pub use config::StarterConfig;
pub use server::serve;
pub use state::{StarterParts, StarterState};
