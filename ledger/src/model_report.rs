//! How well planners do: what became of the tickets that each one planned, and how their models answer.

use chrono::{DateTime, Utc};
use sallyport_workflows::usage::Usage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    convert::{self, from_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelReport {
    /// Tickets that began since then are counted.
    pub since: DateTime<Utc>,
    /// The planners, by name.
    pub planners: Vec<PlannerOutcome>,
    /// Their models, by planner and model.
    pub models: Vec<ModelCalls>,
}

/// What became of the tickets that a planner planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannerOutcome {
    /// Its name in the configuration.
    pub planner: String,
    /// The tickets that it was chosen for; each attempt at a ticket is one.
    pub tickets: u64,
    /// Those of them whose first SPEC a person decided about. Silence is no decision.
    pub read: u64,
    /// Those whose first SPEC was approved.
    pub approved_at_first_reading: u64,
    /// How often people sent a SPEC back with comments.
    pub revisions: u64,
    /// Tickets of which a person rejected a SPEC.
    pub rejected: u64,
    /// Tickets that QA checked.
    pub checked: u64,
    /// Those that passed QA at the first check.
    pub passed_at_first_check: u64,
    /// Those that passed QA in the end.
    pub passed: u64,
    /// Tickets that have ended, in whatever way.
    pub ended: u64,
    /// Tickets that were merged.
    pub merged: u64,
    /// What planning them cost, in millionths of a US dollar.
    pub planning_cost_micro_usd: u64,
    /// What they cost in all, in millionths of a US dollar.
    pub cost_micro_usd: u64,
}

/// How a planner's model answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelCalls {
    /// The planner that asked.
    pub planner: String,
    /// Whose model it is.
    pub vendor: String,
    /// The model: the planner's own, or one that took its place.
    pub model: String,
    /// Requests.
    pub calls: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those whose answer was cut because it was too long.
    pub cut: u64,
    /// Those that the model declined.
    pub declined: u64,
    /// Those that came to nothing otherwise: refused, busy, or nobody there.
    pub failed: u64,
    /// How long half of the answers took at most, in milliseconds; nothing if there was none.
    pub latency_median_ms: Option<u64>,
    /// How long 95 of a hundred answers took at most, in milliseconds.
    pub latency_p95_ms: Option<u64>,
    /// What all of them cost.
    pub usage: Usage,
}

/// The report on tickets that began at `since` or later.
pub async fn read(database: &Database, since: DateTime<Utc>) -> Result<ModelReport, LedgerError> {
    Ok(ModelReport {
        since,
        planners: planners(database, since).await?,
        models: models(database, since).await?,
    })
}

async fn planners(
    database: &Database,
    since: DateTime<Utc>,
) -> Result<Vec<PlannerOutcome>, LedgerError> {
    let rows = sqlx::query_file!("src/model_report.sql", since)
        .fetch_all(database.pool())
        .await
        .trying_to("count what became of planned tickets")?;
    let outcome = rows.into_iter().map(|row| PlannerOutcome {
        planner: row.planner,
        tickets: from_bigint(row.tickets),
        read: from_bigint(row.read),
        approved_at_first_reading: from_bigint(row.approved_at_first_reading),
        revisions: from_bigint(row.revisions),
        rejected: from_bigint(row.rejected),
        checked: from_bigint(row.checked),
        passed_at_first_check: from_bigint(row.passed_at_first_check),
        passed: from_bigint(row.passed),
        ended: from_bigint(row.ended),
        merged: from_bigint(row.merged),
        planning_cost_micro_usd: from_bigint(row.planning_cost_micro_usd),
        cost_micro_usd: from_bigint(row.cost_micro_usd),
    });
    Ok(outcome.collect())
}

async fn models(database: &Database, since: DateTime<Utc>) -> Result<Vec<ModelCalls>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT c.planner, vendor, model,
                  count(*) AS "calls!",
                  count(*) FILTER (WHERE outcome = 'answered') AS "answered!",
                  count(*) FILTER (WHERE outcome = 'cut') AS "cut!",
                  count(*) FILTER (WHERE outcome = 'declined') AS "declined!",
                  count(*) FILTER (WHERE outcome IN ('refused', 'busy', 'unreachable')) AS "failed!",
                  (percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms)
                      FILTER (WHERE outcome IN ('answered', 'cut')))::bigint AS latency_median_ms,
                  (percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms)
                      FILTER (WHERE outcome IN ('answered', 'cut')))::bigint AS latency_p95_ms,
                  sum(requests)::bigint AS "requests!",
                  sum(c.input_tokens)::bigint AS "input_tokens!",
                  sum(c.output_tokens)::bigint AS "output_tokens!",
                  sum(c.cache_read_tokens)::bigint AS "cache_read_tokens!",
                  sum(c.cache_write_tokens)::bigint AS "cache_write_tokens!",
                  sum(c.cost_micro_usd)::bigint AS "cost_micro_usd!"
           FROM workflows t JOIN planner_calls c ON c.workflow_id = t.id
           WHERE t.planner IS NOT NULL AND t.created_at >= $1
           GROUP BY c.planner, vendor, model ORDER BY c.planner, vendor, model"#,
        since,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("count what planners' models answered")?;
    let calls = rows.into_iter().map(|row| ModelCalls {
        planner: row.planner,
        vendor: row.vendor,
        model: row.model,
        calls: from_bigint(row.calls),
        answered: from_bigint(row.answered),
        cut: from_bigint(row.cut),
        declined: from_bigint(row.declined),
        failed: from_bigint(row.failed),
        latency_median_ms: row.latency_median_ms.map(from_bigint),
        latency_p95_ms: row.latency_p95_ms.map(from_bigint),
        usage: convert::usage([
            row.requests,
            row.input_tokens,
            row.output_tokens,
            row.cache_read_tokens,
            row.cache_write_tokens,
            row.cost_micro_usd,
        ]),
    });
    Ok(calls.collect())
}
