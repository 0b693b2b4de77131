//! Which histories of workflows' runs are in object storage, since Temporal forgets them after its retention.

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_workflows::ObjectRef;
use uuid::Uuid;

use crate::{
    audit::read::Audited,
    convert::{from_bigint, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// The history of a run that has closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryExport {
    /// The run.
    pub run_id: String,
    /// How many events it has.
    pub events: u64,
    /// When the run closed.
    pub closed_at: DateTime<Utc>,
    /// The history, as Temporal's JSON.
    pub content: ObjectRef,
}

/// For how long an ended workflow is looked at again although its last run is exported: Temporal's list may tell of a
/// workflow's runs in another order than that in which they closed.
const LOOKED_AT_AGAIN: TimeDelta = TimeDelta::days(1);

/// The workflows after `after`, in the order of their UUIDs and at most `limit`, of which a run may have closed that is not
/// exported: all but those that had ended a day before `now`, and then a run of theirs closed that is exported.
pub async fn due(
    database: &Database,
    now: DateTime<Utc>,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Audited>, LedgerError> {
    sqlx::query_as!(
        Audited,
        "SELECT id AS workflow, workflow_id FROM workflows
         WHERE id > $1 AND NOT EXISTS (
             SELECT FROM history_exports
             WHERE history_exports.workflow_id = workflows.id AND closed_at >= workflows.completed_at
               AND workflows.completed_at < $3)
         ORDER BY id LIMIT $2",
        after.unwrap_or_default(),
        i64::from(limit),
        now - LOOKED_AT_AGAIN,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("list the workflows whose histories are to be exported")
}

/// Puts an export on record. Key: the workflow and the run. Returns whether it is new.
pub async fn record(
    database: &Database,
    workflow: Uuid,
    export: &HistoryExport,
) -> Result<bool, LedgerError> {
    let done = sqlx::query!(
        "INSERT INTO history_exports (workflow_id, run_id, events, closed_at, content_url, content_bytes)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workflow_id, run_id) DO NOTHING",
        workflow,
        export.run_id,
        to_bigint(export.events),
        export.closed_at,
        export.content.key,
        to_bigint(export.content.bytes),
    )
    .execute(database.pool())
    .await
    .trying_to("record the export of a history")?;
    Ok(done.rows_affected() == 1)
}

/// A workflow's exported runs, in the order in which they closed.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<HistoryExport>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT run_id, events, closed_at, content_url, content_bytes
         FROM history_exports WHERE workflow_id = $1 ORDER BY closed_at, run_id",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("list a workflow's exported histories")?;
    let export = rows.into_iter().map(|row| HistoryExport {
        run_id: row.run_id,
        events: from_bigint(row.events),
        closed_at: row.closed_at,
        content: ObjectRef {
            key: row.content_url,
            bytes: from_bigint(row.content_bytes),
        },
    });
    Ok(export.collect())
}
