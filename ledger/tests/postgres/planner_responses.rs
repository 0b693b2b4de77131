//! What the planner's model answered.

use sallyport_ledger::planner_responses::{StoredResponse, find, forget, record};
use sallyport_workflows::{ObjectRef, activities::StepKey};

use crate::{begun, ledger};

#[tokio::test]
async fn an_answer_is_found_by_its_request_and_belongs_to_one_ticket() {
    let database = ledger().await;
    let (ticket, other) = (
        begun(&database, "FL-1").await,
        begun(&database, "FL-2").await,
    );
    let step = |sequence| StepKey {
        ticket: ticket.clone(),
        sequence,
    };
    let answer = |words: &str| ObjectRef::of(words.as_bytes());
    let (one, two) = ([1; 32], [2; 32]);
    record(&database, &step(4), &one, &answer("first"))
        .await
        .unwrap();
    record(&database, &step(6), &one, &answer("late"))
        .await
        .unwrap();
    record(&database, &step(6), &two, &answer("second"))
        .await
        .unwrap();
    let found = find(&database, &ticket, &one).await.unwrap();
    let expected = StoredResponse {
        step: 4,
        response: answer("first"),
    };
    assert_eq!(found, Some(expected));
    assert_eq!(find(&database, &other, &one).await.unwrap(), None);
    assert_eq!(find(&database, &ticket, &[3; 32]).await.unwrap(), None);

    forget(&database, &other, &[one, two]).await.unwrap();
    forget(&database, &ticket, &[one]).await.unwrap();
    assert_eq!(find(&database, &ticket, &one).await.unwrap(), None);
    assert!(find(&database, &ticket, &two).await.unwrap().is_some());
}
