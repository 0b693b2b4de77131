//! What live streams show, in an order in which nothing is ever put in between: see the table's migration.
//!
//! An event is read once no transaction runs that began to write before it. Postgres counts transactions for the whole
//! server, so a long one that writes delays all streams, even one in another database of that server; it never makes them
//! lose or repeat anything. `idle_in_transaction_session_timeout` and `statement_timeout` bound our own.
//!
//! The numbers are one server's. A place that this server has not counted to yet is told from one of its own
//! ([`reaches`]); one that it has is not. So after a restore on another server clients have to begin anew.

use std::{fmt, str::FromStr};

use sqlx::postgres::PgListener;

use crate::{
    convert::to_bigint,
    database::Database,
    error::{LedgerError, Trying},
};

/// The channel on which each commit that writes to the feed is told.
const CHANNEL: &str = "sallyport_feed";

/// A place in the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    transaction: u64,
    id: u64,
}

/// What was given is no place in a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of an event of this stream")]
pub struct PlaceError;

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.transaction, self.id)
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let number = |text: &str| -> Result<u64, PlaceError> {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| is_plain);
            // What Postgres can hold as a BIGINT.
            number
                .filter(|number| i64::try_from(*number).is_ok())
                .ok_or(PlaceError)
        };
        let (transaction, id) = text.split_once('-').ok_or(PlaceError)?;
        Ok(Self {
            transaction: number(transaction)?,
            id: number(id)?,
        })
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedEvent {
    /// Where it stands.
    pub place: Place,
    /// `state` or `approval`.
    pub kind: String,
    /// What it was, as the triggers write it.
    pub body: serde_json::Value,
}

/// The place behind all that has happened and before all that will.
pub async fn end(database: &Database) -> Result<Place, LedgerError> {
    let transaction = sqlx::query_scalar!(
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "transaction!""#
    )
    .fetch_one(database.pool())
    .await
    .trying_to("look where the feed ends")?;
    Ok(Place {
        transaction: transaction.parse().unwrap_or_default(),
        id: 0,
    })
}

/// What happened after `place`, at most `limit` of it.
pub async fn after(
    database: &Database,
    place: Place,
    limit: u32,
) -> Result<Vec<FeedEvent>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT transaction::text AS "transaction!", id, kind, body FROM feed
           WHERE (transaction, id) > ($1::text::xid8, $2)
             AND transaction < pg_snapshot_xmin(pg_current_snapshot())
           ORDER BY transaction, id LIMIT $3"#,
        place.transaction.to_string(),
        to_bigint(place.id),
        i64::from(limit),
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read the feed")?;
    let events = rows.into_iter().map(|row| FeedEvent {
        place: Place {
            transaction: row.transaction.parse().unwrap_or_default(),
            id: u64::try_from(row.id).unwrap_or_default(),
        },
        kind: row.kind,
        body: row.body,
    });
    Ok(events.collect())
}

/// Whether something is written that must wait for a transaction that still runs.
pub async fn is_held_back(database: &Database) -> Result<bool, LedgerError> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM feed WHERE transaction >= pg_snapshot_xmin(pg_current_snapshot())) AS "is_held_back!""#
    )
    .fetch_one(database.pool())
    .await
    .trying_to("read the feed")
}

/// Whether all that came after `place` is still there. It is not if that was pruned, or if the place is another
/// database's, such as that of a backup that was restored elsewhere.
pub async fn reaches(database: &Database, place: Place) -> Result<bool, LedgerError> {
    sqlx::query_scalar!(
        r#"SELECT (transaction, id) <= ($1::text::xid8, $2::bigint)
                  AND $1::text::xid8 <= pg_snapshot_xmax(pg_current_snapshot()) AS "reaches!"
           FROM feed_horizon"#,
        place.transaction.to_string(),
        to_bigint(place.id),
    )
    .fetch_one(database.pool())
    .await
    .trying_to("look how far back the feed goes")
}

/// Forgets what is older than 7 days, and what came with a backup from a Postgres that had counted further: its numbers
/// would come up again. Returns how much.
pub async fn prune(database: &Database) -> Result<u64, LedgerError> {
    let action = "prune the feed";
    sqlx::query!(
        "UPDATE feed_horizon SET transaction = pg_snapshot_xmin(pg_current_snapshot()), id = 0
         WHERE transaction > pg_snapshot_xmax(pg_current_snapshot())"
    )
    .execute(database.pool())
    .await
    .trying_to(action)?;
    let count = sqlx::query_scalar!(
        r#"WITH old AS (
               DELETE FROM feed
               WHERE created_at < now() - interval '7 days' AND transaction < pg_snapshot_xmin(pg_current_snapshot())
               RETURNING transaction, id),
           foreign_rows AS (
               DELETE FROM feed WHERE transaction >= pg_snapshot_xmax(pg_current_snapshot()) RETURNING id),
           newest AS (SELECT transaction, id FROM old ORDER BY transaction DESC, id DESC LIMIT 1),
           horizon AS (
               UPDATE feed_horizon SET transaction = newest.transaction, id = newest.id
               FROM newest
               WHERE (feed_horizon.transaction, feed_horizon.id) < (newest.transaction, newest.id))
           SELECT (SELECT count(*) FROM old) + (SELECT count(*) FROM foreign_rows) AS "count!""#
    )
    .fetch_one(database.pool())
    .await
    .trying_to(action)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Wakes up when something is written to the feed.
pub struct Bell(PgListener);

impl fmt::Debug for Bell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bell")
    }
}

impl Bell {
    /// Listens, on a connection of its own from the pool.
    pub async fn new(database: &Database) -> Result<Self, LedgerError> {
        let action = "listen to the feed";
        let listener = PgListener::connect_with(database.pool()).await;
        let mut listener = listener.trying_to(action)?;
        listener.listen(CHANNEL).await.trying_to(action)?;
        Ok(Self(listener))
    }

    /// Returns when something was written, or when it might have been: after a lost connection.
    pub async fn rings(&mut self) -> Result<(), LedgerError> {
        self.0
            .try_recv()
            .await
            .trying_to("listen to the feed")
            .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_comes_back_as_it_was(transaction in 0..i64::MAX as u64, id in 0..i64::MAX as u64) {
            let place = Place { transaction, id };
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }

        #[test]
        fn nothing_else_is_a_place(text in "[-+0-9]{0,45}|\\PC*") {
            if let Ok(place) = text.parse::<Place>() {
                prop_assert!(i64::try_from(place.id).is_ok() && i64::try_from(place.transaction).is_ok());
            }
        }
    }
}
