//! A few numbers about all tickets. Each is counted in an index that holds only what it counts.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use sqlx::AssertSqlSafe;

use crate::{
    convert::from_bigint,
    database::Database,
    error::{LedgerError, Trying},
};

/// How far back successes are counted.
pub const SUCCESS_WINDOW: TimeDelta = TimeDelta::days(30);

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Workflows that have not ended; parked ones are among them.
    pub active_workflows: u64,
    /// Open gates.
    pub pending_approvals: u64,
    /// Tickets completed since midnight UTC.
    pub completed_today: u64,
    /// The part of the tickets ended within [`SUCCESS_WINDOW`] that was completed, from 0 to 1; nothing if none ended.
    pub success_rate: Option<f64>,
}

/// The numbers at `now`.
pub async fn read(database: &Database, now: DateTime<Utc>) -> Result<Metrics, LedgerError> {
    let row = sqlx::query_file!("src/lists/metrics.sql", midnight(now), now - SUCCESS_WINDOW,)
        .fetch_one(database.pool())
        .await
        .trying_to("count the tickets")?;
    let ended = from_bigint(row.ended);
    Ok(Metrics {
        active_workflows: from_bigint(row.active),
        pending_approvals: from_bigint(row.pending),
        completed_today: from_bigint(row.today),
        success_rate: (ended > 0).then(|| from_bigint(row.completed) as f64 / ended as f64),
    })
}

/// How Postgres counts; see [`workflows::plans`](super::workflows::plans).
pub async fn plan(
    database: &Database,
    now: DateTime<Utc>,
    analyze: bool,
) -> Result<Vec<String>, LedgerError> {
    let how = if analyze {
        "EXPLAIN (ANALYZE, BUFFERS)"
    } else {
        "EXPLAIN"
    };
    let query = format!("{how} {}", include_str!("metrics.sql"));
    sqlx::query_scalar(AssertSqlSafe(query))
        .bind(midnight(now))
        .bind(now - SUCCESS_WINDOW)
        .persistent(false)
        .fetch_all(database.pool())
        .await
        .trying_to("explain how the tickets are counted")
}

fn midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    now.date_naive().and_time(NaiveTime::MIN).and_utc()
}
