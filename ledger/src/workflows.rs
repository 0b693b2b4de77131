//! The workflows' rows: what lists and overviews are made of. The lists themselves: [`lists`](crate::lists).

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    ObjectRef, State,
    failure::Failure,
    pull_request::PullRequest,
    ticket::{Priority, TicketKey},
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    convert::{self, from_bigint, object_ref, priority_name, storable_option, to_integer},
    database::Database,
    error::{LedgerError, Trying},
};

/// How one attempt at a ticket stands, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowRow {
    /// The ledger's UUID.
    pub id: Uuid,
    /// The workflow's id in Temporal.
    pub workflow_id: String,
    /// The ticket system.
    pub source: String,
    /// The ticket's id there.
    pub ticket_id: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The ticket's title.
    pub title: Option<String>,
    /// Where people read the ticket.
    pub ticket_url: Option<String>,
    /// Who filed it.
    pub reporter: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// The repository worked on.
    pub repository_url: String,
    /// The state.
    pub state: State,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The newest transition shown here; 0 until the workflow has recorded its first.
    pub sequence: u64,
    /// When the attempt was asked for.
    pub created_at: DateTime<Utc>,
    /// When this row was changed last.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// The planner that writes its SPECs, by its name in the configuration.
    #[serde(default)]
    pub planner: Option<String>,
    /// The latest SPEC's revision.
    pub spec_revision: Option<String>,
    /// Its text.
    pub spec: Option<ObjectRef>,
    /// When a SPEC was approved last.
    pub spec_approved_at: Option<DateTime<Utc>>,
    /// Who approved it.
    pub spec_approved_by: Option<String>,
    /// The agent's latest commit.
    pub head_commit: Option<String>,
    /// The agent's latest diff.
    pub diff: Option<ObjectRef>,
    /// The latest QA report.
    pub qa_report: Option<ObjectRef>,
    /// Whether QA passed.
    pub qa_passed: Option<bool>,
    /// The pull request.
    pub pull_request: Option<PullRequest>,
    /// When it was merged.
    pub merged_at: Option<DateTime<Utc>>,
    /// Why the ticket is parked or was given up.
    pub failure: Option<Failure>,
    /// How often it was taken out of ERROR or QA_FAILED again.
    pub retries: u32,
    /// Whether it was merged without the approval that the policy asks for.
    #[serde(default)]
    pub unapproved: bool,
    /// What the models cost so far.
    pub usage: Usage,
}

impl WorkflowRow {
    /// Which attempt at which ticket this is.
    pub fn key(&self) -> TicketKey {
        TicketKey {
            source: self.source.clone(),
            ticket_id: self.ticket_id.clone(),
            attempt: self.attempt,
        }
    }
}

/// An attempt that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWorkflow {
    /// Which attempt at which ticket.
    pub ticket: TicketKey,
    /// The event that asked for it.
    pub inbox_id: Option<i64>,
    /// The ticket's title, as far as it is known.
    pub title: Option<String>,
    /// Where people read the ticket.
    pub ticket_url: Option<String>,
    /// Who filed it.
    pub reporter: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// The repository to work on.
    pub repository_url: String,
}

/// Makes the row of an attempt before its workflow starts, in state PENDING.
///
/// Key: ticket and attempt. A row that is there is left as it is. Returns whether this call made it.
pub async fn insert(database: &Database, new: &NewWorkflow) -> Result<bool, LedgerError> {
    let done = sqlx::query!(
        "INSERT INTO workflows (id, workflow_id, source, ticket_id, attempt, inbox_id, title, ticket_url, reporter,
                                priority, repository_url, state, since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'PENDING', now())
         ON CONFLICT DO NOTHING",
        new.ticket.ledger_id(),
        new.ticket.workflow_id(),
        new.ticket.source,
        new.ticket.ticket_id,
        to_integer(new.ticket.attempt),
        new.inbox_id,
        storable_option(new.title.as_deref()),
        storable_option(new.ticket_url.as_deref()),
        storable_option(new.reporter.as_deref()),
        priority_name(new.priority),
        new.repository_url,
    )
    .execute(database.pool())
    .await
    .trying_to("enter a workflow")?;
    Ok(done.rows_affected() == 1)
}

/// The attempt that an event asked for, if it was entered.
pub async fn of_event(
    database: &Database,
    inbox_id: i64,
) -> Result<Option<WorkflowRow>, LedgerError> {
    sqlx::query_as!(
        Record,
        "SELECT * FROM workflows WHERE inbox_id = $1",
        inbox_id,
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("find the workflow of an event")?
    .map(WorkflowRow::try_from)
    .transpose()
}

/// The latest attempt at a ticket.
pub async fn latest_attempt(
    database: &Database,
    source: &str,
    ticket_id: &str,
) -> Result<Option<WorkflowRow>, LedgerError> {
    sqlx::query_as!(
        Record,
        "SELECT * FROM workflows WHERE source = $1 AND ticket_id = $2 ORDER BY attempt DESC LIMIT 1",
        source,
        ticket_id,
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("find a ticket's latest attempt")?
    .map(WorkflowRow::try_from)
    .transpose()
}

/// The workflow that `name` means: the ledger's UUID, the workflow's id, or a ticket's id where only one workflow has
/// it. Errors: [`LedgerError::NotFound`], [`LedgerError::Ambiguous`].
pub async fn find(database: &Database, name: &str) -> Result<WorkflowRow, LedgerError> {
    let not_found = || LedgerError::NotFound {
        what: "workflow",
        name: name.to_owned(),
    };
    if name.contains('\0') {
        return Err(not_found());
    }
    let uuid = Uuid::parse_str(name).ok();
    let records = sqlx::query_as!(
        Record,
        "SELECT * FROM workflows WHERE id = $1 OR workflow_id = $2 OR ticket_id = $2
         ORDER BY source, ticket_id, attempt",
        uuid,
        name,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find a workflow")?;
    let exact = |record: &Record| Some(record.id) == uuid || record.workflow_id == name;
    if let Some(position) = records.iter().position(exact) {
        return records
            .into_iter()
            .nth(position)
            .ok_or_else(not_found)?
            .try_into();
    }
    if records.len() > 1 {
        return Err(LedgerError::Ambiguous {
            name: name.to_owned(),
            choices: records
                .into_iter()
                .map(|record| record.workflow_id)
                .collect(),
        });
    }
    records.into_iter().next().ok_or_else(not_found)?.try_into()
}

/// The workflows with these ids, in any order.
pub(crate) async fn by_ids(
    database: &Database,
    ids: &[Uuid],
) -> Result<Vec<WorkflowRow>, LedgerError> {
    sqlx::query_as!(Record, "SELECT * FROM workflows WHERE id = ANY($1)", ids)
        .fetch_all(database.pool())
        .await
        .trying_to("read workflows")?
        .into_iter()
        .map(WorkflowRow::try_from)
        .collect()
}

/// The attempts that ended before `before`.
pub async fn ended_before(
    database: &Database,
    before: DateTime<Utc>,
) -> Result<Vec<TicketKey>, LedgerError> {
    let rows = sqlx::query_as!(
        KeyRow,
        "SELECT source, ticket_id, attempt FROM workflows WHERE completed_at < $1",
        before,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find the tickets that ended")?;
    Ok(rows.into_iter().map(TicketKey::from).collect())
}

/// The tickets that have been parked since before `before` and have a checkpoint: what is of them on a host's disk can be
/// had again.
pub async fn parked_before(
    database: &Database,
    before: DateTime<Utc>,
) -> Result<Vec<TicketKey>, LedgerError> {
    let parked = State::ALL.into_iter().filter(|state| state.is_parked());
    let parked: Vec<String> = parked.map(|state| state.to_string()).collect();
    let rows = sqlx::query_as!(
        KeyRow,
        "SELECT source, ticket_id, attempt FROM workflows
         WHERE state = ANY($1) AND since < $2
           AND EXISTS (SELECT FROM checkpoints WHERE checkpoints.workflow_id = workflows.id)",
        &parked,
        before,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find the tickets that are parked for long")?;
    Ok(rows.into_iter().map(TicketKey::from).collect())
}

struct KeyRow {
    source: String,
    ticket_id: String,
    attempt: i32,
}

impl From<KeyRow> for TicketKey {
    fn from(row: KeyRow) -> Self {
        Self {
            source: row.source,
            ticket_id: row.ticket_id,
            attempt: convert::from_integer(row.attempt),
        }
    }
}

/// A row as the table has it. Columns of the original design that nothing fills yet are read, and not passed on.
#[derive(Debug)]
#[expect(dead_code, reason = "`SELECT *` needs a field for every column")]
struct Record {
    id: Uuid,
    workflow_id: String,
    source: String,
    ticket_id: String,
    attempt: i32,
    inbox_id: Option<i64>,
    title: Option<String>,
    ticket_url: Option<String>,
    reporter: Option<String>,
    priority: String,
    repository_url: String,
    state: String,
    sequence: i64,
    since: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
    spec_path: Option<String>,
    spec_bytes: Option<i64>,
    spec_revision: Option<String>,
    spec_approved_at: Option<DateTime<Utc>>,
    spec_approved_by: Option<String>,
    workspace_path: Option<String>,
    branch_name: Option<String>,
    head_commit: Option<String>,
    diff_path: Option<String>,
    diff_bytes: Option<i64>,
    qa_report_url: Option<String>,
    qa_report_bytes: Option<i64>,
    qa_passed: Option<bool>,
    pr_url: Option<String>,
    pr_number: Option<i64>,
    pr_base_branch: Option<String>,
    pr_head_commit: Option<String>,
    pr_merged_at: Option<DateTime<Utc>>,
    failure_kind: Option<String>,
    failure_step: Option<String>,
    error_message: Option<String>,
    retry_count: i32,
    model_requests: i64,
    input_tokens: i64,
    output_tokens: i64,
    cache_read_tokens: i64,
    cache_write_tokens: i64,
    cost_micro_usd: i64,
    unapproved: bool,
    planner: Option<String>,
}

impl TryFrom<Record> for WorkflowRow {
    type Error = LedgerError;

    fn try_from(record: Record) -> Result<Self, LedgerError> {
        let pull_request = record.pr_number.map(|number| PullRequest {
            number: from_bigint(number),
            url: record.pr_url.unwrap_or_default(),
            branch: record.branch_name.unwrap_or_default(),
            base_branch: record.pr_base_branch.unwrap_or_default(),
            head_commit: record.pr_head_commit.unwrap_or_default(),
        });
        let failure = record.failure_kind.map(|kind| Failure {
            kind,
            step: record.failure_step.unwrap_or_default(),
            message: record.error_message.unwrap_or_default(),
        });
        Ok(Self {
            id: record.id,
            workflow_id: record.workflow_id,
            source: record.source,
            ticket_id: record.ticket_id,
            attempt: convert::from_integer(record.attempt),
            title: record.title,
            ticket_url: record.ticket_url,
            reporter: record.reporter,
            priority: convert::priority(&record.priority)?,
            repository_url: record.repository_url,
            state: convert::state(&record.state)?,
            since: record.since,
            sequence: from_bigint(record.sequence),
            created_at: record.created_at,
            updated_at: record.updated_at,
            completed_at: record.completed_at,
            planner: record.planner,
            spec_revision: record.spec_revision,
            spec: object_ref(record.spec_path, record.spec_bytes),
            spec_approved_at: record.spec_approved_at,
            spec_approved_by: record.spec_approved_by,
            head_commit: record.head_commit,
            diff: object_ref(record.diff_path, record.diff_bytes),
            qa_report: object_ref(record.qa_report_url, record.qa_report_bytes),
            qa_passed: record.qa_passed,
            pull_request,
            merged_at: record.pr_merged_at,
            failure,
            retries: convert::from_integer(record.retry_count),
            unapproved: record.unapproved,
            usage: convert::usage([
                record.model_requests,
                record.input_tokens,
                record.output_tokens,
                record.cache_read_tokens,
                record.cache_write_tokens,
                record.cost_micro_usd,
            ]),
        })
    }
}
