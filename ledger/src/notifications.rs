//! What people are to be told about open gates. The rows wait here until a channel takes them; a gate that closes takes
//! back those that still wait.

use chrono::{DateTime, Utc};
use sallyport_workflows::ticket::TicketKey;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{
    convert::storable,
    database::Database,
    error::{LedgerError, Trying},
};

/// The recipient that means everybody who may decide at this installation.
pub const EVERYBODY: &str = "*";

/// The channel that means wherever the recipient can be reached.
pub const ANY_CHANNEL: &str = "any";

/// What people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Names the event told of, the same on every retry.
    pub key: String,
    /// One line.
    pub subject: String,
    /// The text, Markdown.
    pub body: String,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NotificationStatus {
    /// It waits for a channel.
    Pending,
    /// The recipient has it.
    Sent,
    /// No channel could deliver it.
    Failed,
    /// What it told of was settled before it was sent.
    Skipped,
}

/// A notification of one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationRow {
    /// Counted by the database.
    pub id: i64,
    /// The event told of.
    pub key: String,
    /// Where it goes, or [`ANY_CHANNEL`].
    pub channel: String,
    /// An email address, or [`EVERYBODY`].
    pub recipient: String,
    /// One line.
    pub subject: String,
    /// The text, Markdown.
    pub body: String,
    /// The gate told of.
    pub approval_id: Option<Uuid>,
    /// What became of it.
    pub status: NotificationStatus,
    /// When it was sent.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Writes a notice about an open gate down, for each of those whom it asks. A gate that is closed needs nobody, so then
/// nothing is written.
///
/// Key: the ticket, the notice's key and the recipient. What is there stays as it is. Returns how many are new.
pub async fn tell(
    database: &Database,
    ticket: &TicketKey,
    approval_id: Uuid,
    notice: &Notice,
) -> Result<u64, LedgerError> {
    write(database.pool(), ticket.ledger_id(), approval_id, notice).await
}

/// [`tell`], as a part of something.
pub(crate) async fn write(
    executor: impl PgExecutor<'_>,
    workflow: Uuid,
    approval_id: Uuid,
    notice: &Notice,
) -> Result<u64, LedgerError> {
    // The lock keeps a gate from closing between the look at it and the row, which nobody would take back then.
    let done = sqlx::query!(
        "WITH gate AS (SELECT id, workflow_id, approvers FROM approvals
                       WHERE id = $1 AND workflow_id = $2 AND status = 'PENDING' FOR SHARE)
         INSERT INTO notifications (workflow_id, notification_key, channel, recipient, subject, body, approval_id)
         SELECT gate.workflow_id, $3, $4, recipient, $5, $6, gate.id
         FROM gate, unnest(CASE WHEN approvers = '{}' THEN ARRAY[$7::text] ELSE approvers END) AS recipient
         ON CONFLICT (workflow_id, notification_key, channel, recipient) DO NOTHING",
        approval_id,
        workflow,
        notice.key,
        ANY_CHANNEL,
        storable(&notice.subject),
        storable(&notice.body),
        EVERYBODY,
    )
    .execute(executor)
    .await
    .trying_to("write a notification down")?;
    Ok(done.rows_affected())
}

/// Takes back what still waits about a gate.
pub(crate) async fn skip(
    executor: impl PgExecutor<'_>,
    approval_id: Uuid,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE notifications SET status = 'SKIPPED' WHERE approval_id = $1 AND status = 'PENDING'",
        approval_id,
    )
    .execute(executor)
    .await
    .trying_to("take notifications back")
    .map(|_| ())
}

/// A workflow's notifications, in order.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<NotificationRow>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT id, notification_key, channel, recipient, subject, body, approval_id, status, sent_at
         FROM notifications WHERE workflow_id = $1 ORDER BY id",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read a workflow's notifications")?;
    rows.into_iter()
        .map(|row| {
            Ok(NotificationRow {
                id: row.id,
                key: row.notification_key,
                channel: row.channel,
                recipient: row.recipient,
                subject: row.subject.unwrap_or_default(),
                body: row.body.unwrap_or_default(),
                approval_id: row.approval_id,
                status: status(&row.status)?,
                sent_at: row.sent_at,
            })
        })
        .collect()
}

fn status(name: &str) -> Result<NotificationStatus, LedgerError> {
    Ok(match name {
        "PENDING" => NotificationStatus::Pending,
        "SENT" => NotificationStatus::Sent,
        "FAILED" => NotificationStatus::Failed,
        "SKIPPED" => NotificationStatus::Skipped,
        other => {
            return Err(LedgerError::Unknown {
                what: "the notification's status",
                value: other.to_owned(),
            });
        }
    })
}
