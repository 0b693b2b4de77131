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
//! | what refers to them, and how the rest is removed | [`garbage`] |
//! | events from outside, before and after they become workflows | [`inbox`]; for operators: [`inbox_admin`] |
//! | what an event of Flux Lens says, and how far its list of events was read | [`flux_lens`], [`reconciliation`] |
//! | tickets, and lists of them and of open gates | [`workflows`], [`lists`] |
//! | the audit log as people read it | [`transitions`], [`approvals`], [`decisions`], [`commands`] |
//! | the same, chained and sealed, so that a change shows | [`audit`] |
//! | what live streams show | [`feed`] |
//! | what people are to be told | [`notifications`] |
//! | which host holds a ticket's workspace, and what another needs to go on | [`hosts`], [`checkpoints`] |
//! | what models cost today, all workers together | [`model_spending`] |
//! | what planner, agent and QA did | [`planner_responses`], [`planner_calls`], [`agent_logs`], [`transcripts`], [`qa_results`] |
//! | how planners do, and what they can learn from | [`model_report`], [`earlier_tickets`] |
//! | what leaves the ledger after a while | [`retention`] |
//! | who vouches for a decision | [`proof`] |
//! | who may use the API | [`tokens`] |
//! | pull requests of the local forge | [`pull_requests`] |
//!
//! The SQL is checked against the schema when this crate is compiled, with the facts in `.sqlx/`. After a change of a
//! query or a migration, `cargo xtask generate` writes them anew.

pub mod agent_logs;
pub mod approvals;
pub mod audit;
pub mod checkpoints;
pub mod commands;
pub mod config;
pub mod costs;
pub mod database;
pub mod decisions;
pub mod earlier_tickets;
pub mod feed;
pub mod flux_lens;
pub mod garbage;
pub mod history_exports;
pub mod hosts;
pub mod inbox;
pub mod inbox_admin;
pub mod json;
pub mod lists;
pub mod model_report;
pub mod model_spending;
pub mod notifications;
pub mod objects;
pub mod planner_calls;
pub mod planner_responses;
pub mod proof;
pub mod pull_requests;
pub mod qa_results;
pub mod reconciliation;
pub mod retention;
pub mod secret;
pub mod spec_revisions;
pub mod tokens;
pub mod transcripts;
pub mod transitions;
pub mod workflows;

mod convert;
mod error;

pub use database::{ConnectError, Database};
pub use error::LedgerError;
pub use objects::{ObjectError, Objects};
