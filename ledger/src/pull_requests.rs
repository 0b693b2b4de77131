//! The pull requests of the local forge. A bare git repository has none of its own, so they live here.

use chrono::{DateTime, Utc};
use sallyport_workflows::ticket::TicketKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    convert::{from_bigint, storable},
    database::Database,
    error::{LedgerError, Trying},
};

/// Whether a pull request can still be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestState {
    /// It can.
    Open,
    /// It was.
    Merged,
    /// It was closed, and may be opened again.
    Closed,
}

/// A pull request to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPullRequest {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The repository.
    pub repository_url: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch that it asks to merge.
    pub branch: String,
    /// The branch to merge into.
    pub base_branch: String,
    /// The branch's head.
    pub head_commit: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A pull request, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestRow {
    /// The ledger's UUID of the workflow that opened it.
    pub workflow: Uuid,
    /// The repository.
    pub repository_url: String,
    /// Its number there, from 1.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch that it asks to merge.
    pub branch: String,
    /// The branch to merge into.
    pub base_branch: String,
    /// The branch's head.
    pub head_commit: String,
    /// Whether it can still be merged.
    pub state: PullRequestState,
    /// When it was opened first.
    pub opened_at: DateTime<Utc>,
    /// When it was merged.
    pub merged_at: Option<DateTime<Utc>>,
    /// Who merged it.
    pub merged_by: Option<String>,
    /// The base branch's commit that holds it.
    pub merge_commit: Option<String>,
    /// When it was closed last.
    pub closed_at: Option<DateTime<Utc>>,
    /// Who closed it.
    pub closed_by: Option<String>,
    /// When it was opened again last.
    pub reopened_at: Option<DateTime<Utc>>,
    /// Who opened it again.
    pub reopened_by: Option<String>,
}

/// Opens the ticket's pull request with the repository's next number, or brings the open one's head and texts up to
/// date. A closed or merged one is left as it is; look at the returned state.
///
/// Key: the ticket.
pub async fn open(
    database: &Database,
    new: &NewPullRequest,
) -> Result<PullRequestRow, LedgerError> {
    let action = "open a pull request";
    let workflow = new.ticket.ledger_id();
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    // Numbers are given out one at a time in each repository, without gaps.
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('sallyport/pull-request-number/' || $1, 0))",
        new.repository_url,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    let record = sqlx::query_as!(
        Record,
        "INSERT INTO pull_requests (workflow_id, repository_url, number, title, body, branch, base_branch, head_commit,
                                    opened_at, updated_at)
         VALUES ($1, $2,
                 (SELECT COALESCE(max(number), 0) + 1 FROM pull_requests WHERE repository_url = $2),
                 $3, $4, $5, $6, $7, $8, $8)
         ON CONFLICT (workflow_id) DO UPDATE SET
             title = EXCLUDED.title, body = EXCLUDED.body, head_commit = EXCLUDED.head_commit,
             base_branch = EXCLUDED.base_branch, updated_at = EXCLUDED.updated_at
         WHERE pull_requests.state = 'open'
         RETURNING *",
        workflow,
        new.repository_url,
        storable(&new.title),
        storable(&new.body),
        new.branch,
        new.base_branch,
        new.head_commit,
        new.at,
    )
    .fetch_optional(&mut *transaction)
    .await
    .trying_to(action)?;
    transaction.commit().await.trying_to(action)?;
    match record {
        Some(record) => record.try_into(),
        None => get(database, workflow).await,
    }
}

/// A workflow's pull request. Error: [`LedgerError::NotFound`].
pub async fn get(database: &Database, workflow: Uuid) -> Result<PullRequestRow, LedgerError> {
    sqlx::query_as!(
        Record,
        "SELECT * FROM pull_requests WHERE workflow_id = $1",
        workflow,
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("read a pull request")?
    .ok_or_else(|| LedgerError::NotFound {
        what: "pull request of the workflow",
        name: workflow.to_string(),
    })?
    .try_into()
}

/// Puts on record that an open pull request was merged as `merge_commit`. One that is not open stays as it is. Returns
/// it as it then stands.
///
/// Key: the workflow.
pub async fn set_merged(
    database: &Database,
    workflow: Uuid,
    by: &str,
    at: DateTime<Utc>,
    merge_commit: &str,
) -> Result<PullRequestRow, LedgerError> {
    sqlx::query!(
        "UPDATE pull_requests SET state = 'merged', merged_by = $2, merged_at = $3, merge_commit = $4, updated_at = $3
         WHERE workflow_id = $1 AND state = 'open'",
        workflow,
        by,
        at,
        merge_commit,
    )
    .execute(database.pool())
    .await
    .trying_to("mark a pull request as merged")?;
    get(database, workflow).await
}

/// Closes an open pull request. One that is merged or closed stays as it is. Returns it as it then stands.
///
/// Key: the workflow.
pub async fn set_closed(
    database: &Database,
    workflow: Uuid,
    by: &str,
    at: DateTime<Utc>,
) -> Result<PullRequestRow, LedgerError> {
    sqlx::query!(
        "UPDATE pull_requests SET state = 'closed', closed_by = $2, closed_at = $3, updated_at = $3
         WHERE workflow_id = $1 AND state = 'open'",
        workflow,
        by,
        at,
    )
    .execute(database.pool())
    .await
    .trying_to("close a pull request")?;
    get(database, workflow).await
}

/// Opens a closed pull request again. One that is open or merged stays as it is. Returns it as it then stands.
///
/// Key: the workflow.
pub async fn set_reopened(
    database: &Database,
    workflow: Uuid,
    by: &str,
    at: DateTime<Utc>,
) -> Result<PullRequestRow, LedgerError> {
    sqlx::query!(
        "UPDATE pull_requests SET state = 'open', reopened_by = $2, reopened_at = $3, updated_at = $3
         WHERE workflow_id = $1 AND state = 'closed'",
        workflow,
        by,
        at,
    )
    .execute(database.pool())
    .await
    .trying_to("reopen a pull request")?;
    get(database, workflow).await
}

#[derive(Debug)]
#[expect(dead_code, reason = "`SELECT *` needs a field for every column")]
struct Record {
    id: i64,
    workflow_id: Uuid,
    repository_url: String,
    number: i64,
    title: String,
    body: String,
    branch: String,
    base_branch: String,
    head_commit: String,
    state: String,
    opened_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    merged_at: Option<DateTime<Utc>>,
    merged_by: Option<String>,
    merge_commit: Option<String>,
    closed_at: Option<DateTime<Utc>>,
    closed_by: Option<String>,
    reopened_at: Option<DateTime<Utc>>,
    reopened_by: Option<String>,
}

impl TryFrom<Record> for PullRequestRow {
    type Error = LedgerError;

    fn try_from(record: Record) -> Result<Self, LedgerError> {
        let state = match record.state.as_str() {
            "open" => PullRequestState::Open,
            "merged" => PullRequestState::Merged,
            "closed" => PullRequestState::Closed,
            other => {
                return Err(LedgerError::Unknown {
                    what: "the pull request's state",
                    value: other.to_owned(),
                });
            }
        };
        Ok(Self {
            workflow: record.workflow_id,
            repository_url: record.repository_url,
            number: from_bigint(record.number),
            title: record.title,
            body: record.body,
            branch: record.branch,
            base_branch: record.base_branch,
            head_commit: record.head_commit,
            state,
            opened_at: record.opened_at,
            merged_at: record.merged_at,
            merged_by: record.merged_by,
            merge_commit: record.merge_commit,
            closed_at: record.closed_at,
            closed_by: record.closed_by,
            reopened_at: record.reopened_at,
            reopened_by: record.reopened_by,
        })
    }
}
