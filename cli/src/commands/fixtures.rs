//! Answers of the API for the tests of this module, made from JSON as the starter sends it.

use chrono::{DateTime, Utc};
use sallyport_workflows::{State, policy::Budget};
use serde_json::{Value, json};

use crate::client::{WorkflowList, WorkflowView};

const SPEC_REVISION: &str = "6352e3c830d733c221db9728679cf5de2ff192ba68f8bca9a3450b5394a91e58";
const PR_REVISION: &str = "1fb8c2785f2ee6c56e19a54cba42be9f4eafa68694567cb9d0e04f53669e63b2";
const SCOPE_REVISION: &str = "115a584d8e4ed1d42d97af28f435b45fd6031a60acc5e12f0efc5bdaadbfdcae";
/// Ids of requests for a decision and of commands.
const FIRST: &str = "11111111-2222-4333-8444-555555555555";
const SECOND: &str = "22222222-2222-4333-8444-555555555555";
const BASE: &str = "0123456789abcdef0123456789abcdef01234567";
const HEAD: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// The time of all tests.
pub fn now() -> DateTime<Utc> {
    "2026-11-23T19:13:04Z".parse().unwrap()
}

pub fn list() -> WorkflowList {
    let mut second = workflow("FL-2", "COMPLETED");
    second["title"] = "Evil\u{1b}]0;owned\u{7} title\nin two lines".into();
    second["since"] = "2026-11-20T08:00:00Z".into();
    second["attempt"] = 2.into();
    second["unapproved"] = true.into();
    let mut third = workflow("FL-3", "PENDING");
    third["title"] = Value::Null;
    third["usage"] = json!({});
    let workflows = json!([workflow("FL-1", "AWAITING_SPEC_APPROVAL"), second, third]);
    parse(json!({ "workflows": workflows, "total": 3 }))
}

pub fn at_gate_1() -> WorkflowView {
    parse(json!({
        "workflow": workflow("FL-1", "AWAITING_SPEC_APPROVAL"),
        "live": true,
        "status": status(),
        "transitions": [
            transition(1, Value::Null, "PENDING", "2026-11-23T19:10:00Z"),
            transition(2, "PENDING".into(), "PLANNING", "2026-11-23T19:10:01Z"),
            transition(3, "PLANNING".into(), "AWAITING_SPEC_APPROVAL", "2026-11-23T19:10:04Z"),
        ],
        "approvals": [approval("SPEC", SPEC_REVISION, "PENDING")],
        "decisions": [decision("REVISE", "SPEC", "00112233445566778899aabbccddeeff", json!("the SPEC changed since"))],
        "qa_results": [],
        "temporal_url": "http://127.0.0.1:8233/namespaces/default/workflows/ticket:flux-lens:FL-1",
    }))
}

/// The same gate, which asks once more because a file in scope changed meanwhile.
pub fn at_gate_1_again() -> WorkflowView {
    let mut view = value(&at_gate_1());
    view["status"]["open_gate"]["base_change"] = json!({
        "from": BASE, "to": HEAD, "files": 2, "first": "src/list.js", "diff": { "key": "sha256/00", "bytes": 3 },
    });
    parse(view)
}

/// The agent asks for two files more; it got one before, for an earlier SPEC.
pub fn at_the_scope_gate() -> WorkflowView {
    let mut view = value(&at_gate_1());
    view["workflow"]["state"] = "AWAITING_SCOPE_APPROVAL".into();
    let status = &mut view["status"];
    status["state"] = "AWAITING_SCOPE_APPROVAL".into();
    status["open_gate"] = json!({
        "approval_id": SECOND, "gate": "SCOPE", "revision": SCOPE_REVISION, "content": { "key": "sha256/01", "bytes": 3 },
        "approvals_needed": 1, "opened_at": "2026-11-23T19:10:04Z", "deadline": "2026-11-24T19:10:04Z",
    });
    status["agent_seconds"] = 725.into();
    status["usage"]["cost_micro_usd"] = 1_423_456.into();
    status["rounds"] =
        json!({ "revisions": 0, "repairs": 2, "changes": 1, "scope_requests": 2, "retries": 0 });
    status["budget"] = serde_json::to_value(Budget::default()).unwrap();
    let mut first = approval("SCOPE", SCOPE_REVISION, "APPROVED");
    first["decided_by"] = "ann@example.com".into();
    let mut second = approval("SCOPE", SCOPE_REVISION, "PENDING");
    second["id"] = SECOND.into();
    second["approvals_given"] = 0.into();
    second["approvals_needed"] = 1.into();
    view["approvals"] = json!([first, second]);
    view["scope_requests"] = json!([
        { "approval_id": FIRST, "request": { "paths": ["src/other.js"], "reason": "It is used there" } },
        {
            "approval_id": SECOND,
            "request": {
                "paths": ["src/units.js", "test/units.test.js"],
                "reason": "The units are in this file.\n\u{1b}[2JPlease approve: it is safe.",
            },
        },
    ]);
    view["decisions"] = json!([]);
    parse(view)
}

/// Extended, retried (once in vain), and merged on the forge past gate 2.
pub fn merged_by_somebody_else() -> WorkflowView {
    let mut view = value(&at_gate_1());
    view["workflow"]["state"] = "COMPLETED".into();
    view["workflow"]["diff"] = json!({ "key": "sha256/00", "bytes": 3 });
    let status = &mut view["status"];
    status["state"] = "COMPLETED".into();
    status["unapproved"] = true.into();
    status["open_gate"] = Value::Null;
    status["deadline"] = Value::Null;
    status["notes"] = json!([]);
    status["rounds"]["retries"] = 1.into();
    let mut extended = outcome("extend", json!("over the holidays"), Value::Null);
    extended["deadline"] = "2026-11-26T19:13:04Z".into();
    let mut retried = outcome("retry", Value::Null, Value::Null);
    retried["record"]["id"] = SECOND.into();
    retried["goes_to"] = "EXECUTING".into();
    let mut refused = outcome(
        "abandon",
        Value::Null,
        json!("only a parked ticket can be abandoned"),
    );
    refused["record"]["id"] = "33333333-2222-4333-8444-555555555555".into();
    let rows = [&extended, &retried, &refused].map(on_record);
    status["commands"] = json!([extended, retried]);
    view["commands"] = json!(rows);
    // The workflow turned it away unseen.
    view["commands"][2]["origin"] = "api".into();
    view["approvals"] = json!([approval("PR", PR_REVISION, "CANCELLED")]);
    parse(view)
}

/// A closed pull request that can be opened again for some days.
pub fn closed() -> WorkflowView {
    let mut view = value(&merged_by_somebody_else());
    view["workflow"]["state"] = "PR_CLOSED".into();
    let status = &mut view["status"];
    status["state"] = "PR_CLOSED".into();
    status["unapproved"] = false.into();
    status["commands"] = json!([]);
    view["commands"] = json!([]);
    let status = &mut view["status"];
    status["deadline"] = "2026-11-30T19:10:04Z".into();
    view["transitions"] = json!([
        transition(1, Value::Null, "PENDING", "2026-11-22T19:10:00Z"),
        transition(
            2,
            "AWAITING_PR_APPROVAL".into(),
            "PR_CLOSED",
            "2026-11-23T19:10:04Z"
        ),
    ]);
    parse(view)
}

pub fn at_gate_2_without_a_worker() -> WorkflowView {
    let mut workflow = workflow("FL-1", "AWAITING_PR_APPROVAL");
    workflow["pull_request"] = json!({
        "number": 1, "url": "http://127.0.0.1:8480/pulls/1", "branch": "sallyport/FL-1", "base_branch": "main", "head_commit": HEAD
    });
    parse(json!({
        "workflow": workflow,
        "live": false,
        "status": null,
        "transitions": [],
        "approvals": [
            approval("SPEC", SPEC_REVISION, "APPROVED"),
            approval("PR", PR_REVISION, "PENDING"),
        ],
        "decisions": [decision("APPROVE", "SPEC", SPEC_REVISION, Value::Null)],
        "qa_results": [
            qa(4, "Unit tests", true, false),
            qa(6, "Unit tests", true, true),
            qa(6, "Lint", false, false),
        ],
    }))
}

pub fn parked() -> WorkflowView {
    let mut workflow = workflow("FL-1", "ERROR");
    workflow["title"] = "Looks \u{1b}[31mharmless\u{202e}\nSTATE COMPLETED".into();
    workflow["failure"] = json!({
        "kind": "OutOfScope", "step": "run_agent",
        "message": "the agent changed package.json outside the scope, also after it was told; revise the SPEC"
    });
    parse(json!({
        "workflow": workflow,
        "live": true,
        "status": null,
        "transitions": [],
        "approvals": [approval("SPEC", SPEC_REVISION, "APPROVED")],
        "decisions": [decision("APPROVE", "SPEC", SPEC_REVISION, Value::Null)],
        "qa_results": [],
        "temporal_url": "http://127.0.0.1:8233/namespaces/default/workflows/ticket:flux-lens:FL-1",
    }))
}

fn value(view: &WorkflowView) -> Value {
    serde_json::to_value(view).unwrap()
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn workflow(ticket: &str, state: &str) -> Value {
    json!({
        "id": "6f0c1d52-93a4-5c1b-8a55-2f5d7be190c4", "workflow_id": format!("ticket:flux-lens:{ticket}"),
        "source": "flux-lens", "ticket_id": ticket, "attempt": 1,
        "title": "Sorting drops the last item", "ticket_url": format!("http://127.0.0.1:9/tickets/{ticket}"),
        "reporter": "reporter@example.com", "priority": "normal", "repository_url": "file:///srv/demo.git",
        "state": state, "since": "2026-11-23T19:10:04Z", "sequence": 3,
        "created_at": "2026-11-23T19:10:00Z", "updated_at": "2026-11-23T19:10:04Z", "completed_at": null,
        "spec_revision": SPEC_REVISION, "spec": null, "spec_approved_at": null, "spec_approved_by": null,
        "head_commit": null, "diff": null, "qa_report": null, "qa_passed": null, "pull_request": null,
        "merged_at": null, "failure": null, "retries": 0, "usage": usage(),
    })
}

fn usage() -> Value {
    json!({ "requests": 3, "input_tokens": 12_000, "output_tokens": 345, "cost_micro_usd": 423_456 })
}

/// The planner waits for answers.
pub fn asking() -> WorkflowView {
    let mut view = at_gate_1();
    view.approvals.clear();
    view.workflow.state = State::Planning;
    if let Some(status) = &mut view.status {
        status.state = State::Planning;
        status.open_gate = None;
        status.spec = None;
        status.questions = serde_json::from_value(json!({
            "questions": ["Which unit is meant?", "Is \u{1b}[31mred\nan error?"],
            "asked_at": "2026-11-23T19:10:04Z",
        }))
        .ok();
    }
    view
}

fn status() -> Value {
    let object = json!({ "key": "sha256/00", "bytes": 3 });
    json!({
        "ticket": { "source": "flux-lens", "ticket_id": "FL-1", "attempt": 1 },
        "state": "AWAITING_SPEC_APPROVAL", "since": "2026-11-23T19:10:04Z", "sequence": 3,
        "repository_url": "file:///srv/demo.git",
        "summary": {
            "title": "Sorting drops the last item", "url": "http://127.0.0.1:9/tickets/FL-1",
            "reporter": "reporter@example.com", "content": object,
        },
        "open_gate": {
            "approval_id": FIRST, "gate": "SPEC", "revision": SPEC_REVISION,
            "content": object, "approvals_needed": 2, "opened_at": "2026-11-23T19:10:04Z",
            "approvers": ["ann@example.com", "bob@example.com"], "may_not_approve": "reporter@example.com",
            "deadline": "2026-11-24T19:10:04Z", "reminders": ["2026-11-24T07:10:04Z", "2026-11-24T16:46:04Z"],
        },
        "deadline": "2026-11-24T19:10:04Z",
        "decisions": [],
        "spec": {
            "revision": SPEC_REVISION, "text": object, "document": object, "base_commit": BASE, "files": 2,
            "confidence_percent": 85,
        },
        "head_commit": null, "diff": null, "qa": [], "qa_report": null, "pull_request": null, "failure": null,
        "notes": ["the comment on the ticket could not be posted"],
        "usage": usage(), "planning_usage": usage(), "agent_seconds": 0,
        "rounds": { "revisions": 1, "repairs": 0, "changes": 0 },
    })
}

fn transition(sequence: u64, from: Value, to: &str, at: &str) -> Value {
    let reason = if sequence == 3 {
        json!("the SPEC is written")
    } else {
        Value::Null
    };
    json!({ "sequence": sequence, "from": from, "to": to, "at": at, "triggered_by": "system", "reason": reason })
}

fn approval(gate: &str, revision: &str, status: &str) -> Value {
    json!({
        "id": FIRST, "workflow": "6f0c1d52-93a4-5c1b-8a55-2f5d7be190c4",
        "workflow_id": "ticket:flux-lens:FL-1", "ticket_id": "FL-1", "title": "Sorting drops the last item",
        "gate": gate, "revision": revision, "content": { "key": "sha256/00", "bytes": 3 },
        "approvals_needed": 2, "approvals_given": 1, "status": status, "approvers": ["ann@example.com"],
        "reminders": ["2026-11-24T07:10:04Z"],
        "requested_at": "2026-11-23T19:10:04Z", "expires_at": "2026-11-24T19:10:04Z",
        "decided_at": null, "decided_by": null,
    })
}

fn decision(verdict: &str, gate: &str, revision: &str, refused: Value) -> Value {
    json!({
        "id": "99999999-2222-4333-8444-555555555555", "approval_id": null, "gate": gate, "revision": revision,
        "decision": verdict, "by": "approver@example.com", "comments": null, "proven": refused.is_null(),
        "refused": refused, "origin": "workflow", "at": "2026-11-23T19:12:10Z",
    })
}

fn outcome(action: &str, reason: Value, refused: Value) -> Value {
    json!({
        "record": {
            "id": FIRST, "action": action, "by": "admin@example.com", "reason": reason, "at": "2026-11-23T19:12:30Z",
            "state": "ERROR", "proven": true, "refused": refused,
        },
    })
}

/// The ledger's row of a command.
fn on_record(outcome: &Value) -> Value {
    let mut row = outcome["record"].clone();
    row["origin"] = "workflow".into();
    row["raise"] = match row["action"] == "retry" {
        true => json!({ "repairs": 1 }),
        false => json!({}),
    };
    row
}

fn qa(step: u64, name: &str, required: bool, passed: bool) -> Value {
    json!({
        "step": step, "commit": HEAD, "gate_name": name, "command": "node --test", "required": required,
        "passed": passed, "exit_code": i32::from(!passed), "output": "", "duration_ms": 1234,
        "at": "2026-11-23T19:12:00Z",
    })
}
