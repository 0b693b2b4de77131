//! Planning: from a ticket and a repository to a SPEC that a person can decide about.
//!
//! | to find | look in |
//! | --- | --- |
//! | what the planner is shown | [`context`] |
//! | how a model is asked, and which if it has no answer | [`model`], [`fallback`] |
//! | the conversation, and what counts as a SPEC | [`plan`], [`answer`] |
//! | which files it may name | `files` |
//! | the policy that it plans under | [`policy`] |
//! | planning without a workflow | [`preview`] |
//! | answers that are not paid twice | [`responses`] |
//! | SPEC.md | [`render`] |
//! | which symbols files define and use | [`symbols`] |
//! | what is done just now | [`progress`] |

pub mod answer;
pub mod context;
pub mod fallback;
mod files;
pub mod model;
pub mod plan;
pub mod policy;
pub mod preview;
pub mod progress;
pub mod render;
pub mod responses;
pub mod symbols;
