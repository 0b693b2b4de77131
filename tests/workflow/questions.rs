//! The planner asks on the ticket, and the ticket waits for answers.

use sallyport_workflows::{
    State,
    activities::TicketEvent,
    command::{Action, Command},
    decision::Verdict,
    failure::kind,
    gate::Gate,
    policy::InstallationPolicy,
};
use serde_json::{Value, json};

use crate::{
    harness::{ANN, Ticket, command, decision, policy},
    scripted::{World, lock},
};

const HOUR: u64 = 60 * 60;

fn questions(questions: &[&str]) -> Vec<String> {
    questions.iter().map(|one| (*one).to_owned()).collect()
}

fn said(event: &str) -> Value {
    json!({"event": event, "at": "2026-11-24T10:00:00Z"})
}

/// A ticket whose planner asks this; a second of silence is enough of an answer.
async fn asking(ticket_id: &str, asked: &[&[&str]]) -> Ticket {
    let policy = InstallationPolicy {
        answer_pause_seconds: 1,
        ..policy()
    };
    let set_up = |world: &mut World| {
        let asked = asked.iter().map(|asked| questions(asked));
        world.questions.extend(asked);
    };
    Ticket::start(ticket_id, policy, set_up).await
}

#[tokio::test]
async fn an_answer_on_the_ticket_is_read_and_planned_with() {
    let ticket = asking("ASK-1", &[&["Which unit?", "For whom?"], &["Since when?"]]).await;
    let status = ticket
        .until("it asks", |status| status.questions.is_some())
        .await;
    assert_eq!(status.state, State::Planning);
    let open = status.questions.expect("it asks");
    assert_eq!(open.questions, ["Which unit?", "For whom?"]);
    let left = status.deadline.expect("it ends") - open.asked_at;
    assert_eq!(left.num_hours(), 72);
    ticket.skip(71 * HOUR, "nearly the time").await;
    assert_eq!(ticket.status().await.state, State::Planning);

    ticket.tell(said("commented")).await;
    let status = ticket
        .until("it asks again", |status| {
            let open = status.questions.as_ref();
            open.is_some_and(|open| open.questions.len() == 1)
        })
        .await;
    assert!(status.open_gate.is_none());
    ticket.tell(said("edited")).await;
    ticket.until_gate(Gate::Spec).await;
    let status = ticket.status().await;
    assert_eq!((status.questions, status.edits), (None, None));
    {
        let world = lock(&ticket.world);
        let left: Vec<u32> = world.plans.iter().map(|plan| plan.questions_left).collect();
        assert_eq!(left, [3, 1, 0]);
        assert_eq!(world.tickets_read, 3, "at first, and after each answer");
        let told = world.comments.iter();
        let told: Vec<usize> = told
            .filter_map(|event| match event {
                TicketEvent::Questions { questions, .. } => Some(questions.len()),
                _ => None,
            })
            .collect();
        assert_eq!(told, [2, 1]);
        let steps: Vec<u64> = world.plans.iter().map(|plan| plan.key.sequence).collect();
        assert!(steps[0] < steps[1] && steps[1] < steps[2], "{steps:?}");
    }
    ticket.approve(Gate::Spec, ANN).await;
    ticket.approve(Gate::Pr, ANN).await;
    assert_eq!(ticket.outcome().await.state, State::Completed);
}

#[tokio::test]
async fn three_days_of_silence_park_the_ticket_and_a_retry_reads_it_again() {
    let ticket = asking("ASK-2", &[&["Which unit?"]]).await;
    ticket
        .until("it asks", |status| status.questions.is_some())
        .await;
    let longer = Command {
        seconds: Some(HOUR),
        ..command(Action::Extend)
    };
    ticket.command(longer).await.expect("a wait gets more time");
    ticket.skip(72 * HOUR, "three days").await;
    assert_eq!(ticket.status().await.state, State::Planning);
    ticket.skip(HOUR, "and an hour").await;
    let status = ticket.until_state(State::Error).await;
    let failure = status.failure.expect("it is parked for a reason");
    assert_eq!(failure.kind, kind::QUESTIONS_UNANSWERED);
    assert!(
        failure.message.contains("answer them there and retry"),
        "{}",
        failure.message
    );
    assert_eq!(status.questions, None);
    assert_eq!(lock(&ticket.world).tickets_read, 1);

    // What is said now reaches nobody who waits; the retry reads it.
    ticket.tell(said("commented")).await;
    ticket
        .command(command(Action::Retry))
        .await
        .expect("accepted");
    let open = ticket.until_gate(Gate::Spec).await;
    {
        let world = lock(&ticket.world);
        assert_eq!(world.tickets_read, 2);
        assert_eq!(world.plans[1].questions_left, 2);
    }
    ticket
        .decide(decision(&open, Verdict::Reject, ANN))
        .await
        .expect("it counts");
    assert_eq!(ticket.outcome().await.state, State::SpecRejected);
}

#[tokio::test]
async fn a_ticket_that_waits_for_answers_can_be_cancelled() {
    let ticket = asking("ASK-3", &[&["Which unit?"]]).await;
    ticket
        .until("it asks", |status| status.questions.is_some())
        .await;
    let refused = ticket.command(command(Action::Retry)).await;
    assert!(
        refused
            .expect_err("it is not parked")
            .contains("only a parked ticket")
    );
    ticket
        .command(command(Action::Cancel))
        .await
        .expect("accepted");
    assert_eq!(ticket.outcome().await.state, State::Cancelled);
    let status = ticket.status().await;
    assert_eq!((status.questions, status.deadline), (None, None));
}

#[tokio::test]
async fn a_wait_for_answers_survives_a_long_history() {
    use sallyport_test_support::temporal::TemporalServer;

    use crate::harness::Place;

    let server = TemporalServer::that_suggests_renewal_after(40).expect("a server");
    let place = Place::new(&server.address);
    let policy = InstallationPolicy {
        answer_pause_seconds: 1,
        ..policy()
    };
    let ticket = Ticket::start_at(&place, "ASK-4", policy, |world| {
        world.questions.push_back(questions(&["Which unit?"]));
    })
    .await;
    ticket
        .until("it asks", |status| status.questions.is_some())
        .await;
    for number in 0..20 {
        let by = format!("nobody-{number}@example.com");
        ticket
            .signal(
                json!({"gate": "SPEC", "revision": "deadbeef", "decision": "APPROVE", "by": by}),
            )
            .await;
    }
    ticket
        .until("all are on record", |_| {
            lock(&ticket.world).decisions.len() == 20
        })
        .await;
    let status = ticket.status().await;
    assert!(status.questions.is_some(), "{status:?}");
    assert!(ticket.runs().await >= 2);
    assert_eq!(lock(&ticket.world).plans.len(), 1, "nothing is paid twice");
    ticket.tell(said("commented")).await;
    ticket.until_gate(Gate::Spec).await;
    assert_eq!(lock(&ticket.world).plans.len(), 2);
}
