//! The agent's conversations.

use sallyport_ledger::transcripts::{of_workflow, record};
use sallyport_workflows::{ObjectRef, activities::StepKey};

use crate::{begun, ledger};

#[tokio::test]
async fn the_latest_run_s_transcript_counts_and_each_session_has_one() {
    let database = ledger().await;
    let ticket = begun(&database, "FL-1").await;
    let workflow = ticket.ledger_id();
    assert_eq!(of_workflow(&database, workflow).await.unwrap(), []);
    let said = |words: &str| ObjectRef::of(words.as_bytes());
    let put = async |sequence, session, words| {
        let step = StepKey {
            ticket: ticket.clone(),
            sequence,
        };
        record(&database, &step, session, &said(words))
            .await
            .unwrap();
    };
    put(4, 4, "first").await;
    put(6, 4, "first and more").await;
    // Late, from a host that was silent for long.
    put(4, 4, "first").await;
    let now = of_workflow(&database, workflow).await.unwrap();
    assert_eq!(now, [said("first and more")]);
    put(9, 9, "another").await;
    let now = of_workflow(&database, workflow).await.unwrap();
    assert_eq!(now, [said("first and more"), said("another")]);
}
