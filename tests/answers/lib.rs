//! What the activities answer in the tests of the workflow, with a server and without: a small made-up ticket, whose
//! answers are the same wherever nothing else is asked for.

use sallyport_activities::calendar;
use sallyport_workflows::{
    ObjectRef,
    activities::{
        AgentResult, BaseCheck, ChangedBase, CheckBase, GateResult, MergeResult, OpenGateRequest,
        OpenPullRequest, PinnedPolicy, PlanInput, QaResult,
    },
    gate::{BaseChange, OpenGate},
    policy::InstallationPolicy,
    pull_request::PullRequest,
    revision::{scope_revision, spec_revision},
    spec::SpecRef,
    ticket::TicketSummary,
};

/// The base commit of the first SPEC.
pub const BASE: &str = "1111111111111111111111111111111111111111";

/// Who filed the ticket.
pub const REPORTER: &str = "reporter@example.com";

/// Something in object storage.
pub fn object(text: &str) -> ObjectRef {
    ObjectRef::of(text.as_bytes())
}

/// A commit's hash.
pub fn commit(number: usize) -> String {
    format!("{number:040x}")
}

/// The head of the ticket.
pub fn summary(ticket_id: &str) -> TicketSummary {
    TicketSummary {
        title: "Minutes are read as months".to_owned(),
        url: format!("http://127.0.0.1/{ticket_id}"),
        reporter: REPORTER.to_owned(),
        content: object("ticket"),
    }
}

/// What a SPEC is written under.
pub fn pinned(base_commit: &str, effective: InstallationPolicy) -> PinnedPolicy {
    PinnedPolicy {
        base_branch: "main".to_owned(),
        base_commit: base_commit.to_owned(),
        policy: object("policy"),
        effective,
        planner: Some("default".to_owned()),
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
        context: None,
    }
}

/// What the planner has seen once it has answered `input`: different for whatever it was shown, in whichever order.
pub fn seen(input: &PlanInput) -> Option<ObjectRef> {
    let is_new = input.seen.is_none() && input.revised.is_empty();
    (!is_new).then(|| object(&format!("{:?}, {:?}", input.seen, input.revised)))
}

/// The answer of `check_base` where a file in scope changed.
pub fn changed_base(
    input: CheckBase,
    change: BaseChange,
    effective: InstallationPolicy,
) -> BaseCheck {
    BaseCheck::Changed(Box::new(ChangedBase {
        spec: SpecRef {
            revision: spec_revision(&input.spec.text.key, &change.to, "policy"),
            base_commit: change.to.clone(),
            ..input.spec
        },
        pinned: pinned(&change.to, effective),
        change,
    }))
}

/// A gate as the ledger opens it. Panics where its calendar is none.
pub fn open_gate(request: OpenGateRequest) -> OpenGate {
    let policy = request.policy;
    let schedule = calendar::schedule(request.opened_at, &policy).expect("a right calendar");
    OpenGate {
        approval_id: request.approval_id,
        gate: request.gate,
        revision: request.revision,
        content: request.content,
        approvals_needed: policy.approvals,
        approvers: policy.approvers,
        may_not_approve: (!policy.reporter_may_approve).then_some(request.reporter),
        opened_at: request.opened_at,
        deadline: schedule.deadline,
        reminders: schedule.reminders,
        base_change: request.base_change,
    }
}

/// The agent's commit.
pub fn committed(run: usize) -> AgentResult {
    AgentResult::Committed {
        commit: commit(run),
        diff: object(&format!("diff {run}")),
        files: 2,
    }
}

/// The agent's wish for another file.
pub fn scope_requested(path: &str) -> AgentResult {
    AgentResult::ScopeRequested {
        request: object(path),
        revision: scope_revision(&[path.to_owned()], "needed"),
        count: 1,
        first: path.to_owned(),
        reason: "needed".to_owned(),
    }
}

/// The agent changed a file outside the scope.
pub fn out_of_scope(path: &str) -> AgentResult {
    AgentResult::OutOfScope {
        paths: object(path),
        count: 1,
        first: path.to_owned(),
    }
}

/// What QA finds where all gates pass, or where the only one fails.
pub fn qa(passed: bool) -> QaResult {
    let gate = GateResult {
        name: "Unit tests".to_owned(),
        required: true,
        passed,
        base: Some(true),
        excused: false,
        duration_ms: 12,
    };
    QaResult {
        passed,
        gates: vec![gate],
        flagged_tests: 0,
        report: object("report"),
        report_json: object("report in JSON"),
    }
}

/// The pull request.
pub fn pull_request(input: &OpenPullRequest) -> PullRequest {
    PullRequest {
        number: 7,
        url: "local:7".to_owned(),
        branch: input.ticket.branch(),
        base_branch: input.base_branch.clone(),
        head_commit: input.head_commit.clone(),
    }
}

/// The merge, as the forge makes it.
pub fn merged() -> MergeResult {
    MergeResult::Merged {
        commit: commit(0xfeed),
    }
}

/// The merge, as the forge refuses it.
pub fn merge_refused() -> MergeResult {
    MergeResult::Refused {
        reason: "a conflict".to_owned(),
    }
}
