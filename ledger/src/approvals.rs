//! Requests for a decision: what gates ask, and how they closed.

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    ObjectRef,
    activities::{CloseGate, GateClosing, OpenGateRequest},
    decision::Verdict,
    gate::{BaseChange, Gate, OpenGate},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit::{
        chain::Chain,
        entry::{Fact, GateOpened},
    },
    convert::{
        self, from_bigint, from_integer, object_ref, storable, storable_option, to_bigint,
        to_integer,
    },
    database::Database,
    error::{LedgerError, Trying},
    notifications::{self, Notice},
};

/// Whether a gate is open, and if not, how it closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Who may decide, by email address; nobody named means everybody who may decide at this installation.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// Who may not approve: the ticket's reporter, where the policy says so.
    #[serde(default)]
    pub may_not_approve: Option<String>,
    /// Whether it is open, and if not, how it closed.
    pub status: ApprovalStatus,
    /// When it opened.
    pub requested_at: DateTime<Utc>,
    /// When silence closes it.
    pub expires_at: DateTime<Utc>,
    /// When people are reminded, in order.
    #[serde(default)]
    pub reminders: Vec<DateTime<Utc>>,
    /// What changed on the base branch, where that is why the gate asks again.
    #[serde(default)]
    pub base_change: Option<BaseChange>,
    /// When it closed.
    pub decided_at: Option<DateTime<Utc>>,
    /// Who closed it; nothing if nobody did in time.
    pub decided_by: Option<String>,
}

/// A gate to put on record: the request, and what was computed for it.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// The request.
    pub request: &'a OpenGateRequest,
    /// When silence closes it.
    pub deadline: DateTime<Utc>,
    /// When people are reminded, in order.
    pub reminders: &'a [DateTime<Utc>],
    /// What those who may decide are told.
    pub notice: &'a Notice,
}

/// Puts a request on record, and who is told of it, both or neither.
///
/// Key: the request's id. Opened already, it stays as it is, with its deadline and an answer that closed it meanwhile, and
/// nobody is told again.
pub async fn open_gate(
    database: &Database,
    opening: &Opening<'_>,
) -> Result<OpenGate, LedgerError> {
    let action = "open a gate";
    let Opening {
        request,
        deadline,
        reminders,
        notice,
    } = opening;
    let policy = &request.policy;
    let change = request.base_change.as_ref();
    let workflow = request.ticket.ledger_id();
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    let mut chain = Chain::lock(&mut transaction, workflow).await?;
    let inserted = sqlx::query!(
        "INSERT INTO approvals (id, workflow_id, approval_type, assignee, revision, content_url, content_bytes,
                                approvals_needed, approvers, may_not_approve, requested_at, expires_at, reminders,
                                base_from, base_to, base_files, base_first, base_diff_url, base_diff_bytes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
         ON CONFLICT (id) DO NOTHING",
        request.approval_id,
        workflow,
        request.gate.as_str(),
        (!policy.approvers.is_empty()).then(|| policy.approvers.join(", ")),
        request.revision,
        request.content.key,
        to_bigint(request.content.bytes),
        to_integer(policy.approvals.max(1)),
        policy.approvers.as_slice(),
        may_not_approve(request),
        request.opened_at,
        deadline,
        *reminders,
        change.map(|change| change.from.clone()),
        change.map(|change| change.to.clone()),
        change.map(|change| to_integer(change.files)),
        change.map(|change| storable(&change.first)),
        change.map(|change| change.diff.key.clone()),
        change.map(|change| to_bigint(change.diff.bytes)),
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    if inserted.rows_affected() == 1 {
        let opened = GateOpened {
            request: (*request).clone(),
            deadline: *deadline,
            reminders: reminders.to_vec(),
        };
        chain
            .append(&mut transaction, Fact::GateOpened(&opened))
            .await?;
        notifications::write(&mut *transaction, workflow, request.approval_id, notice).await?;
    }
    transaction.commit().await.trying_to(action)?;
    let row = get(database, request.approval_id).await?;
    Ok(OpenGate {
        approval_id: row.id,
        gate: row.gate,
        revision: row.revision,
        content: row.content,
        approvals_needed: row.approvals_needed,
        approvers: row.approvers,
        may_not_approve: row.may_not_approve,
        opened_at: row.requested_at,
        deadline: row.expires_at,
        reminders: row.reminders,
        base_change: row.base_change,
    })
}

/// The decision that closed a gate so, if one did.
pub(crate) fn verdict_of(closing: GateClosing) -> Option<Verdict> {
    match closing {
        GateClosing::Approved => Some(Verdict::Approve),
        GateClosing::Revised => Some(Verdict::Revise),
        GateClosing::Rejected => Some(Verdict::Reject),
        GateClosing::Expired | GateClosing::Cancelled => None,
    }
}

pub(crate) fn may_not_approve(request: &OpenGateRequest) -> Option<String> {
    let is_kept_out = !request.policy.reporter_may_approve && !request.reporter.is_empty();
    is_kept_out.then(|| storable(&request.reporter))
}

/// Puts on record how a gate closed, and takes back what people were still to be told of it, both or neither.
///
/// Key: the request's id. One that is closed stays as it is. Returns whether this call closed it.
pub async fn close_gate(database: &Database, closing: &CloseGate) -> Result<bool, LedgerError> {
    let decision = verdict_of(closing.closing);
    let action = "close a gate";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    let mut chain = Chain::lock(&mut transaction, closing.ticket.ledger_id()).await?;
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
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    let is_closed_now = done.rows_affected() == 1;
    if is_closed_now {
        chain
            .append(&mut transaction, Fact::GateClosed(closing))
            .await?;
        notifications::skip(&mut *transaction, closing.approval_id).await?;
    }
    transaction.commit().await.trying_to(action)?;
    Ok(is_closed_now)
}

/// All requests of a workflow, in order.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<ApprovalRow>, LedgerError> {
    select(database, &[], Some(workflow)).await
}

/// The requests with these ids.
pub(crate) async fn by_ids(
    database: &Database,
    ids: &[Uuid],
) -> Result<Vec<ApprovalRow>, LedgerError> {
    select(database, ids, None).await
}

/// One request. Error: [`LedgerError::NotFound`].
pub async fn get(database: &Database, id: Uuid) -> Result<ApprovalRow, LedgerError> {
    select(database, &[id], None)
        .await?
        .pop()
        .ok_or_else(|| LedgerError::NotFound {
            what: "request for approval",
            name: id.to_string(),
        })
}

async fn select(
    database: &Database,
    ids: &[Uuid],
    workflow: Option<Uuid>,
) -> Result<Vec<ApprovalRow>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT approvals.id, approvals.workflow_id AS workflow, workflows.workflow_id, workflows.ticket_id,
                  workflows.title, approval_type, revision, content_url, content_bytes, approvals_needed,
                  (SELECT count(DISTINCT decided_by) FROM decisions
                   WHERE decisions.approval_id = approvals.id AND refused IS NULL AND decision = 'APPROVE')
                      AS "approvals_given!",
                  approvers, may_not_approve, status, requested_at, expires_at, reminders, base_from, base_to, base_files,
                  base_first, base_diff_url, base_diff_bytes, decided_at, decided_by
           FROM approvals JOIN workflows ON workflows.id = approvals.workflow_id
           WHERE approvals.id = ANY($1) OR approvals.workflow_id = $2
           ORDER BY requested_at, approvals.id"#,
        ids,
        workflow,
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
                approvers: row.approvers,
                may_not_approve: row.may_not_approve,
                status: status(&row.status)?,
                requested_at: row.requested_at,
                expires_at: row.expires_at,
                reminders: row.reminders,
                base_change: match (
                    row.base_from,
                    row.base_to,
                    row.base_files,
                    row.base_first,
                    object_ref(row.base_diff_url, row.base_diff_bytes),
                ) {
                    (Some(from), Some(to), Some(files), Some(first), Some(diff)) => {
                        Some(BaseChange {
                            from,
                            to,
                            files: from_integer(files),
                            first,
                            diff,
                        })
                    }
                    _ => None,
                },
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
