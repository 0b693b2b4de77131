//! Which ticket a workflow works on, and how the workflow is named.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{policy::InstallationPolicy, workflow::Carried};

/// The name under which Flux Lens is a ticket source.
pub const FLUX_LENS: &str = "flux-lens";

/// The name space of the ledger's UUIDs: a workflow's UUID is the version 5 UUID of its id in here.
pub const LEDGER_NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_1d52_93a4_4c1b_8a55_2f5d_7be1_90c4);

/// One attempt at one ticket. Its text form is the workflow's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct TicketKey {
    /// The ticket system, such as `flux-lens`.
    pub source: String,
    /// The ticket's id there, such as `FL-1`.
    pub ticket_id: String,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl TicketKey {
    /// The first attempt at a ticket.
    pub fn first(source: impl Into<String>, ticket_id: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            ticket_id: ticket_id.into(),
            attempt: 1,
        }
    }

    /// The workflow's id: `ticket:{source}:{ticket_id}`, and `:{attempt}` behind it from the second attempt on.
    pub fn workflow_id(&self) -> String {
        let Self {
            source,
            ticket_id,
            attempt,
        } = self;
        match attempt {
            0 | 1 => format!("ticket:{source}:{ticket_id}"),
            _ => format!("ticket:{source}:{ticket_id}:{attempt}"),
        }
    }

    /// The UUID by which the ledger and the APIs name the workflow.
    pub fn ledger_id(&self) -> Uuid {
        ledger_id(&self.workflow_id())
    }

    /// A UUID for the `sequence`-th thing that this workflow asks for under `kind`, the same on every retry.
    pub fn child_id(&self, kind: &str, sequence: u64) -> Uuid {
        Uuid::new_v5(&self.ledger_id(), format!("{kind}/{sequence}").as_bytes())
    }

    /// The name of the branch that carries the agent's commits. Characters that git refuses become `-`.
    pub fn branch(&self) -> String {
        let mut name: String = self
            .ticket_id
            .chars()
            .map(|letter| {
                if letter.is_ascii_alphanumeric() || letter == '_' {
                    letter
                } else {
                    '-'
                }
            })
            .collect();
        if self.attempt > 1 {
            name.push_str(&format!("-{}", self.attempt));
        }
        format!("sallyport/{name}")
    }
}

/// The UUID by which the ledger and the APIs name the workflow with this id.
pub fn ledger_id(workflow_id: &str) -> Uuid {
    Uuid::new_v5(&LEDGER_NAMESPACE, workflow_id.as_bytes())
}

impl fmt::Display for TicketKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.workflow_id())
    }
}

/// How urgent a ticket is; becomes the priority of its workflow and activities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before all others.
    High,
    /// The usual.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

impl Priority {
    /// Temporal's priority key: 1 is the most urgent, 3 the default, 5 the least.
    pub const fn key(self) -> u32 {
        match self {
            Self::High => 1,
            Self::Normal => 3,
            Self::Low => 5,
        }
    }
}

/// The input of a ticket's workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketInput {
    /// The ticket system, such as `flux-lens`.
    pub source: String,
    /// The ticket's id there.
    pub ticket_id: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The repository to work on, as the configuration maps the ticket's project to it.
    pub repository_url: String,
    /// How urgent the ticket is.
    #[serde(default)]
    pub priority: Priority,
    /// The installation's limits and deadlines, fixed for this attempt.
    #[serde(default)]
    pub installation_policy: InstallationPolicy,
    /// What an earlier run of the same workflow hands over when it continues as new; nothing at a ticket's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Box<Carried>>,
}

impl TicketInput {
    /// Which attempt at which ticket this is.
    pub fn key(&self) -> TicketKey {
        TicketKey {
            source: self.source.clone(),
            ticket_id: self.ticket_id.clone(),
            attempt: self.attempt,
        }
    }
}

/// The head of a ticket, as the workflow keeps it; the whole ticket is in object storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketSummary {
    /// The title, at most 200 characters.
    pub title: String,
    /// Where people read the ticket.
    pub url: String,
    /// Who filed it: an email address.
    pub reporter: String,
    /// The ticket as the source gave it, JSON.
    pub content: crate::ObjectRef,
}

/// What the ticket system tells of a ticket whose workflow runs already: the payload of the signal `ticket_event`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketNews {
    /// What happened.
    pub event: NewsEvent,
    /// When, as the ticket system says.
    pub at: DateTime<Utc>,
    /// The title that the ticket has now.
    #[serde(default)]
    pub title: Option<String>,
}

/// What can happen to a ticket whose workflow runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewsEvent {
    /// Somebody edited it.
    Edited,
    /// Somebody commented on it.
    Commented,
    /// Somebody took it out of a final status.
    Reopened,
}

/// That a ticket was edited after it was read: whoever decides should know that the SPEC was not written for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketEdits {
    /// How often.
    pub times: u32,
    /// When last.
    pub at: DateTime<Utc>,
    /// The title that it has now, at most 200 characters, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_has_the_short_id() {
        let mut key = TicketKey::first(FLUX_LENS, "FL-1");
        assert_eq!(key.workflow_id(), "ticket:flux-lens:FL-1");
        assert_eq!(key.branch(), "sallyport/FL-1");
        let first = key.ledger_id();
        key.attempt = 2;
        assert_eq!(key.workflow_id(), "ticket:flux-lens:FL-1:2");
        assert_eq!(key.branch(), "sallyport/FL-1-2");
        assert_ne!(key.ledger_id(), first);
    }

    #[test]
    fn a_hostile_ticket_id_makes_a_harmless_branch() {
        let key = TicketKey::first("x", "../--upload-pack=a b~^:\u{7f}.lock");
        assert_eq!(key.branch(), "sallyport/-----upload-pack-a-b-----lock");
    }
}
