//! The states: what happens in each, and what follows. This is the product's table with the activities between its rows.

use sallyport_workflows::{
    State,
    activities::{
        AgentResult, AgentRun, AgentTask, BaseCheck, CloseResult, MergeResult, PinnedPolicy,
        PlanOutcome, Planned, QaResult, RevisedSpec,
    },
    decision::Verdict,
    failure::kind,
    gate::OpenGate,
    pull_request::PullRequest,
    ticket::TicketSummary,
    usage::Spent,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;

use super::{Approval, Checked, Model, Over, Pause, SYSTEM, Stage, Step, Work};
use crate::events::value;

/// How an activity ended.
#[derive(Clone, Debug)]
pub enum End {
    Well(Payload),
    /// For good, with the failure's kind and what was spent.
    Badly(String, Spent),
}

/// What must be done even if the ticket was cancelled meanwhile.
const SURELY: &[&str] = &[
    "record_transition",
    "comment_on_ticket",
    "set_ticket_status",
    "close_gate",
    "merge_pull_request",
    "close_pull_request",
    "remove_workspace",
];

/// What is not begun for a ticket that was cancelled, and not broken off once it has begun.
const WHOLE: &[&str] = &["open_gate", "open_pull_request", "reopen_pull_request"];

fn read<T: serde::de::DeserializeOwned>(payload: &Payload) -> Checked<T> {
    value(payload).map_err(|error| error.to_string())
}

impl Model {
    /// One transition. The table of the contract says whether it is legal.
    pub(super) fn go(&mut self, to: State, by: &str) -> Checked {
        if !self.state.may_go_to(to) {
            return Err(format!("the model goes from {} to {to}", self.state));
        }
        self.enter(to, by);
        Ok(())
    }

    pub(super) fn enter(&mut self, to: State, by: &str) {
        self.came_from = self.state;
        self.state = to;
        self.questions.are_open = false;
        self.since = self.now;
        self.deadline = match to {
            State::PrClosed => Some(self.now + self.seconds(self.policy.reopen_seconds)),
            State::Error | State::QaFailed => {
                Some(self.now + self.seconds(self.policy.parked_seconds))
            }
            _ => None,
        };
        self.path.push(Step {
            to,
            by: by.to_owned(),
            failure: self.failure.clone(),
        });
        self.stage = Stage::Runs("record_transition");
    }

    pub(super) fn seconds(&self, seconds: u64) -> std::time::Duration {
        std::time::Duration::from_secs(seconds)
    }

    /// The step failed for good: the ticket waits for people.
    pub(super) fn park(&mut self, state: State, kind: &str) -> Checked {
        if !self.state.may_go_to(state) {
            return Err(format!("{} cannot be parked as {state}", self.state));
        }
        self.failed_in = Some(self.state);
        self.failure = Some(kind.to_owned());
        self.enter(state, SYSTEM);
        Ok(())
    }

    /// The ticket's own work goes on with this activity, unless the ticket was cancelled.
    pub(super) fn call(&mut self, activity: &'static str) -> Checked {
        if self.is_stopping && !SURELY.contains(&activity) {
            self.stage = Stage::Breaks;
            return Ok(());
        }
        if activity == "fetch_ticket" {
            self.known_edits = self.edits;
        }
        self.stage = Stage::Runs(activity);
        Ok(())
    }

    /// A cancelled ticket closes its gate and ends.
    pub(super) fn give_up(&mut self) -> Checked {
        if self.gate.is_some() {
            return self.close_gate(Over::Cancelled);
        }
        let by = self.cancelled.clone().unwrap_or_default();
        self.go(State::Cancelled, &by)
    }

    /// Somebody cancelled the ticket: whatever waits or may be broken off stops.
    pub(super) fn cancel(&mut self) -> Checked {
        match self.stage {
            Stage::Runs(activity) if !SURELY.contains(&activity) && !WHOLE.contains(&activity) => {
                self.stage = Stage::Breaks;
                Ok(())
            }
            Stage::Waits | Stage::Listens { .. } => self.wait_is_over(Over::Cancelled),
            _ => Ok(()),
        }
    }

    /// The workflow task ends: what was broken off in it has ended by now.
    pub fn task_ends(&mut self) -> Checked {
        match self.stage {
            Stage::Breaks => self.wait_is_over(Over::Cancelled),
            _ => Ok(()),
        }
    }

    /// The state is on record. Its work begins, in a new run where the history has grown long.
    fn is_recorded(&mut self) -> Checked {
        if self.state.is_end() || self.path.len() == 1 {
            return self.begin();
        }
        self.stage = Stage::Pauses(Pause::Begins);
        self.go_on()
    }

    pub(super) fn begin(&mut self) -> Checked {
        match self.state {
            State::Pending => self.call("fetch_ticket"),
            State::Planning if self.must_be_read() => self.call("fetch_ticket"),
            State::Planning => self.announce(),
            State::AwaitingSpecApproval
            | State::AwaitingScopeApproval
            | State::AwaitingPrApproval => self.call("open_gate"),
            State::SpecApproved => self.call("check_base"),
            State::Executing => self.work(),
            State::QaRunning => self.call("run_qa"),
            State::PrCreated => match &self.qa {
                Some((commit, true, _)) if self.head.as_ref() == Some(commit) => {
                    self.call("publish_branch")
                }
                _ => Err("nothing passed QA that could be published".to_owned()),
            },
            State::PrClosed => self.call("comment_on_ticket"),
            State::Error | State::QaFailed => match self.failure.as_deref() {
                Some(kind::TICKET_NOT_FOUND) => self.wait(),
                _ => self.call("comment_on_ticket"),
            },
            State::Merged => self.settle(&["set_ticket_status", "comment_on_ticket"]),
            State::SpecRejected => self.settle(&["comment_on_ticket"]),
            State::Cancelled => {
                let was_closed = self.came_from == State::PrClosed;
                let mut steps = Vec::new();
                if self.pull_request.is_some() && !self.is_closed && !was_closed {
                    steps.push("close_pull_request");
                }
                if self.reporter.is_some() && !was_closed {
                    steps.push("comment_on_ticket");
                }
                self.settle(&steps)
            }
            State::Completed => {
                self.stage = Stage::Ended;
                Ok(())
            }
        }
    }

    /// A ticket is settled step by step, the workspace last.
    fn settle(&mut self, steps: &[&'static str]) -> Checked {
        self.left_to_do = steps.iter().copied().collect();
        if self.has_host {
            self.left_to_do.push_back("remove_workspace");
        }
        self.settle_on()
    }

    fn settle_on(&mut self) -> Checked {
        match self.left_to_do.pop_front() {
            Some(step) => self.call(step),
            None if self.state == State::Merged => self.go(State::Completed, SYSTEM),
            None => {
                self.stage = Stage::Ended;
                Ok(())
            }
        }
    }

    /// The ticket's readers learn that work begins, once.
    fn announce(&mut self) -> Checked {
        match std::mem::replace(&mut self.announced, true) {
            false => self.call("comment_on_ticket"),
            true => self.plan(),
        }
    }

    fn plan(&mut self) -> Checked {
        self.forget_work();
        self.base_change = None;
        self.call_within_budget("load_policy")
    }

    fn call_within_budget(&mut self, activity: &'static str) -> Checked {
        match self.planning_money_left() {
            0 => self.park(State::Error, kind::BUDGET),
            _ => self.call(activity),
        }
    }

    /// A SPEC that is written or rebased anew was approved by nobody, and nothing was done for it.
    fn forget_work(&mut self) {
        self.approval = None;
        self.grants.clear();
        self.work = Work::new(AgentTask::Implement);
        self.head = None;
        self.qa = None;
    }

    fn work(&mut self) -> Checked {
        if !self.has_host {
            self.call("claim_host")
        } else if !self.work.is_prepared {
            self.call("prepare_workspace")
        } else if self.money_left() == 0 || self.tokens_left() == 0 || self.seconds_left() == 0 {
            self.park(State::Error, kind::BUDGET)
        } else {
            self.call("run_agent")
        }
    }

    /// The activity of the ticket's own work ended.
    pub fn ends(&mut self, activity: &str, end: End) -> Checked {
        if activity == "comment_on_ticket" && self.is_telling {
            return self.told();
        }
        if self.stage != (Stage::Runs(match_name(activity)?)) {
            return Err(format!(
                "{activity} ended, but {:?} is to be done",
                self.stage
            ));
        }
        let result = match end {
            End::Well(result) => result,
            End::Badly(kind, spent) => return self.failed(activity, &kind, &spent),
        };
        match (activity, self.state) {
            ("record_transition", _) => self.is_recorded(),
            ("fetch_ticket", state) => {
                self.is_read(read::<TicketSummary>(&result)?.reporter);
                match state {
                    State::Planning => self.announce(),
                    _ => self.go(State::Planning, SYSTEM),
                }
            }
            ("comment_on_ticket", State::Planning) if self.questions.are_open => self.wait(),
            ("comment_on_ticket", State::Planning) => self.call("set_ticket_status"),
            ("set_ticket_status", State::Planning) => self.plan(),
            ("load_policy", _) => {
                self.policy = read::<PinnedPolicy>(&result)?.effective;
                self.call_within_budget("plan")
            }
            ("plan", _) => {
                let planned: Planned = read(&result)?;
                self.spend(
                    &Spent {
                        usage: planned.usage,
                        agent_seconds: 0,
                    },
                    true,
                );
                self.seen = planned.seen;
                self.revised.clear();
                match planned.outcome {
                    PlanOutcome::Spec(spec) => {
                        self.spec = Some(spec);
                        self.go(State::AwaitingSpecApproval, SYSTEM)
                    }
                    PlanOutcome::Questions(questions) => self.asks(questions.len()),
                }
            }
            ("open_gate", _) => self.opened(read::<OpenGate>(&result)?),
            ("remind", _) => self.wait(),
            ("check_base", _) => self.base_checked(read(&result)?),
            ("claim_host", _) => {
                self.has_host = true;
                self.work()
            }
            ("prepare_workspace", _) => {
                self.work.is_prepared = true;
                self.work()
            }
            ("run_agent", _) => self.agent_ran(read(&result)?),
            ("run_qa", _) => self.checked(read(&result)?),
            ("publish_branch", _) => {
                self.published = true;
                match self.is_closed {
                    true => self.call("reopen_pull_request"),
                    false => self.call("open_pull_request"),
                }
            }
            ("reopen_pull_request", State::PrCreated) => {
                self.is_closed = false;
                self.call("open_pull_request")
            }
            ("reopen_pull_request", _) => {
                self.is_closed = false;
                let by = self.who.clone();
                self.go(State::AwaitingPrApproval, &by)
            }
            ("open_pull_request", _) => {
                self.pull_request = Some(read::<PullRequest>(&result)?);
                self.call("set_ticket_status")
            }
            ("set_ticket_status", State::PrCreated) => self.go(State::AwaitingPrApproval, SYSTEM),
            ("merge_pull_request", _) => match read(&result)? {
                MergeResult::Merged { .. } => {
                    let answer = self.answer.clone().ok_or("merged without an answer")?;
                    self.close_gate(Over::Answered(answer))
                }
                MergeResult::Refused { .. } => {
                    self.answer = None;
                    self.approved_by.clear();
                    self.wait()
                }
            },
            ("close_pull_request", State::AwaitingPrApproval) => match read(&result)? {
                CloseResult::Closed => {
                    self.is_closed = true;
                    let by = self.who.clone();
                    self.go(State::PrClosed, &by)
                }
                CloseResult::Merged { .. } => {
                    self.unapproved = true;
                    self.go(State::Merged, SYSTEM)
                }
            },
            ("close_gate", _) => self.gate_closed(),
            ("comment_on_ticket", State::PrClosed | State::Error | State::QaFailed) => self.wait(),
            _ => self.settle_on(),
        }
    }

    fn failed(&mut self, activity: &str, kind: &str, spent: &Spent) -> Checked {
        self.spend(spent, activity == "plan");
        match (activity, self.state) {
            // What is only told or tidied stops nothing.
            ("comment_on_ticket" | "set_ticket_status" | "remind", _)
            | ("close_pull_request", State::Cancelled) => {
                self.ends(activity, End::Well(crate::events::json(&())))
            }
            _ => self.park(State::Error, kind),
        }
    }

    pub(super) fn spend(&mut self, spent: &Spent, by_planner: bool) {
        self.usage += spent.usage;
        self.agent_seconds += spent.agent_seconds;
        if by_planner {
            self.planning += spent.usage;
        }
    }

    fn base_checked(&mut self, check: BaseCheck) -> Checked {
        match check {
            BaseCheck::Unchanged => {
                self.base_change = None;
                self.work = Work::new(AgentTask::Implement);
                self.go(State::Executing, SYSTEM)
            }
            BaseCheck::Changed(changed) => {
                self.forget_work();
                self.spec = Some(changed.spec);
                self.policy = changed.pinned.effective;
                self.base_change = Some(changed.change);
                self.go(State::AwaitingSpecApproval, SYSTEM)
            }
        }
    }

    fn agent_ran(&mut self, run: AgentRun) -> Checked {
        let spent = Spent {
            usage: run.usage,
            agent_seconds: run.seconds,
        };
        self.spend(&spent, false);
        self.work.seconds += run.seconds;
        self.work.answer = None;
        if !matches!(run.result, AgentResult::ScopeRequested { .. }) {
            self.work.session = None;
        }
        match run.result {
            AgentResult::Committed { commit, .. } => {
                self.head = Some(commit);
                self.work.mend = None;
                self.go(State::QaRunning, SYSTEM)
            }
            AgentResult::OutOfScope { paths, .. } => match self.work.mend.replace(paths) {
                None => self.work(),
                Some(_) => self.park(State::Error, kind::OUT_OF_SCOPE),
            },
            AgentResult::NoChanges => self.park(State::Error, kind::NO_CHANGES),
            AgentResult::ScopeRequested {
                request, revision, ..
            } => {
                self.rounds.scope_requests += 1;
                if self.rounds.scope_requests > self.budget().scope_requests {
                    return self.park(State::Error, kind::BUDGET);
                }
                self.work.request = Some((request, revision));
                self.go(State::AwaitingScopeApproval, SYSTEM)
            }
        }
    }

    fn checked(&mut self, qa: QaResult) -> Checked {
        let commit = self.head.clone().ok_or("QA without a commit")?;
        self.qa = Some((commit, qa.passed, qa.report.clone()));
        if qa.passed {
            return self.go(State::PrCreated, SYSTEM);
        }
        if self.rounds.repairs >= self.budget().repairs {
            return self.park(State::QaFailed, kind::QA_FAILED);
        }
        self.rounds.repairs += 1;
        self.work = Work {
            is_prepared: true,
            ..Work::new(AgentTask::Repair { report: qa.report })
        };
        self.go(State::Executing, SYSTEM)
    }

    /// The gate's closing is on record: what people decided happens.
    pub(super) fn after_gate(&mut self, over: Over) -> Checked {
        let (verdict, by, comments) = match over {
            Over::Cancelled | Over::Pauses => return self.give_up(),
            Over::Expired => (Verdict::Reject, SYSTEM.to_owned(), None),
            Over::Answered(answer) => (answer.verdict, answer.by.join(", "), answer.comments),
        };
        match (self.state, verdict) {
            (State::AwaitingSpecApproval, Verdict::Approve) => {
                let revision = self.spec.as_ref().ok_or("no SPEC")?.revision.clone();
                self.approval = Some(Approval {
                    revision,
                    by: by.clone(),
                });
                self.go(State::SpecApproved, &by)
            }
            (State::AwaitingSpecApproval, Verdict::Revise) => {
                let text = self.spec.as_ref().ok_or("no SPEC")?.text.clone();
                let comments = comments.ok_or("a revision without comments")?;
                self.revised.push(RevisedSpec { text, comments });
                self.rounds.revisions += 1;
                match self.rounds.revisions > self.budget().revisions {
                    true => self.park(State::Error, kind::BUDGET),
                    false => self.go(State::Planning, &by),
                }
            }
            (State::AwaitingSpecApproval, Verdict::Reject) => self.go(State::SpecRejected, &by),
            (State::AwaitingScopeApproval, verdict) => {
                let (request, _) = self.work.request.take().ok_or("no request")?;
                let granted = verdict == Verdict::Approve;
                if granted {
                    self.grants.push(request.clone());
                }
                self.work.answer = Some((request, granted, comments));
                self.go(State::Executing, &by)
            }
            (State::AwaitingPrApproval, Verdict::Approve) => self.go(State::Merged, &by),
            (State::AwaitingPrApproval, Verdict::Revise) => {
                let comments = comments.ok_or("changes without comments")?;
                self.work = Work::new(AgentTask::ChangesRequested { comments });
                self.rounds.changes += 1;
                match self.rounds.changes > self.budget().change_rounds {
                    true => self.park(State::Error, kind::BUDGET),
                    false => self.go(State::Executing, &by),
                }
            }
            (State::AwaitingPrApproval, Verdict::Reject) => {
                self.who = by;
                self.call("close_pull_request")
            }
            (state, verdict) => Err(format!("{verdict:?} in {state}")),
        }
    }
}

/// The activity's name as the model knows it.
pub(super) fn match_name(activity: &str) -> Checked<&'static str> {
    const NAMES: &[&str] = &[
        "record_transition",
        "fetch_ticket",
        "comment_on_ticket",
        "set_ticket_status",
        "load_policy",
        "plan",
        "open_gate",
        "remind",
        "close_gate",
        "check_base",
        "claim_host",
        "prepare_workspace",
        "run_agent",
        "run_qa",
        "publish_branch",
        "open_pull_request",
        "reopen_pull_request",
        "merge_pull_request",
        "close_pull_request",
        "remove_workspace",
    ];
    let mut names = NAMES.iter();
    names
        .find(|name| **name == activity)
        .copied()
        .ok_or_else(|| format!("the model knows no activity {activity}"))
}
