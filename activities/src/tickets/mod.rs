//! Ticket systems: a trait, and a file for each vendor.
//!
//! To add one: implement [`TicketSource`] in a file here, and put it into the registry in [`crate::context`].

pub mod flux_lens;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use sallyport_ledger::flux_lens::{EventProblem, Understood};
use sallyport_workflows::{activities::TicketStatusName, failure::kind, text::shorten};
use serde_json::Value;

use crate::failure::StepError;

/// The longest title that is kept, in characters.
pub const MAXIMUM_TITLE: usize = 200;

/// A ticket as its source gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTicket {
    /// One line, at most [`MAXIMUM_TITLE`] characters.
    pub title: String,
    /// Where people read it.
    pub url: String,
    /// Who filed it.
    pub reporter: String,
    /// The whole ticket, JSON.
    pub content: Vec<u8>,
}

/// A part of a ticket system's list of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The events, the oldest first. None at all means that there are no more for now.
    pub events: Vec<ListedEvent>,
    /// The place after them.
    pub next: String,
}

/// An event as it is listed, read as its webhook would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEvent {
    /// The name of its delivery.
    pub delivery_id: String,
    /// What it says, or why that cannot be taken.
    pub read: Result<Understood, EventProblem>,
}

/// The ticket system did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not know the ticket.
    #[error(
        "{system} does not know the ticket {ticket}; was it deleted, or moved to another project?"
    )]
    NotFound {
        /// Which ticket system.
        system: &'static str,
        /// Which ticket.
        ticket: String,
    },
    /// It does not let us.
    #[error(
        "{system} refused our token ({status}) for {ticket}; check that the token is valid and may {action}"
    )]
    AccessDenied {
        /// Which ticket system.
        system: &'static str,
        /// Which ticket.
        ticket: String,
        /// The HTTP status.
        status: u16,
        /// What was tried, such as `read tickets`.
        action: &'static str,
    },
    /// It understood and will not do it, however often it is asked.
    #[error("{system} refused to {action} for {ticket} ({status}): {reason}")]
    Refused {
        /// Which ticket system.
        system: &'static str,
        /// Which ticket.
        ticket: String,
        /// The HTTP status.
        status: u16,
        /// What was tried.
        action: &'static str,
        /// What it said, shortened.
        reason: String,
    },
    /// It does not know the place in its list of events (any more).
    #[error(
        "{system} lists no events after the place that was named; read its list from the beginning"
    )]
    PlaceGone {
        /// Which ticket system.
        system: &'static str,
    },
    /// It is busy, in trouble or out of reach.
    #[error("{system} could not {action} for {ticket} now: {reason}")]
    Unavailable {
        /// Which ticket system.
        system: &'static str,
        /// Which ticket.
        ticket: String,
        /// What was tried.
        action: &'static str,
        /// Why.
        reason: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// No such ticket system is configured.
    #[error("no ticket system `{0}` is configured; add its section to sallyport.toml")]
    UnknownSource(String),
}

impl From<TicketError> for StepError {
    fn from(error: TicketError) -> Self {
        match &error {
            TicketError::NotFound { .. } => Self::fatal(kind::TICKET_NOT_FOUND, &error),
            TicketError::AccessDenied { .. } => Self::fatal(kind::TICKET_ACCESS_DENIED, &error),
            TicketError::Refused { .. }
            | TicketError::PlaceGone { .. }
            | TicketError::UnknownSource(_) => Self::fatal(kind::STEP_FAILED, &error),
            TicketError::Unavailable { retry_after, .. } => {
                Self::step(&error).retry_after(*retry_after)
            }
        }
    }
}

/// A ticket system.
pub trait TicketSource: Send + Sync + std::fmt::Debug {
    /// Reads a ticket.
    fn fetch<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Result<FetchedTicket, TicketError>>;

    /// Posts a comment, Markdown. The same `key` again posts nothing.
    fn comment<'a>(
        &'a self,
        ticket: &'a str,
        key: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), TicketError>>;

    /// Sets the status. There already is success.
    fn set_status<'a>(
        &'a self,
        ticket: &'a str,
        status: TicketStatusName,
    ) -> BoxFuture<'a, Result<(), TicketError>>;

    /// Lists the events that it sent webhooks for, or should have: from its oldest, or after a place that it named before.
    fn events<'a>(
        &'a self,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<EventPage, TicketError>>;
}

/// The ticket systems of this installation, by the name that tickets carry.
#[derive(Clone, Debug, Default)]
pub struct TicketSources(BTreeMap<String, Arc<dyn TicketSource>>);

impl TicketSources {
    /// Adds one.
    #[must_use]
    pub fn with(mut self, name: &str, source: Arc<dyn TicketSource>) -> Self {
        self.0.insert(name.to_owned(), source);
        self
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &dyn TicketSource)> {
        self.0
            .iter()
            .map(|(name, source)| (name.as_str(), &**source))
    }

    /// The one called `name`.
    pub fn get(&self, name: &str) -> Result<&dyn TicketSource, TicketError> {
        self.0
            .get(name)
            .map(|source| &**source)
            .ok_or_else(|| TicketError::UnknownSource(name.to_owned()))
    }
}

/// How many comments of a ticket are read, the newest; and how much of each, in characters.
const MAXIMUM_COMMENTS: usize = 30;
const MAXIMUM_COMMENT: usize = 4000;

/// A stored ticket in words: title, labels, description and comments, or all of it where it has none of the first.
pub fn readable(content: &[u8]) -> String {
    let ticket: Value = serde_json::from_slice(content).unwrap_or(Value::Null);
    let (Some(title), Some(description)) =
        (ticket["title"].as_str(), ticket["description"].as_str())
    else {
        return String::from_utf8_lossy(content).into_owned();
    };
    let labels: Vec<&str> = ticket["labels"]
        .as_array()
        .map(|labels| labels.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let labels = if labels.is_empty() {
        String::new()
    } else {
        format!("Labels: {}\n", labels.join(", "))
    };
    let comments = comments(&ticket["comments"]);
    format!("Title: {title}\n{labels}\n{description}\n{comments}")
}

/// The newest comments, the oldest of them first.
fn comments(comments: &Value) -> String {
    let all = comments.as_array().map_or(&[][..], Vec::as_slice);
    let newest = &all[all.len().saturating_sub(MAXIMUM_COMMENTS)..];
    let texts = newest.iter().filter_map(|comment| {
        let text = shorten(comment["text"].as_str()?, MAXIMUM_COMMENT);
        let author = shorten(comment["author"].as_str().unwrap_or("somebody"), 100);
        let at = comment["created_at"].as_str().unwrap_or_default();
        Some(format!("\nComment by {author}, {at}:\n\n{text}\n"))
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_put_into_words() {
        let ticket = br#"{"title":"T","description":"D\nE","labels":["bug","ui"],"id":"FL-1"}"#;
        assert_eq!(readable(ticket), "Title: T\nLabels: bug, ui\n\nD\nE\n");
        let commented = br#"{"title":"T","description":"D","comments":[
            {"id":"C-1","author":"a@example.com","text":"Which?","created_at":"2026-11-24T10:00:00Z"},{"text":"That."}]}"#;
        assert_eq!(
            readable(commented),
            "Title: T\n\nD\n\nComment by a@example.com, 2026-11-24T10:00:00Z:\n\nWhich?\n\nComment by somebody, :\n\nThat.\n"
        );
        assert_eq!(readable(br#"{"summary":"S"}"#), r#"{"summary":"S"}"#);
    }

    #[test]
    fn only_what_waiting_may_mend_is_tried_again() {
        let unknown = StepError::from(TicketError::UnknownSource("jira".into()));
        assert!(unknown.is_final());
        let busy = TicketError::Unavailable {
            system: "Flux Lens",
            ticket: "FL-1".into(),
            action: "read the ticket",
            reason: "429".into(),
            retry_after: Some(Duration::from_secs(3)),
        };
        let busy = StepError::from(busy);
        assert!(!busy.is_final());
        assert_eq!(busy.delay(), Some(Duration::from_secs(3)));
    }
}
