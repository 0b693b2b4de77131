//! Tickets as Flux Lens speaks of them (`docs/flux-lens.yaml`, components/schemas).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Filed, nobody works on it.
    Open,
    /// Somebody works on it.
    #[serde(rename = "In Progress")]
    InProgress,
    /// A change waits for review.
    #[serde(rename = "In Review")]
    InReview,
    /// Final: solved.
    Done,
    /// Final: will not be solved.
    Rejected,
}

impl Status {
    /// Whether the API lets a ticket leave this status no more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Rejected)
    }
}

/// How much a ticket hurries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before all others.
    High,
    /// As usual.
    #[default]
    Normal,
    /// When there is time.
    Low,
}

/// What a person fills in to file a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTicket {
    /// One line, 1 to 255 characters.
    pub title: String,
    /// Markdown.
    pub description: String,
    /// How much it hurries.
    #[serde(default)]
    pub priority: Priority,
    /// The email address of who files it.
    pub reporter: String,
    /// The key of the project that it belongs to.
    pub project: String,
    /// Free labels.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A ticket as `GET /fluxlens/ticket/{id}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its id, such as `FL-1`.
    pub id: String,
    /// Its page for people.
    pub url: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub description: String,
    /// Where it stands.
    pub status: Status,
    /// How much it hurries.
    pub priority: Priority,
    /// Who filed it, an email address.
    pub reporter: String,
    /// The key of its project.
    pub project: String,
    /// Free labels.
    pub labels: Vec<String>,
    /// When it was filed.
    pub created_at: DateTime<Utc>,
    /// When it last changed, comments included.
    pub updated_at: DateTime<Utc>,
    /// The newest comments, the oldest of them first.
    pub comments: Vec<ShownComment>,
}

/// A comment as a ticket shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownComment {
    /// Its id, such as `C-1`.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// Markdown.
    pub text: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// A comment on a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id, such as `C-1`.
    pub id: String,
    /// The key under which it was sent; empty if a person wrote it.
    pub idempotency_key: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
    /// Markdown.
    pub text: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// What the webhook says about a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketSummary {
    /// Its id.
    pub id: String,
    /// The key of its project.
    pub project: String,
    /// One line.
    pub title: String,
    /// Its page for people.
    pub url: String,
    /// How much it hurries.
    pub priority: Priority,
    /// Who filed it.
    pub reporter: String,
}

impl From<&Ticket> for TicketSummary {
    fn from(ticket: &Ticket) -> Self {
        Self {
            id: ticket.id.clone(),
            project: ticket.project.clone(),
            title: ticket.title.clone(),
            url: ticket.url.clone(),
            priority: ticket.priority,
            reporter: ticket.reporter.clone(),
        }
    }
}
