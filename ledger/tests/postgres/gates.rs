use chrono::TimeDelta;
use sallyport_ledger::{
    Database, LedgerError,
    approvals::{self, ApprovalRow, ApprovalStatus, Opening, close_gate, open_gate},
    decisions::{self, Origin, RefusedByApi, record_decision, record_refusal},
    lists,
    notifications::Notice,
};
use sallyport_workflows::{
    ObjectRef,
    activities::{CloseGate, GateClosing, OpenGateRequest, RecordDecision},
    decision::{DecisionRecord, Verdict},
    gate::{BaseChange, Gate, OpenGate},
    policy::GatePolicy,
    ticket::TicketKey,
};
use uuid::Uuid;

use crate::{at, begun, ledger, ticket};

pub(crate) fn request(ticket: &TicketKey, number: u64) -> OpenGateRequest {
    OpenGateRequest {
        ticket: ticket.clone(),
        approval_id: ticket.child_id("approval", number),
        gate: Gate::Spec,
        revision: "a".repeat(64),
        content: ObjectRef::of(b"spec"),
        policy: GatePolicy::seconds(24 * 60 * 60),
        reporter: "reporter@example.com".into(),
        opened_at: at(0),
        base_change: None,
    }
}

/// Opens the gate for a day, with a reminder after half of it.
pub(crate) async fn open(database: &Database, request: &OpenGateRequest) -> OpenGate {
    let notice = Notice {
        key: format!("opened/{}", request.approval_id),
        subject: "a SPEC waits".into(),
        body: "Decide\0.".into(),
    };
    let opening = Opening {
        request,
        deadline: request.opened_at + TimeDelta::days(1),
        reminders: &[request.opened_at + TimeDelta::hours(12)],
        notice: &notice,
    };
    open_gate(database, &opening).await.unwrap()
}

async fn pending(
    database: &Database,
    assignee: Option<&str>,
) -> Result<Vec<ApprovalRow>, LedgerError> {
    let page = lists::approvals::pending(database, assignee, None, 500).await?;
    Ok(page.approvals)
}

pub(crate) fn counted(
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
async fn a_gate_stays_as_it_is_when_it_is_opened_again() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let mut asked = request(&ticket, 1);
    asked.policy.approvers = vec!["a@example.com".into(), "B@example.com".into()];
    asked.policy.approvals = 2;
    asked.policy.reporter_may_approve = false;
    asked.base_change = Some(BaseChange {
        from: "0".repeat(40),
        to: "1".repeat(40),
        files: 2,
        first: "src/a.js".into(),
        diff: ObjectRef::of(b"diff"),
    });
    let first = open(&database, &asked).await;
    let expected = OpenGate {
        approval_id: asked.approval_id,
        gate: Gate::Spec,
        revision: "a".repeat(64),
        content: ObjectRef::of(b"spec"),
        approvals_needed: 2,
        approvers: asked.policy.approvers.clone(),
        may_not_approve: Some("reporter@example.com".into()),
        opened_at: at(0),
        deadline: at(24 * 60 * 60),
        reminders: vec![at(12 * 60 * 60)],
        base_change: asked.base_change.clone(),
    };
    assert_eq!(first, expected);
    let row = approvals::get(&database, first.approval_id).await.unwrap();
    assert_eq!(row.approvers, first.approvers);
    assert_eq!(row.may_not_approve, first.may_not_approve);
    assert_eq!(row.reminders, first.reminders);
    assert_eq!(row.base_change, first.base_change);

    let retried = OpenGateRequest {
        opened_at: at(99),
        ..request(&ticket, 1)
    };
    assert_eq!(open(&database, &retried).await, first);
}

#[tokio::test]
async fn everybody_may_decide_where_nobody_is_named() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let gate = open(&database, &request(&ticket, 1)).await;
    assert_eq!((gate.approvers, gate.may_not_approve), (Vec::new(), None));
    assert_eq!(gate.base_change, None);
    // Nobody knows who filed it.
    let mut unknown = request(&ticket, 2);
    unknown.policy.reporter_may_approve = false;
    unknown.reporter = String::new();
    assert_eq!(open(&database, &unknown).await.may_not_approve, None);
}

#[tokio::test]
async fn who_is_asked_finds_what_waits() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let mut numbers = Vec::new();
    for (number, names) in [
        (1, &["a@example.com", "B@Example.com"][..]),
        (2, &["c@example.com"]),
        (3, &[]),
    ] {
        let mut asked = request(&ticket, number);
        asked.policy.approvers = names.iter().map(|name| (*name).to_owned()).collect();
        asked.opened_at = at(number as i64);
        numbers.push(open(&database, &asked).await.approval_id);
    }
    for (assignee, expected) in [
        (None, vec![0, 1, 2]),
        (Some("a@example.com"), vec![0, 2]),
        (Some(" b@EXAMPLE.com "), vec![0, 2]),
        (Some("c@example.com"), vec![1, 2]),
        (Some("d@example.com"), vec![2]),
        (Some("%\0"), vec![2]),
    ] {
        let rows = pending(&database, assignee).await.unwrap();
        let found: Vec<_> = rows.iter().map(|row| row.id).collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|index: usize| numbers[index])
            .collect();
        assert_eq!(found, expected, "{assignee:?}");
    }
}

#[tokio::test]
async fn a_gate_closes_once() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let gate = open(&database, &request(&ticket, 1)).await;
    assert_eq!(pending(&database, None).await.unwrap().len(), 1);
    record_decision(&database, &counted(&ticket, 1, gate.approval_id, None))
        .await
        .unwrap();
    assert_eq!(
        pending(&database, None).await.unwrap()[0].approvals_given,
        1
    );

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
    assert!(pending(&database, None).await.unwrap().is_empty());
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
    let gate = open(&database, &request(&mine, 1)).await;
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
    let gate = open(&database, &request(&ticket, 1)).await;
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
        let gate = open(&database, &request(&ticket, 1)).await;
        record_decision(&database, &counted(&ticket, 1, gate.approval_id, None))
            .await
            .unwrap();
    }
    let rows = decisions::of_workflow(&database, ticket("FL-2").ledger_id())
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
}
