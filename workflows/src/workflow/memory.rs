//! What the workflow keeps beside its status. Together they are all that there is of a ticket: a run that continues as
//! new hands both over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ObjectRef, State,
    activities::{AgentTask, HostClaim, PinnedPolicy, QaResult, RevisedSpec},
    gate::BaseChange,
    policy::{Budget, BudgetRaise, InstallationPolicy},
    status::TicketStatus,
    ticket::TicketInput,
};

/// How many ids of forgotten decisions and commands stay taken. A ticket carries them through all its runs.
const FORGOTTEN_IDS: usize = 1000;

/// All that a run hands over to the one that continues it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    pub(super) status: TicketStatus,
    pub(super) memory: Memory,
}

/// What only the workflow needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// What the ticket runs under: the installation's policy, from planning on as the repository made it stricter.
    pub(super) policy: InstallationPolicy,
    /// What admins added to the budget.
    pub(super) raised: BudgetRaise,
    /// The number of the latest step; see [`crate::activities::StepKey`].
    pub(super) step: u64,
    /// Whether the ticket's readers know that work began.
    pub(super) announced: bool,
    /// The transition that the ticket's readers were told of last, where there is something to tell.
    pub(super) told: u64,
    /// Base branch, base commit and policy of the latest SPEC.
    pub(super) pinned: Option<PinnedPolicy>,
    /// Earlier SPECs with what was asked to be changed, as the planner has seen them already: stored.
    pub(super) seen: Option<ObjectRef>,
    /// Those that it has not seen yet, oldest first.
    pub(super) revised: Vec<RevisedSpec>,
    /// How many questions the planner has asked on the ticket.
    pub(super) questions_asked: u32,
    /// The planner that writes the ticket's SPECs.
    #[serde(default)]
    pub(super) planner: Option<String>,
    /// Whether something was said on the ticket since the open questions were asked, or since that was last looked at.
    pub(super) answered: bool,
    /// Whether the ticket has to be read again before it is planned: its people may have answered.
    pub(super) reread: bool,
    /// Why gate 1 asks again.
    pub(super) base_change: Option<BaseChange>,
    /// Who approved the SPEC that is being carried out.
    pub(super) spec_approved_by: Option<String>,
    /// Where the ticket's workspace is, once a host was claimed.
    pub(super) host: Option<HostClaim>,
    /// The agent's present piece of work.
    pub(super) work: Work,
    /// The latest QA result.
    pub(super) qa: Option<QaResult>,
    /// Whether the branch was pushed: from then on its commits can only be added to.
    pub(super) published: bool,
    /// Why the pull request was closed.
    pub(super) closed_because: Option<String>,
    /// Who approved the merge, and the commit that holds it.
    pub(super) merged_because: String,
    /// Where the ticket was when it was parked.
    pub(super) failed_in: Option<State>,
    /// Who approved at the open gate, in lower case.
    pub(super) approvers: BTreeSet<String>,
    /// How many of the open gate's reminders were sent.
    pub(super) reminded: usize,
    /// How many approvals were missing after each decision that did not complete its gate.
    pub(super) missing: BTreeMap<Uuid, u32>,
    /// Ids of decisions and commands whose records the status keeps no longer, oldest first.
    pub(super) forgotten: VecDeque<Uuid>,
    /// Who cancelled the ticket by a command, and why.
    pub(super) cancelled: Option<Cancellation>,
}

/// A cancellation by a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cancellation {
    pub(super) by: String,
    pub(super) reason: String,
}

/// What the agent is to do, from a state that people asked for until its commit passes QA's door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Work {
    /// What it is.
    pub(super) task: AgentTask,
    /// Whether the workspace is laid out for it.
    pub(super) prepared: bool,
    /// The agent's wall time that it took so far, in seconds.
    pub(super) seconds: u64,
    /// The changes outside the scope that the agent has to undo; nobody gets a second chance.
    pub(super) mend: Option<ObjectRef>,
    /// The session that waits for an answer about its scope.
    pub(super) session: Option<u64>,
    /// What the agent asked for.
    pub(super) request: Option<Request>,
    /// What people answered.
    pub(super) answer: Option<ScopeAnswer>,
    /// The agent's last words about its commit.
    pub(super) summary: String,
}

/// A request for more scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) content: ObjectRef,
    pub(super) revision: String,
    pub(super) count: u32,
    pub(super) first: String,
    pub(super) reason: String,
}

/// What people answered to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScopeAnswer {
    pub(super) request: ObjectRef,
    pub(super) granted: bool,
    pub(super) comments: Option<ObjectRef>,
}

impl Default for Work {
    fn default() -> Self {
        Self::new(AgentTask::Implement)
    }
}

impl Work {
    /// A piece of work that has not begun.
    pub(super) fn new(task: AgentTask) -> Self {
        Self {
            task,
            prepared: false,
            seconds: 0,
            mend: None,
            session: None,
            request: None,
            answer: None,
            summary: String::new(),
        }
    }

    /// The same from its beginning, in a new session and a workspace laid out anew.
    pub(super) fn again(&self) -> Self {
        Self::new(self.task.clone())
    }

    /// What the agent is told next.
    pub(super) fn next_task(&self) -> AgentTask {
        match (&self.answer, &self.mend) {
            (Some(answer), _) => AgentTask::ScopeAnswered {
                request: answer.request.clone(),
                granted: answer.granted,
                comments: answer.comments.clone(),
            },
            (None, Some(paths)) => AgentTask::MendScope {
                paths: paths.clone(),
            },
            (None, None) => self.task.clone(),
        }
    }
}

impl Memory {
    /// What is known at the beginning.
    pub(super) fn new(input: &TicketInput) -> Self {
        Self {
            policy: input.installation_policy.clone(),
            ..Self::default()
        }
    }

    /// The status keeps the record of this decision or command no longer; its id stays taken.
    pub(super) fn forget(&mut self, id: Uuid) {
        if self.forgotten.len() >= FORGOTTEN_IDS {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(id);
    }

    /// What the ticket may spend, with what admins added.
    pub(super) fn budget(&self) -> Budget {
        self.policy.budget.raised(&self.raised)
    }
}

impl super::TicketWorkflow {
    /// Whether the ticket's readers are to be told of the present state: once, also if an earlier run has begun to wait
    /// in it.
    pub(super) fn is_to_be_told(&mut self) -> bool {
        let sequence = self.status.sequence;
        std::mem::replace(&mut self.memory.told, sequence) != sequence
    }

    /// Forgets what was done for a SPEC that does not count any more: its approval, granted files, commits, QA.
    pub(super) fn forget_work(&mut self) {
        self.memory.spec_approved_by = None;
        self.memory.work = Work::default();
        self.memory.qa = None;
        let status = &mut self.status;
        status.grants.clear();
        status.head_commit = None;
        status.diff = None;
        status.qa.clear();
        status.qa_report = None;
    }
}
