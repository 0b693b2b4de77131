//! Finished tickets: all that the ledger knows of one goes into one document in object storage; then the rows go that
//! only made lists and pages, and the audit log stays.

use chrono::{DateTime, Utc};
use sallyport_workflows::ObjectRef;
use uuid::Uuid;

use super::{RetentionError, agent_logs};
use crate::{Database, LedgerError, Objects, convert::to_bigint, error::Trying};

/// The tables that an archive holds, each under its own name. A test holds it against the schema.
pub const TABLES: [&str; 14] = [
    "agent_log_archives",
    "approvals",
    "commands",
    "costs",
    "decisions",
    "history_exports",
    "notifications",
    "planner_calls",
    "pull_requests",
    "qa_reports",
    "qa_results",
    "spec_revisions",
    "state_transitions",
    "workflows",
];

/// Archives all tickets that ended before `before`. Returns how many.
pub async fn archive(
    database: &Database,
    objects: &Objects,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64, RetentionError> {
    let workflows = sqlx::query_scalar!(
        "SELECT id FROM workflows
         WHERE completed_at < $1 AND NOT EXISTS (SELECT FROM ticket_archives WHERE workflow_id = workflows.id)
         ORDER BY completed_at",
        before,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find the tickets to archive")?;
    let mut archived = 0;
    for workflow in workflows {
        // The log first: the document says where it is.
        agent_logs::archive_one(database, objects, workflow, now).await?;
        let document = document(database, workflow).await?;
        let stored = objects.put(document.clone()).await?;
        archived += u64::from(replace(database, workflow, &document, &stored, now).await?);
    }
    Ok(archived)
}

/// All that the ledger knows of one workflow, as JSON.
async fn document(database: &Database, workflow: Uuid) -> Result<String, LedgerError> {
    sqlx::query_scalar!(
        r#"SELECT jsonb_pretty(jsonb_build_object(
               'archive_version', 1,
               'workflows', (SELECT jsonb_agg(to_jsonb(t)) FROM workflows t WHERE id = $1),
               'state_transitions', (SELECT jsonb_agg(to_jsonb(t) ORDER BY sequence) FROM state_transitions t WHERE workflow_id = $1),
               'approvals', (SELECT jsonb_agg(to_jsonb(t) ORDER BY requested_at, id) FROM approvals t WHERE workflow_id = $1),
               'decisions', (SELECT jsonb_agg(to_jsonb(t) ORDER BY decided_at, id) FROM decisions t WHERE workflow_id = $1),
               'commands', (SELECT jsonb_agg(to_jsonb(t) ORDER BY commanded_at, id) FROM commands t WHERE workflow_id = $1),
               'costs', (SELECT jsonb_agg(to_jsonb(t) ORDER BY sequence) FROM costs t WHERE workflow_id = $1),
               'spec_revisions', (SELECT jsonb_agg(to_jsonb(t) ORDER BY sequence) FROM spec_revisions t WHERE workflow_id = $1),
               'history_exports', (SELECT jsonb_agg(to_jsonb(t) ORDER BY closed_at, run_id) FROM history_exports t WHERE workflow_id = $1),
               'notifications', (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM notifications t WHERE workflow_id = $1),
               'planner_calls', (SELECT jsonb_agg(to_jsonb(t) ORDER BY step, asked_at) FROM planner_calls t WHERE workflow_id = $1),
               'pull_requests', (SELECT jsonb_agg(to_jsonb(t)) FROM pull_requests t WHERE workflow_id = $1),
               'qa_reports', (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM qa_reports t WHERE workflow_id = $1),
               'qa_results', (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM qa_results t WHERE workflow_id = $1),
               'agent_log_archives', (SELECT jsonb_agg(to_jsonb(t) ORDER BY first_id) FROM agent_log_archives t WHERE workflow_id = $1)
           )) AS "document!""#,
        workflow,
    )
    .fetch_one(database.pool())
    .await
    .trying_to("read all that is known of a ticket")
}

/// Puts the archive on record and removes what it stands for. The objects that it names stay; what else was stored for the
/// ticket is referred to no longer.
///
/// Key: the workflow. Returns whether this call did it.
async fn replace(
    database: &Database,
    workflow: Uuid,
    document: &str,
    stored: &ObjectRef,
    now: DateTime<Utc>,
) -> Result<bool, LedgerError> {
    let action = "archive a ticket";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    let inserted = sqlx::query!(
        "INSERT INTO ticket_archives (workflow_id, archive_url, archive_bytes, archived_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        workflow,
        stored.key,
        to_bigint(stored.bytes),
        now,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!("DELETE FROM qa_results WHERE workflow_id = $1", workflow)
        .execute(&mut *transaction)
        .await
        .trying_to(action)?;
    sqlx::query!("DELETE FROM transcripts WHERE workflow_id = $1", workflow)
        .execute(&mut *transaction)
        .await
        .trying_to(action)?;
    sqlx::query!(
        "DELETE FROM planner_responses WHERE workflow_id = $1",
        workflow
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    sqlx::query!("DELETE FROM notifications WHERE workflow_id = $1", workflow)
        .execute(&mut *transaction)
        .await
        .trying_to(action)?;
    sqlx::query!(
        "DELETE FROM object_references WHERE workflow_id = $1 AND position(object_key IN $2) = 0",
        workflow,
        document,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    transaction.commit().await.trying_to(action)?;
    Ok(true)
}
