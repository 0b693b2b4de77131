//! The audit log of decisions, the refused ones too.

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    ObjectRef, activities::RecordDecision, decision::Verdict, gate::Gate, ticket::TicketKey,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    convert::{self, object_ref, storable, storable_option, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// Who put a decision or a command on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The workflow: it saw it.
    Workflow,
    /// The API: the workflow turned it away, or was not asked.
    Api,
}

/// A decision, as the audit log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// Its id.
    pub id: Uuid,
    /// The request that it answered, if one was open.
    pub approval_id: Option<Uuid>,
    /// The gate decided.
    pub gate: Gate,
    /// The revision decided about.
    pub revision: String,
    /// The answer.
    pub decision: Verdict,
    /// Who said so.
    pub by: String,
    /// The comments, stored.
    pub comments: Option<ObjectRef>,
    /// Whether the starter vouches for who decided.
    pub proven: bool,
    /// Why it did not count; nothing if it counted.
    pub refused: Option<String>,
    /// Who put it on record.
    pub origin: Origin,
    /// When it was taken in.
    pub at: DateTime<Utc>,
}

/// A decision that the API refused on the workflow's behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedByApi {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The decision's id.
    pub id: Uuid,
    /// The request that it answered.
    pub approval_id: Option<Uuid>,
    /// The gate.
    pub gate: Gate,
    /// The revision that it named.
    pub revision: String,
    /// The answer.
    pub decision: Verdict,
    /// Who said so.
    pub by: String,
    /// The comments, stored.
    pub comments: Option<ObjectRef>,
    /// Why it was refused.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Puts a decision on record as the workflow judged it.
///
/// Key: the ticket and the decision's id. A second record of the same decision changes nothing; a refusal that the API
/// wrote under this id gives way, since the workflow is the truth.
pub async fn record_decision(
    database: &Database,
    input: &RecordDecision,
) -> Result<(), LedgerError> {
    let record = &input.record;
    sqlx::query!(
        "INSERT INTO decisions (workflow_id, id, approval_id, gate, revision, decision, decided_by, comments,
                                comments_bytes, proven, refused, origin, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'workflow', $12)
         ON CONFLICT (workflow_id, id) DO UPDATE SET
             approval_id = EXCLUDED.approval_id, gate = EXCLUDED.gate, revision = EXCLUDED.revision,
             decision = EXCLUDED.decision, decided_by = EXCLUDED.decided_by, comments = EXCLUDED.comments,
             comments_bytes = EXCLUDED.comments_bytes, proven = EXCLUDED.proven, refused = EXCLUDED.refused,
             origin = EXCLUDED.origin, decided_at = EXCLUDED.decided_at, recorded_at = now()
         WHERE decisions.origin = 'api'",
        input.ticket.ledger_id(),
        record.id,
        input.approval_id,
        record.gate.as_str(),
        storable(&record.revision),
        record.decision.as_str(),
        storable(&record.by),
        input.comments.as_ref().map(|comments| comments.key.clone()),
        input.comments.as_ref().map(|comments| to_bigint(comments.bytes)),
        record.proven,
        storable_option(record.refused.as_deref()),
        record.at,
    )
    .execute(database.pool())
    .await
    .trying_to("record a decision")
    .map(|_| ())
}

/// Puts a decision on record that the workflow turned away unseen.
///
/// Key: the ticket and the decision's id. What is on record under it stays as it is.
pub async fn record_refusal(
    database: &Database,
    refused: &RefusedByApi,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO decisions (workflow_id, id, approval_id, gate, revision, decision, decided_by, comments,
                                comments_bytes, proven, refused, origin, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true, $10, 'api', $11)
         ON CONFLICT (workflow_id, id) DO NOTHING",
        refused.ticket.ledger_id(),
        refused.id,
        refused.approval_id,
        refused.gate.as_str(),
        storable(&refused.revision),
        refused.decision.as_str(),
        storable(&refused.by),
        refused.comments.as_ref().map(|comments| comments.key.clone()),
        refused.comments.as_ref().map(|comments| to_bigint(comments.bytes)),
        storable(&refused.reason),
        refused.at,
    )
    .execute(database.pool())
    .await
    .trying_to("record a refused decision")
    .map(|_| ())
}

/// A workflow's decisions, in order.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<DecisionRow>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT id, approval_id, gate, revision, decision, decided_by, comments, comments_bytes, proven, refused, origin,
                decided_at
         FROM decisions WHERE workflow_id = $1 ORDER BY decided_at, recorded_at, id",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read a workflow's decisions")?;
    rows.into_iter()
        .map(|row| {
            Ok(DecisionRow {
                id: row.id,
                approval_id: row.approval_id,
                gate: convert::gate(&row.gate)?,
                revision: row.revision,
                decision: convert::verdict(&row.decision)?,
                by: row.decided_by,
                comments: object_ref(row.comments, row.comments_bytes),
                proven: row.proven,
                refused: row.refused,
                origin: convert::origin(&row.origin),
                at: row.decided_at,
            })
        })
        .collect()
}
