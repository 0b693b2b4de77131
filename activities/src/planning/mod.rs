//! Planning: from a ticket and a repository to a SPEC that a person can decide about.
//!
//! | to find | look in |
//! | --- | --- |
//! | what the planner is shown | [`context`] |
//! | how a model is asked | [`model`] |
//! | the conversation, and what counts as a SPEC | [`plan`], [`answer`] |
//! | which files it may name | `files` |
//! | SPEC.md | [`render`] |

pub mod answer;
pub mod context;
mod files;
pub mod model;
pub mod plan;
pub mod render;
pub mod symbols;
