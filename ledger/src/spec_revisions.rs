//! Every SPEC that was planned for a ticket.

use chrono::{DateTime, Utc};
use sallyport_workflows::{ObjectRef, activities::TransitionRecord};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    convert::{from_bigint, from_integer, object_ref, to_bigint, to_integer},
    database::Database,
    error::{LedgerError, Trying},
};

/// A SPEC, as it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecRevisionRow {
    /// The transition that it came with.
    pub sequence: u64,
    /// What a decision about it names: a SHA-256.
    pub revision: String,
    /// The commit that it was planned against.
    pub base_commit: String,
    /// SPEC.md.
    pub text: ObjectRef,
    /// The same as JSON.
    pub document: ObjectRef,
    /// How many files it names.
    pub files: u32,
    /// How sure the planner was, in per cent.
    pub confidence_percent: u8,
    /// What the planner was shown of the repository and why, and what was left out: Markdown.
    pub context: Option<ObjectRef>,
    /// When the ticket went on with it.
    pub planned_at: DateTime<Utc>,
}

/// Puts the SPEC of a transition on record, if it is a new one. Key: the workflow and the revision.
pub(crate) async fn record(
    connection: &mut PgConnection,
    record: &TransitionRecord,
) -> Result<(), LedgerError> {
    let Some(spec) = &record.facts.spec else {
        return Ok(());
    };
    sqlx::query!(
        "INSERT INTO spec_revisions
             (workflow_id, sequence, revision, base_commit, spec_url, spec_bytes, document_url, document_bytes,
              files, confidence_percent, planned_at, context_url, context_bytes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (workflow_id, revision) DO NOTHING",
        record.ticket.ledger_id(),
        to_bigint(record.sequence),
        spec.revision,
        spec.base_commit,
        spec.text.key,
        to_bigint(spec.text.bytes),
        spec.document.key,
        to_bigint(spec.document.bytes),
        to_integer(spec.files),
        i16::from(spec.confidence_percent.min(100)),
        record.at,
        spec.context.as_ref().map(|context| context.key.clone()),
        spec.context.as_ref().map(|context| to_bigint(context.bytes)),
    )
    .execute(connection)
    .await
    .trying_to("record a SPEC")?;
    Ok(())
}

/// A workflow's SPECs, in the order in which they were planned.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<SpecRevisionRow>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT sequence, revision, base_commit, spec_url, spec_bytes, document_url, document_bytes, files,
                confidence_percent, planned_at, context_url, context_bytes
         FROM spec_revisions WHERE workflow_id = $1 ORDER BY sequence, revision",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read a ticket's SPECs")?;
    let row = rows.into_iter().map(|row| SpecRevisionRow {
        sequence: from_bigint(row.sequence),
        revision: row.revision,
        base_commit: row.base_commit,
        text: ObjectRef {
            key: row.spec_url,
            bytes: from_bigint(row.spec_bytes),
        },
        document: ObjectRef {
            key: row.document_url,
            bytes: from_bigint(row.document_bytes),
        },
        files: from_integer(row.files),
        confidence_percent: u8::try_from(row.confidence_percent).unwrap_or_default(),
        planned_at: row.planned_at,
        context: object_ref(row.context_url, row.context_bytes),
    });
    Ok(row.collect())
}
