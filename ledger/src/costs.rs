//! What each step of a ticket spent on models. A view: the transitions hold what was spent by then.

use chrono::{DateTime, Utc};
use sallyport_workflows::{State, usage::Usage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    convert::{self, from_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// What one step spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostRow {
    /// The transition that ended the step.
    pub sequence: u64,
    /// The state in which it was spent.
    pub step: Option<State>,
    /// When the step ended.
    pub spent_at: DateTime<Utc>,
    /// What it spent. All of a ticket's together are its usage.
    pub usage: Usage,
}

/// What a workflow's steps spent, in order; those that spent nothing are left out.
pub async fn of_workflow(database: &Database, workflow: Uuid) -> Result<Vec<CostRow>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT sequence AS "sequence!", step, spent_at AS "spent_at!", requests AS "requests!",
                  input_tokens AS "input_tokens!", output_tokens AS "output_tokens!",
                  cache_read_tokens AS "cache_read_tokens!", cache_write_tokens AS "cache_write_tokens!",
                  cost_micro_usd AS "cost_micro_usd!"
           FROM costs WHERE workflow_id = $1 ORDER BY sequence"#,
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read what a ticket cost")?;
    rows.into_iter()
        .map(|row| {
            Ok(CostRow {
                sequence: from_bigint(row.sequence),
                step: row.step.as_deref().map(convert::state).transpose()?,
                spent_at: row.spent_at,
                usage: convert::usage([
                    row.requests,
                    row.input_tokens,
                    row.output_tokens,
                    row.cache_read_tokens,
                    row.cache_write_tokens,
                    row.cost_micro_usd,
                ]),
            })
        })
        .collect()
}
