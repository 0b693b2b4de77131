//! The outside world for Sallyport's tests and its demo: a ticket system, a model vendor and a repository that behave
//! like the real ones, on real sockets and real files.
//!
//! Everything here is written from the parties' published contracts, and uses nothing of Sallyport's own
//! implementation, so that a mistake there can't hide here.

pub mod api;
pub mod attack;
pub mod chaos;
pub mod child;
pub mod demo_repository;
pub mod demo_scenario;
pub mod flux_lens;
pub mod full_story;
pub mod installation;
pub mod npm_registry;
pub mod postgres;
pub mod proxy;
pub mod s3;
pub mod scripted_model;
pub mod temporal;
pub mod tools;

mod local_server;
mod waiting;
