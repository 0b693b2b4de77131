//! What the ticket system tells of a ticket that is worked on.

use answers::spec;
use sallyport_workflows::{decision::Verdict, gate::Gate};
use serde_json::json;

use crate::{
    harness::{ANN, Ticket, decision, policy},
    scripted::lock,
};

#[tokio::test]
async fn an_edit_shows_at_the_gate_and_plans_nothing_by_itself() {
    let ticket = Ticket::start("NEWS-1", policy(), |_| {}).await;
    let open = ticket.until_gate(Gate::Spec).await;
    for (minute, title) in [("00", "Another title"), ("01", "Yet another title")] {
        let at = format!("2026-11-24T10:{minute}:00Z");
        ticket
            .tell(json!({"event": "edited", "at": at, "title": title}))
            .await;
    }
    let status = ticket
        .until("both edits show", |status| {
            status.edits.as_ref().is_some_and(|edits| edits.times == 2)
        })
        .await;
    let edits = status.edits.expect("it was edited");
    assert_eq!(edits.at.to_rfc3339(), "2026-11-24T10:01:00+00:00");
    assert_eq!(edits.title.as_deref(), Some("Yet another title"));
    assert_eq!(
        status.open_gate.expect("it is open").revision,
        open.revision
    );
    let (plans, reads) = {
        let world = lock(&ticket.world);
        (world.plans.len(), world.tickets_read)
    };
    assert_eq!((plans, reads), (1, 1));

    // Who sends the SPEC back has the ticket read as it is now.
    ticket
        .decide(decision(&open, Verdict::Revise, ANN))
        .await
        .expect("it counts");
    let status = ticket
        .until("the new SPEC waits", |status| {
            status
                .open_gate
                .as_ref()
                .is_some_and(|open| open.revision == spec(2).revision)
        })
        .await;
    assert_eq!(status.edits, None);
    assert_eq!(lock(&ticket.world).tickets_read, 2);
}

#[tokio::test]
async fn what_is_no_news_is_a_note() {
    let ticket = Ticket::start("NEWS-2", policy(), |_| {}).await;
    ticket.until_gate(Gate::Spec).await;
    ticket.tell(json!("edited")).await;
    ticket
        .tell(json!({"event": "vanished", "at": "2026-11-24T10:00:00Z"}))
        .await;
    ticket
        .tell(json!({"event": "reopened", "at": "2026-11-24T10:00:00Z"}))
        .await;
    let status = ticket
        .until("all are noted", |status| status.notes.len() == 3)
        .await;
    assert!(status.notes[1].contains("vanished"), "{:?}", status.notes);
    assert!(
        status.notes[2].contains("was reopened in its system"),
        "{:?}",
        status.notes
    );
    assert_eq!(status.edits, None);
    ticket.approve(Gate::Spec, ANN).await;
    ticket.until_gate(Gate::Pr).await;
}
