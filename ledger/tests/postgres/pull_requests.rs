use std::collections::BTreeSet;

use sallyport_ledger::{
    LedgerError,
    pull_requests::{
        NewPullRequest, PullRequestState, get, open, set_closed, set_merged, set_reopened,
    },
};
use sallyport_workflows::ticket::TicketKey;

use crate::{at, begun, ledger};

fn new(ticket: &TicketKey, repository: &str) -> NewPullRequest {
    NewPullRequest {
        ticket: ticket.clone(),
        repository_url: repository.into(),
        title: "Fix totals".into(),
        body: "Why and what".into(),
        branch: ticket.branch(),
        base_branch: "main".into(),
        head_commit: "a".repeat(40),
        at: at(1),
    }
}

#[tokio::test]
async fn numbers_are_given_out_once_without_gaps() {
    let database = ledger().await;
    let mut tickets = Vec::new();
    for number in 1..=12 {
        tickets.push(begun(&database, &format!("FL-{number}")).await);
    }
    // Each is opened twice, as by two workers, and all at the same time.
    let tasks: Vec<_> = tickets
        .iter()
        .flat_map(|ticket| [ticket, ticket])
        .map(|ticket| {
            let (database, new) = (database.clone(), new(ticket, "file:///demo.git"));
            tokio::spawn(async move { open(&database, &new).await.unwrap().number })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for task in tasks {
        numbers.insert(task.await.unwrap());
    }
    assert_eq!(numbers, (1..=12).collect());
    let elsewhere = begun(&database, "FL-99").await;
    assert_eq!(
        open(&database, &new(&elsewhere, "file:///other.git"))
            .await
            .unwrap()
            .number,
        1
    );
}

#[tokio::test]
async fn an_open_one_is_updated_and_a_closed_one_is_not() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let id = ticket.ledger_id();
    assert!(matches!(
        get(&database, id).await,
        Err(LedgerError::NotFound { .. })
    ));
    open(&database, &new(&ticket, "r")).await.unwrap();
    let changed = NewPullRequest {
        head_commit: "b".repeat(40),
        ..new(&ticket, "r")
    };
    let row = open(&database, &changed).await.unwrap();
    assert_eq!((row.number, row.head_commit), (1, "b".repeat(40)));

    let closed = set_closed(&database, id, "approver@example.com", at(2))
        .await
        .unwrap();
    assert_eq!(
        (closed.state, closed.closed_at),
        (PullRequestState::Closed, Some(at(2)))
    );
    let untouched = open(&database, &new(&ticket, "r")).await.unwrap();
    assert_eq!(
        (untouched.state, untouched.head_commit),
        (PullRequestState::Closed, "b".repeat(40))
    );
    let open_again = set_reopened(&database, id, "approver@example.com", at(3))
        .await
        .unwrap();
    assert_eq!(
        (open_again.state, open_again.reopened_at),
        (PullRequestState::Open, Some(at(3)))
    );
}

#[tokio::test]
async fn merged_wins_and_stays() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let id = ticket.ledger_id();
    open(&database, &new(&ticket, "r")).await.unwrap();
    let merged = set_merged(&database, id, "approver@example.com", at(2), "m1")
        .await
        .unwrap();
    assert_eq!(merged.state, PullRequestState::Merged);
    assert_eq!(
        set_merged(&database, id, "other@example.com", at(3), "m2")
            .await
            .unwrap(),
        merged
    );
    assert_eq!(
        set_closed(&database, id, "other@example.com", at(4))
            .await
            .unwrap(),
        merged
    );
    assert_eq!(
        set_reopened(&database, id, "other@example.com", at(5))
            .await
            .unwrap(),
        merged
    );
}
