//! A secret in the agent's change.

use sallyport_test_support::{
    demo_scenario::demo_scenario,
    scripted_model::{AgentStep, Scenario},
};

use crate::fixture::{git, origin, start_in_private_folder, states, tests_pass, ticket};

/// What looks like a token of GitHub; in parts, so that no scanner finds one in this file.
fn token() -> String {
    format!("ghp_{}", "q7Rw2mKx9ZtB4vLc8NpJ3sDf6GhY5aXe1UoQ")
}

/// The agent does its work, leaves a token in it, and takes that out when it is told.
fn scenario() -> Scenario {
    let mut scenario = demo_scenario(0);
    let plant = AgentStep::say("A token to try it out with.")
        .bash(format!("echo '// {}' >> src/parse.js", token()));
    scenario.runs[0].steps.insert(4, plant);
    scenario.run_when(
        &["The quality gates ran", "a GitHub token"],
        [
            AgentStep::say("I take it out again.").bash("sed -i '$d' src/parse.js"),
            AgentStep::say("It is gone."),
        ],
    )
}

#[tokio::test]
async fn a_secret_in_the_change_is_mended_and_reaches_the_branch_in_no_commit() {
    let sallyport = start_in_private_folder("leak", "anthropic", scenario())
        .await
        .unwrap();
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    for gate in ["SPEC", "PR"] {
        let open = sallyport.api.until_gate(&id, gate).await.unwrap();
        sallyport.api.decide(&open, "APPROVE", None).await.unwrap();
    }
    sallyport.api.until_state(&id, "COMPLETED").await.unwrap();
    let checks = states(&sallyport.api, &id).await;
    let checks = checks.iter().filter(|state| *state == "QA_RUNNING").count();
    assert_eq!(checks, 2, "the first was refused");

    let origin = origin(sallyport.folder(), "demo");
    assert!(tests_pass(&origin));
    let place = origin.display().to_string();
    let history = git(&["-C", &place, "log", "--all", "--patch"]);
    assert!(history.contains("parseDuration") && !history.contains(&token()));
    for (what, args) in [
        ("diff", ["diff", id.as_str()]),
        ("report", ["report", id.as_str()]),
        ("logs", ["logs", id.as_str()]),
        ("transcript", ["transcript", id.as_str()]),
        ("status", ["status", id.as_str()]),
    ] {
        let said = sallyport.run_sallyport(&args).unwrap();
        assert!(!said.contains(&token()), "{what}: {said}");
    }
    let said = sallyport.run_sallyport(&["transcript", &id]).unwrap();
    for part in ["A token to try it out with.", "I take it out again."] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(
        holding(&sallyport.data_dir().join("objects"), &token()),
        Vec::<String>::new()
    );
}

/// The files below `folder` that hold `text`.
fn holding(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder").flatten() {
        if entry.file_type().expect("its kind").is_dir() {
            found.extend(holding(&entry.path(), text));
        } else if String::from_utf8_lossy(&std::fs::read(entry.path()).expect("the file"))
            .contains(text)
        {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
