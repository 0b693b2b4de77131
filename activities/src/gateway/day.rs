//! What the whole installation may spend in a day.

use sallyport_ledger::{
    Database, LedgerError,
    model_spending::{self, SetAside},
};

/// The day's budget, which all workers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DayBudget {
    database: Database,
    limit_micro_usd: u64,
}

/// Nothing was set aside.
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// What is left of the day's budget does not cover it.
    #[error("out of budget: {USED_UP}")]
    UsedUp,
    /// It could not be counted, so nothing may be spent.
    #[error("what it costs cannot be counted now: {0}")]
    Ledger(#[from] LedgerError),
}

/// What to tell people when the day's budget is used up.
pub const USED_UP: &str = "the installation's budget for models is used up for today, or the rest does not cover another \
                           request; retry after midnight UTC, or raise `model.day_budget_micro_usd`";

impl DayBudget {
    /// At most `limit_micro_usd` a day, counted in `database`.
    pub fn new(database: Database, limit_micro_usd: u64) -> Self {
        Self {
            database,
            limit_micro_usd,
        }
    }

    /// Sets `cost_micro_usd` aside, the most that a request can cost.
    pub async fn set_aside(&self, cost_micro_usd: u64) -> Result<SetAside, DayError> {
        let set_aside =
            model_spending::set_aside(&self.database, cost_micro_usd, self.limit_micro_usd);
        set_aside.await?.ok_or(DayError::UsedUp)
    }

    /// Counts what the request did cost. If that cannot be, all that was set aside stays counted.
    pub async fn settle(&self, set_aside: SetAside, cost_micro_usd: u64) {
        if let Err(problem) =
            model_spending::settle(&self.database, set_aside, cost_micro_usd).await
        {
            tracing::warn!(%problem, "a request to a model is counted with the most that it could cost");
        }
    }
}
