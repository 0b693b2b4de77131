//! Activities towards the ticket system.

#![expect(
    missing_docs,
    reason = "the marker structs that the macro makes carry no documentation"
)]

use serde::{Deserialize, Serialize};
use temporalio_macros::activity_definitions;
use temporalio_sdk::activities::ActivityError;

use super::{StepKey, Timing};
use crate::{
    failure::Failure,
    gate::BaseChange,
    ticket::{TicketKey, TicketSummary},
};

/// `fetch_ticket`: a read, so five tries.
pub const FETCH_TICKET: Timing = Timing::seconds(30).attempts(5);
/// `comment_on_ticket`: a comment that cannot be posted stops nothing, so five tries and no more.
pub const COMMENT_ON_TICKET: Timing = Timing::seconds(30).attempts(5);
/// `set_ticket_status`: ten tries, since a ticket in the wrong status misleads people; the last status, Done, is tried
/// for ever.
pub const SET_TICKET_STATUS: Timing = Timing::seconds(30).attempts(10);

/// Which event a comment tells of. The words are chosen in `sallyport-activities`, in one module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TicketEvent {
    /// Work begins.
    Started,
    /// The planner asks the people of the ticket.
    Questions {
        /// What it asks.
        questions: Vec<String>,
        /// Until when an answer is waited for, as RFC 3339.
        deadline: String,
    },
    /// A SPEC waits for a decision.
    SpecReady {
        /// Its revision.
        revision: String,
        /// What changed on the base branch, where that is why it is asked again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_change: Option<BaseChange>,
        /// When silence rejects it, as RFC 3339.
        deadline: String,
    },
    /// The SPEC was rejected by a person or by silence.
    SpecRejected {
        /// Who, or that nobody answered in time.
        reason: String,
    },
    /// The pull request waits for a decision.
    PullRequestReady {
        /// Where to read it.
        url: String,
        /// When silence closes it, as RFC 3339.
        deadline: String,
    },
    /// The pull request was closed by a person or by silence.
    PullRequestClosed {
        /// Where it is.
        url: String,
        /// Who, or that nobody answered in time.
        reason: String,
    },
    /// Merged.
    Done {
        /// Where the pull request is.
        url: String,
        /// Who approved it, and the commit that holds it.
        reason: String,
    },
    /// The agent asks for more files.
    ScopeRequested {
        /// The first of them, shortened.
        first: String,
        /// How many.
        count: u32,
        /// The agent's reason, shortened.
        reason: String,
        /// When silence refuses it, as RFC 3339.
        deadline: String,
    },
    /// Given up by a person.
    GivenUp {
        /// Who and why.
        reason: String,
    },
    /// Parked.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// A comment to post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketComment {
    /// Idempotency key: the source gets it as such.
    pub key: StepKey,
    /// What to tell.
    pub event: TicketEvent,
}

/// A ticket's status, as Sallyport sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatusName {
    /// Being planned or worked on.
    InProgress,
    /// The pull request waits.
    InReview,
    /// Merged.
    Done,
}

/// A status to set. Setting the same status again changes nothing, so the ticket is the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTicketStatus {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The status.
    pub status: TicketStatusName,
}

/// Declarations of the activities towards the ticket system.
pub struct TicketActivities;

#[activity_definitions]
impl TicketActivities {
    /// Reads the ticket and stores it. Final errors: [`crate::failure::kind::TICKET_NOT_FOUND`],
    /// [`crate::failure::kind::TICKET_ACCESS_DENIED`].
    #[activity(name = "fetch_ticket")]
    pub fn fetch_ticket(ticket: TicketKey) -> Result<TicketSummary, ActivityError> {
        unimplemented!()
    }

    /// Posts one comment, once for each step key.
    #[activity(name = "comment_on_ticket")]
    pub fn comment_on_ticket(comment: TicketComment) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Sets the status; already there is success.
    #[activity(name = "set_ticket_status")]
    pub fn set_ticket_status(change: SetTicketStatus) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

pub(super) mod definitions {
    pub use super::ticket_activities::*;
}
