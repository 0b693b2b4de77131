//! The activities: all that Sallyport does to the world, declared in `sallyport-workflows` and implemented here.
//!
//! | to find | look in |
//! | --- | --- |
//! | an activity | the five `*_activities` modules: thin, one for each declaration module |
//! | git, safely | [`git`], [`mirror`], [`workspace`] |
//! | `.sallyport.toml` | [`policy_file`]; its part of the policy: [`policy_section`]; what a policy must be: [`policy_check`] |
//! | when a gate closes and reminds | [`calendar`] |
//! | the SPEC and the planner | [`planning`]; whether the base branch is still as it assumes: [`base_check`] |
//! | one run of the agent, from prompt to commit | [`execution`] |
//! | whether this host may work, and with what it begins | [`lease`], [`checkpoint`] |
//! | the sealed room | [`sandbox`], and Pi in it: [`agent`], and its way to the model: [`gateway`] |
//! | what the agent may change, and what it may ask people for | [`scope`] |
//! | what a repository depends on, installed | [`setup`] |
//! | quality gates | [`qa`]; secrets and large files that must not be pushed: [`leaks`] |
//! | a forge, a ticket system | [`forge`], [`tickets`]: a trait each, and a file for each vendor |
//! | events whose webhook never came | [`reconciliation`] |
//! | every sentence that people read | [`text`]; notices about open gates: [`notices`] |
//! | how a step fails | [`failure`] |
//! | what all activities share | [`context`] |

pub mod agent;
pub mod base_check;
pub mod calendar;
pub mod checkpoint;
pub mod config;
pub mod context;
pub mod execution;
pub mod failure;
pub mod forge;
pub mod forge_activities;
pub mod gateway;
pub mod git;
pub mod heartbeat;
pub mod leaks;
pub mod lease;
pub mod ledger_activities;
pub mod maintenance_activities;
pub mod mirror;
pub mod notices;
pub mod planning;
pub mod planning_activities;
pub mod policy_check;
pub mod policy_file;
pub mod policy_section;
pub mod qa;
pub mod reconciliation;
pub mod sandbox;
pub mod scope;
pub mod setup;
pub mod text;
pub mod ticket_activities;
pub mod tickets;
pub mod tools;
pub mod walls;
pub mod workspace;
pub mod workspace_activities;

#[cfg(test)]
mod testing;
