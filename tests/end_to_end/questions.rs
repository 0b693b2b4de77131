//! A thin ticket: the planner looks at the repository, asks on the ticket, and plans with the answer.

use sallyport_test_support::scripted_model::{PlanAnswer, Scenario};

use crate::fixture::{PATIENCE, mark, scratch, small_plan, start_configured, ticket};

const QUESTION: &str = "Which unit is meant?";

#[tokio::test]
async fn a_comment_on_the_ticket_answers_the_planner() {
    let looks = PlanAnswer::looks(&[
        ("list", "", ""),
        ("search", "", "parse"),
        ("read", "../../../etc/passwd", ""),
    ]);
    let scenario = Scenario::new()
        .plan_when(
            &[&mark("signal")],
            [looks, PlanAnswer::questions(&[QUESTION])],
        )
        // Only a planner that has read the comment can say what it stands for.
        .plan_when(
            &[
                &mark("signal"),
                "Comment by reporter@example.com",
                "It is milliseconds.",
            ],
            [PlanAnswer::spec(small_plan("signal"))],
        );
    let config = "\n[policy]\nanswer_pause_seconds = 1\n";
    let sallyport = start_configured(scratch("questions"), "anthropic", scenario, config)
        .await
        .expect("it works");
    let flux_lens = &sallyport.flux_lens;
    let id = flux_lens.create_ticket(ticket("signal")).expect("it works");
    flux_lens
        .wait_until(PATIENCE, "the planner asks", |flux_lens| {
            let comments = flux_lens.comments(&id);
            comments
                .iter()
                .any(|comment| comment.text.contains(QUESTION))
        })
        .await
        .expect("it works");
    let shown = sallyport.run_sallyport(&["status", &id]).expect("it works");
    assert!(
        shown.contains("PLANNING") && shown.contains(&format!("1. {QUESTION}")),
        "{shown}"
    );

    flux_lens
        .comment_as(&id, "reporter@example.com", "It is milliseconds.")
        .expect("it works");
    let view = sallyport
        .api
        .until_gate(&id, "SPEC")
        .await
        .expect("it works");
    assert!(view["status"]["questions"].is_null(), "{view:#}");
    let spec = sallyport.run_sallyport(&["spec", &id]).expect("it works");
    assert!(spec.contains("## Open questions"), "{spec}");
    let asked = flux_lens.comments(&id);
    let asked = asked
        .iter()
        .filter(|comment| comment.text.contains(QUESTION));
    assert_eq!(asked.count(), 1);
    // What it looked at came from the repository, and from nowhere else.
    let model = sallyport.model.as_ref().expect("it is scripted");
    let seen = model.requests()[1].body.to_string();
    assert!(seen.contains("list the top of the repository"), "{seen}");
    assert!(seen.contains("There is no such file."), "{seen}");
    assert!(!seen.contains("root:x:0:0"), "{seen}");
}
