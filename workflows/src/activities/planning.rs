//! Activities that plan: pin the base commit and the policy, and write the SPEC.

#![expect(
    missing_docs,
    reason = "the marker structs that the macro makes carry no documentation"
)]

use serde::{Deserialize, Serialize};
use temporalio_macros::activity_definitions;
use temporalio_sdk::activities::ActivityError;

use super::{StepKey, Timing};
use crate::{
    ObjectRef,
    gate::BaseChange,
    policy::InstallationPolicy,
    spec::SpecRef,
    ticket::{TicketKey, TicketSummary},
    usage::Usage,
};

/// `load_policy`: fetches the repository, so five minutes.
pub const LOAD_POLICY: Timing = Timing::seconds(300).heartbeat(20);
/// `check_base`: fetches the repository, so five minutes.
pub const CHECK_BASE: Timing = Timing::seconds(300).heartbeat(20);
/// `plan`: a model's answer may take minutes, and another model's after it; heartbeats tell that it is still coming.
pub const PLAN: Timing = Timing::seconds(45 * 60).heartbeat(30);

/// What `load_policy` needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPolicy {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The repository.
    pub repository_url: String,
    /// The installation's part of the policy.
    pub installation: InstallationPolicy,
    /// The planner that wrote the ticket's SPECs so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<String>,
}

/// The policy as pinned for one SPEC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedPolicy {
    /// The branch that the pull request will ask to be merged into.
    pub base_branch: String,
    /// Its head now.
    pub base_commit: String,
    /// Installation's and repository's policy as JSON, stored.
    pub policy: ObjectRef,
    /// What the ticket runs under from now on: the installation's policy as the repository made it stricter.
    pub effective: InstallationPolicy,
    /// The planner that writes the SPEC, by its name in the configuration; the default one, if it is absent. What
    /// `check_base` answers has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<String>,
}

/// What `check_base` needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckBase {
    /// Which ticket.
    pub ticket: TicketKey,
    /// The repository.
    pub repository_url: String,
    /// The approved SPEC.
    pub spec: SpecRef,
    /// The policy that it was approved with.
    pub policy: ObjectRef,
    /// The branch that the pull request will ask to be merged into.
    pub base_branch: String,
    /// The installation's part of the policy.
    pub installation: InstallationPolicy,
}

/// Whether the base branch is still as the SPEC assumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum BaseCheck {
    /// No file in scope changed.
    Unchanged,
    /// Files in scope changed: the same SPEC must be approved again, against the branch's present head.
    Changed(Box<ChangedBase>),
}

/// The same SPEC on a base branch that moved on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedBase {
    /// The same text with the new base commit, and so with a new revision.
    pub spec: SpecRef,
    /// Base commit and policy at the branch's present head.
    pub pinned: PinnedPolicy,
    /// What changed.
    pub change: BaseChange,
}

/// An earlier SPEC of the same ticket and what a person wanted changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisedSpec {
    /// The SPEC's text.
    pub text: ObjectRef,
    /// What to change, stored.
    pub comments: ObjectRef,
}

/// What `plan` needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanInput {
    /// Idempotency key.
    pub key: StepKey,
    /// The ticket.
    pub summary: TicketSummary,
    /// The repository.
    pub repository_url: String,
    /// The pinned policy.
    pub pinned: PinnedPolicy,
    /// What the planner has seen before: a list of [`RevisedSpec`] in JSON, stored, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<ObjectRef>,
    /// What came after it: earlier SPECs with what was asked to be changed, oldest first.
    pub revised: Vec<RevisedSpec>,
    /// Money left to spend, in millionths of a US dollar.
    pub cost_left_micro_usd: u64,
    /// How many questions the planner may ask on the ticket.
    #[serde(default)]
    pub questions_left: u32,
}

/// What planning comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanOutcome {
    /// A SPEC.
    Spec(SpecRef),
    /// What people must say first: at most `questions_left`, each of at most
    /// [`MAXIMUM_QUESTION_BYTES`](crate::questions::MAXIMUM_QUESTION_BYTES).
    Questions(Vec<String>),
}

/// What planning came to, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// A SPEC or questions: a field named by its kind, as histories have had `spec` from the first.
    #[serde(flatten)]
    pub outcome: PlanOutcome,
    /// What the model calls cost.
    pub usage: Usage,
    /// What the planner has seen by now: `seen` and `revised` of its input in one list, stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<ObjectRef>,
    /// What the planner was shown of the repository and why, and what was left out: Markdown, stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ObjectRef>,
}

/// Declarations of the planning activities.
pub struct PlanningActivities;

#[activity_definitions]
impl PlanningActivities {
    /// Fetches the repository, reads `.sallyport.toml` at the base branch's head and pins both. A read: run again it
    /// may find a newer head. Final errors: [`crate::failure::kind::POLICY_INVALID`],
    /// [`crate::failure::kind::REPOSITORY_UNAVAILABLE`].
    #[activity(name = "load_policy")]
    pub fn load_policy(input: LoadPolicy) -> Result<PinnedPolicy, ActivityError> {
        unimplemented!()
    }

    /// Checks the SPEC's stored bytes against its revision, fetches the repository and compares the files in scope at the
    /// base branch's head with the SPEC's base commit. A read: run again it may find a newer head. Final errors:
    /// [`crate::failure::kind::SPEC_CHANGED`], [`crate::failure::kind::POLICY_INVALID`],
    /// [`crate::failure::kind::REPOSITORY_UNAVAILABLE`].
    #[activity(name = "check_base")]
    pub fn check_base(input: CheckBase) -> Result<BaseCheck, ActivityError> {
        unimplemented!()
    }

    /// Asks the planner for a SPEC and stores it, unless it asks back. A second run pays for no request that was answered
    /// already. Final errors: [`crate::failure::kind::PLAN_INVALID`], [`crate::failure::kind::MODEL_REFUSED`],
    /// [`crate::failure::kind::BUDGET`]. A failure's details are a [`Spent`](crate::usage::Spent).
    #[activity(name = "plan")]
    pub fn plan(input: PlanInput) -> Result<Planned, ActivityError> {
        unimplemented!()
    }
}

pub(super) mod definitions {
    pub use super::planning_activities::*;
}
