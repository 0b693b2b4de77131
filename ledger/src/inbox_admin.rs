//! The inbox as operators see it: what waits, what failed and why, and what is to become of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    convert::storable,
    database::Database,
    error::{LedgerError, Trying},
};

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// It waits for a dispatcher, or for its next try.
    Pending,
    /// Its workflow was started or told.
    Dispatched,
    /// There was nothing to do about it.
    Ignored,
    /// It cannot be worked off as it is.
    Failed,
    /// An operator gave it up.
    Dropped,
}

impl EventStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Dispatched,
        Self::Ignored,
        Self::Failed,
        Self::Dropped,
    ];

    /// The fixed name, as the ledger stores it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dispatched => "dispatched",
            Self::Ignored => "ignored",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }

    fn stored(name: &str) -> Result<Self, LedgerError> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == name)
            .ok_or_else(|| LedgerError::Unknown {
                what: "the event's status",
                value: name.to_owned(),
            })
    }
}

/// An event, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Its number.
    pub id: i64,
    /// Where it comes from.
    pub source: String,
    /// The source's name for the delivery.
    pub delivery_id: String,
    /// What happened.
    pub event: String,
    /// The ticket that it is about.
    pub ticket_id: Option<String>,
    /// Where it stands.
    pub status: EventStatus,
    /// Why, or what the last try ended with.
    pub note: Option<String>,
    /// The workflow that was started or told.
    pub workflow_id: Option<String>,
    /// How often it failed by its own fault.
    pub attempts: i32,
    /// How often what it needs was out of reach.
    pub postponements: i32,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// When it is tried next, if it waits.
    pub next_attempt_at: DateTime<Utc>,
    /// When it was settled.
    pub finished_at: Option<DateTime<Utc>>,
}

struct Record {
    id: i64,
    source: String,
    delivery_id: String,
    event: String,
    ticket_id: Option<String>,
    status: String,
    note: Option<String>,
    workflow_id: Option<String>,
    attempts: i32,
    postponements: i32,
    received_at: DateTime<Utc>,
    next_attempt_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<Record> for EventRow {
    type Error = LedgerError;

    fn try_from(record: Record) -> Result<Self, LedgerError> {
        Ok(Self {
            id: record.id,
            source: record.source,
            delivery_id: record.delivery_id,
            event: record.event,
            ticket_id: record.ticket_id,
            status: EventStatus::stored(&record.status)?,
            note: record.note,
            workflow_id: record.workflow_id,
            attempts: record.attempts,
            postponements: record.postponements,
            received_at: record.received_at,
            next_attempt_at: record.next_attempt_at,
            finished_at: record.finished_at,
        })
    }
}

/// What became of an operator's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// The event stands where nothing of the kind can be done.
    Not(EventStatus),
}

/// The newest events: those of that status, or all that wait or failed. At most `limit`.
pub async fn list(
    database: &Database,
    status: Option<EventStatus>,
    limit: u32,
) -> Result<Vec<EventRow>, LedgerError> {
    let action = "list the inbox";
    let records = match status {
        Some(status) => {
            sqlx::query_as!(
                Record,
                "SELECT id, source, delivery_id, event, ticket_id, status, note, workflow_id, attempts, postponements,
                        received_at, next_attempt_at, finished_at
                 FROM inbox WHERE status = $1 ORDER BY id DESC LIMIT $2",
                status.as_str(),
                i64::from(limit),
            )
            .fetch_all(database.pool())
            .await
        }
        None => {
            sqlx::query_as!(
                Record,
                "SELECT id, source, delivery_id, event, ticket_id, status, note, workflow_id, attempts, postponements,
                        received_at, next_attempt_at, finished_at
                 FROM inbox WHERE status IN ('pending', 'failed') ORDER BY id DESC LIMIT $1",
                i64::from(limit),
            )
            .fetch_all(database.pool())
            .await
        }
    };
    records
        .trying_to(action)?
        .into_iter()
        .map(EventRow::try_from)
        .collect()
}

/// One event and its body. Error: [`LedgerError::NotFound`].
pub async fn get(database: &Database, id: i64) -> Result<(EventRow, Vec<u8>), LedgerError> {
    let action = "read an event";
    let record = sqlx::query_as!(
        Record,
        "SELECT id, source, delivery_id, event, ticket_id, status, note, workflow_id, attempts, postponements, received_at,
                next_attempt_at, finished_at
         FROM inbox WHERE id = $1",
        id,
    )
    .fetch_optional(database.pool())
    .await
    .trying_to(action)?
    .ok_or_else(|| LedgerError::NotFound {
        what: "event",
        name: id.to_string(),
    })?;
    let body = sqlx::query_scalar!("SELECT body FROM inbox WHERE id = $1", id)
        .fetch_one(database.pool())
        .await
        .trying_to(action)?;
    Ok((record.try_into()?, body))
}

/// Has an event tried again at once, with all its tries before it: one that failed or was dropped, or one that waits for
/// its next try. `by` is who wants it.
pub async fn retry(database: &Database, id: i64, by: &str) -> Result<Changed, LedgerError> {
    let note = format!("to be tried again, by {by}");
    let done = sqlx::query!(
        "UPDATE inbox SET status = 'pending', attempts = 0, next_attempt_at = now(), finished_at = NULL, note = $2
         WHERE id = $1 AND status IN ('failed', 'dropped', 'pending')",
        id,
        storable(&note),
    )
    .execute(database.pool())
    .await
    .trying_to("have an event tried again")?;
    changed(database, id, done.rows_affected()).await
}

/// Gives an event up that failed or waits. `by` is who does so, `reason` why.
pub async fn drop_event(
    database: &Database,
    id: i64,
    by: &str,
    reason: &str,
) -> Result<Changed, LedgerError> {
    let note = format!("dropped by {by}: {reason}");
    let done = sqlx::query!(
        "UPDATE inbox SET status = 'dropped', finished_at = now(), note = $2
         WHERE id = $1 AND status IN ('failed', 'pending')",
        id,
        storable(&note),
    )
    .execute(database.pool())
    .await
    .trying_to("drop an event")?;
    changed(database, id, done.rows_affected()).await
}

async fn changed(database: &Database, id: i64, rows: u64) -> Result<Changed, LedgerError> {
    if rows == 1 {
        return Ok(Changed::Done);
    }
    let (event, _) = get(database, id).await?;
    Ok(Changed::Not(event.status))
}
