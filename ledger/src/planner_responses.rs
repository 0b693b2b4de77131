//! What the planner's model answered to a ticket's requests, so that no request is paid twice: not by a worker that takes the
//! place of a killed one, nor after a person's `retry`.

use sallyport_workflows::{ObjectRef, activities::StepKey, ticket::TicketKey};

use crate::{
    convert::{from_bigint, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// An answer that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// The step that asked, and in which its cost counts.
    pub step: u64,
    /// The answer: JSON.
    pub response: ObjectRef,
}

/// Records the answer to the request with the SHA-256 `request`. Key: the ticket and the request; the first one stays.
pub async fn record(
    database: &Database,
    step: &StepKey,
    request: &[u8; 32],
    response: &ObjectRef,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO planner_responses (workflow_id, request_hash, step, response_url, response_bytes, stored_at)
         VALUES ($1, $2, $3, $4, $5, now())
         ON CONFLICT DO NOTHING",
        step.ticket.ledger_id(),
        request.as_slice(),
        to_bigint(step.sequence),
        response.key,
        to_bigint(response.bytes),
    )
    .execute(database.pool())
    .await
    .trying_to("record what the planner answered")?;
    Ok(())
}

/// The answer to the ticket's request, if it was asked before.
pub async fn find(
    database: &Database,
    ticket: &TicketKey,
    request: &[u8; 32],
) -> Result<Option<StoredResponse>, LedgerError> {
    let row = sqlx::query!(
        "SELECT step, response_url, response_bytes FROM planner_responses
         WHERE workflow_id = $1 AND request_hash = $2",
        ticket.ledger_id(),
        request.as_slice(),
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("find what the planner answered")?;
    Ok(row.map(|row| StoredResponse {
        step: from_bigint(row.step),
        response: ObjectRef {
            key: row.response_url,
            bytes: from_bigint(row.response_bytes),
        },
    }))
}

/// Forgets the answers to these requests of the ticket: they were of no use, and whoever asks again wants others.
pub async fn forget(
    database: &Database,
    ticket: &TicketKey,
    requests: &[[u8; 32]],
) -> Result<(), LedgerError> {
    let requests: Vec<Vec<u8>> = requests.iter().map(|request| request.to_vec()).collect();
    sqlx::query!(
        "DELETE FROM planner_responses WHERE workflow_id = $1 AND request_hash = ANY($2)",
        ticket.ledger_id(),
        &requests,
    )
    .execute(database.pool())
    .await
    .trying_to("forget what the planner answered")?;
    Ok(())
}
