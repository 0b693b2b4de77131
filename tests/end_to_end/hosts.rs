//! A ticket whose host is lost goes on on another, from the latest copy of workspace and conversation.

use std::{process::Child, time::Duration};

use sallyport_test_support::{
    child::{self, Output, dies_with_us, until},
    demo_scenario::{STATES, demo_scenario},
    flux_lens::Status,
    installation::{Installation, sallyport_binary},
    scripted_model::{Scenario, ScriptedModel},
};
use serde_json::Value;

use crate::fixture::{git, origin, scratch, start_configured, states, tests_pass, ticket};

/// Only reached when what is waited for does not happen at all.
const LONG: Duration = Duration::from_secs(600);

/// Dead after ten seconds of silence, so that the test need not wait for minutes.
const CONFIG: &str = "[worker]\nlease_seconds = 10\ncheckpoint_seconds = 1\n";

/// A second host of the installation: a worker with a data folder of its own.
fn second_worker(sallyport: &Installation) -> Child {
    let data = sallyport.data_dir();
    let folder = sallyport.folder();
    let mut command = dies_with_us(sallyport_binary().expect("it is built"));
    command
        .args(["worker", "--config"])
        .arg(data.join("sallyport.toml"))
        .env("SALLYPORT__DATA_DIR", folder.join("second"))
        .env("SALLYPORT__OBJECTS__PATH", data.join("objects"));
    child::spawn(command, &Output::Log(folder.join("second.log"))).expect("it starts")
}

/// What the query, which selects one text, finds; nothing as long as it finds nothing.
async fn one(sallyport: &Installation, query: &'static str) -> Option<String> {
    let mut ledger = sallyport.ledger().await.ok()?;
    let found = sqlx::query_scalar(query).fetch_optional(&mut ledger).await;
    found.expect("the ledger answers")
}

async fn until_found(sallyport: &Installation, what: &str, query: &'static str) -> String {
    let found = until(LONG, what, async || one(sallyport, query).await).await;
    found.unwrap_or_else(|error| {
        let log = child::tail(&sallyport.folder().join("second.log"));
        panic!("{error}; the second worker said: {log}")
    })
}

/// The demo's scenario, holding the agent's third answer until the test lets go.
fn held() -> Scenario {
    let mut scenario = demo_scenario(0);
    scenario.runs[0].steps[2].before.wait_for = Some("held".to_owned());
    scenario
}

/// The ticket's pull request is approved, and all is as if nothing had happened.
async fn ends_well(sallyport: &Installation, id: &str) {
    let gate = sallyport.api.until_gate(id, "PR").await.expect("a gate");
    let decided = sallyport.api.decide(&gate, "APPROVE", None).await;
    decided.expect("it is decided");
    let view = sallyport.api.until_state(id, "COMPLETED").await;
    let view = view.expect("an end");
    assert_eq!(view["workflow"]["pull_request"]["number"], 1, "{view:#}");
    assert_eq!(states(&sallyport.api, id).await, STATES);
    let main = origin(sallyport.folder(), "demo");
    assert!(tests_pass(&main));
    let place = main.display().to_string();
    let branches = git(&["-C", &place, "branch", "--list", "sallyport/*"]);
    assert_eq!(branches.lines().count(), 1, "{branches}");
    assert_eq!(sallyport.flux_lens.status(id), Some(Status::Done));
}

/// Approves the SPEC and waits until the agent has done some of its work.
async fn at_work<'a>(sallyport: &'a Installation, gate: &Value) -> &'a ScriptedModel {
    let decided = sallyport.api.decide(gate, "APPROVE", None).await;
    decided.expect("it is decided");
    let model = sallyport.model.as_ref().expect("a scripted model");
    let held = model.wait_until_held("held", LONG).await;
    held.expect("it works");
    model
}

/// The agent goes on: it asks the model more than it `asked` before, and in the same conversation.
async fn goes_on(sallyport: &Installation, asked: usize) {
    let model = sallyport.model.as_ref().expect("a scripted model");
    until(LONG, "the agent asks the model again", async || {
        (model.requests().len() > asked).then_some(())
    })
    .await
    .expect("it goes on");
    let told = model.requests().pop().expect("a request");
    let told = told.body.to_string();
    assert!(told.contains("You were interrupted"), "{told}");
    let first_words = &demo_scenario(0).runs[0].steps[0].text;
    assert!(told.contains(first_words.as_str()), "{told}");
}

#[tokio::test]
async fn a_ticket_outlives_the_hosts_that_it_is_on() {
    let sallyport = start_configured(scratch("hosts"), "anthropic", held(), CONFIG)
        .await
        .unwrap();
    let first = sallyport.run.pids["worker"];
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    let gate = sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    let model = at_work(&sallyport, &gate).await;
    let query = "SELECT 'taken' FROM checkpoints WHERE step > 0";
    until_found(&sallyport, "a checkpoint was taken", query).await;

    // The first host falls silent.
    let mut second = second_worker(&sallyport);
    let query = "SELECT 'alive' FROM hosts GROUP BY 1 HAVING count(*) = 2";
    until_found(&sallyport, "the second host is alive", query).await;
    let asked = model.requests().len();
    child::signal(first, "STOP").unwrap();
    let query = "SELECT 'moved' FROM workspaces WHERE generation = 2";
    until_found(&sallyport, "the ticket was given to the second host", query).await;
    goes_on(&sallyport, asked).await;

    // It comes back in the middle of the other's work, and leaves the ticket alone.
    child::signal(first, "CONT").unwrap();
    model.release("held");
    sallyport.api.until_gate(&id, "PR").await.unwrap();
    let view = sallyport.api.ticket(&id).await.unwrap();
    let notes = view["status"]["notes"].to_string();
    assert!(notes.contains("does not answer"), "{view:#}");

    // Now the second one is lost, for good.
    second.kill().unwrap();
    second.wait().unwrap();
    ends_well(&sallyport, &id).await;
    let logs = sallyport.run_sallyport(&["logs", &id]).unwrap();
    assert!(
        logs.contains("another host goes on, from the copy of "),
        "{logs}"
    );
}

#[tokio::test]
async fn a_worker_that_is_stopped_in_order_hands_all_of_its_work_over() {
    // No copy is taken but the one at the end.
    let config = "[worker]\ncheckpoint_seconds = 100000\n";
    let sallyport = start_configured(scratch("handover"), "openai", held(), config)
        .await
        .unwrap();
    let mut second = second_worker(&sallyport);
    let query = "SELECT 'alive' FROM hosts GROUP BY 1 HAVING count(*) = 2";
    until_found(&sallyport, "the second host is alive", query).await;
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    let gate = sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    let host = std::fs::read_to_string(sallyport.folder().join("second/host-id")).unwrap();
    let claim = format!(
        "INSERT INTO workspaces SELECT id, '{}', 1, now() FROM workflows",
        host.trim()
    );
    assert_eq!(sallyport.change_ledger(&claim).await.unwrap(), 1);
    let model = at_work(&sallyport, &gate).await;
    let asked = model.requests().len();

    child::signal(second.id(), "TERM").unwrap();
    assert!(second.wait().unwrap().success());
    let query = "SELECT 'taken' FROM checkpoints WHERE step > 0";
    assert!(one(&sallyport, query).await.is_some());
    goes_on(&sallyport, asked).await;
    model.release("held");
    ends_well(&sallyport, &id).await;
    let logs = sallyport.run_sallyport(&["logs", &id]).unwrap();
    assert!(
        logs.contains("another host goes on, from the copy of "),
        "{logs}"
    );
}

#[tokio::test]
async fn an_agent_stops_when_its_host_cannot_renew_its_lease_and_goes_on_when_it_can() {
    let sallyport = start_configured(scratch("lease"), "google", held(), CONFIG)
        .await
        .unwrap();
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    let gate = sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    let model = at_work(&sallyport, &gate).await;
    let asked = model.requests().len();

    // Nobody can renew anything as long as this is held.
    let mut ledger = sallyport.ledger().await.unwrap();
    let lock = "BEGIN; LOCK TABLE hosts IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut ledger).await.unwrap();
    let query = "SELECT 'stopped' FROM agent_logs WHERE message = 'the agent''s run was cancelled'";
    until_found(&sallyport, "the agent is stopped", query).await;
    sqlx::raw_sql("COMMIT").execute(&mut ledger).await.unwrap();

    goes_on(&sallyport, asked).await;
    model.release("held");
    ends_well(&sallyport, &id).await;
    let query = "SELECT 'again' FROM workspaces WHERE generation > 1";
    assert_eq!(one(&sallyport, query).await, None, "it stayed on its host");
}
