//! The world of a simulated ticket: activities that do what a test says and remember what they were asked. When the
//! workflow gets another activity, add its answer to [`World::answer`].

use std::collections::{BTreeMap, VecDeque};

use answers::{BASE, commit, object};
use sallyport_workflows::{
    ObjectRef,
    activities::{
        Admission, AdmitCommand, AdmitDecision, AgentResult, AgentRun, BaseCheck, CheckBase,
        CloseResult, HostClaim, LoadPolicy, PlanOutcome, Planned, PublishBranch,
    },
    gate::BaseChange,
    policy::InstallationPolicy,
    usage::Usage,
};
use serde::de::DeserializeOwned;
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::{
    error::SimulationError,
    events::{ActivityOutcome, json, value},
};

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
    /// Where it was scheduled.
    pub task_queue: String,
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

    /// The queues that all calls of this activity went to.
    pub fn queues(&self, activity: &str) -> Vec<&str> {
        let calls = self.calls.iter().filter(|call| call.activity == activity);
        calls.map(|call| call.task_queue.as_str()).collect()
    }

    /// Does what is scripted, or what is right.
    pub fn carry_out(
        &mut self,
        activity: &str,
        task_queue: &str,
        input: Payload,
    ) -> Result<ActivityOutcome, SimulationError> {
        self.calls.push(Call {
            activity: activity.to_owned(),
            task_queue: task_queue.to_owned(),
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
            "fetch_ticket" => json(&answers::summary("SIM-1")),
            "load_policy" => {
                let installation = value::<LoadPolicy>(input)?.installation;
                json(&answers::pinned(BASE, self.effective(installation)))
            }
            "plan" => json(&Planned {
                outcome: PlanOutcome::Spec(answers::spec(calls)),
                usage: usage(1),
                seen: answers::seen(&value(input)?),
                context: None,
            }),
            "check_base" => json(&BaseCheck::Unchanged),
            "open_gate" => json(&answers::open_gate(value(input)?)),
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
            "run_agent" => json(&self.agent_run(answers::committed(calls))),
            "run_qa" => json(&answers::qa(true)),
            "publish_branch" => json(&value::<PublishBranch>(input)?.ticket.branch()),
            "open_pull_request" => json(&answers::pull_request(&value(input)?)),
            "merge_pull_request" => json(&answers::merged()),
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
    pub fn changed_base(&self, input: CheckBase) -> BaseCheck {
        let calls = self
            .calls
            .iter()
            .filter(|call| call.activity == "check_base");
        let to = commit(0xba5e_0000 + calls.count());
        let change = BaseChange {
            from: input.spec.base_commit.clone(),
            to,
            files: 1,
            first: "src/duration.js".to_owned(),
            diff: object("what changed"),
        };
        let effective = self.effective(input.installation.clone());
        answers::changed_base(input, change, effective)
    }

    fn effective(&self, installation: InstallationPolicy) -> InstallationPolicy {
        self.effective.clone().unwrap_or(installation)
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
