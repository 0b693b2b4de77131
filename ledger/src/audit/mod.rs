//! The audit log: what happened to each ticket, exactly once, in order, so that a change shows.
//!
//! | to find | look in |
//! | --- | --- |
//! | what an entry is, and how it is hashed | [`entry`] |
//! | how an entry is added to its workflow's chain | [`chain`] |
//! | the key that seals are signed with | [`key`] |
//! | one ticket's evidence, for somebody who has nothing else | [`bundle`] |
//! | what a seal is; how and when it is made and copied | [`seal`], [`sealer`] |
//! | whether all of it is as it was written | [`verify`]; for a running installation: [`read`] |
//! | whether the tables that people read say the same | [`records`] |
//! | whether Temporal's histories say the same | [`history`] |
//!
//! Three layers. Each workflow has a chain of entries, each of which holds the hash of the one before: a changed, missing
//! or inserted entry breaks the chain. A sealer signs the ends of the chains, in batches, into one chain of seals, copied
//! to object storage: cutting off the end of a chain, or computing it anew, contradicts a seal. And what the entries say
//! is compared with Temporal's histories: an entry that was invented before it was sealed has no activity there.

pub mod bundle;
pub mod chain;
pub mod entry;
pub mod history;
pub mod key;
pub mod read;
pub mod records;
pub mod seal;
pub mod sealer;
pub mod verify;
