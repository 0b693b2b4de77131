//! The audit log of states, and the row of a workflow that follows it.

use chrono::{DateTime, Utc};
use sallyport_workflows::{State, activities::TransitionRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit::{chain::Chain, entry::Fact},
    convert::{self, storable, storable_option, to_bigint, to_integer},
    database::Database,
    error::{LedgerError, Trying},
    spec_revisions,
};

/// A transition, as the audit log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransitionRow {
    /// Its number in the workflow's life, from 1.
    pub sequence: u64,
    /// From which state; nothing for the first.
    pub from: Option<State>,
    /// To which.
    pub to: State,
    /// When the workflow made it.
    pub at: DateTime<Utc>,
    /// Who or what made it: a person's email address, or `system`.
    pub triggered_by: String,
    /// Why.
    pub reason: Option<String>,
}

/// Puts a transition on record and brings the workflow's row up to date, both or neither.
///
/// Key: the ticket and the sequence. The same transition again changes nothing, and one that is older than what the row
/// shows is put on record but does not touch the row. Returns whether the transition was new.
pub async fn record_transition(
    database: &Database,
    record: &TransitionRecord,
) -> Result<bool, LedgerError> {
    let id = record.ticket.ledger_id();
    let facts = &record.facts;
    let sequence = to_bigint(record.sequence);
    let to = record.to.as_str();
    let action = "record a transition";
    let mut transaction = database.pool().begin().await.trying_to(action)?;

    // The starter has made the row in most cases; the workflow does not depend on it.
    sqlx::query!(
        "INSERT INTO workflows (id, workflow_id, source, ticket_id, attempt, repository_url, state, since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO NOTHING",
        id,
        record.ticket.workflow_id(),
        record.ticket.source,
        record.ticket.ticket_id,
        to_integer(record.ticket.attempt),
        facts.repository_url,
        to,
        record.at,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;

    let mut chain = Chain::lock(&mut transaction, id).await?;
    let inserted = sqlx::query!(
        "INSERT INTO state_transitions
             (workflow_id, sequence, from_state, to_state, triggered_by, reason, metadata, created_at,
              recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (workflow_id, sequence) DO NOTHING",
        id,
        sequence,
        record.from.map(State::as_str),
        to,
        storable(&record.triggered_by),
        storable_option(record.reason.as_deref()),
        metadata(record),
        record.at,
        chain.now(),
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;

    if inserted.rows_affected() == 1 {
        chain
            .append(&mut transaction, Fact::Transition(record))
            .await?;
        spec_revisions::record(&mut transaction, record).await?;
    }

    let summary = facts.summary.as_ref();
    let spec = facts.spec.as_ref();
    let pull_request = facts.pull_request.as_ref();
    let failure = facts.failure.as_ref();
    sqlx::query!(
        "UPDATE workflows SET
             state = $3, sequence = $2, since = $4, updated_at = now(),
             completed_at = CASE WHEN $5::boolean THEN $4::timestamptz END,
             repository_url = $6,
             title = COALESCE($7, title),
             ticket_url = COALESCE($8, ticket_url),
             reporter = COALESCE($9, reporter),
             spec_path = $10, spec_bytes = $11, spec_revision = $12,
             spec_approved_at = CASE WHEN $3 = 'SPEC_APPROVED' THEN $4::timestamptz ELSE spec_approved_at END,
             spec_approved_by = $13,
             branch_name = COALESCE($14, branch_name),
             head_commit = $15, diff_path = $16, diff_bytes = $17,
             qa_report_url = $18, qa_report_bytes = $19, qa_passed = $20,
             pr_url = $21, pr_number = $22, pr_base_branch = $23, pr_head_commit = $24,
             pr_merged_at = CASE WHEN $3 = 'MERGED' THEN $4::timestamptz ELSE pr_merged_at END,
             failure_kind = $25, failure_step = $26, error_message = $27,
             retry_count = $28, unapproved = $29,
             model_requests = $30, input_tokens = $31, output_tokens = $32,
             cache_read_tokens = $33, cache_write_tokens = $34, cost_micro_usd = $35,
             planner = $36
         WHERE id = $1 AND sequence < $2",
        id,
        sequence,
        to,
        record.at,
        record.to.is_end(),
        facts.repository_url,
        storable_option(summary.map(|summary| summary.title.as_str())),
        storable_option(summary.map(|summary| summary.url.as_str())),
        storable_option(summary.map(|summary| summary.reporter.as_str())),
        spec.map(|spec| spec.text.key.clone()),
        spec.map(|spec| to_bigint(spec.text.bytes)),
        spec.map(|spec| spec.revision.clone()),
        facts.spec_approved_by,
        pull_request.map(|pull_request| pull_request.branch.clone()),
        facts.head_commit,
        facts.diff.as_ref().map(|diff| diff.key.clone()),
        facts.diff.as_ref().map(|diff| to_bigint(diff.bytes)),
        facts.qa_report.as_ref().map(|report| report.key.clone()),
        facts.qa_report.as_ref().map(|report| to_bigint(report.bytes)),
        facts.qa_passed,
        pull_request.map(|pull_request| pull_request.url.clone()),
        pull_request.map(|pull_request| to_bigint(pull_request.number)),
        pull_request.map(|pull_request| pull_request.base_branch.clone()),
        pull_request.map(|pull_request| pull_request.head_commit.clone()),
        failure.map(|failure| failure.kind.clone()),
        failure.map(|failure| failure.step.clone()),
        storable_option(failure.map(|failure| failure.message.as_str())),
        to_integer(facts.retries),
        facts.unapproved,
        to_bigint(facts.usage.requests),
        to_bigint(facts.usage.input_tokens),
        to_bigint(facts.usage.output_tokens),
        to_bigint(facts.usage.cache_read_tokens),
        to_bigint(facts.usage.cache_write_tokens),
        to_bigint(facts.usage.cost_micro_usd),
        facts.planner,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;

    transaction.commit().await.trying_to(action)?;
    Ok(inserted.rows_affected() == 1)
}

/// What was known of the ticket at a transition, small: texts stay in object storage.
pub(crate) fn metadata(record: &TransitionRecord) -> serde_json::Value {
    let facts = &record.facts;
    serde_json::json!({
        "spec_revision": facts.spec.as_ref().map(|spec| &spec.revision),
        "head_commit": facts.head_commit,
        "pull_request": facts.pull_request.as_ref().map(|pull_request| pull_request.number),
        "failure": facts.failure.as_ref().map(|failure| &failure.kind),
        "unapproved": facts.unapproved,
        "usage": facts.usage,
    })
}

/// A workflow's transitions, in order.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<TransitionRow>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT sequence, from_state, to_state, created_at, triggered_by, reason
         FROM state_transitions WHERE workflow_id = $1 ORDER BY sequence",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read a workflow's transitions")?;
    rows.into_iter()
        .map(|row| {
            Ok(TransitionRow {
                sequence: convert::from_bigint(row.sequence),
                from: row.from_state.as_deref().map(convert::state).transpose()?,
                to: convert::state(&row.to_state)?,
                at: row.created_at,
                triggered_by: row.triggered_by,
                reason: row.reason,
            })
        })
        .collect()
}
