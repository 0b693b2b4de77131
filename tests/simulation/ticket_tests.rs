//! Tickets in virtual time: one life each. Each is replayed at its end.

use std::time::Duration;

use answers::{qa, spec};
use sallyport_workflows::{
    State,
    activities::{CloseGate, GateClosing, HostClaim, RecordDecision},
    command::Action,
    decision::{Decision, Verdict},
    failure::kind,
    gate::Gate,
};

use serde_json::json;
use temporalio_common::protos::temporal::api::enums::v1::TimeoutType;

use crate::{
    events::{self, ActivityOutcome, Event, value},
    ticket::{ANN, Answer, BOB, Ticket, by_update, input},
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const SECOND: Duration = Duration::from_secs(1);

/// A ticket that waits at its first gate.
fn waiting() -> Ticket {
    let mut ticket = Ticket::start(input(), []).expect("starts");
    ticket.settle().expect("runs");
    ticket
}

fn decide(
    ticket: &mut Ticket,
    verdict: Verdict,
    by: &str,
) -> Answer<sallyport_workflows::decision::DecisionOutcome> {
    let decision = ticket.decision(verdict, by).expect("a gate is open");
    ticket.decide(&decision).expect("runs")
}

fn state(ticket: &mut Ticket) -> State {
    ticket.status().expect("answers").state
}

fn closings(ticket: &Ticket) -> Vec<GateClosing> {
    ticket
        .world
        .inputs::<CloseGate>("close_gate")
        .iter()
        .map(|close| close.closing)
        .collect()
}

#[test]
fn two_approvals_take_a_ticket_to_its_end() {
    let mut ticket = waiting();
    let open = ticket
        .status()
        .expect("answers")
        .open_gate
        .expect("gate 1 is open");
    assert_eq!((open.gate, open.revision), (Gate::Spec, spec(1).revision));
    let approved = decide(&mut ticket, Verdict::Approve, ANN).given();
    assert_eq!(
        (approved.record.refused, approved.approvals_missing),
        (None, 0)
    );
    assert_eq!(state(&mut ticket), State::AwaitingPrApproval);
    let shown: String =
        value(&ticket.driver.server().search_attributes["SallyportState"]).expect("text");
    assert_eq!(shown, "AWAITING_PR_APPROVAL");
    assert!(
        ticket.driver.current_details().contains("SIM-1"),
        "{}",
        ticket.driver.current_details()
    );
    decide(&mut ticket, Verdict::Approve, BOB).given();
    let outcome = ticket.outcome().expect("a result").expect("an end");
    assert!(
        outcome.state == State::Completed && outcome.reason.contains(BOB),
        "{outcome:?}"
    );
    let story: Vec<_> = ticket.recorded().iter().map(State::to_string).collect();
    assert_eq!(
        story.join(" "),
        "PENDING PLANNING AWAITING_SPEC_APPROVAL SPEC_APPROVED EXECUTING QA_RUNNING PR_CREATED \
         AWAITING_PR_APPROVAL MERGED COMPLETED"
    );
    assert!(
        ticket.driver.server().timers.is_empty(),
        "{:?}",
        ticket.driver.server().timers
    );
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn a_decision_about_another_revision_is_rejected_and_leaves_no_trace() {
    let mut ticket = waiting();
    let decision = ticket
        .decision(Verdict::Approve, ANN)
        .expect("a gate is open");
    let other = Decision {
        revision: "deadbeefdeadbeef".to_owned(),
        ..decision
    };
    let Answer::Refused(why) = ticket.decide(&other).expect("runs") else {
        panic!("it was taken")
    };
    assert!(
        why.contains("deadbeefdeadbeef") && why.contains(&spec(1).revision),
        "{why}"
    );
    assert!(
        ticket
            .world
            .inputs::<RecordDecision>("record_decision")
            .is_empty()
    );
    assert_eq!(state(&mut ticket), State::AwaitingSpecApproval);
    ticket
        .driver
        .restart()
        .expect("the replay is the same without it");
    decide(&mut ticket, Verdict::Reject, ANN).given();
    assert_eq!(ticket.finish().expect("an end").state, State::SpecRejected);
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn what_comes_before_the_first_step_is_refused_and_recorded() {
    let early =
        json!({"gate": "SPEC", "revision": spec(1).revision, "decision": "APPROVE", "by": ANN});
    let mut ticket = Ticket::start(input(), [Event::signal("decide", &early)]).expect("starts");
    ticket.settle().expect("runs");
    let records: Vec<RecordDecision> = ticket.world.inputs("record_decision");
    let refused = records[0].record.refused.as_deref().unwrap_or_default();
    assert!(refused.contains("the ticket is PENDING"), "{refused}");
    assert_eq!(state(&mut ticket), State::AwaitingSpecApproval);
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn a_signal_typed_by_hand_opens_a_gate() {
    let mut ticket = waiting();
    let prefix = spec(1).revision[..8].to_owned();
    ticket.signal(json!("approve!")).expect("runs");
    assert_eq!(ticket.status().expect("answers").notes.len(), 1);
    ticket
        .signal(json!({"gate": "SPEC", "revision": prefix, "decision": "APPROVE", "by": ANN}))
        .expect("runs");
    let status = ticket.status().expect("answers");
    assert_eq!(status.state, State::AwaitingPrApproval);
    assert_eq!(
        (&status.decisions[0].revision, status.decisions[0].proven),
        (&spec(1).revision, false)
    );
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn a_day_of_silence_rejects_the_spec_and_not_a_second_less() {
    let mut ticket = waiting();
    ticket.pass(24 * HOUR - SECOND).expect("runs");
    assert_eq!(state(&mut ticket), State::AwaitingSpecApproval);
    ticket.pass(SECOND).expect("runs");
    let outcome = ticket.outcome().expect("a result").expect("an end");
    assert!(
        outcome.state == State::SpecRejected
            && outcome
                .reason
                .starts_with("nobody decided about the SPEC until "),
        "{outcome:?}"
    );
    assert_eq!(closings(&ticket), [GateClosing::Expired]);
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn a_cancellation_at_a_gate_is_recorded_and_closes_the_gate() {
    let mut ticket = waiting();
    ticket.cancel("no longer needed").expect("runs");
    let outcome = ticket.outcome().expect("a result").expect("an end");
    assert_eq!(
        (outcome.state, outcome.reason.as_str()),
        (State::Cancelled, "cancelled in Temporal: no longer needed")
    );
    assert_eq!(ticket.recorded().last(), Some(&State::Cancelled));
    assert_eq!(closings(&ticket), [GateClosing::Cancelled]);
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn an_activity_that_fails_for_good_parks_the_ticket_for_a_week() {
    let mut ticket = Ticket::start(input(), []).expect("starts");
    let why = "Flux Lens knows no ticket of that id";
    let unknown = ActivityOutcome::failed(kind::TICKET_NOT_FOUND, why, true);
    ticket.world.script("fetch_ticket", unknown);
    ticket.settle().expect("runs");
    let failure = ticket
        .status()
        .expect("answers")
        .failure
        .expect("a failure");
    assert_eq!(
        (failure.kind.as_str(), failure.step.as_str()),
        (kind::TICKET_NOT_FOUND, "fetch_ticket")
    );
    assert_eq!(failure.message, "Flux Lens knows no ticket of that id");
    ticket.pass(7 * 24 * HOUR - SECOND).expect("runs");
    assert_eq!(state(&mut ticket), State::Error);
    ticket.pass(SECOND).expect("runs");
    assert_eq!(ticket.finish().expect("an end").state, State::Cancelled);
    assert_eq!(
        ticket.recorded(),
        [State::Pending, State::Error, State::Cancelled]
    );
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn a_failed_qa_is_repaired_and_a_closed_pull_request_reopened() {
    let mut ticket = waiting();
    let red = ActivityOutcome::completed(&qa(false));
    ticket.world.script("run_qa", red);
    decide(&mut ticket, Verdict::Approve, ANN).given();
    assert_eq!(ticket.status().expect("answers").rounds.repairs, 1);
    ticket.pass(48 * HOUR).expect("runs");
    assert_eq!(state(&mut ticket), State::PrClosed);
    let reopen = ticket.order(Action::Reopen, BOB);
    let reopened = ticket.command(&reopen).expect("runs").given();
    assert_eq!(reopened.record.refused, None);
    decide(&mut ticket, Verdict::Approve, ANN).given();
    assert_eq!(ticket.finish().expect("an end").state, State::Completed);
    ticket.driver.replay().expect("the replay is the same");
}

const NOBODY: ActivityOutcome = ActivityOutcome::TimedOut(TimeoutType::ScheduleToStart);

fn host(name: &str) -> ActivityOutcome {
    ActivityOutcome::Completed(events::json(&HostClaim {
        host_id: name.to_owned(),
        task_queue: format!("queue-{name}"),
    }))
}

#[test]
fn a_step_that_nobody_takes_goes_to_another_host_and_so_does_all_that_follows() {
    let mut ticket = waiting();
    for name in ["a", "a", "b", "c"] {
        ticket.world.script("claim_host", host(name));
    }
    for activity in ["run_agent", "run_agent", "remove_workspace"] {
        ticket.world.script(activity, NOBODY);
    }
    decide(&mut ticket, Verdict::Approve, ANN).given();
    assert_eq!(state(&mut ticket), State::AwaitingPrApproval);
    let queues = |activity| ticket.world.queues(activity).join(" ");
    assert_eq!(queues("prepare_workspace"), "queue-a");
    // The host lived; it had other work. Then it did not.
    assert_eq!(queues("run_agent"), "queue-a queue-a queue-b");
    assert_eq!(queues("run_qa"), "queue-b");
    assert_eq!(queues("publish_branch"), "queue-b");
    assert_eq!(
        ticket.status().expect("answers").notes,
        ["the host a does not answer; b goes on"]
    );
    decide(&mut ticket, Verdict::Approve, BOB).given();
    assert_eq!(ticket.finish().expect("an end").state, State::Completed);
    let removals = ticket.world.queues("remove_workspace");
    assert_eq!(removals, ["queue-b", "queue-c"]);
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn a_ticket_is_cancelled_while_no_host_is_there() {
    let mut ticket = waiting();
    ticket.world.script("run_agent", NOBODY);
    let decision = ticket.decision(Verdict::Approve, ANN).expect("a gate");
    ticket.deliver([by_update(&decision)]).expect("runs");
    loop {
        let pending = &ticket.driver.server().activities;
        let (seq, activity) = pending.first_key_value().expect("something to do");
        let seq = *seq;
        if activity.name == "claim_host" && !ticket.world.queues("run_agent").is_empty() {
            break;
        }
        let event = ticket.carry_out(seq).expect("carried out");
        ticket.deliver([event]).expect("runs");
    }
    ticket.cancel("enough").expect("runs");
    assert_eq!(ticket.finish().expect("an end").state, State::Cancelled);
    ticket.driver.replay().expect("the replay is the same");
}

#[test]
fn a_worker_that_restarts_after_every_step_changes_nothing() {
    let mut ticket = Ticket::start(input(), []).expect("starts");
    let mut restarts = 0;
    while let Some(seq) = ticket.driver.server().activities.keys().next().copied() {
        ticket.driver.restart().expect("the replay is the same");
        let event = ticket.carry_out(seq).expect("carried out");
        ticket.deliver([event]).expect("runs");
        restarts += 1;
    }
    assert_eq!(restarts, ticket.world.calls.len());
    assert_eq!(state(&mut ticket), State::AwaitingSpecApproval);
}
