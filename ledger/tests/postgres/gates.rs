use sallyport_ledger::{
    LedgerError,
    approvals::{self, ApprovalStatus, close_gate, open_gate, pending},
    decisions::{self, Origin, RefusedByApi, record_decision, record_refusal},
};
use sallyport_workflows::{
    ObjectRef,
    activities::{CloseGate, GateClosing, OpenGateRequest, RecordDecision},
    decision::{DecisionRecord, Verdict},
    gate::Gate,
    ticket::TicketKey,
};
use uuid::Uuid;

use crate::{at, begun, ledger, ticket};

fn request(ticket: &TicketKey, number: u64) -> OpenGateRequest {
    OpenGateRequest {
        ticket: ticket.clone(),
        approval_id: ticket.child_id("approval", number),
        gate: Gate::Spec,
        revision: "a".repeat(64),
        content: ObjectRef::of(b"spec"),
        approvals_needed: 1,
        opened_at: at(0),
        timeout_seconds: 24 * 60 * 60,
    }
}

fn counted(
    ticket: &TicketKey,
    id: u128,
    approval_id: Uuid,
    refused: Option<&str>,
) -> RecordDecision {
    RecordDecision {
        ticket: ticket.clone(),
        approval_id: Some(approval_id),
        record: DecisionRecord {
            id: Uuid::from_u128(id),
            gate: Gate::Spec,
            revision: "a".repeat(64),
            decision: Verdict::Approve,
            by: "approver@example.com".into(),
            at: at(5),
            proven: true,
            refused: refused.map(str::to_owned),
        },
        comments: Some(ObjectRef::of(b"well done")),
    }
}

#[tokio::test]
async fn a_gate_keeps_its_deadline_when_it_is_opened_again() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let first = open_gate(&database, &request(&ticket, 1)).await.unwrap();
    assert_eq!(first.deadline, at(24 * 60 * 60));
    let retried = OpenGateRequest {
        opened_at: at(99),
        ..request(&ticket, 1)
    };
    assert_eq!(open_gate(&database, &retried).await.unwrap(), first);
    let never = OpenGateRequest {
        timeout_seconds: u64::MAX,
        ..request(&ticket, 2)
    };
    assert!(open_gate(&database, &never).await.unwrap().deadline > at(0));
}

#[tokio::test]
async fn a_gate_closes_once() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let gate = open_gate(&database, &request(&ticket, 1)).await.unwrap();
    assert_eq!(pending(&database).await.unwrap().len(), 1);
    record_decision(&database, &counted(&ticket, 1, gate.approval_id, None))
        .await
        .unwrap();
    assert_eq!(pending(&database).await.unwrap()[0].approvals_given, 1);

    let closing = CloseGate {
        ticket: ticket.clone(),
        approval_id: gate.approval_id,
        closing: GateClosing::Approved,
        by: Some("approver@example.com".into()),
        at: at(6),
    };
    assert!(close_gate(&database, &closing).await.unwrap());
    let late = CloseGate {
        closing: GateClosing::Expired,
        by: None,
        at: at(7),
        ..closing
    };
    assert!(!close_gate(&database, &late).await.unwrap());
    assert!(pending(&database).await.unwrap().is_empty());
    let row = approvals::get(&database, gate.approval_id).await.unwrap();
    assert_eq!(row.status, ApprovalStatus::Approved);
    assert_eq!(row.decided_by.as_deref(), Some("approver@example.com"));
    assert_eq!(
        (row.decided_at, row.ticket_id.as_str()),
        (Some(at(6)), "FL-1")
    );
    assert_eq!(
        approvals::of_workflow(&database, ticket.ledger_id())
            .await
            .unwrap(),
        [row]
    );
}

#[tokio::test]
async fn another_ticket_cannot_close_the_gate() {
    let database = ledger().await;
    let (mine, other) = (
        begun(&database, "FL-1").await,
        begun(&database, "FL-2").await,
    );
    let gate = open_gate(&database, &request(&mine, 1)).await.unwrap();
    let closing = CloseGate {
        ticket: other,
        approval_id: gate.approval_id,
        closing: GateClosing::Expired,
        by: None,
        at: at(6),
    };
    assert!(!close_gate(&database, &closing).await.unwrap());
}

#[tokio::test]
async fn an_unknown_request_is_not_found() {
    let database = ledger().await;
    let found = approvals::get(&database, Uuid::nil()).await;
    assert!(matches!(found, Err(LedgerError::NotFound { .. })));
}

#[tokio::test]
async fn a_decision_is_on_record_once_and_the_workflow_has_the_last_word() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let gate = open_gate(&database, &request(&ticket, 1)).await.unwrap();
    let refused = RefusedByApi {
        ticket: ticket.clone(),
        id: Uuid::from_u128(1),
        approval_id: Some(gate.approval_id),
        gate: Gate::Spec,
        revision: "0000".into(),
        decision: Verdict::Approve,
        by: "approver@example.com".into(),
        comments: None,
        reason: "the gate is not open yet".into(),
        at: at(4),
    };
    record_refusal(&database, &refused).await.unwrap();
    record_refusal(&database, &refused).await.unwrap();
    let rows = decisions::of_workflow(&database, ticket.ledger_id())
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].origin, rows[0].refused.is_some()),
        (Origin::Api, true)
    );

    record_decision(&database, &counted(&ticket, 1, gate.approval_id, None))
        .await
        .unwrap();
    let twice = counted(&ticket, 1, gate.approval_id, Some("changed afterwards"));
    record_decision(&database, &twice).await.unwrap();
    record_refusal(&database, &refused).await.unwrap();
    let rows = decisions::of_workflow(&database, ticket.ledger_id())
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].origin, rows[0].refused.clone()),
        (Origin::Workflow, None)
    );
    assert_eq!(rows[0].comments, Some(ObjectRef::of(b"well done")));
}

#[tokio::test]
async fn a_decisions_id_belongs_to_its_ticket() {
    let database = ledger().await;
    for id in ["FL-1", "FL-2"] {
        let ticket = begun(&database, id).await;
        let gate = open_gate(&database, &request(&ticket, 1)).await.unwrap();
        record_decision(&database, &counted(&ticket, 1, gate.approval_id, None))
            .await
            .unwrap();
    }
    let rows = decisions::of_workflow(&database, ticket("FL-2").ledger_id())
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
}
