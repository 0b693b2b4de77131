//! Asking a model, behind a trait, so that the planner does not depend on how.

use std::time::Duration;

use futures::future::BoxFuture;
use sallyport_workflows::usage::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{call::Calls, progress::Progress};
use crate::gateway::Price;

/// One message of the conversation with the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// What the planner is for.
    System(String),
    /// Ours.
    User(String),
    /// The planner's.
    Assistant(String),
}

impl Turn {
    /// Who speaks.
    pub fn role(&self) -> &'static str {
        match self {
            Self::System(_) => "system",
            Self::User(_) => "user",
            Self::Assistant(_) => "assistant",
        }
    }

    /// The words.
    pub fn text(&self) -> &str {
        match self {
            Self::System(text) | Self::User(text) | Self::Assistant(text) => text,
        }
    }
}

/// A question to a model.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What was said so far. It ends with a user's turn.
    pub conversation: &'a [Turn],
    /// What the answer should satisfy.
    pub schema: &'a Value,
    /// Told how much of an answer has come.
    pub progress: &'a Progress,
    /// Where each request is put on record.
    pub calls: &'a Calls,
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The text: JSON, if the vendor keeps its word.
    pub text: String,
    /// Whether it was cut because it was too long.
    pub cut: bool,
    /// What it cost.
    pub usage: Usage,
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The vendor will refuse the same request again.
    #[error(
        "the model's vendor refused the planner's request ({status}): {reason}; check [model] in sallyport.toml"
    )]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the vendor said, shortened.
        reason: String,
    },
    /// The vendor is busy or in trouble.
    #[error("the model's vendor has no answer now ({status}): {reason}")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// What the vendor said, shortened.
        reason: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// There was no answer, or none that could be read.
    #[error("the model's vendor could not be reached, or its answer could not be read: {reason}")]
    Unreachable {
        /// Why.
        reason: String,
    },
    /// The model has an answer, and it is no.
    #[error(
        "the model declined to plan this ticket: {reason}; say in the ticket what is wanted and why, or configure another model"
    )]
    Declined {
        /// What the vendor says of it.
        reason: String,
    },
    /// The planner cannot be used as it is configured.
    #[error("the planner cannot be set up: {reason}; check [model] in sallyport.toml")]
    Configuration {
        /// Why.
        reason: String,
    },
}

/// A model that plans.
pub trait Planner: Send + Sync + std::fmt::Debug {
    /// The answer to `question`. Asks once.
    fn ask<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Answer, ModelError>>;

    /// What its tokens cost.
    fn price(&self) -> Price;

    /// The most tokens that one answer may have.
    fn answer_tokens(&self) -> u32;

    /// Which model it is, and how it is asked.
    fn name(&self) -> String;
}
