//! A ticket that nothing goes right for at first: the SPEC is revised, the agent asks for more scope, QA fails, and a
//! reviewer asks for changes. And others that end in other ways.

use sallyport_test_support::{
    flux_lens::Status,
    full_story::{ANSWERS, STATES, full_story},
};

use crate::fixture::{
    commit, git, origin, shared, start_in_private_folder, states, tests_pass, ticket,
};

#[tokio::test]
async fn every_wish_of_the_people_is_followed() {
    let mut sallyport = start_in_private_folder("story", "anthropic", full_story(0))
        .await
        .unwrap();
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    let mut asked = String::new();
    for answer in ANSWERS {
        // Each answer is for the next time that its gate asks.
        let gate = sallyport
            .api
            .until_other_gate(&id, answer.gate, &asked)
            .await
            .unwrap();
        asked = gate["approval_id"].as_str().unwrap().to_owned();
        let mut command = vec![answer.verb, &id, "--yes"];
        command.extend(answer.message.into_iter().flat_map(|text| ["-m", text]));
        let printed = sallyport.run_sallyport(&command).unwrap();
        assert!(printed.contains(answer.gate), "{printed}");
    }
    let view = sallyport.api.until_state(&id, "COMPLETED").await.unwrap();
    assert_eq!(states(&sallyport.api, &id).await, STATES);
    let main = origin(sallyport.folder(), "demo");
    assert!(tests_pass(&main), "the fix is on main");
    let units = git(&[
        "-C",
        &main.display().to_string(),
        "show",
        "main:src/units.js",
    ]);
    assert!(units.contains("UNIT_NAMES_LONGEST_FIRST"), "{units}");
    assert_eq!(sallyport.flux_lens.status(&id), Some(Status::Done));
    assert_eq!(
        view["decisions"].as_array().map(Vec::len),
        Some(5),
        "{view:#}"
    );
    let status = sallyport.run_sallyport(&["status", &id]).unwrap();
    for shown in ["COMPLETED", "REVISE SPEC", "APPROVE SCOPE", "REVISE PR"] {
        assert!(status.contains(shown), "{shown}: {status}");
    }
    sallyport.stop().unwrap();
}

#[tokio::test]
async fn a_base_branch_that_moves_on_has_people_asked_again() {
    let sallyport = shared();
    let id = sallyport.flux_lens.create_ticket(ticket("moved")).unwrap();
    let first = sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    // Somebody merges a change of the very file while the gate waits.
    let main = origin(sallyport.folder(), "moved");
    commit(&main, "README.md", |text| {
        format!("Of somebody else's.\n\n{text}")
    });
    sallyport.run_sallyport(&["approve", &id, "--yes"]).unwrap();
    let asked = first["approval_id"].as_str().unwrap();
    let second = sallyport
        .api
        .until_other_gate(&id, "SPEC", asked)
        .await
        .unwrap();
    assert_ne!(second["revision"], first["revision"]);
    assert_eq!(second["base_change"]["first"], "README.md", "{second:#}");
    let status = sallyport.run_sallyport(&["status", &id]).unwrap();
    assert!(status.contains("README.md"), "{status}");
    sallyport.run_sallyport(&["approve", &id, "--yes"]).unwrap();
    // The agent works on what somebody else merged.
    let view = sallyport
        .api
        .until(&id, "the agent's change is there", |view| {
            view["workflow"]["diff"].is_object()
        })
        .await
        .unwrap();
    assert_eq!(
        view["status"]["spec"]["base_commit"],
        second["base_change"]["to"]
    );
    let diff = sallyport.run_sallyport(&["diff", &id]).unwrap();
    assert!(
        diff.contains("+For programs that show durations to people.")
            && !diff.contains("-Of somebody"),
        "{diff}"
    );
}

#[tokio::test]
async fn a_parked_ticket_is_retried_and_then_abandoned() {
    let sallyport = shared();
    let id = sallyport
        .flux_lens
        .create_ticket(ticket("retried"))
        .unwrap();
    sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    sallyport.run_sallyport(&["approve", &id, "--yes"]).unwrap();
    sallyport.api.until_state(&id, "ERROR").await.unwrap();
    let again = ["retry", &id, "--yes", "-m", "once more"];
    let printed = sallyport.run_sallyport(&again).unwrap();
    assert!(printed.contains("EXECUTING"), "{printed}");
    // The same happens again; who reads the history sees both.
    let parked = |states: &[String]| states.iter().filter(|state| *state == "ERROR").count();
    sallyport
        .api
        .until(&id, "it is parked again", |view| {
            let all = view["transitions"].as_array().cloned().unwrap_or_default();
            all.iter().filter(|one| one["to"] == "ERROR").count() == 2
        })
        .await
        .unwrap();
    assert_eq!(parked(&states(&sallyport.api, &id).await), 2);
    let abandon = ["abandon", &id, "--yes", "-m", "too hard"];
    sallyport.run_sallyport(&abandon).unwrap();
    let view = sallyport.api.until_state(&id, "CANCELLED").await.unwrap();
    let last = view["transitions"]
        .as_array()
        .and_then(|all| all.last())
        .cloned();
    let reason = last.unwrap()["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(reason.contains("too hard"), "{reason}");
}
