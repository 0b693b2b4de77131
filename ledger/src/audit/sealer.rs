//! Making seals, and copying them to object storage.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    chain::stored_hash,
    entry::GENESIS,
    key::SealKey,
    seal::{Head, Seal, SealDocument, copy_name},
};
use crate::{
    convert::{from_bigint, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
    objects::{ObjectError, Objects},
};

/// How many chains one seal covers at most.
const MAXIMUM_HEADS: i64 = 1000;
/// Any number that nothing else in this database locks by: one sealer works at a time.
const SEALER_LOCK: i64 = 0x5ea1_5ea1;

/// Why nothing was sealed, or copied.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Object storage failed. What is sealed stays sealed, and is copied later.
    #[error("cannot copy seal {number} to object storage: {source}")]
    Copy {
        /// Which seal.
        number: u64,
        /// Why.
        source: ObjectError,
    },
    /// Object storage has a seal of this number already that is another one.
    #[error(
        "object storage has another seal {number} than the ledger: the ledger is an older copy of itself, or somebody \
         changed one of them. Sealing stops; `sallyport audit verify` shows what differs, and docs/operations.md says \
         how to go on after a restore"
    )]
    Fork {
        /// Which seal.
        number: u64,
    },
}

/// What a round of sealing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// How many chains the new seals cover.
    pub heads: usize,
    /// How many seals were copied.
    pub copies: usize,
}

/// Seals all chains that grew, and copies every seal that is not copied yet. Another sealer at work is left to it.
///
/// Key: the seal's number, one after the other. A seal is on record before it is copied; a copy is made again with the
/// same content under the same name.
pub async fn seal(
    database: &Database,
    objects: &Objects,
    key: &SealKey,
) -> Result<Sealed, SealError> {
    let mut sealed = Sealed::default();
    loop {
        let heads = seal_some(database, key).await?;
        sealed.heads += heads;
        if heads < usize::try_from(MAXIMUM_HEADS).unwrap_or(usize::MAX) {
            break;
        }
    }
    for seal in not_copied(database).await? {
        copy(objects, &seal).await?;
        sqlx::query!(
            "INSERT INTO audit_seal_copies (number) VALUES ($1) ON CONFLICT DO NOTHING",
            to_bigint(seal.number),
        )
        .execute(database.pool())
        .await
        .trying_to("note that a seal is copied")?;
        sealed.copies += 1;
    }
    Ok(sealed)
}

/// Makes one seal, if anything grew. Returns how many chains it covers.
async fn seal_some(database: &Database, key: &SealKey) -> Result<usize, SealError> {
    let action = "seal the audit log";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    let is_ours = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock($1) AS "ours!""#,
        SEALER_LOCK,
    )
    .fetch_one(&mut *transaction)
    .await
    .trying_to(action)?;
    if !is_ours {
        return Ok(0);
    }
    let heads = unsealed(&mut transaction).await?;
    if heads.is_empty() {
        return Ok(0);
    }
    let last = sqlx::query!("SELECT number, hash FROM audit_seals ORDER BY number DESC LIMIT 1",)
        .fetch_optional(&mut *transaction)
        .await
        .trying_to(action)?;
    let (number, previous) = match last {
        Some(last) => (from_bigint(last.number) + 1, stored_hash(&last.hash)?),
        None => (1, GENESIS),
    };
    let document = SealDocument {
        number,
        previous,
        sealed_at: now(&mut transaction).await?,
        heads,
    };
    let seal = Seal::sign(&document, key).map_err(|source| LedgerError::Refused {
        action,
        source: sqlx::Error::Encode(source.into()),
    })?;
    sqlx::query!(
        "INSERT INTO audit_seals (number, content, hash, signature, public_key, sealed_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        to_bigint(seal.number),
        seal.content,
        &seal.hash.0[..],
        seal.signature,
        &seal.public_key[..],
        document.sealed_at,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    let workflows: Vec<Uuid> = document.heads.iter().map(|head| head.workflow).collect();
    let positions: Vec<i64> = document
        .heads
        .iter()
        .map(|head| to_bigint(head.position))
        .collect();
    sqlx::query!(
        "UPDATE audit_heads SET sealed_position = sealed.position
         FROM UNNEST($1::uuid[], $2::bigint[]) AS sealed (workflow_id, position)
         WHERE audit_heads.workflow_id = sealed.workflow_id",
        &workflows,
        &positions,
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    transaction.commit().await.trying_to(action)?;
    Ok(document.heads.len())
}

/// The chains that grew since they were sealed, the longest unsealed first. What is read is committed, so the entry is
/// there for good; whoever adds another meanwhile is sealed next time.
async fn unsealed(connection: &mut PgConnection) -> Result<Vec<Head>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT workflow_id, position, hash FROM audit_heads
         WHERE sealed_position < position ORDER BY changed_at, workflow_id LIMIT $1",
        MAXIMUM_HEADS,
    )
    .fetch_all(connection)
    .await
    .trying_to("find what is to be sealed")?;
    rows.into_iter()
        .map(|row| {
            Ok(Head {
                workflow: row.workflow_id,
                position: from_bigint(row.position),
                hash: stored_hash(&row.hash)?,
            })
        })
        .collect()
}

async fn now(connection: &mut PgConnection) -> Result<DateTime<Utc>, LedgerError> {
    sqlx::query_scalar!(r#"SELECT date_trunc('microseconds', clock_timestamp()) AS "now!""#)
        .fetch_one(connection)
        .await
        .trying_to("tell the time")
}

async fn not_copied(database: &Database) -> Result<Vec<Seal>, LedgerError> {
    let rows = sqlx::query_as!(
        SealRecord,
        "SELECT number, content, hash, signature, public_key FROM audit_seals
         WHERE NOT EXISTS (SELECT FROM audit_seal_copies copies WHERE copies.number = audit_seals.number)
         ORDER BY number",
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find the seals that are not copied yet")?;
    rows.into_iter().map(Seal::try_from).collect()
}

async fn copy(objects: &Objects, seal: &Seal) -> Result<(), SealError> {
    let number = seal.number;
    let content = serde_json::to_vec(seal).map_err(|source| LedgerError::Refused {
        action: "copy a seal",
        source: sqlx::Error::Encode(source.into()),
    })?;
    objects
        .put_named(&copy_name(number), content)
        .await
        .map_err(|source| match source {
            ObjectError::Taken(_) => SealError::Fork { number },
            source => SealError::Copy { number, source },
        })
}

/// A seal's row.
pub(crate) struct SealRecord {
    pub(crate) number: i64,
    pub(crate) content: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
}

impl TryFrom<SealRecord> for Seal {
    type Error = LedgerError;

    fn try_from(record: SealRecord) -> Result<Self, LedgerError> {
        Ok(Self {
            number: from_bigint(record.number),
            content: record.content,
            hash: stored_hash(&record.hash)?,
            signature: record.signature,
            public_key: stored_hash(&record.public_key)?.0,
        })
    }
}
