//! What people may do to a ticket beside deciding at its gates: retry, abandon, cancel, extend, reopen.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    State,
    decision::{MAXIMUM_COMMENT_BYTES, MAXIMUM_PERSON_BYTES, length_prefixed},
    policy::{BudgetRaise, MAXIMUM_WAIT_SECONDS},
};

/// What shall be done.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Take a parked ticket up again, from the step that failed or from an earlier one.
    Retry,
    /// Give a parked ticket up.
    Abandon,
    /// Give a ticket up, wherever it is.
    Cancel,
    /// Give a waiting ticket more time: an open gate, a closed pull request, a parked ticket.
    Extend,
    /// Open a closed pull request again.
    Reopen,
}

impl Action {
    /// The fixed name, as commands carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Abandon => "abandon",
            Self::Cancel => "cancel",
            Self::Extend => "extend",
            Self::Reopen => "reopen",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A person's command to one ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Made by the client, and the update's id; sent again it gets the same answer. May be left out in a signal typed by
    /// hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// What shall be done.
    pub action: Action,
    /// RETRY: from which state on; nothing means the step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<State>,
    /// RETRY: what is added to the ticket's budget. What was spent stays counted.
    #[serde(default, skip_serializing_if = "BudgetRaise::is_nothing")]
    pub raise: BudgetRaise,
    /// EXTEND: by how many seconds of wall-clock time, up to [`MAXIMUM_WAIT_SECONDS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Who says so: an email address.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The starter's signature over [`Command::signed_bytes`], made after it authenticated the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

impl Command {
    /// The bytes that a proof signs: version, workflow id and every field, each with its length in front.
    pub fn signed_bytes(&self, workflow_id: &str) -> Vec<u8> {
        let id = self.id.map(|id| id.to_string()).unwrap_or_default();
        let seconds = self.seconds.map(|n| n.to_string()).unwrap_or_default();
        let BudgetRaise {
            cost_micro_usd,
            tokens,
            agent_seconds,
            repairs,
            revisions,
            change_rounds,
            scope_requests,
        } = self.raise;
        let raise = format!(
            "{cost_micro_usd},{tokens},{agent_seconds},{repairs},{revisions},{change_rounds},{scope_requests}"
        );
        length_prefixed(&[
            "sallyport/command/1",
            workflow_id,
            &id,
            self.action.as_str(),
            self.from.map_or("", State::as_str),
            &raise,
            &seconds,
            &self.by,
            self.reason.as_deref().unwrap_or_default(),
        ])
    }

    /// What is wrong with the command by itself, however the ticket stands.
    pub fn check(&self) -> Result<(), String> {
        if self.by.trim().is_empty() || self.by.len() > MAXIMUM_PERSON_BYTES {
            return Err(
                "`by` must say who commands: an email address of at most 254 bytes".to_owned(),
            );
        }
        if self.reason.as_deref().map_or(0, str::len) > MAXIMUM_COMMENT_BYTES {
            return Err(format!(
                "the reason is too long: at most {MAXIMUM_COMMENT_BYTES} bytes are taken"
            ));
        }
        if self.action != Action::Retry && (self.from.is_some() || !self.raise.is_nothing()) {
            return Err(format!(
                "`from` and `raise` go with retry, not with {}",
                self.action
            ));
        }
        match (self.action, self.seconds) {
            (Action::Extend, Some(1..=MAXIMUM_WAIT_SECONDS)) => Ok(()),
            (Action::Extend, _) => Err(format!(
                "extend needs `seconds` from 1 to {MAXIMUM_WAIT_SECONDS}: how much more time there shall be"
            )),
            (_, Some(_)) => Err(format!(
                "`seconds` goes with extend, not with {}",
                self.action
            )),
            (_, None) => Ok(()),
        }
    }
}

/// A command that was carried out or refused, as the workflow keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandRecord {
    /// The command's id; for one typed by hand without an id, the id that the workflow gave it.
    pub id: Uuid,
    /// What was to be done.
    pub action: Action,
    /// Who said so.
    pub by: String,
    /// Why, at most 300 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the workflow took it in.
    pub at: DateTime<Utc>,
    /// The ticket's state then.
    pub state: State,
    /// Whether the starter vouches for who commanded.
    pub proven: bool,
    /// Why it was refused; nothing if it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The answer to a `command` update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandOutcome {
    /// What became of the command.
    pub record: CommandRecord,
    /// RETRY: the state that the ticket goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_to: Option<State>,
    /// EXTEND: until when the ticket waits now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(action: &str, more: serde_json::Value) -> Command {
        let mut json = serde_json::json!({"action": action, "by": "admin@example.com"});
        if let (Some(json), serde_json::Value::Object(more)) = (json.as_object_mut(), more) {
            json.extend(more);
        }
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let nothing = || serde_json::json!({});
        for good in [
            command("retry", nothing()),
            command(
                "retry",
                serde_json::json!({"from": "PLANNING", "raise": {"repairs": 1}}),
            ),
            command("extend", serde_json::json!({"seconds": 3600})),
            command("cancel", serde_json::json!({"reason": "not needed"})),
            command("reopen", nothing()),
        ] {
            assert_eq!(good.check(), Ok(()), "{good:?}");
        }
        for (bad, word) in [
            (command("extend", nothing()), "seconds"),
            (
                command("extend", serde_json::json!({"seconds": 0})),
                "seconds",
            ),
            (
                command("cancel", serde_json::json!({"seconds": 9})),
                "extend",
            ),
            (
                command("abandon", serde_json::json!({"from": "PLANNING"})),
                "retry",
            ),
            (
                command("reopen", serde_json::json!({"raise": {"tokens": 1}})),
                "retry",
            ),
        ] {
            let problem = bad.check().unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }

    #[test]
    fn every_field_is_signed() {
        let base = command("retry", serde_json::json!({}));
        let changed = [
            Command {
                id: Some(Uuid::nil()),
                ..base.clone()
            },
            Command {
                action: Action::Cancel,
                ..base.clone()
            },
            Command {
                from: Some(State::Planning),
                ..base.clone()
            },
            Command {
                seconds: Some(1),
                ..base.clone()
            },
            Command {
                by: "other@example.com".into(),
                ..base.clone()
            },
            Command {
                reason: Some("x".into()),
                ..base.clone()
            },
            Command {
                raise: BudgetRaise {
                    tokens: 1,
                    ..BudgetRaise::default()
                },
                ..base.clone()
            },
        ];
        for other in changed {
            assert_ne!(other.signed_bytes("w"), base.signed_bytes("w"), "{other:?}");
        }
        assert_ne!(base.signed_bytes("v"), base.signed_bytes("w"));
    }
}
