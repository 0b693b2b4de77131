//! What each activity must be asked: the promises that people rely on, checked at the moment when something is about to
//! happen outside.

use std::collections::BTreeSet;

use sallyport_workflows::{
    State,
    activities::{
        AdmitCommand, AdmitDecision, AgentTask, ChangePullRequest, CheckBase, CloseGate,
        LoadPolicy, OpenGateRequest, OpenPullRequest, PlanInput, PrepareWorkspace, PublishBranch,
        RecordCommand, RecordDecision, Remind, RunAgent, RunQa, StepKey, TicketComment,
        TicketEvent, TransitionRecord,
    },
    command::CommandOutcome,
    gate::Gate,
    policy::GatePolicy,
    revision::pull_request_revision,
    status::TicketStatus,
};
use serde::de::DeserializeOwned;
use temporalio_common::protos::temporal::api::common::v1::Payload;

use uuid::Uuid;

use super::{Checked, Model, Stage, What, rules::person};
use crate::events::value;

/// Activities stay below this many bytes of input and output.
const MOST_BYTES: usize = 2048;

fn read<T: DeserializeOwned>(payload: &Payload) -> Checked<T> {
    value(payload).map_err(|error| error.to_string())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, must_be: &T) -> Checked {
    match is == must_be {
        true => Ok(()),
        false => Err(format!("{what} is {is:?}, not {must_be:?}")),
    }
}

/// The same people, in whichever order and spelling.
fn same_people(is: Option<&str>, must_be: Option<&str>) -> Checked {
    let people = |names: &str| -> BTreeSet<String> { names.split(", ").map(person).collect() };
    same("who", &is.map(people), &must_be.map(people))
}

impl Model {
    /// An activity was scheduled.
    pub fn calls(&mut self, activity: &str, input: &Payload) -> Checked {
        let checked = match activity {
            "record_transition" => self.check_transition(&read(input)?),
            "load_policy" => {
                let load: LoadPolicy = read(input)?;
                same("the policy", &load.installation, &self.installation)
            }
            "plan" => self.check_plan(&read(input)?),
            "check_base" => {
                let check: CheckBase = read(input)?;
                same("the SPEC", &Some(check.spec), &self.spec)
            }
            "open_gate" => self.check_open_gate(&read(input)?),
            "close_gate" => self.check_close_gate(&read(input)?),
            "remind" => self.check_reminder(&read(input)?),
            "prepare_workspace" => self.check_workspace(&read(input)?),
            "run_agent" => self.check_agent(&read(input)?),
            "run_qa" => {
                let qa: RunQa = read(input)?;
                self.check_key(&qa.key)?;
                same("QA's commit", &Some(qa.commit), &self.head)
            }
            "publish_branch" => self.check_publication(&read(input)?),
            "open_pull_request" => self.check_pull_request(&read(input)?),
            "merge_pull_request" => self.check_merge(&read(input)?),
            "comment_on_ticket" => self.check_comment(&read(input)?),
            "admit_decision" => {
                let admit: AdmitDecision = read(input)?;
                let id = admit.decision.id;
                self.check_admission(id, What::Decision(admit.decision))
            }
            "admit_command" => {
                let admit: AdmitCommand = read(input)?;
                let id = admit.command.id;
                self.check_admission(id, What::Command(admit.command))
            }
            "record_decision" => {
                let entry: RecordDecision = read(input)?;
                self.check_decision_record(&entry.record)
            }
            "record_command" => self.check_command_entry(&read(input)?),
            _ => Ok(()),
        };
        let bytes = input.data.len();
        if bytes > MOST_BYTES {
            return Err(format!("{activity} is asked with {bytes} bytes"));
        }
        checked.map_err(|error| format!("{activity}: {error}"))
    }

    /// The message at the head is looked at. One typed by hand without an id gets one, which nobody else has.
    fn check_admission(&mut self, id: Option<Uuid>, what: What) -> Checked {
        let id = id.ok_or("it has no id")?;
        let is_new = !self.settled.contains_key(&id);
        let head = self.inbox.front_mut().ok_or("nothing is to be looked at")?;
        head.is_begun = true;
        if std::mem::take(&mut head.is_typed) {
            if !is_new {
                return Err(format!("the id {id} was used before"));
            }
            head.id = id;
            match &mut head.what {
                What::Decision(decision) => decision.id = Some(id),
                What::Command(command) => command.id = Some(id),
            }
        }
        same("what is looked at", &what, &head.what)
    }

    /// Each step has a number of its own, over all runs.
    fn check_key(&mut self, key: &StepKey) -> Checked {
        match self.step_keys.insert(key.sequence) {
            true => Ok(()),
            false => Err(format!("step {} was used before", key.sequence)),
        }
    }

    fn check_transition(&mut self, record: &TransitionRecord) -> Checked {
        let number = self.recorded;
        self.recorded += 1;
        let step = self.path.get(number).ok_or("one transition too many")?;
        let before = number.checked_sub(1).map(|before| self.path[before].to);
        same("the sequence", &record.sequence, &(number as u64 + 1))?;
        same("the state left", &record.from, &before)?;
        same("the state", &record.to, &step.to)?;
        same_people(Some(&record.triggered_by), Some(&step.by))?;
        same("when", &record.at, &self.since)?;
        let facts = &record.facts;
        let kind = facts.failure.as_ref().map(|failure| failure.kind.clone());
        same("the failure", &kind, &step.failure)?;
        let approved_by = self.approval.as_ref().map(|approval| approval.by.clone());
        same_people(facts.spec_approved_by.as_deref(), approved_by.as_deref())?;
        same("unapproved", &facts.unapproved, &self.unapproved)?;
        same("the retries", &facts.retries, &self.rounds.retries)?;
        same("the usage", &facts.usage, &self.usage)
    }

    fn check_plan(&mut self, plan: &PlanInput) -> Checked {
        self.check_key(&plan.key)?;
        same(
            "the money left",
            &plan.cost_left_micro_usd,
            &self.planning_money_left(),
        )?;
        same(
            "the questions left",
            &plan.questions_left,
            &self.questions_left(),
        )?;
        same("what was seen", &plan.seen, &self.seen)?;
        same("what was revised", &plan.revised, &self.revised)?;
        same("the policy", &plan.pinned.effective, &self.policy)
    }

    /// What the gate of this state asks about.
    fn question(&self) -> (Gate, Option<String>, &GatePolicy) {
        let head = self
            .pull_request
            .as_ref()
            .map(|request| request.head_commit.clone());
        match self.state {
            State::AwaitingSpecApproval => {
                let revision = self.spec.as_ref().map(|spec| spec.revision.clone());
                (Gate::Spec, revision, &self.policy.spec_gate)
            }
            State::AwaitingScopeApproval => {
                let revision = self
                    .work
                    .request
                    .as_ref()
                    .map(|(_, revision)| revision.clone());
                (Gate::Scope, revision, &self.policy.scope_gate)
            }
            _ => {
                let revision = head.as_deref().map(pull_request_revision);
                (Gate::Pr, revision, &self.policy.pr_gate)
            }
        }
    }

    /// The gate that is being opened, and the revision that it will ask about.
    pub(super) fn opening(&self) -> Option<(Gate, String)> {
        let (gate, revision, _) = self.question();
        (self.stage == Stage::Runs("open_gate"))
            .then_some(gate)
            .zip(revision)
    }

    fn check_open_gate(&mut self, request: &OpenGateRequest) -> Checked {
        let (gate, revision, policy) = self.question();
        same("the gate", &request.gate, &gate)?;
        same("the revision", &Some(request.revision.clone()), &revision)?;
        same("the policy", &request.policy, policy)?;
        same(
            "the reporter",
            &Some(request.reporter.clone()),
            &self.reporter,
        )?;
        let change = self.base_change.clone().filter(|_| gate == Gate::Spec);
        same("the change of the base", &request.base_change, &change)?;
        same("the time", &request.opened_at, &self.now)
    }

    fn check_close_gate(&mut self, close: &CloseGate) -> Checked {
        let (closing, by, gate) = self.closing().ok_or("no gate closes")?;
        same("the request", &close.approval_id, &gate.approval_id)?;
        same("how", &close.closing, &closing)?;
        same_people(close.by.as_deref(), by.as_deref())
    }

    fn check_reminder(&mut self, reminder: &Remind) -> Checked {
        let gate = self.gate.as_ref().ok_or("no gate is open")?;
        let planned = self
            .reminded
            .checked_sub(1)
            .and_then(|last| gate.reminders.get(last));
        same("the time planned", &Some(&reminder.planned_at), &planned)?;
        same("the gate", &reminder.gate.approval_id, &gate.approval_id)?;
        match reminder.planned_at <= self.now {
            true => Ok(()),
            false => Err("it comes too early".to_owned()),
        }
    }

    /// Nothing is done for a SPEC but what people approved, byte for byte.
    fn check_approval(&self, revision: &str) -> Checked {
        let approved = self
            .approval
            .as_ref()
            .map(|approval| approval.revision.as_str());
        same("the approved revision", &approved, &Some(revision))
    }

    fn check_workspace(&mut self, prepare: &PrepareWorkspace) -> Checked {
        self.check_approval(&prepare.spec.revision)?;
        let base = prepare.spec.base_commit.clone();
        same(
            "the commit",
            &prepare.start_commit,
            &self.head.clone().unwrap_or(base),
        )
    }

    fn check_agent(&mut self, run: &RunAgent) -> Checked {
        self.check_key(&run.key)?;
        self.check_approval(&run.spec.revision)?;
        same("what was granted", &run.grants, &self.grants)?;
        same("the time", &run.seconds, &self.seconds_left())?;
        same("the tokens left", &run.tokens_left, &self.tokens_left())?;
        same(
            "the money left",
            &run.cost_left_micro_usd,
            &self.money_left(),
        )?;
        let allowed = self.budget().scope_requests;
        let requests = allowed.saturating_sub(self.rounds.scope_requests);
        same("the requests left", &run.scope_requests_left, &requests)?;
        let base = run.spec.base_commit.clone();
        same(
            "the parent",
            &run.parent_commit,
            &self.head.clone().unwrap_or(base),
        )?;
        let task = match (&self.work.answer, &self.work.mend) {
            (Some((request, granted, comments)), _) => AgentTask::ScopeAnswered {
                request: request.clone(),
                granted: *granted,
                comments: comments.clone(),
            },
            (None, Some(paths)) => AgentTask::MendScope {
                paths: paths.clone(),
            },
            (None, None) => self.work.task.clone(),
        };
        same("the task", &run.task, &task)?;
        // The session that asked goes on; anything else is a new one.
        let session = self.work.session.unwrap_or(run.key.sequence);
        same("the session", &run.session, &session)?;
        self.work.session = Some(session);
        Ok(())
    }

    fn check_publication(&mut self, publish: &PublishBranch) -> Checked {
        self.check_approval(&publish.spec.revision)?;
        let passed = self.qa.as_ref().filter(|(_, passed, _)| *passed);
        let passed = passed.map(|(commit, ..)| commit.clone());
        same(
            "the commit that passed QA",
            &Some(publish.commit.clone()),
            &passed,
        )?;
        same("the head", &Some(publish.commit.clone()), &self.head)?;
        same("what was granted", &publish.grants, &self.grants)
    }

    fn check_pull_request(&mut self, open: &OpenPullRequest) -> Checked {
        self.check_approval(&open.spec.revision)?;
        same("the head", &Some(open.head_commit.clone()), &self.head)?;
        same("what was granted", &open.grants, &self.grants)?;
        let by = self.approval.as_ref().map(|approval| approval.by.clone());
        same_people(Some(&open.spec_approved_by), by.as_deref())
    }

    fn check_merge(&mut self, merge: &ChangePullRequest) -> Checked {
        let gate = self.gate.as_ref().ok_or("no gate is open")?;
        let revision = pull_request_revision(&merge.pull_request.head_commit);
        same("the revision approved", &gate.revision, &revision)?;
        same(
            "the head",
            &Some(merge.pull_request.head_commit.clone()),
            &self.head,
        )?;
        let answer = self.answer.as_ref().ok_or("nobody approved")?;
        let needed = self.policy.pr_gate.approvals as usize;
        same_people(Some(&merge.by), Some(&answer.by.join(", ")))?;
        match answer.by.len() >= needed {
            true => Ok(()),
            false => Err(format!("{needed} must approve, and it was {:?}", answer.by)),
        }
    }

    fn check_comment(&mut self, comment: &TicketComment) -> Checked {
        self.check_key(&comment.key)?;
        let fits = match &comment.event {
            TicketEvent::Questions { .. } => self.questions.are_open,
            TicketEvent::Started => self.state == State::Planning,
            TicketEvent::SpecReady { revision, .. } => self
                .gate
                .as_ref()
                .is_some_and(|gate| gate.revision == *revision),
            TicketEvent::ScopeRequested { .. } => self.state == State::AwaitingScopeApproval,
            TicketEvent::PullRequestReady { .. } => self.state == State::AwaitingPrApproval,
            TicketEvent::PullRequestClosed { .. } => self.state == State::PrClosed,
            TicketEvent::SpecRejected { .. } => self.state == State::SpecRejected,
            TicketEvent::Done { .. } => self.state == State::Merged,
            TicketEvent::GivenUp { .. } => self.state == State::Cancelled,
            TicketEvent::Failed { failure } => {
                self.state.is_parked() && self.failure.as_ref() == Some(&failure.kind)
            }
        };
        match fits {
            true => Ok(()),
            false => Err(format!(
                "{:?} is told while the ticket is {}",
                comment.event, self.state
            )),
        }
    }

    fn check_command_entry(&mut self, entry: &RecordCommand) -> Checked {
        let settled = self
            .settled
            .get(&entry.record.id)
            .ok_or("an unknown command")?;
        let extended = entry.extended.as_ref();
        same(
            "the gate extended",
            &extended.map(|gate| gate.approval_id),
            &settled.extended,
        )?;
        same(
            "its deadline",
            &extended.map(|gate| gate.deadline),
            &settled.deadline.filter(|_| settled.extended.is_some()),
        )?;
        self.check_command_outcome(&CommandOutcome {
            record: entry.record.clone(),
            goes_to: settled.goes_to,
            deadline: settled.deadline,
        })
    }
}

impl Model {
    /// What everybody may see.
    pub fn check_status(&self, status: &TicketStatus) -> Checked {
        same("the state", &status.state, &self.state)?;
        same("since when", &status.since, &self.since)?;
        same(
            "the number of transitions",
            &(status.sequence as usize),
            &self.path.len(),
        )?;
        same("the open gate", &status.open_gate.as_ref(), &self.gate())?;
        same("the deadline", &status.deadline, &self.deadline())?;
        let asks = status.questions.is_some();
        same("whether the planner asks", &asks, &self.questions.are_open)?;
        same("the rounds", &status.rounds, &self.rounds())?;
        same("the budget", &status.budget, &Some(self.budget()))?;
        same("the SPEC", &status.spec, &self.spec)?;
        same("what was granted", &status.grants, &self.grants)?;
        same("the head", &status.head_commit, &self.head)?;
        same("the pull request", &status.pull_request, &self.pull_request)?;
        same("unapproved", &status.unapproved, &self.unapproved)?;
        same("the usage", &status.usage, &self.usage)?;
        same("the planner's part", &status.planning_usage, &self.planning)?;
        same(
            "the agent's time",
            &status.agent_seconds,
            &self.agent_seconds,
        )
    }

    /// Whether something that was sent is settled and on record.
    pub fn is_settled(&self, id: &Uuid) -> bool {
        let is_pending = self.inbox.iter().any(|message| message.id == *id);
        self.settled.contains_key(id) && !is_pending
    }
}
