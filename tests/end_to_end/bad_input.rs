//! Mistakes are said before or where they matter, with what to do.

use std::process::Command;

use sallyport_test_support::{installation::sallyport_binary, tools::TestTools};

use crate::fixture::{scratch, shared, ticket};

#[tokio::test]
async fn an_unknown_key_in_the_repositorys_policy_is_named_with_its_line() {
    let sallyport = shared();
    let id = sallyport
        .flux_lens
        .create_ticket(ticket("misconfigured"))
        .unwrap();
    let view = sallyport.api.until_state(&id, "ERROR").await.unwrap();
    let failure = &view["status"]["failure"];
    assert_eq!(failure["kind"], "PolicyInvalid", "{view:#}");
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.contains("requird") && message.contains("line 4"),
        "{message}"
    );
}

#[test]
fn a_machine_without_bubblewrap_is_told_so_before_anything_starts() {
    let folder = scratch("without-bubblewrap");
    let manifest = std::fs::read_to_string(TestTools::manifest().unwrap()).unwrap();
    let mut tools: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    tools["bwrap"] = "/nonexistent/bwrap".into();
    let tools_file = folder.join("tools.json");
    std::fs::write(&tools_file, tools.to_string()).unwrap();
    let config = folder.join("sallyport.toml");
    let text = "[flux_lens]\nbase_url = \"http://127.0.0.1:1\"\ntoken = \"t\"\nwebhook_secret = \"s\"\n\n\
                [[repositories]]\nproject = \"demo\"\nurl = \"file:///nowhere.git\"\n\n\
                [model]\nvendor = \"anthropic\"\napi_key = \"k\"\nplanner_model = \"claude-sonnet-4-5\"\n\
                agent_model = \"claude-sonnet-4-5\"\n";
    let tools = format!("\n[tools]\nmanifest = {tools_file:?}\n");
    std::fs::write(&config, format!("{text}{tools}")).unwrap();
    let output = Command::new(sallyport_binary().unwrap())
        .args([
            "dev",
            "--starter-port",
            "0",
            "--temporal-port",
            "0",
            "--ui-port",
            "0",
            "--postgres-port",
            "0",
        ])
        .arg("--data-dir")
        .arg(folder.join("data"))
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("bwrap") || said.contains("bubblewrap"),
        "{said}"
    );
    assert!(
        !folder.join("data/postgres").exists(),
        "nothing has started"
    );
}
