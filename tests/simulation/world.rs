//! The world of a simulated ticket: activities that do what a test says and remember what they were asked. When the
//! workflow gets another activity, add its answer to [`World::answer`].

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use sallyport_workflows::{
    ObjectRef,
    activities::{
        Admission, AdmitCommand, AdmitDecision, AgentResult, AgentRun, BaseCheck, ChangedBase,
        CheckBase, CloseResult, GateResult, HostClaim, LoadPolicy, MergeResult, OpenGateRequest,
        OpenPullRequest, PinnedPolicy, Planned, PublishBranch, QaResult,
    },
    gate::{BaseChange, OpenGate},
    policy::InstallationPolicy,
    pull_request::PullRequest,
    revision::spec_revision,
    spec::SpecRef,
    ticket::TicketSummary,
    usage::Usage,
};
use serde::de::DeserializeOwned;
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::{
    error::SimulationError,
    events::{ActivityOutcome, json, value},
};

/// The base commit of the first SPEC.
pub const BASE: &str = "1111111111111111111111111111111111111111";

/// Who filed the ticket.
pub const REPORTER: &str = "reporter@example.com";

/// A proof that holds; any other is forged.
pub const PROOF: &str = "signed";

/// What a ticket's activities do, and what they were asked.
#[derive(Default)]
pub struct World {
    /// What was carried out, in order.
    pub calls: Vec<Call>,
    /// What the repository makes of the installation's policy, if it changes it.
    pub effective: Option<InstallationPolicy>,
    scripts: BTreeMap<String, VecDeque<ActivityOutcome>>,
}

/// An activity that was carried out.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its type.
    pub activity: String,
    /// Its input.
    pub input: Payload,
}

impl World {
    /// What the next call of this activity comes to that is not scripted yet. Without a script all goes well.
    pub fn script(&mut self, activity: &str, outcome: ActivityOutcome) {
        let scripts = self.scripts.entry(activity.to_owned());
        scripts.or_default().push_back(outcome);
    }

    /// The inputs of all calls of this activity. Panics if they are of another type.
    pub fn inputs<T: DeserializeOwned>(&self, activity: &str) -> Vec<T> {
        let calls = self.calls.iter().filter(|call| call.activity == activity);
        let inputs = calls.map(|call| value(&call.input));
        inputs
            .collect::<Result<_, _>>()
            .expect("the activity's input is of this type")
    }

    /// Does what is scripted, or what is right.
    pub fn carry_out(
        &mut self,
        activity: &str,
        input: Payload,
    ) -> Result<ActivityOutcome, SimulationError> {
        self.calls.push(Call {
            activity: activity.to_owned(),
            input: input.clone(),
        });
        match self.scripts.get_mut(activity).and_then(VecDeque::pop_front) {
            Some(outcome) => Ok(outcome),
            None => self
                .answer(activity, &input)
                .map(ActivityOutcome::Completed),
        }
    }

    /// What an activity answers when all goes well.
    fn answer(&self, activity: &str, input: &Payload) -> Result<Payload, SimulationError> {
        let calls = self.calls.iter().filter(|call| call.activity == activity);
        let calls = calls.count();
        Ok(match activity {
            "fetch_ticket" => json(&TicketSummary {
                title: "Minutes are read as months".to_owned(),
                url: "http://127.0.0.1/SIM-1".to_owned(),
                reporter: REPORTER.to_owned(),
                content: object("ticket"),
            }),
            "load_policy" => {
                let installation = value::<LoadPolicy>(input)?.installation;
                json(&self.pinned(BASE, installation))
            }
            "plan" => json(&Planned {
                spec: spec(calls),
                usage: usage(1),
            }),
            "check_base" => json(&BaseCheck::Unchanged),
            "open_gate" => json(&open_gate(value(input)?)),
            "admit_decision" => {
                let decision = value::<AdmitDecision>(input)?.decision;
                let comments = decision.comments.as_deref().map(object);
                json(&admission(decision.proof.as_deref(), comments))
            }
            "admit_command" => {
                let command = value::<AdmitCommand>(input)?.command;
                json(&admission(command.proof.as_deref(), None))
            }
            "claim_host" => json(&HostClaim {
                host_id: "host".to_owned(),
                task_queue: "sallyport-host".to_owned(),
            }),
            "run_agent" => json(&self.agent_run(AgentResult::Committed {
                commit: commit(calls),
                diff: object(&format!("diff {calls}")),
                files: 2,
            })),
            "run_qa" => json(&qa(true)),
            "publish_branch" => json(&value::<PublishBranch>(input)?.ticket.branch()),
            "open_pull_request" => {
                let open: OpenPullRequest = value(input)?;
                json(&PullRequest {
                    number: 7,
                    url: "local:7".to_owned(),
                    branch: open.ticket.branch(),
                    base_branch: open.base_branch,
                    head_commit: open.head_commit,
                })
            }
            "merge_pull_request" => json(&MergeResult::Merged {
                commit: commit(0xfeed),
            }),
            "close_pull_request" => json(&CloseResult::Closed),
            "comment_on_ticket"
            | "set_ticket_status"
            | "prepare_workspace"
            | "remove_workspace"
            | "reopen_pull_request"
            | "record_transition"
            | "record_decision"
            | "record_command"
            | "remind"
            | "close_gate" => json(&()),
            other => {
                let what = format!("activity `{other}` has no answer in World::answer");
                return Err(SimulationError::misuse(what));
            }
        })
    }

    /// An agent's run that came to `result`.
    pub fn agent_run(&self, result: AgentResult) -> AgentRun {
        AgentRun {
            result,
            usage: usage(7),
            seconds: 60,
            summary: "Done.".to_owned(),
        }
    }

    /// The answer of `check_base` where a file in scope changed.
    pub fn changed_base(&self, input: &CheckBase) -> BaseCheck {
        let calls = self
            .calls
            .iter()
            .filter(|call| call.activity == "check_base");
        let to = commit(0xba5e_0000 + calls.count());
        BaseCheck::Changed(Box::new(ChangedBase {
            spec: SpecRef {
                revision: spec_revision(&input.spec.text.key, &to, "policy"),
                base_commit: to.clone(),
                ..input.spec.clone()
            },
            pinned: self.pinned(&to, input.installation.clone()),
            change: BaseChange {
                from: input.spec.base_commit.clone(),
                to,
                files: 1,
                first: "src/duration.js".to_owned(),
                diff: object("what changed"),
            },
        }))
    }

    fn pinned(&self, base_commit: &str, installation: InstallationPolicy) -> PinnedPolicy {
        PinnedPolicy {
            base_branch: "main".to_owned(),
            base_commit: base_commit.to_owned(),
            policy: object("policy"),
            effective: self.effective.clone().unwrap_or(installation),
        }
    }
}

/// A gate as the ledger opens it on wall-clock time.
fn open_gate(request: OpenGateRequest) -> OpenGate {
    let policy = request.policy;
    let after = |seconds| request.opened_at + Duration::from_secs(seconds);
    let reminders = policy.reminders_percent.iter();
    OpenGate {
        approval_id: request.approval_id,
        gate: request.gate,
        revision: request.revision,
        content: request.content,
        approvals_needed: policy.approvals,
        approvers: policy.approvers,
        may_not_approve: (!policy.reporter_may_approve).then_some(request.reporter),
        opened_at: request.opened_at,
        deadline: after(policy.timeout_seconds),
        reminders: reminders
            .map(|percent| after(policy.timeout_seconds * u64::from(*percent) / 100))
            .collect(),
        base_change: request.base_change,
    }
}

/// What QA finds where all gates pass, or where the only one fails.
pub fn qa(passed: bool) -> QaResult {
    let gate = GateResult {
        name: "Unit tests".to_owned(),
        required: true,
        passed,
        duration_ms: 12,
        base: None,
        excused: false,
    };
    QaResult {
        passed,
        gates: vec![gate],
        report: object("report"),
        report_json: object("report in JSON"),
        flagged_tests: 0,
    }
}

/// The SPEC that the planner writes in this round, from 1.
pub fn spec(round: usize) -> SpecRef {
    let text = format!("SPEC, round {round}");
    SpecRef {
        revision: spec_revision(&text, BASE, "policy"),
        text: object(&text),
        document: object(&format!("document {round}")),
        base_commit: BASE.to_owned(),
        files: 2,
        confidence_percent: 80,
    }
}

fn admission(proof: Option<&str>, comments: Option<ObjectRef>) -> Admission {
    let forged = proof.is_some_and(|proof| proof != PROOF);
    Admission {
        proven: proof.is_some() && !forged,
        refused: forged.then(|| "its proof is forged".to_owned()),
        comments,
    }
}

/// What a few model calls cost.
pub fn usage(cost_micro_usd: u64) -> Usage {
    Usage {
        requests: 1,
        input_tokens: 100,
        output_tokens: 10,
        cost_micro_usd,
        ..Usage::default()
    }
}

pub fn object(text: &str) -> ObjectRef {
    ObjectRef::of(text.as_bytes())
}

pub fn commit(number: usize) -> String {
    format!("{number:040x}")
}
