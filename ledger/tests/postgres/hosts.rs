//! Hosts, their leases and claims; checkpoints.

use std::time::Duration;

use sallyport_ledger::{
    Database,
    checkpoints::{self, Checkpoint},
    hosts::{self, Host},
};
use sallyport_workflows::{ObjectRef, State, activities::StepKey, ticket::TicketKey};

use crate::{at, begun, ledger, ticket, transition};

const MINUTE: Duration = Duration::from_secs(60);

fn host(id: &str, slots: usize) -> Host {
    Host {
        host_id: id.to_owned(),
        task_queue: format!("queue-{id}"),
        slots,
    }
}

async fn alive(database: &Database, id: &str, slots: usize) {
    hosts::renew_lease(database, &host(id, slots), MINUTE)
        .await
        .unwrap();
}

async fn claimed(database: &Database, ticket: &TicketKey) -> Option<(String, u64)> {
    let claim = hosts::claim(database, ticket).await.unwrap();
    claim.map(|claim| (claim.host_id, claim.generation))
}

fn checkpoint(step: u64) -> Checkpoint {
    Checkpoint {
        step,
        ended: false,
        bundle: ObjectRef::of(format!("bundle of {step}").as_bytes()),
        taken_at: at(0),
    }
}

/// A ticket whose agent works, as far as the ledger knows.
async fn working(database: &Database, id: &str) -> TicketKey {
    let ticket = begun(database, id).await;
    let record = transition(id, 2, Some(State::Pending), State::Executing);
    sallyport_ledger::transitions::record_transition(database, &record)
        .await
        .unwrap();
    ticket
}

#[tokio::test]
async fn a_claim_stays_as_long_as_its_host_lives_and_then_goes_to_another() {
    let database = ledger().await;
    let ticket = ticket("FL-1");
    assert_eq!(claimed(&database, &ticket).await, None, "nobody is there");
    alive(&database, "a", 2).await;
    assert_eq!(claimed(&database, &ticket).await, Some(("a".into(), 1)));
    alive(&database, "b", 2).await;
    assert_eq!(claimed(&database, &ticket).await, Some(("a".into(), 1)));

    hosts::end_lease(&database, "a").await.unwrap();
    assert_eq!(claimed(&database, &ticket).await, Some(("b".into(), 2)));
    // The first comes back; what it has is out of date.
    alive(&database, "a", 2).await;
    assert_eq!(claimed(&database, &ticket).await, Some(("b".into(), 2)));
    let claim = hosts::claim_of(&database, &ticket).await.unwrap().unwrap();
    assert_eq!(
        (claim.task_queue.as_str(), claim.generation),
        ("queue-b", 2)
    );

    hosts::end_lease(&database, "b").await.unwrap();
    assert_eq!(claimed(&database, &ticket).await, Some(("a".into(), 3)));
    hosts::end_lease(&database, "a").await.unwrap();
    assert_eq!(claimed(&database, &ticket).await, None);
}

#[tokio::test]
async fn a_ticket_goes_where_the_fewest_work_for_the_slots() {
    let database = ledger().await;
    alive(&database, "large", 4).await;
    alive(&database, "small", 1).await;
    let mut places = Vec::new();
    for number in 1..=5 {
        let ticket = working(&database, &format!("FL-{number}")).await;
        places.push(claimed(&database, &ticket).await.unwrap().0);
    }
    assert_eq!(places, ["large", "small", "large", "large", "large"]);
}

#[tokio::test]
async fn tickets_that_claim_at_once_are_spread() {
    let database = ledger().await;
    for id in ["a", "b", "c", "d"] {
        alive(&database, id, 1).await;
    }
    let mut tickets = Vec::new();
    for number in 1..=4 {
        tickets.push(working(&database, &format!("FL-{number}")).await);
    }
    let claims = tickets.iter().map(|ticket| claimed(&database, ticket));
    let claims = futures::future::join_all(claims).await;
    let mut places: Vec<_> = claims.into_iter().map(|claim| claim.unwrap().0).collect();
    places.sort();
    assert_eq!(places, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn only_the_host_that_holds_a_ticket_records_for_it() {
    let database = ledger().await;
    let step = StepKey {
        ticket: working(&database, "FL-1").await,
        sequence: 7,
    };
    let ticket = &step.ticket;
    alive(&database, "a", 1).await;
    let run = async |host: &str, text: &str| {
        checkpoints::record_run(&database, &step, host, text)
            .await
            .unwrap()
    };
    let record = async |host: &str, number: u64| {
        checkpoints::record(&database, ticket, host, &checkpoint(number))
            .await
            .unwrap()
    };
    assert!(!record("a", 1).await, "nobody claimed it");
    hosts::claim(&database, ticket).await.unwrap();
    assert!(record("a", 1).await);
    assert!(record("a", 2).await);
    assert!(run("a", r#"{"said": "\u0000"}"#).await);

    alive(&database, "b", 1).await;
    hosts::end_lease(&database, "a").await.unwrap();
    hosts::claim(&database, ticket).await.unwrap();
    assert!(!record("a", 3).await);
    assert!(!run("a", "{}").await);
    let latest = checkpoints::latest(&database, ticket).await.unwrap();
    assert_eq!(latest, Some(checkpoint(2)));
    let seen = checkpoints::run(&database, &step).await.unwrap();
    assert_eq!(seen.as_deref(), Some(r#"{"said": "\u0000"}"#));
    let elsewhere = hosts::held_elsewhere(&database, "a").await.unwrap();
    assert_eq!(elsewhere, std::slice::from_ref(ticket));
    assert_eq!(hosts::held_elsewhere(&database, "b").await.unwrap(), []);

    // One that lost it has no say in its end, either.
    hosts::forget(&database, ticket, "a").await.unwrap();
    assert!(hosts::claim_of(&database, ticket).await.unwrap().is_some());
    for _ in 0..2 {
        hosts::forget(&database, ticket, "b").await.unwrap();
        assert_eq!(hosts::claim_of(&database, ticket).await.unwrap(), None);
        assert_eq!(checkpoints::latest(&database, ticket).await.unwrap(), None);
        assert_eq!(checkpoints::run(&database, &step).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_workspace_that_nobody_claimed_is_adopted_by_the_host_that_works_on_it() {
    let database = ledger().await;
    let ticket = ticket("FL-1");
    let adopted = async |host: &str| {
        let claim = hosts::adopt(&database, &ticket, host).await.unwrap();
        claim.map(|claim| (claim.host_id, claim.generation))
    };
    assert_eq!(adopted("a").await, None, "it has no lease");
    alive(&database, "a", 1).await;
    alive(&database, "b", 1).await;
    for host in ["a", "b", "a"] {
        assert_eq!(adopted(host).await, Some(("a".into(), 1)));
    }
    assert_eq!(claimed(&database, &ticket).await, Some(("a".into(), 1)));
}
