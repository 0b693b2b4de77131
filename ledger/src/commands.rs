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
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit::{chain::Chain, entry::Fact},
    convert::{self, from_bigint, storable, storable_option, to_bigint},
    database::Database,
    decisions::Origin,
    error::{LedgerError, Trying},
};

/// A command, as the audit log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
/// later extension. A refusal that the API wrote under this id stays beside it; the workflow's word is the one that counts.
pub async fn record_command(database: &Database, input: &RecordCommand) -> Result<(), LedgerError> {
    let workflow = input.ticket.ledger_id();
    insert(database, workflow, &input.into(), Fact::Command(input)).await
}

/// Puts a command on record that the workflow turned away unseen.
///
/// Key: the ticket and the command's id. What is on record under it stays as it is.
pub async fn record_refusal(
    database: &Database,
    refused: &RefusedByApi,
) -> Result<(), LedgerError> {
    let workflow = refused.ticket.ledger_id();
    let row = refused.into();
    insert(database, workflow, &row, Fact::CommandRefused(refused)).await
}

impl From<&RecordCommand> for CommandRow {
    fn from(input: &RecordCommand) -> Self {
        let (record, extended) = (&input.record, input.extended.as_ref());
        Self {
            id: record.id,
            action: record.action,
            from: input.from,
            raise: input.raise,
            seconds: input.seconds,
            approval_id: extended.map(|gate| gate.approval_id),
            extended_until: extended.map(|gate| gate.deadline),
            by: record.by.clone(),
            reason: record.reason.clone(),
            state: Some(record.state),
            proven: record.proven,
            refused: record.refused.clone(),
            origin: Origin::Workflow,
            at: record.at,
        }
    }
}

impl From<&RefusedByApi> for CommandRow {
    fn from(refused: &RefusedByApi) -> Self {
        let command = &refused.command;
        Self {
            id: refused.id,
            action: command.action,
            from: command.from,
            raise: command.raise,
            seconds: command.seconds,
            approval_id: None,
            extended_until: None,
            by: command.by.clone(),
            reason: command.reason.clone(),
            state: None,
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
    row: &CommandRow,
    fact: Fact<'_>,
) -> Result<(), LedgerError> {
    let action = "record a command";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    let mut chain = Chain::lock(&mut transaction, workflow).await?;
    // The API's word about a command that the workflow has judged meanwhile is not worth keeping.
    let recorded = sqlx::query!(
        "INSERT INTO commands (workflow_id, id, action, retry_from, raise, extend_seconds, approval_id, extended_until,
                               commanded_by, reason, state, proven, refused, origin, commanded_at, recorded_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
         WHERE $14 = 'workflow' OR NOT EXISTS (SELECT FROM commands WHERE workflow_id = $1 AND id = $2)
         ON CONFLICT (workflow_id, id, origin) DO NOTHING",
        workflow,
        row.id,
        row.action.as_str(),
        row.from.map(State::as_str),
        raise(&row.raise),
        row.seconds.map(to_bigint),
        row.approval_id,
        row.extended_until,
        storable(&row.by),
        storable_option(row.reason.as_deref()),
        row.state.map(State::as_str),
        row.proven,
        storable_option(row.refused.as_deref()),
        row.origin.as_str(),
        row.at,
        chain.now(),
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    if recorded.rows_affected() == 1 {
        chain.append(&mut transaction, fact).await?;
        if let (Some(gate), Some(deadline)) = (row.approval_id, row.extended_until) {
            sqlx::query!(
                "WITH extended AS (UPDATE approvals SET expires_at = $3
                                   WHERE id = $1 AND workflow_id = $2 AND status = 'PENDING' RETURNING workflow_id)
                 UPDATE workflows SET updated_at = now() FROM extended WHERE workflows.id = extended.workflow_id",
                gate,
                workflow,
                deadline,
            )
            .execute(&mut *transaction)
            .await
            .trying_to(action)?;
        }
    }
    transaction.commit().await.trying_to(action)
}

/// A workflow's commands, in order.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<CommandRow>, LedgerError> {
    // 'workflow' comes after 'api': where both wrote, the workflow's word is shown.
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", action AS "action!", retry_from, raise, extend_seconds, approval_id, extended_until,
                  commanded_by AS "commanded_by!", reason, state, proven AS "proven!", refused, origin AS "origin!",
                  commanded_at AS "commanded_at!"
           FROM (SELECT DISTINCT ON (id) * FROM commands WHERE workflow_id = $1 ORDER BY id, origin DESC) AS commands
           ORDER BY commanded_at, recorded_at, id"#,
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

pub(crate) fn raise(raise: &BudgetRaise) -> Option<serde_json::Value> {
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
