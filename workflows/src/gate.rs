//! The gates: points where only a person's decision lets a ticket go on.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ObjectRef;

/// Which gate.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Gate {
    /// Gate 1: is this SPEC what shall be done?
    Spec,
    /// Between the gates: may the agent touch these further files?
    Scope,
    /// Gate 2: shall this pull request be merged?
    Pr,
}

impl Gate {
    /// The fixed name, as decisions carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "SPEC",
            Self::Scope => "SCOPE",
            Self::Pr => "PR",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A gate that is open now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenGate {
    /// The request's id: what `POST /approvals/{id}/decision` names.
    pub approval_id: Uuid,
    /// Which gate.
    pub gate: Gate,
    /// Exactly what is asked about; see [`crate::revision`].
    pub revision: String,
    /// What to read before deciding: the SPEC's text or the diff.
    pub content: ObjectRef,
    /// How many distinct people must approve.
    pub approvals_needed: u32,
    /// Who may decide, by email address; nobody named means everybody who may decide at this installation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Who may not approve: the ticket's reporter, where the policy says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_not_approve: Option<String>,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When silence closes it.
    pub deadline: DateTime<Utc>,
    /// When people are reminded, in order; what is past was done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<DateTime<Utc>>,
    /// What changed on the base branch since the SPEC was approved, where that is why the gate asks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_change: Option<BaseChange>,
}

/// Files in scope that changed on the base branch after the SPEC was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BaseChange {
    /// The commit that the SPEC was written against.
    pub from: String,
    /// The base branch's head that it would be carried out on now.
    pub to: String,
    /// How many files in scope changed.
    pub files: u32,
    /// The first of them, shortened for people.
    pub first: String,
    /// The diff of these files between the two commits, stored.
    pub diff: ObjectRef,
}
