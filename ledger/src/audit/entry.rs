//! An entry of the audit log: what it holds, and its hash.
//!
//! Encoding, version 1, of what is hashed: fields in order, each as its length in bytes (8 bytes, big-endian) and then its
//! bytes. The fields: the domain `sallyport/audit-entry/1`, the workflow's UUID (16 bytes), the position, the kind, the
//! key, the content, the time in microseconds since 1970 (numbers: 8 bytes, big-endian), the hash before. The hash is
//! the SHA-256 of that. Golden vectors are in this module's tests.

use std::fmt;

use chrono::{DateTime, Utc};
use sallyport_workflows::activities::{
    CloseGate, OpenGateRequest, RecordCommand, RecordDecision, TransitionRecord,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The hash before the first entry.
pub const GENESIS: Hash = Hash([0; 32]);

/// A SHA-256, written as lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The SHA-256 of `fields`, each with its length before it.
    pub fn of(fields: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        }
        Self(hasher.finalize().into())
    }

    /// From a column that holds 32 bytes.
    pub(crate) fn stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().map(Self).ok()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).map_err(serde::de::Error::custom)?;
        Self::stored(&bytes)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no SHA-256")))
    }
}

/// What kind of thing an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The ticket's state changed. Key: the sequence. Content: [`TransitionRecord`].
    Transition,
    /// A gate opened. Key: the request's id. Content: [`GateOpened`].
    GateOpened,
    /// A gate closed. Key: the request's id. Content: [`CloseGate`].
    GateClosed,
    /// The workflow judged a decision. Key: the decision's id. Content: [`RecordDecision`].
    Decision,
    /// The API turned a decision away. Key: the decision's id. Content: [`crate::decisions::RefusedByApi`].
    DecisionRefused,
    /// The workflow judged a command. Key: the command's id. Content: [`RecordCommand`].
    Command,
    /// The API turned a command away. Key: the command's id. Content: [`crate::commands::RefusedByApi`].
    CommandRefused,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Transition,
        Self::GateOpened,
        Self::GateClosed,
        Self::Decision,
        Self::DecisionRefused,
        Self::Command,
        Self::CommandRefused,
    ];

    /// The fixed name, which is hashed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transition => "transition",
            Self::GateOpened => "gate_opened",
            Self::GateClosed => "gate_closed",
            Self::Decision => "decision",
            Self::DecisionRefused => "decision_refused",
            Self::Command => "command",
            Self::CommandRefused => "command_refused",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether the workflow has this done by an activity, so that its history shows it.
    pub const fn is_in_the_history(self) -> bool {
        !matches!(self, Self::DecisionRefused | Self::CommandRefused)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A gate that opened: what was asked, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateOpened {
    /// What the workflow asked for.
    pub request: OpenGateRequest,
    /// When silence was to close it.
    pub deadline: DateTime<Utc>,
    /// When people were to be reminded.
    pub reminders: Vec<DateTime<Utc>>,
}

/// What can be put on record.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// See [`Kind::Transition`].
    Transition(&'a TransitionRecord),
    /// See [`Kind::GateOpened`].
    GateOpened(&'a GateOpened),
    /// See [`Kind::GateClosed`].
    GateClosed(&'a CloseGate),
    /// See [`Kind::Decision`].
    Decision(&'a RecordDecision),
    /// See [`Kind::DecisionRefused`].
    DecisionRefused(&'a crate::decisions::RefusedByApi),
    /// See [`Kind::Command`].
    Command(&'a RecordCommand),
    /// See [`Kind::CommandRefused`].
    CommandRefused(&'a crate::commands::RefusedByApi),
}

impl Fact<'_> {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Transition(_) => Kind::Transition,
            Self::GateOpened(_) => Kind::GateOpened,
            Self::GateClosed(_) => Kind::GateClosed,
            Self::Decision(_) => Kind::Decision,
            Self::DecisionRefused(_) => Kind::DecisionRefused,
            Self::Command(_) => Kind::Command,
            Self::CommandRefused(_) => Kind::CommandRefused,
        }
    }

    /// Its idempotency key within its workflow and kind.
    pub fn key(&self) -> String {
        match self {
            Self::Transition(record) => record.sequence.to_string(),
            Self::GateOpened(opened) => opened.request.approval_id.to_string(),
            Self::GateClosed(closed) => closed.approval_id.to_string(),
            Self::Decision(decision) => decision.record.id.to_string(),
            Self::DecisionRefused(refused) => refused.id.to_string(),
            Self::Command(command) => command.record.id.to_string(),
            Self::CommandRefused(refused) => refused.id.to_string(),
        }
    }

    /// Its content, JSON. Postgres's text holds no NUL, so an escaped one stays escaped: that is JSON's own way.
    pub fn content(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Transition(record) => serde_json::to_string(record),
            Self::GateOpened(opened) => serde_json::to_string(opened),
            Self::GateClosed(closed) => serde_json::to_string(closed),
            Self::Decision(decision) => serde_json::to_string(decision),
            Self::DecisionRefused(refused) => serde_json::to_string(refused),
            Self::Command(command) => serde_json::to_string(command),
            Self::CommandRefused(refused) => serde_json::to_string(refused),
        }
    }
}

/// An entry, as it is stored and exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The ledger's UUID of the workflow.
    pub workflow: Uuid,
    /// The place in its chain, from 1.
    pub position: u64,
    /// What kind of thing is recorded.
    pub kind: Kind,
    /// The idempotency key of what is recorded.
    pub key: String,
    /// What is recorded, JSON, byte for byte.
    pub content: String,
    /// When it was recorded, in whole microseconds.
    pub recorded_at: DateTime<Utc>,
    /// The hash of the entry before.
    pub previous_hash: Hash,
    /// The hash of this one.
    pub hash: Hash,
}

impl Entry {
    /// What the hash must be.
    pub fn computed_hash(&self) -> Hash {
        Hash::of(&[
            b"sallyport/audit-entry/1",
            self.workflow.as_bytes(),
            &self.position.to_be_bytes(),
            self.kind.as_str().as_bytes(),
            self.key.as_bytes(),
            self.content.as_bytes(),
            &self.recorded_at.timestamp_micros().to_be_bytes(),
            &self.previous_hash.0,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            workflow: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            position: 7,
            kind: Kind::Decision,
            key: "k".into(),
            content: r#"{"über":1}"#.into(),
            recorded_at: DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap(),
            previous_hash: Hash([0xab; 32]),
            hash: GENESIS,
        }
    }

    #[test]
    fn golden_vector() {
        // Computed independently, with Python's hashlib and struct.pack(">Q", ...).
        assert_eq!(
            entry().computed_hash().to_string(),
            "b4d446f9c4c21b9d8bb5cee2ab49d17518275e0e49839a79bb70d26b74308b68"
        );
    }

    #[test]
    fn every_field_counts() {
        let hash = entry().computed_hash();
        let others = [
            Entry {
                workflow: Uuid::nil(),
                ..entry()
            },
            Entry {
                position: 8,
                ..entry()
            },
            Entry {
                kind: Kind::Command,
                ..entry()
            },
            Entry {
                key: "l".into(),
                ..entry()
            },
            Entry {
                content: r#"{"uber":1}"#.into(),
                ..entry()
            },
            Entry {
                recorded_at: entry().recorded_at + chrono::TimeDelta::microseconds(1),
                ..entry()
            },
            Entry {
                previous_hash: GENESIS,
                ..entry()
            },
            // Bytes that change from one field to the next.
            Entry {
                key: "k{".into(),
                content: r#""über":1}"#.into(),
                ..entry()
            },
        ];
        for other in others {
            assert_ne!(other.computed_hash(), hash, "{other:?}");
        }
    }

    #[test]
    fn kinds_have_the_names_that_are_stored() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(Kind::named("other"), None);
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = Hash([0x5a; 32]);
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<Hash>(&text).unwrap(), hash);
        assert!(serde_json::from_str::<Hash>("\"5a\"").is_err());
        assert!(serde_json::from_str::<Hash>("\"xx\"").is_err());
    }
}
