//! Adding to a workflow's chain, inside the transaction that records the same thing for reading.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::entry::{Entry, Fact, Hash};
use crate::{
    convert::{from_bigint, to_bigint},
    error::{LedgerError, Trying},
};

/// The end of a workflow's chain, locked until the transaction ends: whoever else adds to it waits.
#[derive(Debug)]
pub(crate) struct Chain {
    workflow: Uuid,
    position: u64,
    hash: Hash,
    now: DateTime<Utc>,
}

impl Chain {
    /// Locks the chain of a workflow whose row is there. Whatever else a transaction locks comes after this, so that no
    /// two of them wait for each other.
    pub(crate) async fn lock(
        connection: &mut PgConnection,
        workflow: Uuid,
    ) -> Result<Self, LedgerError> {
        let head = sqlx::query!(
            r#"INSERT INTO audit_heads AS head (workflow_id) VALUES ($1)
               ON CONFLICT (workflow_id) DO UPDATE SET position = head.position
               RETURNING position, hash, date_trunc('microseconds', clock_timestamp()) AS "now!""#,
            workflow,
        )
        .fetch_one(connection)
        .await
        .trying_to("lock a workflow's audit log")?;
        Ok(Self {
            workflow,
            position: from_bigint(head.position),
            hash: stored_hash(&head.hash)?,
            now: head.now,
        })
    }

    /// The time that entries of this transaction carry, in whole microseconds.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Adds an entry.
    ///
    /// Key: the workflow, the fact's kind and its key. What is on record under it stays as it is. Returns whether this
    /// call added it.
    pub(crate) async fn append(
        &mut self,
        connection: &mut PgConnection,
        fact: Fact<'_>,
    ) -> Result<bool, LedgerError> {
        let action = "add to the audit log";
        let mut entry = Entry {
            workflow: self.workflow,
            position: self.position + 1,
            kind: fact.kind(),
            key: fact.key(),
            content: fact.content().map_err(|source| LedgerError::Refused {
                action,
                source: sqlx::Error::Encode(source.into()),
            })?,
            recorded_at: self.now,
            previous_hash: self.hash,
            hash: self.hash,
        };
        entry.hash = entry.computed_hash();
        let added = sqlx::query!(
            "INSERT INTO audit_log (workflow_id, position, kind, entry_key, content, recorded_at, previous_hash, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (workflow_id, kind, entry_key) DO NOTHING",
            entry.workflow,
            to_bigint(entry.position),
            entry.kind.as_str(),
            entry.key,
            entry.content,
            entry.recorded_at,
            &entry.previous_hash.0[..],
            &entry.hash.0[..],
        )
        .execute(&mut *connection)
        .await
        .trying_to(action)?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            "UPDATE audit_heads SET position = $2, hash = $3, changed_at = $4 WHERE workflow_id = $1",
            self.workflow,
            to_bigint(entry.position),
            &entry.hash.0[..],
            self.now,
        )
        .execute(&mut *connection)
        .await
        .trying_to(action)?;
        (self.position, self.hash) = (entry.position, entry.hash);
        Ok(true)
    }
}

/// A hash as its column has it.
pub(crate) fn stored_hash(bytes: &[u8]) -> Result<Hash, LedgerError> {
    Hash::stored(bytes).ok_or_else(|| LedgerError::Unknown {
        what: "the hash",
        value: hex::encode(bytes),
    })
}
