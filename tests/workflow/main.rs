//! `TicketWorkflow` on a real Temporal server. The activities are scripted: what is tested is the ticket's life, its
//! gates and its deadlines at their real length (the dev server skips time when asked).

mod base;
mod calendar;
mod commands;
mod deadlines;
mod endings;
mod gates;
mod harness;
mod histories;
#[expect(dead_code, reason = "the macro makes a constant for each activity")]
mod maintenance;
mod news;
mod parked;
mod people;
mod questions;
mod random_lives;
mod renewal;
mod rounds;
mod scope;
#[expect(dead_code, reason = "the macro makes a constant for each activity")]
mod scripted;
