//! Whether the audit log is as it was written: pure checks of what was read, the same for a running installation and for a
//! bundle that somebody has of one ticket.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use uuid::Uuid;

use super::{
    entry::{Entry, GENESIS, Hash, Kind},
    key::PublicKey,
    records::Difference,
    seal::{Seal, SealDocument},
};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: a workflow's id, or the seals.
    pub subject: String,
    /// What is wrong.
    #[serde(serialize_with = "as_text")]
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.subject, self.fault)
    }
}

fn as_text<S: serde::Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fault)
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A place in a chain is empty.
    EntryMissing(u64),
    /// An entry is not what was hashed.
    EntryChanged(u64, Kind),
    /// An entry does not hold the hash of the one before.
    EntryUnlinked(u64, Kind),
    /// A ticket's transitions are not numbered 1, 2, 3, ... in the order of its chain.
    TransitionOutOfOrder {
        /// The entry's place.
        position: u64,
        /// Its number.
        is: String,
        /// The number that comes there.
        should: u64,
    },
    /// A seal's number is missing.
    SealMissing(u64),
    /// A seal is not what was hashed, or no seal at all.
    SealChanged(u64),
    /// A seal's signature is wrong.
    SealUnsigned(u64),
    /// A seal was signed with another key than the one that is expected.
    SealOfAnotherKey(u64, PublicKey),
    /// A seal does not hold the hash of the one before.
    SealUnlinked(u64),
    /// The seal covers an entry that is not there.
    SealedEntryMissing {
        /// The entry's place.
        position: u64,
        /// The seal.
        seal: u64,
    },
    /// The seal covers another entry than the one that is there.
    SealedEntryChanged {
        /// The entry's place.
        position: u64,
        /// The seal.
        seal: u64,
    },
    /// Object storage has a seal that the ledger has not.
    SealOnlyCopied(u64),
    /// A seal that was copied is not in object storage any more.
    CopyMissing(u64),
    /// Object storage and ledger have two different seals of one number.
    CopyDiffers(u64),
    /// The tables that people read say something else than the log.
    Record(Difference),
    /// Temporal's history has it, the log has not.
    NotOnRecord(Kind, String),
    /// The log has it, Temporal's history has not.
    NotInTheHistory(Kind, String),
    /// The log and Temporal's history say different things.
    OtherThanTheHistory(Kind, String),
    /// Temporal has no history of it, and none was exported.
    NoHistory,
    /// A history was exported, and what was stored cannot be read or is something else.
    ExportUnreadable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EntryMissing(position) => write!(formatter, "entry {position} is missing"),
            Self::EntryChanged(position, kind) => {
                write!(
                    formatter,
                    "entry {position} ({kind}) was changed: it is not what was hashed"
                )
            }
            Self::EntryUnlinked(position, kind) => write!(
                formatter,
                "entry {position} ({kind}) does not follow the entry before it: one of the two was put there later"
            ),
            Self::TransitionOutOfOrder {
                position,
                is,
                should,
            } => write!(
                formatter,
                "entry {position} is transition {is}, where transition {should} comes"
            ),
            Self::SealMissing(number) => write!(formatter, "seal {number} is missing"),
            Self::SealChanged(number) => {
                write!(
                    formatter,
                    "seal {number} was changed: it is not what was hashed"
                )
            }
            Self::SealUnsigned(number) => {
                write!(
                    formatter,
                    "seal {number} is not signed by the key that it names"
                )
            }
            Self::SealOfAnotherKey(number, key) => {
                write!(formatter, "seal {number} is signed with another key, {key}")
            }
            Self::SealUnlinked(number) => write!(
                formatter,
                "seal {number} does not follow the seal before it: one of the two was put there later"
            ),
            Self::SealedEntryMissing { position, seal } => write!(
                formatter,
                "entry {position} is missing, but seal {seal} covers it: the end of the chain was cut off"
            ),
            Self::SealedEntryChanged { position, seal } => write!(
                formatter,
                "entry {position} is not the one that seal {seal} covers: the chain was computed anew"
            ),
            Self::SealOnlyCopied(number) => write!(
                formatter,
                "seal {number} is in object storage and not in the ledger: the ledger's end was cut off, or the ledger \
                 is an older copy of itself"
            ),
            Self::CopyMissing(number) => write!(
                formatter,
                "seal {number} was copied to object storage and is not there any more"
            ),
            Self::CopyDiffers(number) => write!(
                formatter,
                "seal {number} is another one in object storage than in the ledger"
            ),
            Self::Record(difference) => difference.fmt(formatter),
            Self::NotOnRecord(kind, key) => write!(
                formatter,
                "{kind} {key} is in Temporal's history and not in the log"
            ),
            Self::NotInTheHistory(kind, key) => write!(
                formatter,
                "{kind} {key} is in the log and not in Temporal's history: it was invented"
            ),
            Self::OtherThanTheHistory(kind, key) => write!(
                formatter,
                "{kind} {key} says something else in Temporal's history"
            ),
            Self::ExportUnreadable(problem) => write!(formatter, "{problem}"),
            Self::NoHistory => write!(
                formatter,
                "Temporal has no history of it, and none was exported: the log cannot be compared"
            ),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { table, row } => write!(
                formatter,
                "table {table} lacks the row {row}, which the log has"
            ),
            Self::Invented { table, row } => write!(
                formatter,
                "table {table} has a row {row} that is not in the log: it was invented"
            ),
            Self::Changed {
                table,
                row,
                columns,
            } => write!(
                formatter,
                "table {table}, row {row}: {} not what the log says",
                match columns.as_slice() {
                    [one] => format!("the column {one} is"),
                    many => format!("the columns {} are", many.join(", ")),
                }
            ),
            Self::Unreadable { position, problem } => {
                write!(
                    formatter,
                    "entry {position} cannot be understood: {problem}"
                )
            }
        }
    }
}

/// The ends of chains that seals cover, by workflow: place, hash, and the seal's number.
pub type SealedHeads = BTreeMap<Uuid, Vec<(u64, Hash, u64)>>;

/// Checks the chain of one workflow, its entries in order.
pub fn chain(entries: &[Entry]) -> Vec<Fault> {
    let mut found = Vec::new();
    let (mut position, mut hash, mut sequence) = (0, GENESIS, 0);
    for entry in entries {
        for missing in position + 1..entry.position {
            found.push(Fault::EntryMissing(missing));
        }
        // After a gap, nobody knows what the hash before must be; the gap is told already.
        if entry.position == position + 1 && entry.previous_hash != hash {
            found.push(Fault::EntryUnlinked(entry.position, entry.kind));
        }
        if entry.computed_hash() != entry.hash {
            found.push(Fault::EntryChanged(entry.position, entry.kind));
        }
        if entry.kind == Kind::Transition {
            sequence += 1;
            let is: Option<u64> = entry.key.parse().ok();
            if is != Some(sequence) && entry.position == position + 1 {
                found.push(Fault::TransitionOutOfOrder {
                    position: entry.position,
                    is: entry.key.clone(),
                    should: sequence,
                });
            }
            sequence = is.unwrap_or(sequence);
        }
        (position, hash) = (entry.position, entry.hash);
    }
    found
}

/// Checks that the entries are those that were sealed.
pub fn heads(entries: &[Entry], sealed: &[(u64, Hash, u64)]) -> Vec<Fault> {
    let by_position: BTreeMap<u64, Hash> = entries
        .iter()
        .map(|entry| (entry.position, entry.hash))
        .collect();
    sealed
        .iter()
        .filter_map(|(position, hash, seal)| match by_position.get(position) {
            None => Some(Fault::SealedEntryMissing {
                position: *position,
                seal: *seal,
            }),
            Some(is) if is != hash => Some(Fault::SealedEntryChanged {
                position: *position,
                seal: *seal,
            }),
            Some(_) => None,
        })
        .collect()
}

/// Checks the chain of seals, all of them in order, and collects what they cover.
#[derive(Debug, Default)]
pub struct SealChain {
    number: u64,
    hash: Option<Hash>,
    /// What the seals cover.
    pub heads: SealedHeads,
    /// What is wrong with them.
    pub found: Vec<Fault>,
}

impl SealChain {
    /// Takes the next seal. `key` is whose signature it must be, if that is known.
    pub fn next(&mut self, seal: &Seal, key: Option<PublicKey>) {
        for missing in self.number + 1..seal.number {
            self.found.push(Fault::SealMissing(missing));
            self.hash = None;
        }
        let before = if seal.number == 1 {
            Some(GENESIS)
        } else {
            self.hash
        };
        match self::seal(seal, key, &mut self.found) {
            Some(document) => {
                if before.is_some_and(|before| before != document.previous) {
                    self.found.push(Fault::SealUnlinked(seal.number));
                }
                collect(&mut self.heads, &document);
            }
            None => self.found.push(Fault::SealChanged(seal.number)),
        }
        self.number = seal.number;
        self.hash = Some(seal.hash);
    }

    /// How many seals there are, counted by the last one's number.
    pub fn last(&self) -> u64 {
        self.number
    }
}

/// Checks one seal by itself; its document, if it is one.
pub fn seal(seal: &Seal, key: Option<PublicKey>, found: &mut Vec<Fault>) -> Option<SealDocument> {
    if !seal.is_signed() {
        found.push(Fault::SealUnsigned(seal.number));
    }
    let signer = PublicKey(seal.public_key);
    if key.is_some_and(|key| key != signer) {
        found.push(Fault::SealOfAnotherKey(seal.number, signer));
    }
    seal.document()
        .filter(|document| seal.computed_hash() == seal.hash && document.number == seal.number)
}

/// Adds what a seal covers.
pub fn collect(heads: &mut SealedHeads, document: &SealDocument) {
    for head in &document.heads {
        heads
            .entry(head.workflow)
            .or_default()
            .push((head.position, head.hash, document.number));
    }
}
