//! What is found out about a decision before it may count.

use sallyport_test_support::scripted_model::Scenario;
use sallyport_workflows::{
    decision::{Decision, Verdict},
    gate::Gate,
};

use super::*;
use crate::testing::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_checked_and_comments_are_stored() {
    let house = House::new(&[("a", "a")], Scenario::new()).await;
    let steps = LedgerSteps::new(house.context.clone());
    let mut decision = Decision {
        id: Some(uuid::Uuid::from_u128(1)),
        gate: Gate::Spec,
        revision: "0123abcd".into(),
        decision: Verdict::Revise,
        by: "approver@example.com".into(),
        comments: Some("Name the test.".into()),
        proof: None,
    };
    let admit = async |decision: &Decision| {
        let input = AdmitDecision {
            ticket: house.ticket.clone(),
            decision: decision.clone(),
        };
        steps.admit(&input).await.unwrap()
    };
    let unproven = admit(&decision).await;
    assert!(!unproven.proven && unproven.refused.is_none());
    let comments = unproven.comments.unwrap();
    assert_eq!(
        house.context.objects.get_text(&comments).await.unwrap(),
        "Name the test."
    );

    let key = &house.context.decision_key;
    decision.proof = Some(key.sign_decision(&decision, &house.ticket.workflow_id()));
    assert!(admit(&decision).await.proven);
    decision.by = "somebody-else@example.com".into();
    let forged = admit(&decision).await;
    assert!(!forged.proven && forged.refused.is_some());
}
