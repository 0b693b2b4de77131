use sallyport_ledger::{
    costs, spec_revisions,
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
        context: None,
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

pub fn spec(revision: &str, text: &str) -> SpecRef {
    SpecRef {
        revision: revision.repeat(64),
        text: ObjectRef::of(text.as_bytes()),
        document: ObjectRef::of(format!("{text} as data").as_bytes()),
        base_commit: "b".repeat(40),
        files: 2,
        confidence_percent: 85,
        context: None,
    }
}

#[tokio::test]
async fn every_spec_is_on_record_once() {
    let database = ledger().await;
    let (first, second) = (spec("1", "first"), spec("2", "second"));
    let planned = [
        (State::AwaitingSpecApproval, Some(&first)),
        (State::Planning, Some(&first)),
        (State::AwaitingSpecApproval, Some(&second)),
        (State::SpecApproved, Some(&second)),
    ];
    for _ in 0..2 {
        for (sequence, (to, spec)) in (1..).zip(planned) {
            let mut record = transition("FL-1", sequence, None, to);
            record.facts.spec = spec.cloned();
            record_transition(&database, &record).await.unwrap();
        }
    }
    let row = find(&database, "FL-1").await.unwrap();
    let specs = spec_revisions::of_workflow(&database, row.id)
        .await
        .unwrap();
    let kept: Vec<_> = specs
        .iter()
        .map(|row| {
            (
                row.sequence,
                &row.revision,
                &row.text,
                &row.document,
                row.planned_at,
            )
        })
        .collect();
    assert_eq!(
        kept,
        [
            (1, &first.revision, &first.text, &first.document, at(1)),
            (3, &second.revision, &second.text, &second.document, at(3)),
        ]
    );
    assert_eq!((specs[0].files, specs[0].confidence_percent), (2, 85));
}

#[tokio::test]
async fn what_the_steps_spent_is_what_the_ticket_spent_in_whatever_order_it_came() {
    let database = ledger().await;
    let spent = |requests, cost_micro_usd| Usage {
        requests,
        input_tokens: 100 * requests,
        output_tokens: 10 * requests,
        cache_read_tokens: 7 * requests,
        cache_write_tokens: requests,
        cost_micro_usd,
    };
    let life = [
        (1, None, State::Planning, spent(0, 0)),
        (
            2,
            Some(State::Planning),
            State::AwaitingSpecApproval,
            spent(2, 500),
        ),
        (
            3,
            Some(State::AwaitingSpecApproval),
            State::SpecApproved,
            spent(2, 500),
        ),
        (
            4,
            Some(State::SpecApproved),
            State::Executing,
            spent(2, 500),
        ),
        (5, Some(State::Executing), State::QaRunning, spent(9, 4500)),
    ];
    for place in [0, 3, 1, 4, 2, 1] {
        let (sequence, from, to, usage) = life[place];
        let mut record = transition("FL-1", sequence, from, to);
        record.facts.usage = usage;
        record_transition(&database, &record).await.unwrap();
    }
    let row = find(&database, "FL-1").await.unwrap();
    let costs = costs::of_workflow(&database, row.id).await.unwrap();
    let steps: Vec<_> = costs
        .iter()
        .map(|row| {
            (
                row.sequence,
                row.step,
                row.usage.requests,
                row.usage.cost_micro_usd,
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            (2, Some(State::Planning), 2, 500),
            (5, Some(State::Executing), 7, 4000),
        ]
    );
    let mut sum = Usage::default();
    for cost in costs {
        sum += cost.usage;
    }
    assert_eq!(sum, row.usage);
}
