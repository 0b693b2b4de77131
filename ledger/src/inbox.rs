//! Events from outside: accepted durably, then worked off one after the other.
//!
//! An event is first written down ([`accept`]), and only then acknowledged to its sender. A dispatcher takes the most
//! urgent one that is due ([`claim`]), of those the oldest, and says what became of it. Any number of dispatchers may run:
//! a claimed event is locked in the database until its [`Claim`] is settled, dropped, or its holder's connection dies.
//! Events of one ticket are handed out in the order in which they came, whatever their priority; a later one waits until
//! the earlier is settled. What failed for good waits in [`crate::inbox_admin`] for somebody to look at it.

use chrono::{DateTime, Utc};
use sallyport_workflows::ticket::Priority;
use sha2::{Digest, Sha256};
use sqlx::{Postgres, Transaction};

use crate::{
    convert::{priority_key, storable, storable_option},
    database::Database,
    error::{LedgerError, Trying},
};

/// How often an event may fail by its own fault.
pub const MAXIMUM_ATTEMPTS: i32 = 3;
/// Seconds until the second try; doubled for the third.
const FIRST_PAUSE: i32 = 10;
/// The longest pause after a try that failed because Temporal was out of reach, in seconds.
const LONGEST_POSTPONEMENT: i32 = 30;

/// An event to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Where it comes from, such as `flux-lens`.
    pub source: String,
    /// The source's name for this delivery.
    pub delivery_id: String,
    /// What happened, such as `ticket.created`.
    pub event: String,
    /// The ticket that it is about, if any.
    pub ticket_id: Option<String>,
    /// How urgent its ticket is.
    pub priority: Priority,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Whether the source signs the body alone: then whoever caught a delivery could send it again under another id, and
    /// the same body is taken for the same event.
    pub only_body_signed: bool,
    /// Why there is nothing to do, for an event that is only kept.
    pub ignored: Option<String>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event's number; a duplicate has the first one's.
    pub id: i64,
    /// Whether the same delivery had been accepted before.
    pub duplicate: bool,
}

/// An event to work off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEvent {
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
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// How often it failed by its own fault.
    pub attempts: i32,
}

/// What comes after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// It will be tried again from then on.
    Again(DateTime<Utc>),
    /// That was the last try.
    GivenUp,
}

/// Writes an event down. When this returns, it is on disk.
///
/// Key: source and delivery id, and the body where only that is signed. The same again adds nothing.
pub async fn accept(database: &Database, event: &NewEvent) -> Result<Accepted, LedgerError> {
    let action = "write an event down";
    let content_hash = event
        .only_body_signed
        .then(|| Sha256::digest(&event.body).to_vec());
    let inserted = sqlx::query_scalar!(
        "INSERT INTO inbox (source, delivery_id, event, ticket_id, body, status, note, finished_at, priority, content_hash)
         VALUES ($1, $2, $3, $4, $5,
                 CASE WHEN $6::text IS NULL THEN 'pending' ELSE 'ignored' END, $6,
                 CASE WHEN $6 IS NULL THEN NULL ELSE now() END, $7, $8)
         ON CONFLICT DO NOTHING
         RETURNING id",
        storable(&event.source),
        storable(&event.delivery_id),
        storable(&event.event),
        storable_option(event.ticket_id.as_deref()),
        event.body,
        storable_option(event.ignored.as_deref()),
        priority_key(event.priority),
        content_hash,
    )
    .fetch_optional(database.pool())
    .await
    .trying_to(action)?;
    if let Some(id) = inserted {
        return Ok(Accepted {
            id,
            duplicate: false,
        });
    }
    let id = sqlx::query_scalar!(
        "SELECT id FROM inbox WHERE source = $1 AND (delivery_id = $2 OR content_hash = $3) ORDER BY id LIMIT 1",
        storable(&event.source),
        storable(&event.delivery_id),
        content_hash,
    )
    .fetch_one(database.pool())
    .await
    .trying_to(action)?;
    Ok(Accepted {
        id,
        duplicate: true,
    })
}

/// Takes the most urgent event that is due, of those the oldest, or nothing if there is none that nobody else holds.
pub async fn claim(database: &Database) -> Result<Option<Claim>, LedgerError> {
    let action = "take an event from the inbox";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    // An earlier event of the same ticket keeps its state `pending` while somebody holds it, so that the later one is
    // not handed out meanwhile. `NO KEY`: the workflow's row, which names this one, can be written beside the claim.
    let event = sqlx::query_as!(
        InboxEvent,
        "SELECT id, source, delivery_id, event, ticket_id, body, attempts
         FROM inbox
         WHERE status = 'pending' AND next_attempt_at <= now()
           AND NOT EXISTS (SELECT FROM inbox earlier
                           WHERE earlier.status = 'pending' AND earlier.source = inbox.source
                             AND earlier.ticket_id = inbox.ticket_id AND earlier.id < inbox.id)
         ORDER BY priority, id
         LIMIT 1
         FOR NO KEY UPDATE SKIP LOCKED",
    )
    .fetch_optional(&mut *transaction)
    .await
    .trying_to(action)?;
    Ok(event.map(|event| Claim { transaction, event }))
}

/// An event that is ours until we say what became of it. Dropped, it goes back untouched.
#[derive(Debug)]
pub struct Claim {
    transaction: Transaction<'static, Postgres>,
    event: InboxEvent,
}

impl Claim {
    /// The event.
    pub fn event(&self) -> &InboxEvent {
        &self.event
    }

    /// The workflow of that id was started because of it, or was told of it.
    pub async fn dispatched(self, workflow_id: &str) -> Result<(), LedgerError> {
        self.finish("dispatched", None, Some(workflow_id)).await
    }

    /// There was nothing to do, because of `reason`.
    pub async fn ignored(self, reason: &str) -> Result<(), LedgerError> {
        self.finish("ignored", Some(reason), None).await
    }

    /// It can never be dispatched, because of `reason`.
    pub async fn failed(self, reason: &str) -> Result<(), LedgerError> {
        self.finish("failed", Some(reason), None).await
    }

    /// This try failed by the event's own fault. The third such try is the last.
    pub async fn attempt_failed(mut self, error: &str) -> Result<AfterFailure, LedgerError> {
        let action = "write down that an event failed";
        let again = sqlx::query_scalar!(
            "UPDATE inbox SET
                 attempts = attempts + 1, note = $2,
                 status = CASE WHEN attempts + 1 >= $3 THEN 'failed' ELSE 'pending' END,
                 finished_at = CASE WHEN attempts + 1 >= $3 THEN clock_timestamp() END,
                 next_attempt_at = clock_timestamp() + make_interval(secs => $4 * power(2, attempts))
             WHERE id = $1
             RETURNING CASE WHEN status = 'pending' THEN next_attempt_at END",
            self.event.id,
            storable(error),
            MAXIMUM_ATTEMPTS,
            f64::from(FIRST_PAUSE),
        )
        .fetch_one(&mut *self.transaction)
        .await
        .trying_to(action)?;
        if again.is_none() {
            // In the same transaction: a row that never started would block the ticket for ever.
            sqlx::query!(
                "DELETE FROM workflows WHERE inbox_id = $1 AND sequence = 0",
                self.event.id,
            )
            .execute(&mut *self.transaction)
            .await
            .trying_to(action)?;
        }
        self.transaction.commit().await.trying_to(action)?;
        Ok(again.map_or(AfterFailure::GivenUp, AfterFailure::Again))
    }

    /// This try failed because what it needs was out of reach. It is tried again, however often, after a pause that
    /// grows to half a minute.
    pub async fn postponed(mut self, error: &str) -> Result<(), LedgerError> {
        let action = "postpone an event";
        sqlx::query!(
            "UPDATE inbox SET
                 postponements = postponements + 1, note = $2,
                 next_attempt_at = clock_timestamp()
                     + make_interval(secs => LEAST($3, power(2, LEAST(postponements, 10))))
             WHERE id = $1",
            self.event.id,
            storable(error),
            f64::from(LONGEST_POSTPONEMENT),
        )
        .execute(&mut *self.transaction)
        .await
        .trying_to(action)?;
        self.transaction.commit().await.trying_to(action)
    }

    async fn finish(
        mut self,
        status: &str,
        note: Option<&str>,
        workflow_id: Option<&str>,
    ) -> Result<(), LedgerError> {
        let action = "write down what became of an event";
        sqlx::query!(
            "UPDATE inbox SET status = $2, note = $3, workflow_id = $4, finished_at = clock_timestamp() WHERE id = $1",
            self.event.id,
            status,
            storable_option(note),
            workflow_id,
        )
        .execute(&mut *self.transaction)
        .await
        .trying_to(action)?;
        self.transaction.commit().await.trying_to(action)
    }
}
