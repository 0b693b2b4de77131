//! Lists, read in pages. However many rows there are, a page is an ordered walk through one index.
//!
//! Which conditions a query has depends on the filter, so these few queries are put together as they are needed; all they
//! read is ids, and rows are read by them with checked queries. They are planned anew each time: whether an index on a
//! text or a person helps depends on which text and which person it is, and a plan that Postgres keeps for all values
//! would be wrong for some. `docs/list-query-plans.md` shows the plans.

pub mod approvals;
pub mod cursor;
pub mod metrics;
pub mod workflows;

pub use cursor::{Cursor, CursorError, Position};

use sqlx::{Postgres, QueryBuilder};

use crate::{
    database::Database,
    error::{LedgerError, Trying},
};

/// How many rows are counted at most: counting more would read more than the page itself.
pub const COUNTED: u64 = 10_000;
/// How many rows may be passed over by their number. Beyond, a [`Cursor`] gets there at no cost.
pub const LARGEST_OFFSET: u32 = 10_000;

/// How many rows a filter finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// How many, counted up to [`COUNTED`].
    pub count: u64,
    /// Whether there are more than that.
    pub is_capped: bool,
}

impl Total {
    fn of(counted: i64) -> Self {
        let counted = u64::try_from(counted).unwrap_or(0);
        Self {
            count: counted.min(COUNTED),
            is_capped: counted > COUNTED,
        }
    }
}

/// How Postgres carries a query out, line by line; `analyze` does it to measure it.
async fn explain(
    database: &Database,
    analyze: bool,
    fill: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Result<Vec<String>, LedgerError> {
    let mut query = QueryBuilder::new(match analyze {
        true => "EXPLAIN (ANALYZE, BUFFERS) ",
        false => "EXPLAIN ",
    });
    fill(&mut query);
    query
        .build_query_scalar()
        .persistent(false)
        .fetch_all(database.pool())
        .await
        .trying_to("explain a list")
}

/// Puts ` WHERE ` before a query's first condition and ` AND ` before the others.
struct Conditions(bool);

impl Conditions {
    fn next(&mut self, query: &mut QueryBuilder<Postgres>) {
        query.push(if self.0 { " AND " } else { " WHERE " });
        self.0 = true;
    }
}
