//! The audit log of commands: what people do to tickets beside deciding at gates, the refused ones too.

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    State,
    activities::RecordCommand,
    command::{Action, Command},
    policy::BudgetRaise,
    ticket::TicketKey,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    convert::{self, from_bigint, storable, storable_option, to_bigint},
    database::Database,
    decisions::Origin,
    error::{LedgerError, Trying},
};

/// A command, as the audit log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRow {
    /// Its id.
    pub id: Uuid,
    /// What was to be done.
    pub action: Action,
    /// RETRY: from which state on; nothing means the step that failed.
    pub from: Option<State>,
    /// RETRY: what was to be added to the budget.
    pub raise: BudgetRaise,
    /// EXTEND: by how many seconds.
    pub seconds: Option<u64>,
    /// EXTEND: the gate that got more time, if one was open.
    pub approval_id: Option<Uuid>,
    /// EXTEND: until when that gate waited then.
    pub extended_until: Option<DateTime<Utc>>,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// The ticket's state when the command came; nothing where the API refused it unseen.
    pub state: Option<State>,
    /// Whether the starter vouches for who commanded.
    pub proven: bool,
    /// Why it was refused; nothing if it was accepted.
    pub refused: Option<String>,
    /// Who put it on record.
    pub origin: Origin,
    /// When it was taken in.
    pub at: DateTime<Utc>,
}

/// A command that the API refused on the workflow's behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedByApi {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The command's id.
    pub id: Uuid,
    /// The command.
    pub command: Command,
    /// Why it was refused.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Puts a command on record as the workflow judged it, and moves the deadline of a gate that it extends, both or neither.
///
/// Key: the ticket and the command's id. A second record of the same command changes nothing, so that it cannot undo a
/// later extension; a refusal that the API wrote under this id gives way, since the workflow is the truth.
pub async fn record_command(database: &Database, input: &RecordCommand) -> Result<(), LedgerError> {
    let action = "record a command";
    let (record, extended) = (&input.record, input.extended.as_ref());
    let workflow = input.ticket.ledger_id();
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    let recorded = sqlx::query!(
        "INSERT INTO commands (workflow_id, id, action, retry_from, raise, extend_seconds, approval_id, extended_until,
                               commanded_by, reason, state, proven, refused, origin, commanded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'workflow', $14)
         ON CONFLICT (workflow_id, id) DO UPDATE SET
             action = EXCLUDED.action, retry_from = EXCLUDED.retry_from, raise = EXCLUDED.raise,
             extend_seconds = EXCLUDED.extend_seconds, approval_id = EXCLUDED.approval_id,
             extended_until = EXCLUDED.extended_until, commanded_by = EXCLUDED.commanded_by, reason = EXCLUDED.reason,
             state = EXCLUDED.state, proven = EXCLUDED.proven, refused = EXCLUDED.refused, origin = EXCLUDED.origin,
             commanded_at = EXCLUDED.commanded_at, recorded_at = now()
         WHERE commands.origin = 'api'",
        workflow,
        record.id,
        record.action.as_str(),
        input.from.map(State::as_str),
        raise(&input.raise),
        input.seconds.map(to_bigint),
        extended.map(|gate| gate.approval_id),
        extended.map(|gate| gate.deadline),
        storable(&record.by),
        storable_option(record.reason.as_deref()),
        record.state.as_str(),
        record.proven,
        storable_option(record.refused.as_deref()),
        record.at,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    if let (1, Some(gate)) = (recorded.rows_affected(), extended) {
        sqlx::query!(
            "WITH extended AS (UPDATE approvals SET expires_at = $3
                               WHERE id = $1 AND workflow_id = $2 AND status = 'PENDING' RETURNING workflow_id)
             UPDATE workflows SET updated_at = now() FROM extended WHERE workflows.id = extended.workflow_id",
            gate.approval_id,
            workflow,
            gate.deadline,
        )
        .execute(&mut *transaction)
        .await
        .trying_to(action)?;
    }
    transaction.commit().await.trying_to(action)
}

/// Puts a command on record that the workflow turned away unseen.
///
/// Key: the ticket and the command's id. What is on record under it stays as it is.
pub async fn record_refusal(
    database: &Database,
    refused: &RefusedByApi,
) -> Result<(), LedgerError> {
    let command = &refused.command;
    sqlx::query!(
        "INSERT INTO commands (workflow_id, id, action, retry_from, raise, extend_seconds, commanded_by, reason, proven,
                               refused, origin, commanded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, true, $9, 'api', $10)
         ON CONFLICT (workflow_id, id) DO NOTHING",
        refused.ticket.ledger_id(),
        refused.id,
        command.action.as_str(),
        command.from.map(State::as_str),
        raise(&command.raise),
        command.seconds.map(to_bigint),
        storable(&command.by),
        storable_option(command.reason.as_deref()),
        storable(&refused.reason),
        refused.at,
    )
    .execute(database.pool())
    .await
    .trying_to("record a refused command")
    .map(|_| ())
}

/// A workflow's commands, in order.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<CommandRow>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT id, action, retry_from, raise, extend_seconds, approval_id, extended_until, commanded_by, reason, state,
                proven, refused, origin, commanded_at
         FROM commands WHERE workflow_id = $1 ORDER BY commanded_at, recorded_at, id",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read a workflow's commands")?;
    rows.into_iter()
        .map(|row| {
            Ok(CommandRow {
                id: row.id,
                action: convert::action(&row.action)?,
                from: row.retry_from.as_deref().map(convert::state).transpose()?,
                raise: stored_raise(row.raise)?,
                seconds: row.extend_seconds.map(from_bigint),
                approval_id: row.approval_id,
                extended_until: row.extended_until,
                by: row.commanded_by,
                reason: row.reason,
                state: row.state.as_deref().map(convert::state).transpose()?,
                proven: row.proven,
                refused: row.refused,
                origin: convert::origin(&row.origin),
                at: row.commanded_at,
            })
        })
        .collect()
}

fn raise(raise: &BudgetRaise) -> Option<serde_json::Value> {
    // Numbers always have a JSON form.
    (!raise.is_nothing()).then(|| serde_json::to_value(raise).unwrap_or_default())
}

fn stored_raise(json: Option<serde_json::Value>) -> Result<BudgetRaise, LedgerError> {
    let Some(json) = json else {
        return Ok(BudgetRaise::default());
    };
    let value = json.to_string();
    serde_json::from_value(json).map_err(|_| LedgerError::Unknown {
        what: "what was added to a budget",
        value,
    })
}
