//! What another host needs to go on with a ticket: how far the agent's runs came, and the latest copy of workspace and
//! session.

use chrono::{DateTime, Utc};
use sallyport_workflows::{ObjectRef, activities::StepKey, ticket::TicketKey};

use crate::{
    convert::{from_bigint, storable, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// A copy of a ticket's workspace and of its agent's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The agent's run that it was taken in; 0 for a workspace that was only laid out.
    pub step: u64,
    /// Whether the agent had ended its turn by then.
    pub ended: bool,
    /// A git bundle.
    pub bundle: ObjectRef,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
}

/// Records a checkpoint in place of the one before. Key: the ticket. Nothing is recorded, and the answer is false, if another
/// host than `host_id` holds the ticket by now.
///
/// The bundle needs no other record: [`crate::garbage`] looks here, and forgets the one before.
pub async fn record(
    database: &Database,
    ticket: &TicketKey,
    host_id: &str,
    checkpoint: &Checkpoint,
) -> Result<bool, LedgerError> {
    let done = sqlx::query!(
        "INSERT INTO checkpoints (workflow_id, step, ended, bundle_url, bundle_bytes, taken_at)
         SELECT workflow_id, $3, $4, $5, $6, $7 FROM workspaces WHERE workflow_id = $1 AND host_id = $2
         ON CONFLICT (workflow_id) DO UPDATE
         SET step = EXCLUDED.step, ended = EXCLUDED.ended, bundle_url = EXCLUDED.bundle_url,
             bundle_bytes = EXCLUDED.bundle_bytes, taken_at = EXCLUDED.taken_at",
        ticket.ledger_id(),
        host_id,
        to_bigint(checkpoint.step),
        checkpoint.ended,
        checkpoint.bundle.key,
        to_bigint(checkpoint.bundle.bytes),
        checkpoint.taken_at,
    )
    .execute(database.pool())
    .await
    .trying_to("record a checkpoint")?;
    Ok(done.rows_affected() > 0)
}

/// A ticket's latest checkpoint.
pub async fn latest(
    database: &Database,
    ticket: &TicketKey,
) -> Result<Option<Checkpoint>, LedgerError> {
    let row = sqlx::query!(
        "SELECT step, ended, bundle_url, bundle_bytes, taken_at FROM checkpoints WHERE workflow_id = $1",
        ticket.ledger_id(),
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("read a checkpoint")?;
    Ok(row.map(|row| Checkpoint {
        step: from_bigint(row.step),
        ended: row.ended,
        bundle: ObjectRef {
            key: row.bundle_url,
            bytes: from_bigint(row.bundle_bytes),
        },
        taken_at: row.taken_at,
    }))
}

/// Records how far a run of the agent came, as JSON. Key: the step. Nothing is recorded, and the answer is false, if another
/// host than `host_id` holds the ticket by now.
pub async fn record_run(
    database: &Database,
    step: &StepKey,
    host_id: &str,
    record: &str,
) -> Result<bool, LedgerError> {
    let done = sqlx::query!(
        "INSERT INTO agent_runs (workflow_id, step, record, updated_at)
         SELECT workflow_id, $3, $4, now() FROM workspaces WHERE workflow_id = $1 AND host_id = $2
         ON CONFLICT (workflow_id, step) DO UPDATE SET record = EXCLUDED.record, updated_at = EXCLUDED.updated_at",
        step.ticket.ledger_id(),
        host_id,
        to_bigint(step.sequence),
        storable(record),
    )
    .execute(database.pool())
    .await
    .trying_to("record how far the agent came")?;
    Ok(done.rows_affected() > 0)
}

/// How far a run of the agent came, as JSON, if it began.
pub async fn run(database: &Database, step: &StepKey) -> Result<Option<String>, LedgerError> {
    sqlx::query_scalar!(
        "SELECT record FROM agent_runs WHERE workflow_id = $1 AND step = $2",
        step.ticket.ledger_id(),
        to_bigint(step.sequence),
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("read how far the agent came")
}
