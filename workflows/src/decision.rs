//! What a person answers at a gate, and what became of the answer.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{gate::Gate, revision};

/// The longest comment that a decision may carry, in bytes.
pub const MAXIMUM_COMMENT_BYTES: usize = 2048;

/// The longest name of a person, in bytes.
pub const MAXIMUM_PERSON_BYTES: usize = 254;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Go on, with exactly this.
    Approve,
    /// Back to the planner (SPEC) or to the agent (PR), with the comments.
    Revise,
    /// No.
    Reject,
}

impl Verdict {
    /// The fixed name, as decisions carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "APPROVE",
            Self::Revise => "REVISE",
            Self::Reject => "REJECT",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A decision about exactly one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Made by the client; sent again it gets the same answer. May be left out in a signal typed by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The gate decided.
    pub gate: Gate,
    /// What was decided about: the whole revision, or a prefix of it of 8 characters or more.
    pub revision: String,
    /// The answer.
    pub decision: Verdict,
    /// Who says so: an email address.
    pub by: String,
    /// Why; for REVISE, what to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<String>,
    /// The starter's signature over [`Decision::signed_bytes`], made after it authenticated the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

impl Decision {
    /// The bytes that a proof signs: version, workflow id and every field, each with its length in front.
    pub fn signed_bytes(&self, workflow_id: &str) -> Vec<u8> {
        let id = self.id.map(|id| id.to_string()).unwrap_or_default();
        let comments = self.comments.as_deref().unwrap_or_default();
        length_prefixed(&[
            "sallyport/decision/1",
            workflow_id,
            &id,
            self.gate.as_str(),
            &self.revision,
            self.decision.as_str(),
            &self.by,
            comments,
        ])
    }

    /// What is wrong with the decision by itself, whatever gate is open.
    pub fn check(&self) -> Result<(), String> {
        if self.by.trim().is_empty() || self.by.len() > MAXIMUM_PERSON_BYTES {
            return Err(
                "`by` must say who decides: an email address of at most 254 bytes".to_owned(),
            );
        }
        if self.revision.len() < revision::MINIMUM_PREFIX {
            return Err(format!(
                "`revision` must name what is decided: the revision shown at the gate, or at least its first {} characters",
                revision::MINIMUM_PREFIX
            ));
        }
        let comment_bytes = self.comments.as_deref().map_or(0, str::len);
        if comment_bytes > MAXIMUM_COMMENT_BYTES {
            return Err(format!(
                "the comment has {comment_bytes} bytes; at most {MAXIMUM_COMMENT_BYTES} are taken"
            ));
        }
        if self.decision == Verdict::Revise {
            if self.gate == Gate::Scope {
                return Err("REVISE has no meaning at the SCOPE gate: approve or reject".to_owned());
            }
            if self
                .comments
                .as_deref()
                .is_none_or(|text| text.trim().is_empty())
            {
                return Err("REVISE needs `comments` that say what to change".to_owned());
            }
        }
        Ok(())
    }
}

/// The fields in order, each as its length in bytes (8 bytes, big-endian) and then its bytes.
pub(crate) fn length_prefixed(fields: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend((field.len() as u64).to_be_bytes());
        bytes.extend(field.as_bytes());
    }
    bytes
}

/// A decision that was counted or refused, as the workflow keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionRecord {
    /// The decision's id; for one typed by hand without an id, the id that the workflow gave it.
    pub id: Uuid,
    /// The gate decided.
    pub gate: Gate,
    /// The whole revision, where it could be told.
    pub revision: String,
    /// The answer.
    pub decision: Verdict,
    /// Who said so.
    pub by: String,
    /// When the workflow took it in.
    pub at: DateTime<Utc>,
    /// Whether the starter vouches for who decided.
    pub proven: bool,
    /// Why it was refused; nothing if it counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The answer to a `decide` update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionOutcome {
    /// What became of the decision.
    pub record: DecisionRecord,
    /// How many more approvals the gate needs; 0 when there are enough. At gate 2 the forge may still refuse to merge.
    pub approvals_missing: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision() -> Decision {
        serde_json::from_value(serde_json::json!({
            "gate": "SPEC", "revision": "0123abcd", "decision": "APPROVE", "by": "approver@example.com"
        }))
        .unwrap()
    }

    #[test]
    fn a_decision_typed_by_hand_needs_no_id() {
        assert_eq!(decision().check(), Ok(()));
    }

    #[test]
    fn the_revision_may_not_be_left_out() {
        let missing =
            serde_json::json!({"gate": "SPEC", "decision": "APPROVE", "by": "a@example.com"});
        assert!(serde_json::from_value::<Decision>(missing).is_err());
        let short = Decision {
            revision: "0123abc".into(),
            ..decision()
        };
        assert!(short.check().unwrap_err().contains("revision"));
    }

    #[test]
    fn revise_needs_comments() {
        let mut revise = Decision {
            decision: Verdict::Revise,
            ..decision()
        };
        assert!(revise.check().is_err());
        revise.comments = Some("Name the test".into());
        assert_eq!(revise.check(), Ok(()));
        revise.comments = Some("x".repeat(MAXIMUM_COMMENT_BYTES + 1));
        assert!(revise.check().is_err());
    }

    #[test]
    fn every_field_is_signed() {
        let base = Decision {
            id: Some(Uuid::nil()),
            comments: Some("ok".into()),
            ..decision()
        };
        let changed = [
            Decision {
                id: None,
                ..base.clone()
            },
            Decision {
                gate: Gate::Pr,
                ..base.clone()
            },
            Decision {
                revision: "0123abce".into(),
                ..base.clone()
            },
            Decision {
                decision: Verdict::Reject,
                ..base.clone()
            },
            Decision {
                by: "other@example.com".into(),
                ..base.clone()
            },
            Decision {
                comments: None,
                ..base.clone()
            },
        ];
        for other in changed {
            assert_ne!(other.signed_bytes("w"), base.signed_bytes("w"), "{other:?}");
        }
        assert_ne!(base.signed_bytes("v"), base.signed_bytes("w"));
    }
}
