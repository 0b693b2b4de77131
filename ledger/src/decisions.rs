//! The audit log of decisions, the refused ones too.

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    ObjectRef, activities::RecordDecision, decision::Verdict, gate::Gate, ticket::TicketKey,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit::{chain::Chain, entry::Fact},
    convert::{self, object_ref, storable, storable_option, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// Who put a decision or a command on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The workflow: it saw it.
    Workflow,
    /// The API: the workflow turned it away, or was not asked.
    Api,
}

impl Origin {
    /// The fixed name, as the ledger stores it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Api => "api",
        }
    }
}

/// A decision, as the audit log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
/// Key: the ticket and the decision's id. A second record of the same decision changes nothing. A refusal that the API
/// wrote under this id stays beside it; the workflow's word is the one that counts.
pub async fn record_decision(
    database: &Database,
    input: &RecordDecision,
) -> Result<(), LedgerError> {
    let workflow = input.ticket.ledger_id();
    insert(database, workflow, &input.into(), Fact::Decision(input)).await
}

/// Puts a decision on record that the workflow turned away unseen.
///
/// Key: the ticket and the decision's id. What is on record under it stays as it is.
pub async fn record_refusal(
    database: &Database,
    refused: &RefusedByApi,
) -> Result<(), LedgerError> {
    let workflow = refused.ticket.ledger_id();
    let row = refused.into();
    insert(database, workflow, &row, Fact::DecisionRefused(refused)).await
}

impl From<&RecordDecision> for DecisionRow {
    fn from(input: &RecordDecision) -> Self {
        let record = &input.record;
        Self {
            id: record.id,
            approval_id: input.approval_id,
            gate: record.gate,
            revision: record.revision.clone(),
            decision: record.decision,
            by: record.by.clone(),
            comments: input.comments.clone(),
            proven: record.proven,
            refused: record.refused.clone(),
            origin: Origin::Workflow,
            at: record.at,
        }
    }
}

impl From<&RefusedByApi> for DecisionRow {
    fn from(refused: &RefusedByApi) -> Self {
        Self {
            id: refused.id,
            approval_id: refused.approval_id,
            gate: refused.gate,
            revision: refused.revision.clone(),
            decision: refused.decision,
            by: refused.by.clone(),
            comments: refused.comments.clone(),
            proven: true,
            refused: Some(refused.reason.clone()),
            origin: Origin::Api,
            at: refused.at,
        }
    }
}

async fn insert(
    database: &Database,
    workflow: Uuid,
    row: &DecisionRow,
    fact: Fact<'_>,
) -> Result<(), LedgerError> {
    let action = "record a decision";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    let mut chain = Chain::lock(&mut transaction, workflow).await?;
    // The API's word about a decision that the workflow has judged meanwhile is not worth keeping.
    let inserted = sqlx::query!(
        "INSERT INTO decisions (workflow_id, id, approval_id, gate, revision, decision, decided_by, comments,
                                comments_bytes, proven, refused, origin, decided_at, recorded_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
         WHERE $12 = 'workflow' OR NOT EXISTS (SELECT FROM decisions WHERE workflow_id = $1 AND id = $2)
         ON CONFLICT (workflow_id, id, origin) DO NOTHING",
        workflow,
        row.id,
        row.approval_id,
        row.gate.as_str(),
        storable(&row.revision),
        row.decision.as_str(),
        storable(&row.by),
        row.comments.as_ref().map(|comments| comments.key.clone()),
        row.comments.as_ref().map(|comments| to_bigint(comments.bytes)),
        row.proven,
        storable_option(row.refused.as_deref()),
        row.origin.as_str(),
        row.at,
        chain.now(),
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    if inserted.rows_affected() == 1 {
        chain.append(&mut transaction, fact).await?;
    }
    transaction.commit().await.trying_to(action)
}

/// A workflow's decisions, in order.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<DecisionRow>, LedgerError> {
    // 'workflow' comes after 'api': where both wrote, the workflow's word is shown.
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", approval_id, gate AS "gate!", revision AS "revision!", decision AS "decision!",
                  decided_by AS "decided_by!", comments, comments_bytes, proven AS "proven!", refused,
                  origin AS "origin!", decided_at AS "decided_at!"
           FROM (SELECT DISTINCT ON (id) * FROM decisions WHERE workflow_id = $1 ORDER BY id, origin DESC) AS decisions
           ORDER BY decided_at, recorded_at, id"#,
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
