//! Agents' logs of finished tickets: out of the table into objects of one JSON document a line, and pages of both.

use chrono::{DateTime, Utc};
use sallyport_workflows::ObjectRef;
use uuid::Uuid;

use super::RetentionError;
use crate::{
    Database, LedgerError, Objects,
    agent_logs::{self, LogRow, MAXIMUM_PAGE},
    convert::{from_bigint, to_bigint},
    error::Trying,
};

/// How large an object grows, in bytes; below the largest that is taken, whatever the last page adds.
const PART_BYTES: usize = 16 * 1024 * 1024;

/// What went into object storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchivedLogs {
    /// Of how many tickets.
    pub tickets: u64,
    /// How many lines.
    pub lines: u64,
}

/// Archives the logs of all tickets that ended before `before`.
pub async fn archive(
    database: &Database,
    objects: &Objects,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<ArchivedLogs, RetentionError> {
    let workflows = sqlx::query_scalar!(
        "SELECT id FROM workflows
         WHERE completed_at < $1 AND EXISTS (SELECT FROM agent_logs WHERE workflow_id = workflows.id)
         ORDER BY completed_at",
        before,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find the logs to archive")?;
    let mut archived = ArchivedLogs::default();
    for workflow in workflows {
        archived.tickets += 1;
        archived.lines += archive_one(database, objects, workflow, now).await?;
    }
    Ok(archived)
}

/// Archives the log of one workflow, part after part.
///
/// Key: the workflow and the first line of a part. A part is stored first; then, in one transaction, its place is put on
/// record and its lines are removed.
pub(super) async fn archive_one(
    database: &Database,
    objects: &Objects,
    workflow: Uuid,
    now: DateTime<Utc>,
) -> Result<u64, RetentionError> {
    let mut lines = 0;
    loop {
        let Some(part) = next_part(database, workflow).await? else {
            return Ok(lines);
        };
        let stored = objects.put(part.text).await?;
        let key = (workflow, part.first, part.last);
        lines += replace(database, key, &stored, now).await?;
    }
}

struct Part {
    first: u64,
    last: u64,
    text: Vec<u8>,
}

async fn next_part(database: &Database, workflow: Uuid) -> Result<Option<Part>, RetentionError> {
    let (mut text, mut first, mut last) = (Vec::new(), None, 0);
    loop {
        let page = agent_logs::page(database, workflow, last, MAXIMUM_PAGE).await?;
        let is_last = page.is_empty();
        for row in page {
            first.get_or_insert(row.id);
            last = row.id;
            serde_json::to_writer(&mut text, &row)
                .map_err(|source| RetentionError::Json { workflow, source })?;
            text.push(b'\n');
        }
        if is_last || text.len() >= PART_BYTES {
            return Ok(first.map(|first| Part { first, last, text }));
        }
    }
}

/// Lets the stored part take the place of its lines. Returns how many lines went; none where somebody else did it.
async fn replace(
    database: &Database,
    (workflow, first, last): (Uuid, u64, u64),
    stored: &ObjectRef,
    now: DateTime<Utc>,
) -> Result<u64, LedgerError> {
    let action = "archive an agent's log";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    let removed = sqlx::query!(
        "DELETE FROM agent_logs WHERE workflow_id = $1 AND id BETWEEN $2 AND $3",
        workflow,
        to_bigint(first),
        to_bigint(last),
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?
    .rows_affected();
    if removed > 0 {
        sqlx::query!(
            "INSERT INTO agent_log_archives (workflow_id, first_id, last_id, lines, log_url, log_bytes, archived_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            workflow,
            to_bigint(first),
            to_bigint(last),
            to_bigint(removed),
            stored.key,
            to_bigint(stored.bytes),
            now,
        )
        .execute(&mut *transaction)
        .await
        .trying_to(action)?;
    }
    transaction.commit().await.trying_to(action)?;
    Ok(removed)
}

/// [`agent_logs::page`], wherever the lines are.
pub async fn page(
    database: &Database,
    objects: &Objects,
    workflow: Uuid,
    after: u64,
    limit: u32,
) -> Result<Vec<LogRow>, RetentionError> {
    let limit = limit.min(MAXIMUM_PAGE);
    let mut rows = archived(database, objects, workflow, after, limit).await?;
    let left = limit - u32::try_from(rows.len()).unwrap_or(limit);
    if left > 0 {
        let after = rows.last().map_or(after, |row| row.id);
        rows.extend(agent_logs::page(database, workflow, after, left).await?);
    }
    Ok(rows)
}

async fn archived(
    database: &Database,
    objects: &Objects,
    workflow: Uuid,
    after: u64,
    limit: u32,
) -> Result<Vec<LogRow>, RetentionError> {
    let parts = sqlx::query!(
        "SELECT log_url, log_bytes FROM agent_log_archives WHERE workflow_id = $1 AND last_id > $2 ORDER BY first_id",
        workflow,
        to_bigint(after),
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find an archived log")?;
    let mut rows = Vec::new();
    for part in parts {
        if rows.len() >= limit as usize {
            break;
        }
        let part = ObjectRef {
            key: part.log_url,
            bytes: from_bigint(part.log_bytes),
        };
        let text = objects.get(&part).await?;
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let row: LogRow = serde_json::from_slice(line)
                .map_err(|source| RetentionError::Json { workflow, source })?;
            if row.id > after && rows.len() < limit as usize {
                rows.push(row);
            }
        }
    }
    Ok(rows)
}
