//! What leaves the ledger after a while, and where it goes.
//!
//! Only what belongs to a ticket that has ended, and ended long enough ago, ever goes; of the inbox, what was worked off.
//! The rows of the audit log (workflows, transitions, approvals, decisions, commands, pull requests) stay for ever.
//!
//! | what | goes | look in |
//! | --- | --- | --- |
//! | lines of agents' logs | into object storage, from where pages still come | [`agent_logs`] |
//! | a finished ticket's other details | into one document in object storage | [`tickets`] |
//! | events that were worked off, what people were told | away | here |
//!
//! Every function can be broken off and run again, also several times at once: it does what is still to be done.

pub mod agent_logs;
pub mod tickets;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Database, LedgerError, ObjectError, error::Trying};

/// How much one statement removes, so that none holds others up.
const BATCH: i64 = 1000;

/// Why something was not archived.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The storage failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// What was read cannot be written as JSON.
    #[error("the archive of workflow {workflow} cannot be written: {source}")]
    Json {
        /// Which.
        workflow: Uuid,
        /// Why.
        source: serde_json::Error,
    },
}

/// Removes events that were dispatched or ignored before `before`, but none whose ticket still runs, or ended later than
/// that. Failed ones stay until somebody drops them. Returns how many went.
///
/// From then on a delivery of that id is no duplicate any more; the ledger's row of its ticket still keeps it from being
/// worked on twice.
pub async fn remove_events(database: &Database, before: DateTime<Utc>) -> Result<u64, LedgerError> {
    let mut removed = 0;
    loop {
        let done = sqlx::query!(
            "WITH old AS (
                 SELECT id FROM inbox
                 WHERE status IN ('dispatched', 'ignored') AND finished_at < $1
                   AND NOT EXISTS (SELECT FROM workflows
                                   WHERE inbox_id = inbox.id AND (completed_at IS NULL OR completed_at >= $1))
                 ORDER BY id LIMIT $2
                 FOR UPDATE SKIP LOCKED
             ), freed AS (
                 UPDATE workflows SET inbox_id = NULL WHERE inbox_id IN (SELECT id FROM old)
             )
             DELETE FROM inbox WHERE id IN (SELECT id FROM old)",
            before,
            BATCH,
        )
        .execute(database.pool())
        .await
        .trying_to("remove events that were worked off")?
        .rows_affected();
        removed += done;
        if done == 0 {
            return Ok(removed);
        }
    }
}

/// Removes what people were told of tickets that ended before `before`. What still waits stays. Returns how many went.
pub async fn remove_notifications(
    database: &Database,
    before: DateTime<Utc>,
) -> Result<u64, LedgerError> {
    let mut removed = 0;
    loop {
        let done = sqlx::query!(
            "DELETE FROM notifications WHERE id IN (
                 SELECT notifications.id FROM notifications
                 JOIN workflows ON workflows.id = notifications.workflow_id
                 WHERE workflows.completed_at < $1 AND notifications.status <> 'PENDING'
                   AND COALESCE(notifications.sent_at, notifications.created_at) < $1
                 LIMIT $2)",
            before,
            BATCH,
        )
        .execute(database.pool())
        .await
        .trying_to("remove what people were told")?
        .rows_affected();
        removed += done;
        if done == 0 {
            return Ok(removed);
        }
    }
}
