//! Reading the audit log back, and checking what a running installation has of it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    chain::stored_hash,
    entry::{Entry, Hash, Kind},
    key::PublicKey,
    records::{self, Rows},
    seal::{COPIES, Seal, copy_name},
    sealer::SealRecord,
    verify::{self, Fault, SealChain},
};
use crate::{
    convert::{from_bigint, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
    objects::{ObjectError, Objects},
};

/// How many seals are read at once.
const SEALS_AT_ONCE: i64 = 200;

/// Why the check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Object storage failed.
    #[error("the copies of the seals cannot be read: {0}")]
    Objects(#[from] ObjectError),
}

/// What was found about the seals.
#[derive(Debug)]
pub struct SealsChecked {
    /// The chain, what it covers, and what is wrong with it.
    pub chain: SealChain,
    /// How many seals wait to be copied to object storage.
    pub not_copied: u64,
}

/// What was found about one workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowChecked {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// What is wrong with them, and with the tables that people read.
    pub found: Vec<Fault>,
}

/// A workflow that may have entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The ledger's UUID.
    pub workflow: Uuid,
    /// Its id in Temporal.
    pub workflow_id: String,
}

/// The workflows after `after` in the order of their UUIDs, at most `limit`.
pub async fn workflows(
    database: &Database,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Audited>, LedgerError> {
    sqlx::query_as!(
        Audited,
        "SELECT id AS workflow, workflow_id FROM workflows WHERE id > $1 ORDER BY id LIMIT $2",
        after.unwrap_or_default(),
        i64::from(limit),
    )
    .fetch_all(database.pool())
    .await
    .trying_to("list the workflows whose audit log is checked")
}

/// Whether the ledger has a workflow of that UUID.
pub async fn exists(database: &Database, workflow: Uuid) -> Result<bool, LedgerError> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM workflows WHERE id = $1) AS "there!""#,
        workflow,
    )
    .fetch_one(database.pool())
    .await
    .trying_to("look for a workflow")
}

/// How many entries no seal covers yet, and since when the oldest of them waits.
pub async fn unsealed(database: &Database) -> Result<(u64, Option<DateTime<Utc>>), LedgerError> {
    let row = sqlx::query!(
        r#"SELECT COALESCE(sum(position - sealed_position), 0)::bigint AS "entries!", min(changed_at) AS since
           FROM audit_heads WHERE sealed_position < position"#,
    )
    .fetch_one(database.pool())
    .await
    .trying_to("count what is not sealed yet")?;
    Ok((from_bigint(row.entries), row.since))
}

/// The entries of a workflow, in order.
pub async fn entries(
    connection: &mut PgConnection,
    workflow: Uuid,
) -> Result<Vec<Entry>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT position, kind, entry_key, content, recorded_at, previous_hash, hash
         FROM audit_log WHERE workflow_id = $1 ORDER BY position",
        workflow,
    )
    .fetch_all(connection)
    .await
    .trying_to("read the audit log")?;
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                workflow,
                position: from_bigint(row.position),
                kind: Kind::named(&row.kind).ok_or_else(|| LedgerError::Unknown {
                    what: "the kind of entry",
                    value: row.kind.clone(),
                })?,
                key: row.entry_key,
                content: row.content,
                recorded_at: row.recorded_at,
                previous_hash: stored_hash(&row.previous_hash)?,
                hash: stored_hash(&row.hash)?,
            })
        })
        .collect()
}

/// The seals after the one with the number `after`, in order.
pub async fn seals(database: &Database, after: u64) -> Result<Vec<Seal>, LedgerError> {
    let rows = sqlx::query_as!(
        SealRecord,
        "SELECT number, content, hash, signature, public_key FROM audit_seals
         WHERE number > $1 ORDER BY number LIMIT $2",
        to_bigint(after),
        SEALS_AT_ONCE,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read the seals")?;
    rows.into_iter().map(Seal::try_from).collect()
}

/// Checks the seals, and their copies in object storage.
pub async fn check_seals(
    database: &Database,
    objects: &Objects,
    key: Option<PublicKey>,
) -> Result<SealsChecked, CheckError> {
    // The copies first: a seal is on record before it is copied, so what is copied by now must be on record after this.
    let copies = objects.list_named(COPIES).await?;
    let mut chain = SealChain::default();
    let mut not_copied = 0;
    loop {
        let seals = seals(database, chain.last()).await?;
        if seals.is_empty() {
            break;
        }
        // Before the copies are looked for: one that is made meanwhile is not noted yet, and so not missed.
        let noted = noted_copies(database, &seals).await?;
        for seal in &seals {
            chain.next(seal, key);
            match objects.get_named(&seal.copy_name()).await? {
                Some(copy) if serde_json::from_slice(&copy).ok().as_ref() == Some(seal) => {}
                Some(_) => chain.found.push(Fault::CopyDiffers(seal.number)),
                None if noted.contains(&seal.number) => {
                    chain.found.push(Fault::CopyMissing(seal.number));
                }
                None => not_copied += 1,
            }
        }
    }
    let last = copy_name(chain.last());
    for name in copies.iter().filter(|name| **name > last) {
        let number = name
            .trim_start_matches(COPIES)
            .trim_matches(|letter: char| !letter.is_ascii_digit())
            .parse()
            .unwrap_or_default();
        chain.found.push(Fault::SealOnlyCopied(number));
    }
    Ok(SealsChecked { chain, not_copied })
}

/// The numbers of those seals that the ledger says are copied.
async fn noted_copies(database: &Database, seals: &[Seal]) -> Result<BTreeSet<u64>, LedgerError> {
    let numbers: Vec<i64> = seals.iter().map(|seal| to_bigint(seal.number)).collect();
    let noted = sqlx::query_scalar!(
        "SELECT number FROM audit_seal_copies WHERE number = ANY($1)",
        &numbers,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("see which seals are copied")?;
    Ok(noted.into_iter().map(from_bigint).collect())
}

/// Checks a workflow's chain against its seals, and the tables that people read against the chain. All of it is read at
/// one moment, so a workflow may go on meanwhile.
pub async fn check_workflow(
    database: &Database,
    workflow: Uuid,
    sealed: &[(u64, Hash, u64)],
) -> Result<WorkflowChecked, LedgerError> {
    let action = "read the audit log";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut *transaction)
        .await
        .trying_to(action)?;
    let entries = entries(&mut transaction, workflow).await?;
    let rows = Rows::read(&mut transaction, workflow).await?;
    transaction.commit().await.trying_to(action)?;
    let mut found = verify::chain(&entries);
    found.extend(verify::heads(&entries, sealed));
    found.extend(
        records::compare(&entries, &rows)
            .into_iter()
            .map(Fault::Record),
    );
    Ok(WorkflowChecked { entries, found })
}
