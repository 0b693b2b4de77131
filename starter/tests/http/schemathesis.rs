//! The API held against its own description by Schemathesis: requests that the description allows, and such that it
//! forbids. No answer may be our fault (5xx), and each must look as described.

use std::{env, path::PathBuf, process::Stdio};

use sallyport_test_support::child::dies_with_us;

use crate::{ADMIN, Starter, planner};

/// What it found with one number of tries for each operation.
async fn run(tries: u32) {
    let (starter, _server) = planner::starter_with_planner().await;
    let (ticket, gate) = planner::at_gate_one(&starter, "FUZZ-1").await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("schemathesis.toml");
    // Whatever an id may be, and then the ids of what is there.
    let known = format!(
        "[[operations]]\ninclude-path-regex = '^/(api/)?approvals/'\nparameters = {{ id = '{}' }}\n\
         [[operations]]\ninclude-path-regex = '^/(api/)?(workflows|agent)/'\nparameters = {{ id = '{}' }}\n",
        gate.id,
        ticket.workflow_id(),
    );
    for text in [String::new(), known] {
        std::fs::write(&config, text).unwrap();
        let (is_good, said) = schemathesis(&starter, &config, tries).await;
        println!("{said}");
        assert!(is_good, "what Schemathesis found is printed above");
    }
}

/// One run of it, and what it said.
async fn schemathesis(starter: &Starter, config: &std::path::Path, tries: u32) -> (bool, String) {
    let folder = env::var_os("SALLYPORT_SCHEMATHESIS")
        .expect("SALLYPORT_SCHEMATHESIS is not set; run the tests by `cargo xtask test`");
    let folder = PathBuf::from(folder);
    let mut program = dies_with_us("python3");
    program
        .arg(folder.join("bin/schemathesis"))
        .env("PYTHONPATH", &folder)
        .env("NO_COLOR", "1")
        .current_dir(config.parent().unwrap())
        .args(["--config-file".as_ref(), config.as_os_str()])
        .args(["run", &format!("{}/openapi.json", starter.base)])
        .args(["--header", &format!("Authorization: Bearer {ADMIN}")])
        .args(["--max-examples", &tries.to_string(), "--seed", "1"])
        // Streams have no end.
        .args(["--exclude-path-regex", "/(stream|subscribe)$"])
        // A cursor that is no cursor and an id of nothing are refused, though they are text as described.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["--continue-on-failure", "--warnings", "off"])
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || program.output());
    let output = output.await.unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_sent_is_answered_other_than_described() {
    run(10).await;
}

/// `cargo xtask bench schemathesis`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a bench: slow"]
async fn bench() {
    run(250).await;
}
