use sallyport_ledger::{
    LedgerError,
    workflows::{NewWorkflow, find, insert, latest_attempt},
};
use sallyport_workflows::{
    State,
    ticket::{Priority, TicketKey},
};

use crate::{ledger, ticket};

fn new(ticket: TicketKey) -> NewWorkflow {
    NewWorkflow {
        ticket,
        inbox_id: None,
        title: Some("Totals are wrong".into()),
        ticket_url: Some("https://flux-lens.example.com/FL-1".into()),
        reporter: Some("reporter@example.com".into()),
        priority: Priority::High,
        repository_url: "file:///demo.git".into(),
    }
}

#[tokio::test]
async fn a_workflow_is_found_by_each_of_its_names() {
    let database = ledger().await;
    assert!(insert(&database, &new(ticket("FL-1"))).await.unwrap());
    assert!(!insert(&database, &new(ticket("FL-1"))).await.unwrap());
    let key = ticket("FL-1");
    for name in [
        key.ledger_id().to_string(),
        key.workflow_id(),
        "FL-1".into(),
    ] {
        let row = find(&database, &name).await.unwrap();
        assert_eq!(row.key(), key);
        assert_eq!(
            (row.priority, row.state, row.sequence),
            (Priority::High, State::Pending, 0)
        );
    }
    for name in ["FL-2", "", "%", "FL-1\0"] {
        assert!(
            matches!(
                find(&database, name).await,
                Err(LedgerError::NotFound { .. })
            ),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn a_ticket_with_two_attempts_is_ambiguous_by_its_bare_id() {
    let database = ledger().await;
    let second = TicketKey {
        attempt: 2,
        ..ticket("FL-1")
    };
    insert(&database, &new(ticket("FL-1"))).await.unwrap();
    insert(&database, &new(second.clone())).await.unwrap();
    let Err(LedgerError::Ambiguous { choices, .. }) = find(&database, "FL-1").await else {
        panic!("one of two was chosen");
    };
    assert_eq!(
        choices,
        ["ticket:flux-lens:FL-1", "ticket:flux-lens:FL-1:2"]
    );
    assert_eq!(
        find(&database, "ticket:flux-lens:FL-1")
            .await
            .unwrap()
            .attempt,
        1
    );
    let latest = latest_attempt(&database, "flux-lens", "FL-1")
        .await
        .unwrap();
    assert_eq!(latest.unwrap().key(), second);
    assert_eq!(
        latest_attempt(&database, "flux-lens", "FL-9")
            .await
            .unwrap(),
        None
    );
}
