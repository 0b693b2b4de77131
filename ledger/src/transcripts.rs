//! What was said between the agent and its model: in object storage, without secrets.

use sallyport_workflows::{ObjectRef, activities::StepKey};
use uuid::Uuid;

use crate::{
    convert::{from_bigint, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// Records the conversation of `session`, as it was after the run `step`, in place of an earlier run's. Key: the ticket and the
/// session.
pub async fn record(
    database: &Database,
    step: &StepKey,
    session: u64,
    transcript: &ObjectRef,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO transcripts (workflow_id, session, step, transcript_url, transcript_bytes, stored_at)
         VALUES ($1, $2, $3, $4, $5, now())
         ON CONFLICT (workflow_id, session) DO UPDATE
         SET step = EXCLUDED.step, transcript_url = EXCLUDED.transcript_url,
             transcript_bytes = EXCLUDED.transcript_bytes, stored_at = EXCLUDED.stored_at
         WHERE transcripts.step <= EXCLUDED.step",
        step.ticket.ledger_id(),
        to_bigint(session),
        to_bigint(step.sequence),
        transcript.key,
        to_bigint(transcript.bytes),
    )
    .execute(database.pool())
    .await
    .trying_to("record a transcript")?;
    Ok(())
}

/// The ticket's conversations, the oldest first; none if its agent never ran or the ticket is archived.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<ObjectRef>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT transcript_url, transcript_bytes FROM transcripts WHERE workflow_id = $1 ORDER BY session",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find a ticket's transcripts")?;
    let references = rows.into_iter().map(|row| ObjectRef {
        key: row.transcript_url,
        bytes: from_bigint(row.transcript_bytes),
    });
    Ok(references.collect())
}
