//! How far a source's own list of events was compared with the inbox. What the list has and the inbox has not is an event
//! whose webhook never came.

use chrono::{DateTime, Utc};

use crate::{Database, LedgerError, convert::storable, error::Trying};

/// The place up to which the source's list is known, or nothing if it was never read.
pub async fn cursor(database: &Database, source: &str) -> Result<Option<String>, LedgerError> {
    sqlx::query_scalar!(
        "SELECT cursor FROM reconciliations WHERE source = $1",
        storable(source),
    )
    .fetch_optional(database.pool())
    .await
    .trying_to("read how far the events of a source were compared")
}

/// Remembers the place up to which the source's list is known now.
///
/// Key: the source. The last one counts: a run that was overtaken only has some events looked at again.
pub async fn remember(database: &Database, source: &str, cursor: &str) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO reconciliations (source, cursor) VALUES ($1, $2)
         ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor, updated_at = now()",
        storable(source),
        storable(cursor),
    )
    .execute(database.pool())
    .await
    .trying_to("remember how far the events of a source were compared")?;
    Ok(())
}

/// When this ledger was made. What happened before that was never meant for it.
pub async fn ledger_begins(database: &Database) -> Result<DateTime<Utc>, LedgerError> {
    let action = "find out when the ledger was made";
    sqlx::query_scalar!(r#"SELECT min(installed_on) AS "at!" FROM _sqlx_migrations"#)
        .fetch_one(database.pool())
        .await
        .trying_to(action)
}
