//! The day's budget for models.

use sallyport_ledger::model_spending::{set_aside, settle, today};

use crate::ledger;

// At midnight in UTC the day changes under these tests; then they fail, once in a long while.
const LIMIT: u64 = 1000;

#[tokio::test]
async fn what_is_set_aside_is_not_there_for_others_and_what_was_not_needed_comes_back() {
    let database = ledger().await;
    assert_eq!(today(&database).await.unwrap(), 0);
    assert_eq!(set_aside(&database, 1001, LIMIT).await.unwrap(), None);
    let first = set_aside(&database, 600, LIMIT).await.unwrap().unwrap();
    assert_eq!(set_aside(&database, 401, LIMIT).await.unwrap(), None);
    let second = set_aside(&database, 400, LIMIT).await.unwrap().unwrap();
    assert_eq!(today(&database).await.unwrap(), 1000);
    settle(&database, first, 100).await.unwrap();
    settle(&database, second, 0).await.unwrap();
    assert_eq!(today(&database).await.unwrap(), 100);
    // It cost more than was thought.
    let third = set_aside(&database, 1, LIMIT).await.unwrap().unwrap();
    settle(&database, third, 5000).await.unwrap();
    assert_eq!(today(&database).await.unwrap(), 5100);
    assert_eq!(set_aside(&database, 0, LIMIT).await.unwrap(), None);
}

#[tokio::test]
async fn many_at_once_never_set_aside_more_than_there_is() {
    let database = ledger().await;
    let asking = (0..40).map(|_| set_aside(&database, 100, LIMIT));
    let answers = futures::future::join_all(asking).await;
    let given = answers
        .into_iter()
        .filter(|answer| answer.as_ref().unwrap().is_some());
    assert_eq!(given.count(), 10);
    assert_eq!(today(&database).await.unwrap(), LIMIT);
}
