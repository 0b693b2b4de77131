//! What is found out about a decision before it may count, and how a gate opens.

use chrono::{DateTime, Utc};
use sallyport_ledger::notifications::{EVERYBODY, NotificationRow, NotificationStatus};
use sallyport_test_support::scripted_model::Scenario;
use sallyport_workflows::{
    ObjectRef, State,
    activities::{ExtendedGate, GateClosing, TicketFacts},
    command::{Action, CommandRecord},
    decision::{Decision, Verdict},
    gate::Gate,
    policy::{BudgetRaise, GatePolicy},
    ticket::TicketSummary,
};
use uuid::Uuid;

use super::*;
use crate::testing::House;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Gate 1, opened on a Friday at 16:00 in Berlin, with a working day of business hours.
fn request(house: &House) -> OpenGateRequest {
    OpenGateRequest {
        ticket: house.ticket.clone(),
        approval_id: house.ticket.child_id("approval", 1),
        gate: Gate::Spec,
        revision: "a".repeat(64),
        content: ObjectRef::of(b"spec"),
        policy: GatePolicy {
            approvers: vec!["a@example.com".into(), "b@example.com".into()],
            reporter_may_approve: false,
            calendar: serde_json::from_value(serde_json::json!({"time_zone": "Europe/Berlin"}))
                .unwrap(),
            ..GatePolicy::seconds(8 * 60 * 60)
        },
        reporter: "reporter@example.com".into(),
        opened_at: utc("2026-03-27T15:00:00Z"),
        base_change: None,
    }
}

async fn told(house: &House) -> Vec<NotificationRow> {
    notifications::of_workflow(&house.context.database, house.ticket.ledger_id())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_opens_in_business_hours_and_tells_those_whom_it_names() {
    let house = House::new(&[("a", "a")], Scenario::new()).await;
    let steps = LedgerSteps::new(house.context.clone());
    let titled = TransitionRecord {
        ticket: house.ticket.clone(),
        sequence: 2,
        from: Some(State::Pending),
        to: State::Planning,
        at: utc("2026-03-27T14:00:00Z"),
        triggered_by: "system".into(),
        reason: None,
        facts: TicketFacts {
            summary: Some(TicketSummary {
                title: "a is wrong".into(),
                url: String::new(),
                reporter: "reporter@example.com".into(),
                content: ObjectRef::of(b"{}"),
            }),
            ..TicketFacts::default()
        },
    };
    transitions::record_transition(&house.context.database, &titled)
        .await
        .unwrap();
    let request = request(&house);
    let gate = steps.open(&request).await.unwrap();
    // An hour on Friday, seven on Monday, when the clocks have been changed.
    assert_eq!(gate.deadline, utc("2026-03-30T14:00:00Z"));
    let reminders = ["2026-03-30T10:00:00Z", "2026-03-30T13:12:00Z"];
    assert_eq!(gate.reminders, reminders.map(utc));
    assert_eq!(gate.approvers, request.policy.approvers);
    assert_eq!(
        gate.may_not_approve.as_deref(),
        Some("reporter@example.com")
    );
    let later = OpenGateRequest {
        opened_at: utc("2026-03-27T15:30:00Z"),
        ..request.clone()
    };
    assert_eq!(steps.open(&later).await.unwrap(), gate);

    let remind = async |index: usize| {
        let input = Remind {
            ticket: house.ticket.clone(),
            gate: gate.clone(),
            planned_at: gate.reminders[index],
        };
        steps.remind_of(&input).await.unwrap();
    };
    remind(0).await;
    remind(0).await;
    remind(1).await;
    let rows = told(&house).await;
    let recipients: Vec<_> = rows.iter().map(|row| row.recipient.as_str()).collect();
    assert_eq!(recipients, ["a@example.com", "b@example.com"].repeat(3));
    assert_eq!(
        rows[0].subject,
        "FL-1: a SPEC waits for your decision (a is wrong)"
    );
    assert!(
        rows[0].body.contains("2026-03-30 14:00 UTC"),
        "{}",
        rows[0].body
    );
    assert!(
        rows[2].subject.contains("still waits"),
        "{}",
        rows[2].subject
    );

    let closing = CloseGate {
        ticket: house.ticket.clone(),
        approval_id: gate.approval_id,
        closing: GateClosing::Expired,
        by: None,
        at: gate.deadline,
    };
    approvals::close_gate(&house.context.database, &closing)
        .await
        .unwrap();
    let rows = told(&house).await;
    assert!(
        rows.iter()
            .all(|row| row.status == NotificationStatus::Skipped)
    );
    // A reminder that was under way when the gate closed.
    let late = Remind {
        ticket: house.ticket.clone(),
        gate,
        planned_at: utc("2026-03-30T13:59:00Z"),
    };
    steps.remind_of(&late).await.unwrap();
    assert_eq!(told(&house).await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_names_nobody_tells_everybody() {
    let house = House::new(&[("a", "a")], Scenario::new()).await;
    let steps = LedgerSteps::new(house.context.clone());
    let request = OpenGateRequest {
        policy: GatePolicy::seconds(60),
        ..request(&house)
    };
    let gate = steps.open(&request).await.unwrap();
    assert_eq!(gate.deadline, utc("2026-03-27T15:01:00Z"));
    let rows = told(&house).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].recipient, EVERYBODY);
    // The ledger knows no title yet.
    assert_eq!(rows[0].subject, "FL-1: a SPEC waits for your decision");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_cannot_be_decided_is_final() {
    let house = House::new(&[("a", "a")], Scenario::new()).await;
    let steps = LedgerSteps::new(house.context.clone());
    let calendar = |json| serde_json::from_value(json).unwrap();
    for (change, words) in [
        (
            (|policy, _| policy.approvals = 0) as fn(&mut GatePolicy, _),
            "`policy.spec_gate.approvals`",
        ),
        (
            |policy, _| policy.timeout_seconds = u64::MAX,
            "timeout_seconds",
        ),
        (
            |policy, _| policy.approvers[0] = "*".into(),
            "no email address",
        ),
        (
            |policy, calendar: &dyn Fn(serde_json::Value) -> _| {
                policy.calendar = calendar(serde_json::json!({"time_zone": "Mars"}));
            },
            "`Mars` is no time zone",
        ),
        (
            |policy, calendar| {
                policy.calendar = calendar(serde_json::json!(
                    {"time_zone": "UTC", "days": ["Sun"], "from": "09:00", "to": "09:01"}
                ));
            },
            "too rarely",
        ),
        (
            |policy, _| {
                policy.approvals = 2;
                policy.approvers[1] = "Reporter@example.com".into();
            },
            "filed the ticket",
        ),
    ] {
        let mut request = request(&house);
        change(&mut request.policy, &calendar);
        let error = steps.open(&request).await.unwrap_err();
        assert!(error.is_final(), "{error}");
        assert_eq!(error.kind(), kind::POLICY_INVALID);
        assert!(error.message().contains(words), "{error}");
    }
    assert!(told(&house).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_extends_a_gate_on_record() {
    let house = House::new(&[("a", "a")], Scenario::new()).await;
    let steps = LedgerSteps::new(house.context.clone());
    let gate = steps.open(&request(&house)).await.unwrap();
    let deadline = utc("2026-04-01T00:00:00Z");
    let input = RecordCommand {
        ticket: house.ticket.clone(),
        record: CommandRecord {
            id: Uuid::from_u128(1),
            action: Action::Extend,
            by: "admin@example.com".into(),
            reason: None,
            at: gate.opened_at,
            state: State::AwaitingSpecApproval,
            proven: true,
            refused: None,
        },
        from: None,
        raise: BudgetRaise::default(),
        seconds: Some(60),
        extended: Some(ExtendedGate {
            approval_id: gate.approval_id,
            deadline,
        }),
    };
    commands::record_command(&house.context.database, &input)
        .await
        .unwrap();
    // Opened again it answers what holds now.
    let extended = OpenGate { deadline, ..gate };
    assert_eq!(steps.open(&request(&house)).await.unwrap(), extended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_checked_and_comments_are_stored() {
    let house = House::new(&[("a", "a")], Scenario::new()).await;
    let steps = LedgerSteps::new(house.context.clone());
    let mut decision = Decision {
        id: Some(uuid::Uuid::from_u128(1)),
        gate: Gate::Spec,
        revision: "0123abcd".into(),
        decision: Verdict::Revise,
        by: "approver@example.com".into(),
        comments: Some("Name the test.".into()),
        proof: None,
    };
    let admit = async |decision: &Decision| {
        let input = AdmitDecision {
            ticket: house.ticket.clone(),
            decision: decision.clone(),
        };
        steps.admit(&input).await.unwrap()
    };
    let unproven = admit(&decision).await;
    assert!(!unproven.proven && unproven.refused.is_none());
    let comments = unproven.comments.unwrap();
    assert_eq!(
        house.context.objects.get_text(&comments).await.unwrap(),
        "Name the test."
    );

    let key = &house.context.decision_key;
    decision.proof = Some(key.sign_decision(&decision, &house.ticket.workflow_id()));
    assert!(admit(&decision).await.proven);
    decision.by = "somebody-else@example.com".into();
    let forged = admit(&decision).await;
    assert!(!forged.proven && forged.refused.is_some());
}
