//! What the installation may spend on models in a day: all workers together, from midnight to midnight in UTC, by Postgres's
//! clock.
//!
//! Before a request is sent, the most that it can cost is set aside, and afterwards what it did cost takes that place. What a
//! killed worker had set aside stays: the vendor may have charged for it.

use chrono::NaiveDate;

use crate::{
    convert::{from_bigint, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// What is set aside for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it counts as spent until it is settled"]
pub struct SetAside {
    day: NaiveDate,
    cost_micro_usd: u64,
}

/// Sets `cost_micro_usd` aside of what is left of today's `limit_micro_usd`; nothing if that does not cover it.
pub async fn set_aside(
    database: &Database,
    cost_micro_usd: u64,
    limit_micro_usd: u64,
) -> Result<Option<SetAside>, LedgerError> {
    if cost_micro_usd > limit_micro_usd {
        return Ok(None);
    }
    let day = sqlx::query_scalar!(
        "INSERT INTO model_spending AS spent (day, cost_micro_usd) VALUES ((now() AT TIME ZONE 'UTC')::date, $1)
         ON CONFLICT (day) DO UPDATE SET cost_micro_usd = spent.cost_micro_usd + EXCLUDED.cost_micro_usd
         WHERE spent.cost_micro_usd <= $2 - EXCLUDED.cost_micro_usd
         RETURNING day",
        to_bigint(cost_micro_usd),
        to_bigint(limit_micro_usd),
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("set money aside for a model")?;
    Ok(day.map(|day| SetAside {
        day,
        cost_micro_usd,
    }))
}

/// Counts `cost_micro_usd` in the place of what was set aside, on the same day.
pub async fn settle(
    database: &Database,
    set_aside: SetAside,
    cost_micro_usd: u64,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE model_spending SET cost_micro_usd = greatest(0, cost_micro_usd - $2 + $3) WHERE day = $1",
        set_aside.day,
        to_bigint(set_aside.cost_micro_usd),
        to_bigint(cost_micro_usd),
    )
    .execute(database.pool())
    .await
    .trying_to("count what a model cost")?;
    Ok(())
}

/// What was spent and set aside today, in millionths of a US dollar.
pub async fn today(database: &Database) -> Result<u64, LedgerError> {
    let spent = sqlx::query_scalar!(
        "SELECT cost_micro_usd FROM model_spending WHERE day = (now() AT TIME ZONE 'UTC')::date"
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("read what models cost today")?;
    Ok(spent.map_or(0, from_bigint))
}
