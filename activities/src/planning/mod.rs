//! Planning: from a ticket and a repository to a SPEC that a person can decide about.
//!
//! | to find | look in |
//! | --- | --- |
//! | what the planner is shown | [`context`] |
//! | how a model is asked, and which if it has no answer | [`model`], [`genai_planner`], [`fallback`] |
//! | what its vendor's errors mean | `vendor_error` |
//! | which planner writes a ticket's SPEC | [`planners`] |
//! | each request on record | [`call`] |
//! | the conversation | [`plan`] |
//! | what the planner may answer, and what counts as a SPEC | [`answer`], `draft` |
//! | what it can learn from earlier tickets | [`earlier`] |
//! | what it looks at by itself | [`look`] |
//! | which files it may name | `files` |
//! | the policy that it plans under | [`policy`] |
//! | planning without a workflow | [`preview`] |
//! | answers that are not paid twice | [`responses`] |
//! | SPEC.md | [`render`] |
//! | which symbols files define and use | [`symbols`] |
//! | what is done just now | [`progress`] |

pub mod answer;
pub mod call;
pub mod context;
mod draft;
pub mod earlier;
pub mod fallback;
mod files;
pub mod genai_planner;
pub mod look;
pub mod model;
pub mod plan;
pub mod planners;
pub mod policy;
pub mod preview;
pub mod progress;
pub mod render;
pub mod responses;
pub mod symbols;
mod vendor_error;

#[cfg(test)]
mod hostile_tests;
