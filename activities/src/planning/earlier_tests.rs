use chrono::{DateTime, Utc};
use sallyport_ledger::{decisions::record_decision, transitions::record_transition};
use sallyport_test_support::scripted_model::Scenario;
use sallyport_workflows::{
    ObjectRef, State,
    activities::{RecordDecision, TicketFacts, TransitionRecord},
    decision::DecisionRecord,
    spec::SpecRef,
    ticket::TicketSummary,
};
use uuid::Uuid;

use super::*;
use crate::testing::{House, spec_for};

#[test]
fn rare_words_decide_and_common_ones_are_not_enough() {
    let earlier = |id: &str, title: &str| EarlierTicket {
        workflow: uuid::Uuid::nil(),
        ticket_id: id.to_owned(),
        title: title.to_owned(),
        state: State::Completed,
        ended_at: DateTime::<Utc>::UNIX_EPOCH,
        merged: true,
        document: ObjectRef::of(b"{}"),
    };
    let all = vec![
        earlier("FL-1", "Parser fails on an empty line"),
        earlier("FL-2", "Parser loses the weeks of a duration"),
        earlier("FL-3", "Parser is slow"),
        earlier("FL-4", "Pages have no title"),
        earlier("FL-9", "Something else entirely"),
    ];
    let wanted = telling_words("The parser throws on weeks of a duration");
    let ids = |ticket_id: &str| -> Vec<String> {
        let found = by_title(all.clone(), &wanted, ticket_id);
        found.into_iter().map(|earlier| earlier.ticket_id).collect()
    };
    assert_eq!(ids("FL-0"), ["FL-2", "FL-1", "FL-3"]);
    assert_eq!(ids("FL-9")[0], "FL-9", "an earlier attempt comes first");
}

/// Puts a ticket on record that ended long ago, and what a person said about its SPEC.
async fn ended(house: &House, id: &str, title: &str, spec: &Spec, said: &str) {
    let objects = &house.context.objects;
    let document = objects
        .put(serde_json::to_vec(spec).unwrap())
        .await
        .unwrap();
    let ticket = TicketKey::first("flux-lens", id);
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let record = TransitionRecord {
        ticket: ticket.clone(),
        sequence: 1,
        from: None,
        to: State::SpecRejected,
        at,
        triggered_by: "system".into(),
        reason: None,
        facts: TicketFacts {
            repository_url: house.origin.url().to_owned(),
            summary: Some(TicketSummary {
                title: title.to_owned(),
                url: String::new(),
                reporter: "reporter@example.com".into(),
                content: ObjectRef::of(b"{}"),
            }),
            spec: Some(SpecRef {
                revision: "r".repeat(64),
                text: ObjectRef::of(b"SPEC"),
                document,
                base_commit: "b".repeat(40),
                files: 1,
                confidence_percent: 80,
                context: None,
            }),
            ..TicketFacts::default()
        },
    };
    record_transition(&house.context.database, &record)
        .await
        .unwrap();
    let decision = RecordDecision {
        ticket,
        approval_id: None,
        record: DecisionRecord {
            id: Uuid::nil(),
            gate: Gate::Spec,
            revision: "r".repeat(64),
            decision: Verdict::Revise,
            by: "approver@example.com".into(),
            at,
            proven: true,
            refused: None,
        },
        comments: Some(objects.put(said.to_owned()).await.unwrap()),
    };
    record_decision(&house.context.database, &decision)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_said_about_tickets_alike_is_shown() {
    let house = House::new(&[("src/parse.js", "a\n")], Scenario::new()).await;
    let mut weeks = spec_for(&["src/parse.js"]);
    weeks.problem = "The parser loses the weeks of a duration.".to_owned();
    let mut pages = spec_for(&["src/pages.js"]);
    pages.problem = "Pages have no title.".to_owned();
    ended(
        &house,
        "FL-7",
        "Parser loses weeks",
        &weeks,
        "Test negative durations too",
    )
    .await;
    ended(&house, "FL-8", "Parser of pages", &pages, "No").await;
    ended(&house, "FL-9", "Something else", &pages, "No").await;
    let found = alike(
        &house.context,
        &house.ticket,
        house.origin.url(),
        "The parser throws on weeks of a duration",
    )
    .await
    .unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let Earlier { what, why, text } = &found[0];
    assert_eq!(
        what,
        "Ticket FL-7, not merged; ended SPEC_REJECTED on 2023-11-14"
    );
    assert!(
        why.contains("`weeks`") && why.contains("`duration`"),
        "{why}"
    );
    for part in [
        "Problem: The parser loses the weeks of a duration.\n",
        "- modify src/parse.js\n",
        "- REVISE at gate SPEC: Test negative durations too\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let elsewhere = alike(
        &house.context,
        &house.ticket,
        "file:///other.git",
        "parser weeks duration",
    );
    assert_eq!(elsewhere.await.unwrap(), []);
}
