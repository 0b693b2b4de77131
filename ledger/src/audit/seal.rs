//! A seal: a signed document that names the ends of chains, and the seal before it.
//!
//! The document is JSON. What is signed is its hash: SHA-256 over the domain `sallyport/audit-seal/1` and the document's
//! bytes, each with its length before it. The first seal's `previous` is 64 zeros.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    entry::Hash,
    key::{PublicKey, SealKey},
};

/// Where the copies of the seals are in object storage.
pub const COPIES: &str = "audit/seals";

/// What a seal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealDocument {
    /// Its number, from 1.
    pub number: u64,
    /// The hash of the seal before.
    pub previous: Hash,
    /// When it was made.
    pub sealed_at: DateTime<Utc>,
    /// The chains that grew since the seal before.
    pub heads: Vec<Head>,
}

/// The end of a workflow's chain at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The ledger's UUID of the workflow.
    pub workflow: Uuid,
    /// The last entry's place.
    pub position: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A seal, as it is stored, copied and exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The number that it is stored under.
    pub number: u64,
    /// The document, JSON, byte for byte.
    pub content: String,
    /// Its hash.
    pub hash: Hash,
    /// The signature over the hash, in hexadecimal.
    #[serde(with = "hex::serde")]
    pub signature: Vec<u8>,
    /// The public key of whoever signed, in hexadecimal.
    #[serde(with = "hex::serde")]
    pub public_key: [u8; 32],
}

impl Seal {
    /// Signs a document.
    pub fn sign(document: &SealDocument, key: &SealKey) -> Result<Self, serde_json::Error> {
        let content = serde_json::to_string(document)?;
        let hash = hash_of(&content);
        Ok(Self {
            number: document.number,
            signature: key.sign(hash),
            public_key: key.public().0,
            content,
            hash,
        })
    }

    /// What the hash must be.
    pub fn computed_hash(&self) -> Hash {
        hash_of(&self.content)
    }

    /// What the document says, if it is one.
    pub fn document(&self) -> Option<SealDocument> {
        serde_json::from_str(&self.content).ok()
    }

    /// Whether whoever has the key signed the hash.
    pub fn is_signed(&self) -> bool {
        PublicKey(self.public_key).signed(self.hash, &self.signature)
    }

    /// The name of its copy in object storage; names are in the seals' order.
    pub fn copy_name(&self) -> String {
        copy_name(self.number)
    }
}

/// The name of the copy of the seal with that number.
pub fn copy_name(number: u64) -> String {
    format!("{COPIES}/{number:016}.json")
}

fn hash_of(content: &str) -> Hash {
    Hash::of(&[b"sallyport/audit-seal/1", content.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::GENESIS;

    #[test]
    fn a_changed_seal_shows() {
        let key = SealKey::new(&"11".repeat(32).into()).unwrap();
        let document = SealDocument {
            number: 1,
            previous: GENESIS,
            sealed_at: DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
            heads: vec![Head {
                workflow: Uuid::nil(),
                position: 3,
                hash: Hash([7; 32]),
            }],
        };
        let seal = Seal::sign(&document, &key).unwrap();
        assert_eq!(seal.document(), Some(document));
        assert_eq!(seal.computed_hash(), seal.hash);
        assert!(seal.is_signed());
        let changed = Seal {
            content: seal.content.replace("\"position\":3", "\"position\":2"),
            ..seal.clone()
        };
        assert_ne!(changed.computed_hash(), changed.hash);
        let resigned = Seal {
            hash: changed.computed_hash(),
            ..changed
        };
        assert!(!resigned.is_signed());
        assert_eq!(seal.copy_name(), "audit/seals/0000000000000001.json");
        let text = serde_json::to_string(&seal).unwrap();
        assert_eq!(serde_json::from_str::<Seal>(&text).unwrap(), seal);
    }
}
