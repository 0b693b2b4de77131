//! Removing objects that nothing refers to.
//!
//! **What refers to an object.** A column of the ledger ([`references::COLUMNS`]), or a row of `object_references`. Much
//! of what a ticket needs is named only by its running workflow (the pinned policy, the planner's earlier SPECs, a request
//! for more scope) or by another object (QA's outputs by QA's report). The collector cannot read these, so nothing relies
//! on it: whoever stores an object for a ticket puts it on record under the ticket ([`record`]) before anybody can learn
//! of it, that is before its activity answers. The rows go when the ticket is archived, and not before it ended.
//!
//! **Why age protects what is not on record yet.** Between storing an object and recording it lie at most the minutes or
//! hours that one activity runs. An object is only removed when it was written longer ago than the safe age, by default 7
//! days. Storing what is there already counts as writing it: a folder writes it again; a bucket does so if it is older
//! than [`crate::objects::UPLOAD_AGAIN_AFTER`], a day. So an object that somebody stored and not yet recorded is at most a
//! day older than that storing, and is safe for 6 days. [`MINIMUM_SAFE_AGE`] keeps the configuration from less than that
//! reasoning needs.
//!
//! **Why a race loses nothing.** The storage has no locks, so an old object may be stored again between the collector's
//! look at its age and its removal. Removal therefore is a move into the trash, where reading still finds it and puts it
//! back. It stays there for the safe age once more. By then the reference that it was stored for is on record, and the
//! collector puts back what is referred to instead of removing it.

pub mod references;

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{TryStreamExt as _, pin_mut};
use sallyport_workflows::{ObjectRef, ticket::TicketKey};
use serde::Serialize;

use crate::{
    Database, LedgerError, ObjectError, Objects,
    error::Trying,
    objects::{Listing, StoredObject},
};

/// The least that may be configured as safe age.
pub const MINIMUM_SAFE_AGE: TimeDelta = TimeDelta::days(3);

/// Why nothing, or not everything, was collected.
#[derive(Debug, thiserror::Error)]
pub enum GarbageError {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The storage failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// An object storage full of objects, and a ledger that knows none of them.
    #[error(
        "the ledger refers to no object at all, but object storage holds {0}; nothing was removed, since this looks like the \
         wrong or an empty database; check `database.url` and `objects`"
    )]
    NothingReferred(u64),
}

/// What a collection found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Objects in use or at rest.
    pub objects: u64,
    /// Of these, those that something refers to.
    pub referred: u64,
    /// Of the others, those that are too young to tell.
    pub young: u64,
    /// Objects that were moved into the trash.
    pub removed: u64,
    /// Their length in bytes.
    pub removed_bytes: u64,
    /// Objects that were put back from the trash.
    pub recovered: u64,
    /// Objects that were removed from the trash for good.
    pub purged: u64,
}

/// Puts on record that a ticket refers to these objects.
///
/// Key: ticket and object. Again changes nothing.
pub async fn record(
    database: &Database,
    ticket: &TicketKey,
    objects: &[ObjectRef],
) -> Result<(), LedgerError> {
    let keys: Vec<String> = objects.iter().map(|object| object.key.clone()).collect();
    sqlx::query!(
        "INSERT INTO object_references (workflow_id, object_key)
         SELECT $1, key FROM unnest($2::text[]) AS key
         ON CONFLICT DO NOTHING",
        ticket.ledger_id(),
        &keys,
    )
    .execute(database.pool())
    .await
    .trying_to("record what a ticket refers to")?;
    Ok(())
}

/// Removes objects that nothing refers to and that were written before `now - safe_age`; with `dry_run` only counts them.
/// Safe to run at any time, several times at once, and to break off.
pub async fn collect(
    database: &Database,
    objects: &Objects,
    now: DateTime<Utc>,
    safe_age: TimeDelta,
    dry_run: bool,
) -> Result<Collected, GarbageError> {
    let old = now - safe_age.max(MINIMUM_SAFE_AGE);
    let referred = references::all(database).await?;
    let mut done = Collected::default();
    if referred.is_empty() {
        done.objects = count(objects).await?;
        return match done.objects {
            0 => Ok(done),
            found => Err(GarbageError::NothingReferred(found)),
        };
    }
    collect_trash(objects, &referred, old, dry_run, &mut done).await?;
    let stored = objects.list(Listing::Stored);
    pin_mut!(stored);
    while let Some(object) = stored.try_next().await? {
        done.objects += 1;
        if referred.contains(&object.key) {
            done.referred += 1;
        } else if object.modified >= old {
            done.young += 1;
        } else {
            done.removed += 1;
            done.removed_bytes += object.bytes;
            if !dry_run {
                objects.discard(&object.key).await?;
            }
        }
    }
    Ok(done)
}

async fn collect_trash(
    objects: &Objects,
    referred: &HashSet<String>,
    old: DateTime<Utc>,
    dry_run: bool,
    done: &mut Collected,
) -> Result<(), ObjectError> {
    // All of it first: what is put back or removed must not change the list while it is read.
    let discarded: Vec<StoredObject> = objects.list(Listing::Discarded).try_collect().await?;
    for object in discarded {
        if referred.contains(&object.key) {
            done.recovered += 1;
            if !dry_run {
                objects.recover(&object.key).await?;
            }
        } else if object.modified < old {
            done.purged += 1;
            if !dry_run {
                objects.purge(&object.key).await?;
            }
        }
    }
    Ok(())
}

async fn count(objects: &Objects) -> Result<u64, ObjectError> {
    let stored = objects.list(Listing::Stored);
    stored
        .try_fold(0, |count, _| async move { Ok(count + 1) })
        .await
}
