//! A killed worker and a restarted system lose nothing and do nothing twice.

use std::time::Duration;

use sallyport_test_support::{
    demo_scenario::{STATES, demo_scenario},
    flux_lens::Status,
    scripted_model::Scenario,
};

use crate::fixture::{git, origin, start_in_private_folder, states, tests_pass, ticket};

/// The demo's scenario, holding the agent's third answer until the test lets go.
fn held() -> Scenario {
    let mut scenario = demo_scenario(0);
    scenario.runs[0].steps[2].before.wait_for = Some("held".to_owned());
    scenario
}

#[tokio::test]
async fn a_worker_killed_while_pi_runs_loses_nothing() {
    let mut sallyport = start_in_private_folder("crash", "openai", held())
        .await
        .unwrap();
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    sallyport.api.until_gate(&id, "SPEC").await.unwrap();

    // The whole system may stop at a gate: it goes on where it was.
    sallyport.restart().await.unwrap();
    let gate = sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();

    let model = sallyport.model.as_ref().unwrap();
    model
        .wait_until_held("held", Duration::from_secs(120))
        .await
        .unwrap();
    sallyport.crash("worker").await.unwrap();
    sallyport.model.as_ref().unwrap().release("held");

    let gate = sallyport.api.until_gate(&id, "PR").await.unwrap();
    sallyport.api.decide(&gate, "APPROVE", None).await.unwrap();
    let view = sallyport.api.until_state(&id, "COMPLETED").await.unwrap();
    assert_eq!(states(&sallyport.api, &id).await, STATES);
    let main = origin(sallyport.folder(), "demo");
    assert!(tests_pass(&main));
    let branches = git(&[
        "-C",
        &main.display().to_string(),
        "branch",
        "--list",
        "sallyport/*",
    ]);
    assert_eq!(branches.lines().count(), 1, "{branches}");
    assert_eq!(view["workflow"]["pull_request"]["number"], 1, "{view:#}");
    assert_eq!(sallyport.flux_lens.status(&id), Some(Status::Done));
    assert_eq!(sallyport.flux_lens.comments(&id).len(), 4);
    sallyport.stop().unwrap();
}
