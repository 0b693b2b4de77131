//! Each request of a planner to a model: which one was asked, how long it took, what it cost, and what came of it.

use chrono::{DateTime, Utc};
use sallyport_workflows::{activities::StepKey, usage::Usage};

use crate::{
    convert::to_bigint,
    database::Database,
    error::{LedgerError, Trying},
};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannerCall {
    /// The planner, by its name in the configuration.
    pub planner: String,
    /// Whose model it is.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// From the request to the end of the answer, in milliseconds.
    pub latency_ms: u64,
    /// What came of it: `answered`, `cut`, `declined`, `refused`, `busy` or `unreachable`.
    pub outcome: String,
    /// What it cost.
    pub usage: Usage,
}

/// Records a request. Key: the step, and when it was asked; the first one stays.
pub async fn record(
    database: &Database,
    step: &StepKey,
    call: &PlannerCall,
) -> Result<(), LedgerError> {
    let usage = &call.usage;
    sqlx::query!(
        "INSERT INTO planner_calls
             (workflow_id, step, asked_at, planner, vendor, model, outcome, latency_ms, requests, input_tokens,
              output_tokens, cache_read_tokens, cache_write_tokens, cost_micro_usd)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT DO NOTHING",
        step.ticket.ledger_id(),
        to_bigint(step.sequence),
        call.asked_at,
        call.planner,
        call.vendor,
        call.model,
        call.outcome,
        to_bigint(call.latency_ms),
        to_bigint(usage.requests),
        to_bigint(usage.input_tokens),
        to_bigint(usage.output_tokens),
        to_bigint(usage.cache_read_tokens),
        to_bigint(usage.cache_write_tokens),
        to_bigint(usage.cost_micro_usd),
    )
    .execute(database.pool())
    .await
    .trying_to("record a request to a planner's model")?;
    Ok(())
}
