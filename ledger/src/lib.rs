//! Everything that Sallyport writes down and reads again: Postgres through sqlx's checked queries, and object storage.
//!
//! The workflow is the truth about a ticket; what stands here is the audit log, the inbox, and copies made for reading.
//! Every function that writes is idempotent and says by which key. Errors are typed: [`LedgerError`], [`ObjectError`].
//!
//! | to find | look in |
//! | --- | --- |
//! | sections of the configuration that several parts read, and secrets | [`config`], [`secret`] |
//! | the connection, time-outs and the schema | [`database`], and `migrations/` at the top of the repository |
//! | large texts by their hash | [`objects`] |
//! | events from outside, before and after they become workflows | [`inbox`] |
//! | lists of tickets | [`workflows`] |
//! | the audit log | [`transitions`], [`approvals`], [`decisions`], [`commands`] |
//! | what people are to be told | [`notifications`] |
//! | what agent and QA did | [`agent_logs`], [`qa_results`] |
//! | who vouches for a decision | [`proof`] |
//! | pull requests of the local forge | [`pull_requests`] |
//!
//! The SQL is checked against the schema when this crate is compiled, with the facts in `.sqlx/`. After a change of a
//! query or a migration, `cargo xtask generate` writes them anew.

pub mod agent_logs;
pub mod approvals;
pub mod commands;
pub mod config;
pub mod database;
pub mod decisions;
pub mod inbox;
pub mod notifications;
pub mod objects;
pub mod proof;
pub mod pull_requests;
pub mod qa_results;
pub mod secret;
pub mod transitions;
pub mod workflows;

mod convert;
mod error;

pub use database::{ConnectError, Database};
pub use error::LedgerError;
pub use objects::{ObjectError, Objects};
