//! Requests for a decision: what gates ask, and how they closed.

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_workflows::{
    ObjectRef,
    activities::{CloseGate, GateClosing, OpenGateRequest},
    decision::Verdict,
    gate::{Gate, OpenGate},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    convert::{self, from_bigint, from_integer, storable_option, to_bigint, to_integer},
    database::Database,
    error::{LedgerError, Trying},
};

/// The longest time that a gate may stay open, in seconds: 10 years.
const LONGEST_TIMEOUT: u64 = 10 * 366 * 24 * 60 * 60;

/// Whether a gate is open, and if not, how it closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ApprovalStatus {
    /// It is open.
    Pending,
    /// Enough people approved.
    Approved,
    /// Somebody asked for changes.
    Revised,
    /// Somebody rejected.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// The ticket was given up meanwhile.
    Cancelled,
}

/// A request for a decision, with what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRow {
    /// The request's id.
    pub id: Uuid,
    /// The ledger's UUID of the workflow that asks.
    pub workflow: Uuid,
    /// Its id in Temporal.
    pub workflow_id: String,
    /// The ticket's id.
    pub ticket_id: String,
    /// The ticket's title.
    pub title: Option<String>,
    /// Which gate.
    pub gate: Gate,
    /// Exactly what is asked about.
    pub revision: String,
    /// What to read before deciding.
    pub content: ObjectRef,
    /// How many distinct people must approve.
    pub approvals_needed: u32,
    /// How many distinct people have approved this request.
    pub approvals_given: u32,
    /// Whether it is open, and if not, how it closed.
    pub status: ApprovalStatus,
    /// When it opened.
    pub requested_at: DateTime<Utc>,
    /// When silence closes it.
    pub expires_at: DateTime<Utc>,
    /// When it closed.
    pub decided_at: Option<DateTime<Utc>>,
    /// Who closed it; nothing if nobody did in time.
    pub decided_by: Option<String>,
}

/// Puts a request on record, with its deadline: the opening plus the time-out.
///
/// Key: the request's id. Opened already, it keeps its deadline, and an answer that closed it meanwhile.
pub async fn open_gate(
    database: &Database,
    request: &OpenGateRequest,
) -> Result<OpenGate, LedgerError> {
    let action = "open a gate";
    let timeout = TimeDelta::seconds(to_bigint(
        request.policy.timeout_seconds.min(LONGEST_TIMEOUT),
    ));
    sqlx::query!(
        "INSERT INTO approvals (id, workflow_id, approval_type, revision, content_url, content_bytes, approvals_needed,
                                requested_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO NOTHING",
        request.approval_id,
        request.ticket.ledger_id(),
        request.gate.as_str(),
        request.revision,
        request.content.key,
        to_bigint(request.content.bytes),
        to_integer(request.policy.approvals.max(1)),
        request.opened_at,
        request.opened_at + timeout,
    )
    .execute(database.pool())
    .await
    .trying_to(action)?;
    let row = get(database, request.approval_id).await?;
    Ok(OpenGate {
        approval_id: row.id,
        gate: row.gate,
        revision: row.revision,
        content: row.content,
        approvals_needed: row.approvals_needed,
        approvers: request.policy.approvers.clone(),
        may_not_approve: (!request.policy.reporter_may_approve && !request.reporter.is_empty())
            .then(|| request.reporter.clone()),
        opened_at: row.requested_at,
        deadline: row.expires_at,
        reminders: Vec::new(),
        base_change: request.base_change.clone(),
    })
}

/// Puts on record how a gate closed.
///
/// Key: the request's id. One that is closed stays as it is. Returns whether this call closed it.
pub async fn close_gate(database: &Database, closing: &CloseGate) -> Result<bool, LedgerError> {
    let decision = match closing.closing {
        GateClosing::Approved => Some(Verdict::Approve),
        GateClosing::Revised => Some(Verdict::Revise),
        GateClosing::Rejected => Some(Verdict::Reject),
        GateClosing::Expired | GateClosing::Cancelled => None,
    };
    let done = sqlx::query!(
        "UPDATE approvals SET
             status = $3, decision = $4, decided_at = $5, decided_by = $6,
             comments = (SELECT comments FROM decisions
                         WHERE decisions.approval_id = $1 AND refused IS NULL AND decisions.decision = $4
                         ORDER BY decisions.decided_at DESC LIMIT 1)
         WHERE id = $1 AND workflow_id = $2 AND status = 'PENDING'",
        closing.approval_id,
        closing.ticket.ledger_id(),
        closing.closing.as_str(),
        decision.map(Verdict::as_str),
        closing.at,
        storable_option(closing.by.as_deref()),
    )
    .execute(database.pool())
    .await
    .trying_to("close a gate")?;
    Ok(done.rows_affected() == 1)
}

/// The requests that wait for a decision, the most urgent first.
pub async fn pending(database: &Database) -> Result<Vec<ApprovalRow>, LedgerError> {
    select(database, None, None, true).await
}

/// All requests of a workflow, in order.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<ApprovalRow>, LedgerError> {
    select(database, None, Some(workflow), false).await
}

/// One request. Error: [`LedgerError::NotFound`].
pub async fn get(database: &Database, id: Uuid) -> Result<ApprovalRow, LedgerError> {
    select(database, Some(id), None, false)
        .await?
        .pop()
        .ok_or_else(|| LedgerError::NotFound {
            what: "request for approval",
            name: id.to_string(),
        })
}

async fn select(
    database: &Database,
    id: Option<Uuid>,
    workflow: Option<Uuid>,
    only_pending: bool,
) -> Result<Vec<ApprovalRow>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT approvals.id, approvals.workflow_id AS workflow, workflows.workflow_id, workflows.ticket_id,
                  workflows.title, approval_type, revision, content_url, content_bytes, approvals_needed,
                  (SELECT count(DISTINCT decided_by) FROM decisions
                   WHERE decisions.approval_id = approvals.id AND refused IS NULL AND decision = 'APPROVE')
                      AS "approvals_given!",
                  status, requested_at, expires_at, decided_at, decided_by
           FROM approvals JOIN workflows ON workflows.id = approvals.workflow_id
           WHERE ($1::uuid IS NULL OR approvals.id = $1)
             AND ($2::uuid IS NULL OR approvals.workflow_id = $2)
             AND (NOT $3::boolean OR status = 'PENDING')
           ORDER BY CASE WHEN $3 THEN expires_at ELSE requested_at END, approvals.id"#,
        id,
        workflow,
        only_pending,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read the requests for approval")?;
    rows.into_iter()
        .map(|row| {
            Ok(ApprovalRow {
                id: row.id,
                workflow: row.workflow,
                workflow_id: row.workflow_id,
                ticket_id: row.ticket_id,
                title: row.title,
                gate: convert::gate(&row.approval_type)?,
                revision: row.revision,
                content: ObjectRef {
                    key: row.content_url,
                    bytes: from_bigint(row.content_bytes),
                },
                approvals_needed: from_integer(row.approvals_needed),
                approvals_given: u32::try_from(row.approvals_given).unwrap_or(u32::MAX),
                status: status(&row.status)?,
                requested_at: row.requested_at,
                expires_at: row.expires_at,
                decided_at: row.decided_at,
                decided_by: row.decided_by,
            })
        })
        .collect()
}

fn status(name: &str) -> Result<ApprovalStatus, LedgerError> {
    Ok(match name {
        "PENDING" => ApprovalStatus::Pending,
        "APPROVED" => ApprovalStatus::Approved,
        "REVISED" => ApprovalStatus::Revised,
        "REJECTED" => ApprovalStatus::Rejected,
        "EXPIRED" => ApprovalStatus::Expired,
        "CANCELLED" => ApprovalStatus::Cancelled,
        other => {
            return Err(LedgerError::Unknown {
                what: "the approval's status",
                value: other.to_owned(),
            });
        }
    })
}
