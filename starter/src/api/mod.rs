//! The API: what the `sallyport` command and other clients call. Every route but `/health` and the webhooks needs a
//! bearer token.

pub mod agent;
pub mod approvals;
pub mod auth;
pub mod commands;
pub mod document;
pub mod error;
pub mod health;
pub mod input;
pub mod lists;
pub mod live;
pub mod metrics;
pub mod problem;
pub mod reports;
pub mod timeline;
pub mod types;
pub mod workflows;
