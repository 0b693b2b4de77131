//! Activities towards the forge: branch and pull request.

#![expect(
    missing_docs,
    reason = "the marker structs that the macro makes carry no documentation"
)]

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use temporalio_macros::activity_definitions;
use temporalio_sdk::activities::ActivityError;

use super::{GateResult, Timing};
use crate::{
    ObjectRef,
    pull_request::PullRequest,
    spec::SpecRef,
    ticket::{TicketKey, TicketSummary},
};

/// `publish_branch`: a push, so five minutes.
pub const PUBLISH_BRANCH: Timing = Timing::seconds(300).heartbeat(20).attempts(5);
/// `open_pull_request`.
pub const OPEN_PULL_REQUEST: Timing = Timing::seconds(60).heartbeat(20).attempts(5);
/// `merge_pull_request`.
pub const MERGE_PULL_REQUEST: Timing = Timing::seconds(120).heartbeat(20).attempts(5);
/// `close_pull_request`.
pub const CLOSE_PULL_REQUEST: Timing = Timing::seconds(60).heartbeat(20).attempts(5);
/// `reopen_pull_request`.
pub const REOPEN_PULL_REQUEST: Timing = Timing::seconds(60).heartbeat(20).attempts(5);

/// What `publish_branch` needs. The branch is the idempotency key: it ends at the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishBranch {
    /// Which ticket: names the branch.
    pub ticket: TicketKey,
    /// The repository.
    pub repository_url: String,
    /// The commit to publish, in the host's mirror.
    pub commit: String,
    /// The approved SPEC: the scope is checked once more before the push.
    pub spec: SpecRef,
    /// The requests for more scope that were granted, stored.
    pub grants: Vec<ObjectRef>,
    /// The policy that it was approved with.
    pub policy: ObjectRef,
}

/// What `open_pull_request` needs. The ticket is the idempotency key: one pull request each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPullRequest {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The ticket's head.
    pub summary: TicketSummary,
    /// The repository.
    pub repository_url: String,
    /// The branch to merge into.
    pub base_branch: String,
    /// The published commit.
    pub head_commit: String,
    /// The approved SPEC.
    pub spec: SpecRef,
    /// Who approved it.
    pub spec_approved_by: String,
    /// The requests for more scope that were granted, stored.
    pub grants: Vec<ObjectRef>,
    /// The agent's last words about it.
    pub agent_summary: String,
    /// The result of each QA gate.
    pub qa: Vec<GateResult>,
    /// The QA report.
    pub qa_report: ObjectRef,
}

/// What the activities on an open pull request need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePullRequest {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The repository.
    pub repository_url: String,
    /// Which pull request, with the head that was decided about.
    pub pull_request: PullRequest,
    /// Who wants it.
    pub by: String,
    /// The time that goes on record, and into a merge commit: fixed here, so that a retry makes the same commit.
    pub at: DateTime<Utc>,
}

/// What became of a merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum MergeResult {
    /// Merged, now or before.
    Merged {
        /// The base branch's commit that holds it.
        commit: String,
    },
    /// The forge refused: a conflict, another head, a rule.
    Refused {
        /// Why, at most 300 characters.
        reason: String,
    },
}

/// What became of a close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CloseResult {
    /// Closed, now or before. The branch stays.
    Closed,
    /// It had been merged meanwhile: merged wins.
    Merged {
        /// The base branch's commit that holds it.
        commit: String,
    },
}

/// Declarations of the activities towards the forge.
pub struct ForgeActivities;

#[activity_definitions]
impl ForgeActivities {
    /// Pushes the commit to the ticket's branch, fast-forward only. On the host's queue. Already there is success.
    /// Final errors: [`crate::failure::kind::BRANCH_DIVERGED`], [`crate::failure::kind::OUT_OF_SCOPE`],
    /// [`crate::failure::kind::LEAK`].
    #[activity(name = "publish_branch")]
    pub fn publish_branch(input: PublishBranch) -> Result<String, ActivityError> {
        unimplemented!()
    }

    /// Opens the ticket's pull request, or updates the one that is open. Never opens a second one.
    #[activity(name = "open_pull_request")]
    pub fn open_pull_request(input: OpenPullRequest) -> Result<PullRequest, ActivityError> {
        unimplemented!()
    }

    /// Merges exactly the head that was decided about; merged already is success.
    #[activity(name = "merge_pull_request")]
    pub fn merge_pull_request(input: ChangePullRequest) -> Result<MergeResult, ActivityError> {
        unimplemented!()
    }

    /// Closes the pull request unless it was merged meanwhile; closed already is success.
    #[activity(name = "close_pull_request")]
    pub fn close_pull_request(input: ChangePullRequest) -> Result<CloseResult, ActivityError> {
        unimplemented!()
    }

    /// Opens a closed pull request again; open already is success.
    #[activity(name = "reopen_pull_request")]
    pub fn reopen_pull_request(input: ChangePullRequest) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

pub(super) mod definitions {
    pub use super::forge_activities::*;
}
