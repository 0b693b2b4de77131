use chrono::Utc;
use reqwest::StatusCode;
use sallyport_ledger::{
    agent_logs::{self, LogLevel, NewLogLine},
    transcripts,
    transitions::record_transition,
};
use sallyport_starter::api::types::{
    AgentStatus, AgentStatusName, LogPage, PendingApprovals, ScopeAsked, WorkflowList, WorkflowView,
};
use sallyport_workflows::{
    State,
    activities::{OpenGateRequest, StepKey, TicketFacts, TransitionRecord},
    gate::{BaseChange, Gate},
    policy::GatePolicy,
    revision::scope_revision,
    scope::ScopeRequest,
    spec::SpecRef,
    ticket::{FLUX_LENS, TicketKey},
};
use serde_json::json;
use uuid::Uuid;

use crate::{APPROVER, Starter, VIEWER, answer, message, open_gate, starter};

const SPEC: &str = "# SPEC\n\n<script>alert(1)</script>\n";

/// A ticket at gate 1, as the worker leaves it in the ledger.
async fn at_gate_one(starter: &Starter) -> TicketKey {
    let ticket = TicketKey::first(FLUX_LENS, "FL-1");
    let text = starter.objects.put(SPEC).await.unwrap();
    let record = TransitionRecord {
        ticket: ticket.clone(),
        sequence: 1,
        from: None,
        to: State::AwaitingSpecApproval,
        at: Utc::now(),
        triggered_by: "system".into(),
        reason: None,
        facts: TicketFacts {
            repository_url: "file:///demo.git".into(),
            spec: Some(SpecRef {
                revision: "abcdef0123".repeat(6),
                text: text.clone(),
                document: text.clone(),
                base_commit: "b".repeat(40),
                files: 1,
                confidence_percent: 90,
                context: None,
            }),
            ..TicketFacts::default()
        },
    };
    record_transition(&starter.database, &record).await.unwrap();
    let request = OpenGateRequest {
        ticket: ticket.clone(),
        approval_id: ticket.child_id("approval", 1),
        gate: Gate::Spec,
        revision: "abcdef0123".repeat(6),
        content: text,
        policy: GatePolicy::seconds(3600),
        reporter: "reporter@example.com".into(),
        opened_at: Utc::now(),
        base_change: None,
    };
    open_gate(starter, &request).await;
    ticket
}

/// The same ticket, after the agent asked for one file more.
async fn at_the_scope_gate(starter: &Starter) -> (ScopeRequest, OpenGateRequest) {
    let ticket = at_gate_one(starter).await;
    let wish = ScopeRequest {
        paths: vec!["src/units.js".to_owned().try_into().unwrap()],
        reason: "The units are in this file".into(),
    };
    let content = serde_json::to_string(&wish).unwrap();
    let request = OpenGateRequest {
        approval_id: ticket.child_id("approval", 2),
        ticket,
        gate: Gate::Scope,
        revision: scope_revision(&["src/units.js".to_owned()], &wish.reason),
        content: starter.objects.put(content).await.unwrap(),
        policy: GatePolicy::seconds(3600),
        reporter: "reporter@example.com".into(),
        opened_at: Utc::now(),
        base_change: None,
    };
    open_gate(starter, &request).await;
    (wish, request)
}

#[tokio::test]
async fn a_ticket_is_shown_from_the_ledger_when_temporal_is_down() {
    let starter = starter().await;
    let ticket = at_gate_one(&starter).await;
    for id in [
        "FL-1".to_owned(),
        ticket.workflow_id(),
        ticket.ledger_id().to_string(),
    ] {
        let response = starter
            .get(&format!("/workflows/{id}"), VIEWER)
            .send()
            .await
            .unwrap();
        let view: WorkflowView = response.json().await.unwrap();
        assert_eq!(view.workflow.key(), ticket);
        assert!(!view.live && view.status.is_none());
        assert_eq!((view.transitions.len(), view.approvals.len()), (1, 1));
        assert_eq!(
            view.temporal_url.as_deref(),
            Some("http://127.0.0.1:8233/namespaces/default/workflows/ticket:flux-lens:FL-1")
        );
    }
    let response = starter
        .get("/workflows?state=awaiting_spec_approval&limit=1", VIEWER)
        .send()
        .await;
    let list: WorkflowList = response.unwrap().json().await.unwrap();
    assert_eq!((list.total, list.workflows.len()), (1, 1));
    let response = starter
        .get("/approvals/pending", VIEWER)
        .send()
        .await
        .unwrap();
    let pending: PendingApprovals = response.json().await.unwrap();
    assert_eq!(pending.approvals[0].ticket_id, "FL-1");
    let response = starter
        .get("/agent/status/FL-1", VIEWER)
        .send()
        .await
        .unwrap();
    let status: AgentStatus = response.json().await.unwrap();
    assert_eq!(status.status, AgentStatusName::Waiting);
    assert_eq!(status.current_step, "AWAITING_SPEC_APPROVAL");
}

#[tokio::test]
async fn texts_come_byte_for_byte_and_never_as_a_page() {
    let starter = starter().await;
    at_gate_one(&starter).await;
    let response = starter
        .get("/workflows/FL-1/spec", VIEWER)
        .send()
        .await
        .unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/markdown; charset=utf-8"
    );
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(
        response.headers()["x-sallyport-revision"],
        "abcdef0123".repeat(6).as_str()
    );
    assert_eq!(response.text().await.unwrap(), SPEC);
    for (path, what) in [
        ("diff", "diff"),
        ("context", "context report"),
        ("qa-report", "QA report"),
        ("transcript", "transcript"),
    ] {
        let (status, said) = answer(starter.get(&format!("/workflows/FL-1/{path}"), VIEWER)).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(said["code"], "not_there_yet");
        assert!(
            message(&said).contains(&format!("has no {what} yet")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_transcript_is_all_conversations_as_they_were_kept() {
    let starter = starter().await;
    let ticket = at_gate_one(&starter).await;
    for sequence in [4, 7] {
        let said = format!("{{\"conversation\":{sequence}}}\n");
        let kept = starter.objects.put(said).await.unwrap();
        let step = StepKey {
            ticket: ticket.clone(),
            sequence,
        };
        transcripts::record(&starter.database, &step, sequence, &kept)
            .await
            .unwrap();
    }
    let response = starter.get("/workflows/FL-1/transcript", VIEWER);
    let response = response.send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/jsonl; charset=utf-8"
    );
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(
        response.text().await.unwrap(),
        "{\"conversation\":4}\n{\"conversation\":7}\n"
    );
}

#[tokio::test]
async fn what_a_gate_asks_about_comes_byte_for_byte() {
    let starter = starter().await;
    let (wish, asked) = at_the_scope_gate(&starter).await;
    let spec = asked.ticket.child_id("approval", 1);
    let response = starter
        .get(&format!("/approvals/{spec}/content"), VIEWER)
        .send()
        .await
        .unwrap();
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "text/markdown; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(
        headers["x-sallyport-revision"],
        "abcdef0123".repeat(6).as_str()
    );
    assert_eq!(response.text().await.unwrap(), SPEC);

    let path = format!("/approvals/{}/content", asked.approval_id);
    let response = starter.get(&path, VIEWER).send().await.unwrap();
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(headers["x-sallyport-revision"], asked.revision.as_str());
    assert_eq!(response.json::<ScopeRequest>().await.unwrap(), wish);

    let response = starter.get("/workflows/FL-1", VIEWER).send().await.unwrap();
    let view: WorkflowView = response.json().await.unwrap();
    let expected = ScopeAsked {
        approval_id: asked.approval_id,
        request: wish,
    };
    assert_eq!(view.scope_requests, [expected]);
}

#[tokio::test]
async fn what_waits_is_filtered_by_person() {
    let starter = starter().await;
    let ticket = at_gate_one(&starter).await;
    let approvers = vec!["ann@example.com".to_owned()];
    let request = OpenGateRequest {
        approval_id: ticket.child_id("approval", 2),
        ticket,
        gate: Gate::Pr,
        revision: "0123abcdef".repeat(6),
        content: starter.objects.put("diff").await.unwrap(),
        policy: GatePolicy {
            approvers,
            ..GatePolicy::seconds(3600)
        },
        reporter: "reporter@example.com".into(),
        opened_at: Utc::now(),
        base_change: None,
    };
    open_gate(&starter, &request).await;
    for (query, expected) in [
        ("", 2),
        ("?assignee=", 2),
        ("?assignee=Ann@example.com", 2),
        // The other gate names nobody, so it is everybody's.
        ("?assignee=bob@example.com", 1),
    ] {
        let path = format!("/approvals/pending{query}");
        let response = starter.get(&path, VIEWER).send().await.unwrap();
        let pending: PendingApprovals = response.json().await.unwrap();
        assert_eq!(pending.approvals.len(), expected, "{query}");
    }
    let (status, _) = answer(starter.get("/approvals/pending?who=ann", VIEWER)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_gate_that_asks_again_shows_what_changed() {
    const DIFF: &str = "diff --git a/src/list.js b/src/list.js\n";
    let starter = starter().await;
    let ticket = at_gate_one(&starter).await;
    let first = ticket.child_id("approval", 1);
    let path = format!("/approvals/{first}/changes");
    let (status, said) = answer(starter.get(&path, VIEWER)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(said["code"], "not_there_yet");

    let request = OpenGateRequest {
        approval_id: ticket.child_id("approval", 2),
        ticket,
        gate: Gate::Spec,
        revision: "0123abcdef".repeat(6),
        content: starter.objects.put(SPEC).await.unwrap(),
        policy: GatePolicy::seconds(3600),
        reporter: "reporter@example.com".into(),
        opened_at: Utc::now(),
        base_change: Some(BaseChange {
            from: "b".repeat(40),
            to: "c".repeat(40),
            files: 1,
            first: "src/list.js".into(),
            diff: starter.objects.put(DIFF).await.unwrap(),
        }),
    };
    open_gate(&starter, &request).await;
    let path = format!("/approvals/{}/changes", request.approval_id);
    let response = starter.get(&path, VIEWER).send().await.unwrap();
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "text/x-diff; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["x-sallyport-revision"], request.revision.as_str());
    assert_eq!(response.text().await.unwrap(), DIFF);
}

#[tokio::test]
async fn logs_come_in_pages() {
    let starter = starter().await;
    let ticket = at_gate_one(&starter).await;
    let lines: Vec<_> = (1..=3)
        .map(|line| NewLogLine {
            line,
            at: Utc::now(),
            level: LogLevel::Info,
            message: format!("line {line}"),
            tool: None,
            path: None,
        })
        .collect();
    let step = StepKey {
        ticket,
        sequence: 1,
    };
    agent_logs::insert(&starter.database, &step, &lines)
        .await
        .unwrap();
    let page = async |after: u64| {
        let path = format!("/agent/logs/FL-1?after={after}&limit=2");
        let response = starter.get(&path, VIEWER).send().await.unwrap();
        response.json::<LogPage>().await.unwrap()
    };
    let first = page(0).await;
    assert_eq!(first.logs.len(), 2);
    let rest = page(first.next).await;
    assert_eq!(rest.logs[0].message, "line 3");
    let end = page(rest.next).await;
    assert_eq!((end.logs.len(), end.next), (0, rest.next));
}

#[tokio::test]
async fn a_decision_that_nobody_takes_is_not_taken_for_made() {
    let starter = starter().await;
    let ticket = at_gate_one(&starter).await;
    let path = format!("/approvals/{}/decision", ticket.child_id("approval", 1));
    let decision = json!({"id": Uuid::from_u128(1), "revision": "abcdef01", "decision": "APPROVE"});
    let (status, said) = answer(starter.post(&path, APPROVER, &decision)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(said["code"], "nobody_answers");
    let revise = json!({"id": Uuid::from_u128(1), "revision": "abcdef01", "decision": "REVISE"});
    let (status, said) = answer(starter.post(&path, APPROVER, &revise)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(message(&said).contains("comments"), "{said}");
    let reopen = json!({"id": Uuid::from_u128(2), "action": "reopen"});
    let path = "/workflows/FL-1/transition";
    let (status, said) = answer(starter.post(path, APPROVER, &reopen)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(said["code"], "nobody_answers");
}
