//! The demo's bug is real, and its scripted fix is one.

use std::path::Path;
use std::process::Command;

use sallyport_test_support::demo_repository::write_demo_repository;
use sallyport_test_support::demo_scenario::demo_scenario;
use sallyport_test_support::scripted_model::{PlanContent, ToolCall};

use crate::tools::Tools;

#[test]
fn the_tests_fail_on_main_and_pass_after_the_scripted_edits() {
    let folder = tempfile::tempdir().unwrap();
    let repository = write_demo_repository(folder.path()).unwrap();
    let checkout = check_out(folder.path(), &repository.origin);
    let tools = Tools::load();

    git(&checkout, &["switch", "--quiet", "--detach", "HEAD~1"]);
    assert!(
        node_test(&tools, &checkout),
        "before the failing test was added, all was well"
    );
    git(&checkout, &["switch", "--quiet", "main"]);
    assert!(!node_test(&tools, &checkout), "main is red");

    let scenario = demo_scenario(0);
    let calls = scenario.runs[0].steps.iter().flat_map(|step| &step.tools);
    for call in calls.filter(|call| call.name == "edit") {
        apply_edit(&checkout, call);
    }
    assert!(node_test(&tools, &checkout), "the edits make it green");

    // The plan allows exactly what the edits change, and the new test proves the fix.
    let PlanContent::Json(plan) = &scenario.plans[0].answers[0].content else {
        panic!("the demo's plan is a document");
    };
    let planned: Vec<_> = plan["spec"][0]["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    let changed = git(&checkout, &["diff", "--name-only"]);
    assert_eq!(changed.lines().collect::<Vec<_>>(), planned);
    git(&checkout, &["checkout", "--quiet", "--", "src"]);
    assert!(!node_test_of(&tools, &checkout, "test/parse.test.js"));
}

/// Does what Pi's `edit` does: each text must stand there exactly once.
fn apply_edit(checkout: &Path, call: &ToolCall) {
    let path = checkout.join(call.arguments["path"].as_str().unwrap());
    let mut text = std::fs::read_to_string(&path).unwrap();
    for edit in call.arguments["edits"].as_array().unwrap() {
        let old = edit["oldText"].as_str().unwrap();
        assert_eq!(
            text.matches(old).count(),
            1,
            "{old:?} in {}",
            path.display()
        );
        text = text.replacen(old, edit["newText"].as_str().unwrap(), 1);
    }
    std::fs::write(&path, text).unwrap();
}

/// Clones `origin` and returns the work tree.
pub fn check_out(folder: &Path, origin: &Path) -> std::path::PathBuf {
    git(
        folder,
        &["clone", "--quiet", origin.to_str().unwrap(), "checkout"],
    );
    folder.join("checkout")
}

/// Runs git without this user's configuration, and returns what it prints.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

/// Whether the repository's tests pass.
pub fn node_test(tools: &Tools, checkout: &Path) -> bool {
    run_node(tools, checkout, &["--test"])
}

fn node_test_of(tools: &Tools, checkout: &Path, file: &str) -> bool {
    run_node(tools, checkout, &["--test", file])
}

fn run_node(tools: &Tools, checkout: &Path, arguments: &[&str]) -> bool {
    Command::new(tools.node())
        .current_dir(checkout)
        .env_clear()
        .env("PATH", tools.search_path())
        .args(arguments)
        .output()
        .unwrap()
        .status
        .success()
}
