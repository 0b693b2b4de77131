//! All of `cargo xtask attack`, on every test run.

use std::{path::PathBuf, process::Command};

use sallyport_test_support::{
    attack::canary::{self, Canaries},
    demo_scenario::demo_scenario,
    flux_lens::NewTicket,
};
use serde_json::json;

use crate::fixture::{git, origin, scratch, start_here, ticket};

#[test]
fn every_attack_is_blocked_by_the_layer_that_must_do_so() {
    let program = match std::env::var_os("SALLYPORT_ATTACK") {
        Some(program) => PathBuf::from(program),
        None => sallyport_test_support::installation::sallyport_binary()
            .expect("the binary is built")
            .with_file_name("sallyport-attack"),
    };
    let output = Command::new(&program)
        .output()
        .expect("the attacks are built: `cargo xtask test` does it");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

/// The search of the attacks finds a canary wherever one could be carried to: each place is given one.
#[tokio::test]
async fn a_canary_is_found_in_each_place() {
    let folder = scratch("canaries");
    let planted = folder.join("canary");
    canary::plant(&planted).unwrap();
    let sallyport = start_here(folder, "anthropic", demo_scenario(0))
        .await
        .unwrap();
    let canaries = Canaries::watch(&planted, &sallyport).unwrap();
    let origin = origin(sallyport.folder(), "demo");
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    let found = async || canaries.check(&sallyport, &origin, &[]).await.unwrap();
    assert_eq!(found().await, Vec::<String>::new());

    let secret = canary::text("home");
    let data = sallyport.data_dir();
    std::fs::write(data.join("objects/planted"), &secret).unwrap();
    assert_eq!(found().await, ["home is in object storage"]);
    std::fs::remove_file(data.join("objects/planted")).unwrap();

    let place = origin.display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle").display().to_string();
    let tree = folder.path().join("tree").display().to_string();
    git(&["clone", "--quiet", &place, &tree]);
    std::fs::write(folder.path().join("tree/stolen"), secret.repeat(20)).unwrap();
    let who = ["-c", "user.name=Demo", "-c", "user.email=demo@example.com"];
    git(&["-C", &tree, "add", "stolen"]);
    git(&[
        &["-C", &tree],
        &who[..],
        &["commit", "--quiet", "-m", "Steal"],
    ]
    .concat());
    git(&["-C", &tree, "bundle", "create", "--quiet", &bundle, "HEAD"]);
    std::fs::copy(&bundle, data.join("objects/copy")).unwrap();
    assert_eq!(found().await, ["home is in a checkpoint"]);
    std::fs::remove_file(data.join("objects/copy")).unwrap();

    let rename = format!("UPDATE workflows SET title = '{secret}' WHERE ticket_id = '{id}'");
    assert_eq!(sallyport.change_ledger(&rename).await.unwrap(), 1);
    assert_eq!(found().await, ["home is in the table workflows"]);
    sallyport
        .change_ledger("UPDATE workflows SET title = 'x'")
        .await
        .unwrap();

    let other = canary::text("other-workspace");
    let url = format!(
        "{}/fluxlens/ticket/{id}/comment",
        sallyport.flux_lens.base_url()
    );
    let comment = json!({"comment": other});
    let answer = reqwest::Client::new()
        .post(url)
        .bearer_auth("flux-lens-token")
        .header("idempotency-key", "planted")
        .json(&comment)
        .send()
        .await
        .unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
    assert_eq!(
        found().await,
        ["other-workspace is in the ticket system's comments"]
    );

    git(&[
        "-C",
        &tree,
        "push",
        "--quiet",
        "origin",
        "HEAD:refs/heads/sallyport/x",
    ]);
    let log = sallyport.folder().join("dev.log");
    let said = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, said + &secret).unwrap();
    std::fs::write(planted.join("home/.env"), "changed").unwrap();
    let all = found().await;
    for part in [
        ".env is not as it was",
        "home is in the output of `sallyport dev`",
        "home is in the repository",
    ] {
        assert!(
            all.iter().any(|wrong| wrong.ends_with(part)),
            "{part}: {all:?}"
        );
    }

    assert_eq!(
        canaries.in_histories(&sallyport).unwrap(),
        Vec::<String>::new()
    );
    let told = NewTicket {
        title: format!("Say {}", canary::text("environment")),
        ..ticket("demo")
    };
    let id = sallyport.flux_lens.create_ticket(told).unwrap();
    sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    assert_eq!(
        canaries.in_histories(&sallyport).unwrap(),
        ["environment is in Temporal's histories"]
    );
    let all = found().await;
    assert!(
        all.iter()
            .any(|wrong| wrong == "environment is in what the model was sent"),
        "{all:?}"
    );
}
