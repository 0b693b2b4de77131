//! What the agent did, line by line.

use chrono::{DateTime, Utc};
use sallyport_workflows::activities::StepKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    convert::{from_bigint, storable, storable_option, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// The most lines that one page may hold.
pub const MAXIMUM_PAGE: u32 = 1000;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LogLevel {
    /// For those who look for a fault.
    Debug,
    /// The usual.
    Info,
    /// Something that people should see.
    Warn,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// The fixed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// A line to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLogLine {
    /// Its number in the step, from 1.
    pub line: u64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// How much it matters.
    pub level: LogLevel,
    /// What happened.
    pub message: String,
    /// The tool that the agent used.
    pub tool: Option<String>,
    /// The file that it was used on.
    pub path: Option<String>,
}

/// A line, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogRow {
    /// Its place among all lines; ask for those after it.
    pub id: u64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// How much it matters.
    pub level: LogLevel,
    /// What happened.
    pub message: String,
    /// The tool that the agent used.
    pub tool: Option<String>,
    /// The file that it was used on.
    pub path: Option<String>,
}

/// Writes lines of one step down, all or none.
///
/// Key: the step and the line's number. A line that is there stays as it is. Returns how many were new.
pub async fn insert(
    database: &Database,
    step: &StepKey,
    lines: &[NewLogLine],
) -> Result<u64, LedgerError> {
    if lines.is_empty() {
        return Ok(0);
    }
    let numbers: Vec<i64> = lines.iter().map(|line| to_bigint(line.line)).collect();
    let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.at).collect();
    let levels: Vec<String> = lines
        .iter()
        .map(|line| line.level.as_str().to_owned())
        .collect();
    let messages: Vec<String> = lines.iter().map(|line| storable(&line.message)).collect();
    let tools: Vec<Option<String>> = lines
        .iter()
        .map(|line| storable_option(line.tool.as_deref()))
        .collect();
    let paths: Vec<Option<String>> = lines
        .iter()
        .map(|line| storable_option(line.path.as_deref()))
        .collect();
    let done = sqlx::query!(
        "INSERT INTO agent_logs (workflow_id, step, line, created_at, log_level, message, tool_used, file_path)
         SELECT $1, $2, new.line, new.at, new.level, new.message, new.tool, new.path
         FROM UNNEST($3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[])
              AS new (line, at, level, message, tool, path)
         ORDER BY new.line
         ON CONFLICT (workflow_id, step, line) DO NOTHING",
        step.ticket.ledger_id(),
        to_bigint(step.sequence),
        &numbers,
        &times,
        &levels,
        &messages,
        &tools as &[Option<String>],
        &paths as &[Option<String>],
    )
    .execute(database.pool())
    .await
    .trying_to("write the agent's log")?;
    Ok(done.rows_affected())
}

/// The number of the next line of a step: what a second run of the agent goes on from.
pub async fn next_line(database: &Database, step: &StepKey) -> Result<u64, LedgerError> {
    let last = sqlx::query_scalar!(
        r#"SELECT COALESCE(max(line), 0) AS "last!" FROM agent_logs WHERE workflow_id = $1 AND step = $2"#,
        step.ticket.ledger_id(),
        to_bigint(step.sequence),
    )
    .fetch_one(database.pool())
    .await
    .trying_to("read the agent's log")?;
    Ok(from_bigint(last) + 1)
}

/// A workflow's lines after the one with the id `after` (0: from the start), at most `limit` and [`MAXIMUM_PAGE`].
pub async fn page(
    database: &Database,
    workflow: Uuid,
    after: u64,
    limit: u32,
) -> Result<Vec<LogRow>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT id, created_at, log_level, message, tool_used, file_path
         FROM agent_logs WHERE workflow_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        workflow,
        to_bigint(after),
        i64::from(limit.min(MAXIMUM_PAGE)),
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read the agent's log")?;
    rows.into_iter()
        .map(|row| {
            Ok(LogRow {
                id: from_bigint(row.id),
                at: row.created_at,
                level: level(&row.log_level)?,
                message: row.message,
                tool: row.tool_used,
                path: row.file_path,
            })
        })
        .collect()
}

fn level(name: &str) -> Result<LogLevel, LedgerError> {
    [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
    ]
    .into_iter()
    .find(|level| level.as_str() == name)
    .ok_or_else(|| LedgerError::Unknown {
        what: "the log level",
        value: name.to_owned(),
    })
}
