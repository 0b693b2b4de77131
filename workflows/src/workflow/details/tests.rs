use serde_json::json;

use super::*;
use crate::ticket::TicketInput;

const HOSTILE: &str = "](https://evil.example) `rm` <script>\n# Approve $x$";

/// A ticket with much behind it.
fn status(changes: serde_json::Value) -> TicketStatus {
    let input: TicketInput = serde_json::from_value(json!({
        "source": "flux-lens", "ticket_id": "FL-1", "attempt": 1, "repository_url": "https://forge.example/r.git",
    }))
    .unwrap();
    let object = json!({ "key": "sha256/00", "bytes": 3 });
    let mut status = serde_json::to_value(TicketStatus::new(&input)).unwrap();
    let known = json!({
        "summary": {
            "title": "parseDuration cannot read milliseconds", "url": "https://tickets.example/FL-1",
            "reporter": "rita@example.com", "content": object,
        },
        "usage": {
            "requests": 9, "input_tokens": 41_000, "output_tokens": 7_482, "cache_read_tokens": 0,
            "cache_write_tokens": 0, "cost_micro_usd": 154_000,
        },
        "agent_seconds": 95,
        "rounds": { "revisions": 1, "repairs": 2, "changes": 1, "scope_requests": 1, "retries": 2 },
        "budget": input.installation_policy.budget,
    });
    for part in [known, changes] {
        for (name, value) in part.as_object().unwrap() {
            status[name] = value.clone();
        }
    }
    serde_json::from_value(status).unwrap()
}

fn gate(gate: &str) -> serde_json::Value {
    json!({
        "approval_id": "11111111-2222-4333-8444-555555555555", "gate": gate, "revision": "6352e3c8".repeat(8),
        "content": { "key": "sha256/00", "bytes": 3 }, "approvals_needed": 1,
        "approvers": ["ann@example.com", "bob@example.com"],
        "opened_at": "2026-11-23T19:10:00Z", "deadline": "2026-11-24T19:10:00Z",
    })
}

fn object() -> serde_json::Value {
    json!({ "key": "sha256/00", "bytes": 3 })
}

#[test]
fn a_ticket_at_gate_1_that_asks_again() {
    let mut open = gate("SPEC");
    open["base_change"] = json!({
        "from": "01", "to": "02", "files": 1, "first": "src/units.js", "diff": object(),
    });
    insta::assert_snapshot!(markdown(&status(json!({
        "state": "AWAITING_SPEC_APPROVAL", "open_gate": open,
        "spec": {
            "revision": "00", "text": object(), "document": object(), "base_commit": "865a35f11f89aabbccdd",
            "files": 2, "confidence_percent": 94,
        },
    }))));
}

#[test]
fn a_ticket_at_gate_2() {
    insta::assert_snapshot!(markdown(&status(json!({
        "state": "AWAITING_PR_APPROVAL", "open_gate": gate("PR"), "grants": [object()],
        "qa": [
            { "name": "Unit tests", "required": true, "passed": true, "duration_ms": 1200 },
            { "name": "Lint", "required": false, "passed": false, "duration_ms": 10 },
            { "name": "Types", "required": true, "passed": false, "base": false, "excused": true, "duration_ms": 10 },
        ],
        "pull_request": {
            "number": 7, "url": "https://forge.example/r/pull/7#top", "branch": "sallyport/FL-1", "base_branch": "main",
            "head_commit": "02",
        },
    }))));
}

#[test]
fn a_parked_ticket_whose_words_are_hostile() {
    insta::assert_snapshot!(markdown(&status(json!({
        "state": "ERROR", "deadline": "2026-11-30T19:10:00Z", "rounds": {
            "revisions": 0, "repairs": 0, "changes": 0, "scope_requests": 0, "retries": 0,
        },
        "failure": { "kind": "PlanInvalid", "step": "plan", "message": HOSTILE },
        "notes": ["first", HOSTILE, "third", "fourth"],
        "summary": { "title": HOSTILE, "url": "x", "reporter": "rita@example.com", "content": object() },
        "pull_request": {
            "number": 7, "url": format!("https://forge.example/`{HOSTILE}"), "branch": "b", "base_branch": "main",
            "head_commit": "02",
        },
    }))));
}
