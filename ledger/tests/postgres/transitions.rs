use sallyport_ledger::{
    transitions::{of_workflow, record_transition},
    workflows::find,
};
use sallyport_workflows::{
    ObjectRef, State, failure::Failure, pull_request::PullRequest, spec::SpecRef, usage::Usage,
};

use crate::{at, ledger, ticket, transition};

#[tokio::test]
async fn a_second_record_of_a_transition_changes_nothing() {
    let database = ledger().await;
    let first = transition("FL-1", 1, None, State::Pending);
    assert!(record_transition(&database, &first).await.unwrap());
    let row = find(&database, "FL-1").await.unwrap();

    let mut again = first.clone();
    again.to = State::Planning;
    again.triggered_by = "somebody@example.com".into();
    assert!(!record_transition(&database, &again).await.unwrap());
    assert_eq!(find(&database, "FL-1").await.unwrap(), row);
    let log = of_workflow(&database, row.id).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].to, log[0].triggered_by.as_str()),
        (State::Pending, "system")
    );
}

#[tokio::test]
async fn an_older_transition_never_overwrites_a_newer_one() {
    let database = ledger().await;
    let late = transition("FL-1", 2, Some(State::Pending), State::Planning);
    assert!(record_transition(&database, &late).await.unwrap());
    let row = find(&database, "FL-1").await.unwrap();
    assert!(
        record_transition(&database, &transition("FL-1", 1, None, State::Pending))
            .await
            .unwrap()
    );
    assert_eq!(find(&database, "FL-1").await.unwrap(), row);
    let log = of_workflow(&database, row.id).await.unwrap();
    let order: Vec<_> = log.iter().map(|row| (row.sequence, row.to)).collect();
    assert_eq!(order, [(1, State::Pending), (2, State::Planning)]);
    assert_eq!(log[1].from, Some(State::Pending));
}

#[tokio::test]
async fn records_of_two_workers_at_once_leave_one_row() {
    let database = ledger().await;
    let record = transition("FL-1", 1, None, State::Pending);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (database, record) = (database.clone(), record.clone());
            tokio::spawn(async move { record_transition(&database, &record).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(task.await.unwrap());
    }
    assert_eq!(new, 1);
}

#[tokio::test]
async fn the_row_shows_what_is_known() {
    let database = ledger().await;
    let text = ObjectRef::of(b"spec");
    let mut record = transition(
        "FL-1",
        1,
        Some(State::AwaitingSpecApproval),
        State::SpecApproved,
    );
    record.facts.spec = Some(SpecRef {
        revision: "r".repeat(64),
        text: text.clone(),
        document: ObjectRef::of(b"document"),
        base_commit: "b".repeat(40),
        files: 1,
        confidence_percent: 80,
    });
    record.facts.spec_approved_by = Some("approver@example.com".into());
    record_transition(&database, &record).await.unwrap();

    let pull_request = PullRequest {
        number: 7,
        url: "sallyport://demo/7".into(),
        branch: "sallyport/FL-1".into(),
        base_branch: "main".into(),
        head_commit: "c".repeat(40),
    };
    let mut next = transition("FL-1", 2, Some(State::AwaitingPrApproval), State::Merged);
    next.facts = record.facts.clone();
    next.facts.pull_request = Some(pull_request.clone());
    next.facts.usage = Usage {
        cost_micro_usd: 12,
        ..Usage::default()
    };
    record_transition(&database, &next).await.unwrap();
    let row = find(&database, "FL-1").await.unwrap();
    assert_eq!(row.spec, Some(text));
    assert_eq!(row.spec_approved_at, Some(at(1)));
    assert_eq!(
        row.spec_approved_by.as_deref(),
        Some("approver@example.com")
    );
    assert_eq!(row.pull_request, Some(pull_request));
    assert_eq!(row.merged_at, Some(at(2)));
    assert_eq!(row.usage.cost_micro_usd, 12);
    assert_eq!(row.completed_at, None);

    let mut end = transition("FL-1", 3, Some(State::Merged), State::Completed);
    end.facts = next.facts;
    record_transition(&database, &end).await.unwrap();
    let row = find(&database, "FL-1").await.unwrap();
    assert_eq!(
        (row.merged_at, row.completed_at),
        (Some(at(2)), Some(at(3)))
    );
}

#[tokio::test]
async fn the_schema_knows_every_state() {
    let database = ledger().await;
    for (sequence, state) in (1..).zip(State::ALL) {
        record_transition(&database, &transition("FL-1", sequence, None, state))
            .await
            .unwrap();
        assert_eq!(find(&database, "FL-1").await.unwrap().state, state);
    }
}

#[tokio::test]
async fn failure_retries_and_an_unapproved_merge_are_shown() {
    let database = ledger().await;
    let mut parked = transition("FL-1", 1, Some(State::Planning), State::Error);
    // NUL is legal in a message and not in Postgres.
    parked.facts.failure = Some(Failure::new("PlanInvalid", "plan", "no\0plan"));
    record_transition(&database, &parked).await.unwrap();
    let row = find(&database, "FL-1").await.unwrap();
    assert_eq!((row.retries, row.unapproved), (0, false));
    assert_eq!(row.failure.unwrap().message, "no\u{fffd}plan");
    let mut retried = transition("FL-1", 2, Some(State::Error), State::Planning);
    retried.facts.retries = 1;
    record_transition(&database, &retried).await.unwrap();
    let row = find(&database, "FL-1").await.unwrap();
    assert_eq!(row.key(), ticket("FL-1"));
    assert_eq!((row.failure, row.retries), (None, 1));

    let mut merged = transition("FL-1", 3, Some(State::AwaitingPrApproval), State::Merged);
    merged.facts.retries = 1;
    merged.facts.unapproved = true;
    record_transition(&database, &merged).await.unwrap();
    let row = find(&database, "FL-1").await.unwrap();
    assert_eq!((row.retries, row.unapproved), (1, true));
}
