//! What the planner asks the people of a ticket where the ticket does not say enough.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many questions may be asked about one attempt at a ticket, in all.
pub const MAXIMUM_QUESTIONS: u32 = 3;
/// The longest question, in bytes.
pub const MAXIMUM_QUESTION_BYTES: usize = 500;

/// Questions that wait for answers on the ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenQuestions {
    /// The questions, at most three.
    pub questions: Vec<String>,
    /// Since when they wait.
    pub asked_at: DateTime<Utc>,
}
