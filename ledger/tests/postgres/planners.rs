//! What is on record of planners, what is reported of it, and what they can learn.

use chrono::TimeDelta;
use sallyport_ledger::{
    Database, approvals, earlier_tickets,
    model_report::{self, ModelCalls, PlannerOutcome},
    planner_calls::{self, PlannerCall},
    spec_revisions,
    transitions::record_transition,
    workflows,
};
use sallyport_workflows::{
    ObjectRef, State,
    activities::{CloseGate, GateClosing, StepKey},
    decision::Verdict,
    gate::Gate,
    ticket::TicketKey,
    usage::Usage,
};

use crate::{at, begun, gates, ledger, transition, transitions::spec};

/// A ticket's life, told by the states that it went through, with what one attempt cost.
async fn lived(
    database: &Database,
    id: &str,
    planner: Option<&str>,
    states: &[State],
) -> TicketKey {
    let mut from = None;
    for (sequence, to) in (1..).zip(states) {
        let mut record = transition(id, sequence, from, *to);
        record.facts.planner = planner.map(str::to_owned);
        record.facts.usage.cost_micro_usd = 100;
        if *to == State::AwaitingSpecApproval {
            record.facts.spec = Some(spec(id.split_at(id.len() - 1).1, id));
        }
        record_transition(database, &record).await.unwrap();
        from = Some(*to);
    }
    crate::ticket(id)
}

/// A reading of the ticket's SPEC.
async fn read(database: &Database, ticket: &TicketKey, number: u64, closing: GateClosing) {
    let mut request = gates::request(ticket, number);
    request.opened_at = at(i64::try_from(number).unwrap());
    gates::open(database, &request).await;
    let close = CloseGate {
        ticket: ticket.clone(),
        approval_id: request.approval_id,
        closing,
        by: Some("approver@example.com".into()),
        at: at(50),
    };
    approvals::close_gate(database, &close).await.unwrap();
}

fn call(planner: &str, seconds: i64, latency_ms: u64, outcome: &str) -> PlannerCall {
    PlannerCall {
        planner: planner.to_owned(),
        vendor: "anthropic".to_owned(),
        model: "claude-sonnet-4-5".to_owned(),
        asked_at: at(seconds),
        latency_ms,
        outcome: outcome.to_owned(),
        usage: Usage {
            requests: u64::from(outcome == "answered"),
            cost_micro_usd: 7,
            ..Usage::default()
        },
    }
}

#[tokio::test]
async fn planners_are_judged_by_what_became_of_their_tickets() {
    use State::{
        AwaitingPrApproval, AwaitingSpecApproval, Completed, Executing, Merged, Pending, Planning,
        PrCreated, QaRunning, SpecApproved, SpecRejected,
    };
    let database = ledger().await;
    let good = lived(
        &database,
        "FL-1",
        Some("default"),
        &[
            Pending,
            Planning,
            AwaitingSpecApproval,
            SpecApproved,
            Executing,
            QaRunning,
            Executing,
            QaRunning,
            PrCreated,
            AwaitingPrApproval,
            Merged,
            Completed,
        ],
    )
    .await;
    read(&database, &good, 1, GateClosing::Approved).await;
    let revised = lived(
        &database,
        "FL-2",
        Some("default"),
        &[
            Pending,
            Planning,
            AwaitingSpecApproval,
            Planning,
            AwaitingSpecApproval,
        ],
    )
    .await;
    read(&database, &revised, 1, GateClosing::Revised).await;
    read(&database, &revised, 2, GateClosing::Approved).await;
    // Nobody read it.
    let silent = lived(
        &database,
        "FL-3",
        Some("default"),
        &[Pending, Planning, AwaitingSpecApproval, SpecRejected],
    )
    .await;
    read(&database, &silent, 1, GateClosing::Expired).await;
    lived(&database, "FL-4", Some("opus"), &[Pending, Planning]).await;
    lived(&database, "FL-5", None, &[Pending]).await;
    let step = |ticket: &TicketKey, sequence| StepKey {
        ticket: ticket.clone(),
        sequence,
    };
    for (seconds, latency, outcome) in [
        (1, 900, "answered"),
        (2, 100, "busy"),
        (3, 1_500, "answered"),
        (4, 2_000, "declined"),
        (5, 1_000, "cut"),
    ] {
        let call = call("default", seconds, latency, outcome);
        for _ in 0..2 {
            let step = step(&good, 2);
            planner_calls::record(&database, &step, &call)
                .await
                .unwrap();
        }
    }
    let begin = chrono::Utc::now() - TimeDelta::days(1);
    let report = model_report::read(&database, begin).await.unwrap();
    let first = PlannerOutcome {
        planner: "default".to_owned(),
        tickets: 3,
        read: 2,
        approved_at_first_reading: 1,
        revisions: 1,
        rejected: 0,
        checked: 1,
        passed_at_first_check: 0,
        passed: 1,
        ended: 2,
        merged: 1,
        planning_cost_micro_usd: 35,
        cost_micro_usd: 300,
    };
    assert_eq!(report.planners[0], first);
    let second = &report.planners[1];
    assert_eq!((second.planner.as_str(), second.tickets), ("opus", 1));
    assert_eq!((second.read, second.ended), (0, 0));
    let models = ModelCalls {
        planner: "default".to_owned(),
        vendor: "anthropic".to_owned(),
        model: "claude-sonnet-4-5".to_owned(),
        calls: 5,
        answered: 2,
        cut: 1,
        declined: 1,
        failed: 1,
        latency_median_ms: Some(1_000),
        latency_p95_ms: Some(1_500),
        usage: Usage {
            requests: 2,
            cost_micro_usd: 35,
            ..Usage::default()
        },
    };
    assert_eq!(report.models, [models]);
    let later = chrono::Utc::now() + TimeDelta::days(1);
    let none = model_report::read(&database, later).await.unwrap();
    assert!(none.planners.is_empty() && none.models.is_empty());
}

#[tokio::test]
async fn what_ended_before_an_attempt_began_can_be_learned_from() {
    use State::{AwaitingSpecApproval, Completed, Pending, Planning, SpecRejected};
    let database = ledger().await;
    let states = [Pending, Planning, AwaitingSpecApproval, SpecRejected];
    let ended = lived(&database, "FL-1", Some("default"), &states).await;
    lived(&database, "FL-2", None, &states[..3]).await;
    lived(&database, "FL-3", None, &[Pending, Completed]).await;
    let mut elsewhere = transition("FL-4", 1, None, SpecRejected);
    elsewhere.facts.repository_url = "file:///other.git".into();
    elsewhere.facts.spec = Some(spec("4", "FL-4"));
    record_transition(&database, &elsewhere).await.unwrap();
    let new = begun(&database, "FL-5").await;
    let mut late = transition("FL-6", 1, None, SpecRejected);
    late.at = chrono::Utc::now() + TimeDelta::days(1);
    late.facts.spec = Some(spec("6", "FL-6"));
    record_transition(&database, &late).await.unwrap();

    let url = "file:///demo.git";
    let found = earlier_tickets::of_repository(&database, url, &new, 9)
        .await
        .unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].ticket_id.as_str(), found[0].state),
        ("FL-1", SpecRejected)
    );
    assert!(!found[0].merged && found[0].ended_at == at(4));
    assert_eq!(found[0].document, ObjectRef::of(b"FL-1 as data"));
    let own = earlier_tickets::of_repository(&database, url, &ended, 9)
        .await
        .unwrap();
    assert_eq!(own, []);

    let mut said = gates::counted(&ended, 1, ended.child_id("approval", 1), None);
    let workflow = workflows::find(&database, "FL-1").await.unwrap().id;
    gates::open(&database, &gates::request(&ended, 1)).await;
    said.record.decision = Verdict::Revise;
    sallyport_ledger::decisions::record_decision(&database, &said)
        .await
        .unwrap();
    let mut refused = gates::counted(&ended, 2, ended.child_id("approval", 1), Some("too late"));
    refused.comments = Some(ObjectRef::of(b"nobody heard it"));
    sallyport_ledger::decisions::record_decision(&database, &refused)
        .await
        .unwrap();
    let comments = earlier_tickets::comments(&database, workflow)
        .await
        .unwrap();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert_eq!(
        (comments[0].gate, comments[0].decision),
        (Gate::Spec, Verdict::Revise)
    );
    assert_eq!(comments[0].text, ObjectRef::of(b"well done"));
}

#[tokio::test]
async fn a_spec_keeps_what_its_planner_was_shown() {
    let database = ledger().await;
    let mut record = transition("FL-1", 1, None, State::AwaitingSpecApproval);
    let mut planned = spec("1", "first");
    planned.context = Some(ObjectRef::of(b"# What the planner was shown"));
    record.facts.spec = Some(planned.clone());
    record.facts.planner = Some("opus".to_owned());
    record_transition(&database, &record).await.unwrap();
    let workflow = workflows::find(&database, "FL-1").await.unwrap().id;
    let specs = spec_revisions::of_workflow(&database, workflow)
        .await
        .unwrap();
    assert_eq!(specs[0].context, planned.context);
}
