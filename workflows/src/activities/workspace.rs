//! Activities on a host with a workspace: the sealed room's work.

#![expect(
    missing_docs,
    reason = "the marker structs that the macro makes carry no documentation"
)]

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use temporalio_macros::activity_definitions;
use temporalio_sdk::activities::ActivityError;
use utoipa::ToSchema;

use super::{PinnedPolicy, StepKey, Timing};
use crate::{
    ObjectRef,
    spec::SpecRef,
    ticket::{TicketKey, TicketSummary},
    usage::Usage,
};

/// `claim_host`: answers at once, as soon as a host is alive.
pub const CLAIM_HOST: Timing = Timing::seconds(30).for_ever();
/// `prepare_workspace`: fetches and checks out, and installs what the repository depends on, which may take half an hour twice.
/// A dead worker shows by its missing heartbeat.
pub const PREPARE_WORKSPACE: Timing = Timing::seconds(2 * 60 * 60).heartbeat(30).attempts(10);
/// `run_agent`: the agent's own limit (30 minutes by default, at most 4 hours) is kept by the activity; a dead worker
/// shows by its missing heartbeat. Ten tries, since each restart of the worker uses one up; time and money are counted
/// over all of them.
pub const RUN_AGENT: Timing = Timing::seconds(4 * 60 * 60 + 600)
    .heartbeat(20)
    .attempts(10);
/// `run_qa`: each gate has a time-out of its own, and all together may take three and a half hours; they run up to three
/// times, on the commit, on its base, and on the base with the commit's tests. A dead worker shows by its missing heartbeat.
pub const RUN_QA: Timing = Timing::seconds(11 * 60 * 60).heartbeat(20).attempts(10);
/// `remove_workspace`: cleanup is tried until it is done.
pub const REMOVE_WORKSPACE: Timing = Timing::seconds(300).heartbeat(20).for_ever();

/// A place on a host for one ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostClaim {
    /// The host's id, which lives on its disk.
    pub host_id: String,
    /// The host's task queue.
    pub task_queue: String,
}

/// What `prepare_workspace` needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareWorkspace {
    /// Which ticket: names the workspace, and is the idempotency key.
    pub ticket: TicketKey,
    /// The repository.
    pub repository_url: String,
    /// The approved SPEC; its revision is checked against the stored bytes.
    pub spec: SpecRef,
    /// The policy that it was approved with.
    pub policy: ObjectRef,
    /// The commit to start from: the base, or the agent's last commit.
    pub start_commit: String,
}

/// What the agent shall do in this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum AgentTask {
    /// Carry out the SPEC.
    Implement,
    /// Undo changes outside the scope.
    MendScope {
        /// The paths, one a line, stored.
        paths: ObjectRef,
    },
    /// Repair what QA found.
    Repair {
        /// The QA report.
        report: ObjectRef,
    },
    /// Do what was asked for at the pull request.
    ChangesRequested {
        /// The comments, stored.
        comments: ObjectRef,
    },
    /// Go on in the same session, now that people have answered the request for more scope.
    ScopeAnswered {
        /// The request, a [`ScopeRequest`](crate::scope::ScopeRequest) in JSON, stored.
        request: ObjectRef,
        /// Whether the files may be changed now.
        granted: bool,
        /// What people said about it, stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comments: Option<ObjectRef>,
    },
}

/// What `run_agent` needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAgent {
    /// Idempotency key.
    pub key: StepKey,
    /// Names the agent's session: the sequence of the step that began it. A run that goes on after an answer about its
    /// scope has that of the first run.
    pub session: u64,
    /// The ticket, for the commit's message.
    pub summary: TicketSummary,
    /// The repository.
    pub repository_url: String,
    /// The approved SPEC.
    pub spec: SpecRef,
    /// The policy that it was approved with.
    pub policy: ObjectRef,
    /// The requests for more scope that were granted: each a [`ScopeRequest`](crate::scope::ScopeRequest) in JSON, stored.
    pub grants: Vec<ObjectRef>,
    /// How many more requests for scope people will look at. With none left the agent is told so at once.
    pub scope_requests_left: u32,
    /// What to do.
    pub task: AgentTask,
    /// The commit that the new commit is put on.
    pub parent_commit: String,
    /// The new commit's date: fixed here, so that a retry makes the same commit.
    pub committed_at: DateTime<Utc>,
    /// Wall time, in seconds.
    pub seconds: u64,
    /// Tokens left to spend.
    pub tokens_left: u64,
    /// Money left to spend, in millionths of a US dollar.
    pub cost_left_micro_usd: u64,
}

/// What the agent's run came to, judged from outside the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum AgentResult {
    /// All changes are inside the scope; they are committed in the host's mirror.
    Committed {
        /// The new commit.
        commit: String,
        /// The whole diff against the base commit, stored.
        diff: ObjectRef,
        /// How many files differ from the base commit.
        files: u32,
    },
    /// Files outside the scope were changed; nothing is committed.
    OutOfScope {
        /// The paths, one a line, stored.
        paths: ObjectRef,
        /// How many.
        count: u32,
        /// The first of them, shortened for people.
        first: String,
    },
    /// The agent asks for more files and ended its turn; nothing is committed, the workspace and the session stay.
    ScopeRequested {
        /// The request, a [`ScopeRequest`](crate::scope::ScopeRequest) in JSON, stored.
        request: ObjectRef,
        /// What the gate asks about; see [`crate::revision::scope_revision`].
        revision: String,
        /// How many files.
        count: u32,
        /// The first of them, shortened for people.
        first: String,
        /// The agent's reason, at most 200 characters, in one line. Shown, never acted on.
        reason: String,
    },
    /// Nothing differs from the parent commit.
    NoChanges,
}

/// What `run_agent` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRun {
    /// What came of it.
    pub result: AgentResult,
    /// What the model calls cost.
    pub usage: Usage,
    /// How long the agent worked, in seconds, interrupted tries included.
    pub seconds: u64,
    /// The agent's last words, at most 500 characters. Shown, never trusted.
    pub summary: String,
}

/// What `run_qa` needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunQa {
    /// Idempotency key.
    pub key: StepKey,
    /// The repository.
    pub repository_url: String,
    /// The commit to check, in the host's mirror.
    pub commit: String,
    /// The policy that names the gates.
    pub policy: ObjectRef,
    /// The SPEC: its base commit is what the commit is compared with, and the report answers its criteria.
    pub spec: SpecRef,
}

/// One QA gate's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateResult {
    /// The gate's name, cut to [`GateResult::LONGEST_NAME`] bytes.
    pub name: String,
    /// Whether a failure of it fails QA, unless it is `excused`.
    pub required: bool,
    /// Whether its command exited with 0 in time.
    pub passed: bool,
    /// Whether it did so on the base commit too; nothing where it was not run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<bool>,
    /// Whether its failure does not count: it failed on the base commit in the same way, and the repository's policy lets
    /// that pass.
    #[serde(default, skip_serializing_if = "is_false")]
    pub excused: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What a change did to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateEffect {
    /// It passes, and did before; or it is not known whether it did.
    Passes,
    /// It failed before and passes now.
    Repaired,
    /// It passed before and fails now.
    Broken,
    /// It fails as it did before.
    RedBefore,
    /// It fails, and it is not known whether it did before.
    Fails,
}

impl GateResult {
    /// The longest name, in bytes.
    pub const LONGEST_NAME: usize = 40;

    /// Whether QA fails because of this gate.
    pub fn fails_qa(&self) -> bool {
        self.required && !self.passed && !self.excused
    }

    /// What the change did to it.
    pub fn effect(&self) -> GateEffect {
        match (self.base, self.passed) {
            (Some(false), true) => GateEffect::Repaired,
            (_, true) => GateEffect::Passes,
            (Some(true), false) => GateEffect::Broken,
            (Some(false), false) => GateEffect::RedBefore,
            (None, false) => GateEffect::Fails,
        }
    }
}

/// What QA found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QaResult {
    /// Whether no gate [fails QA](GateResult::fails_qa).
    pub passed: bool,
    /// Each gate, at most 12.
    pub gates: Vec<GateResult>,
    /// How many test files the change brings that pass without the change, and so prove nothing: a warning.
    #[serde(default)]
    pub flagged_tests: u32,
    /// The report, Markdown, stored.
    pub report: ObjectRef,
    /// The same as data, JSON, stored; `docs/qa-report.schema.json` describes it.
    pub report_json: ObjectRef,
}

/// What `remove_workspace` needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveWorkspace {
    /// Which ticket's.
    pub ticket: TicketKey,
}

/// What `load_policy` pinned, together with the approved SPEC: what execution starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The SPEC.
    pub spec: SpecRef,
    /// Base branch, base commit and policy.
    pub pinned: PinnedPolicy,
}

/// Declarations of the activities that need a workspace.
pub struct WorkspaceActivities;

#[activity_definitions]
impl WorkspaceActivities {
    /// Answers with the host that has the ticket's workspace, or gives it to another if that one is lost. On the common
    /// queue; the other activities here go to the host's queue.
    #[activity(name = "claim_host")]
    pub fn claim_host(ticket: TicketKey) -> Result<HostClaim, ActivityError> {
        unimplemented!()
    }

    /// Checks the SPEC's revision and lays out the workspace at the start commit; run again it lays it out anew. Final
    /// errors: [`crate::failure::kind::SPEC_CHANGED`], [`crate::failure::kind::REPOSITORY_UNAVAILABLE`].
    #[activity(name = "prepare_workspace")]
    pub fn prepare_workspace(input: PrepareWorkspace) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Runs the agent in the sealed room and takes its diff from outside. Run again it goes on in the same workspace
    /// and session. Heartbeats carry the progress. Final errors: [`crate::failure::kind::BUDGET`],
    /// [`crate::failure::kind::AGENT_TIMEOUT`], [`crate::failure::kind::SPEC_CHANGED`]. A failure's details are a
    /// [`Spent`](crate::usage::Spent): what all tries together spent.
    #[activity(name = "run_agent")]
    pub fn run_agent(input: RunAgent) -> Result<AgentRun, ActivityError> {
        unimplemented!()
    }

    /// Runs the repository's gates on clean checkouts of the commit and of its base, in the room without gateway. Run again
    /// it starts anew, but for what is known of the base; results are stored once for each step key.
    #[activity(name = "run_qa")]
    pub fn run_qa(input: RunQa) -> Result<QaResult, ActivityError> {
        unimplemented!()
    }

    /// Removes the workspace; gone already is success.
    #[activity(name = "remove_workspace")]
    pub fn remove_workspace(input: RemoveWorkspace) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

pub(super) mod definitions {
    pub use super::workspace_activities::*;
}
