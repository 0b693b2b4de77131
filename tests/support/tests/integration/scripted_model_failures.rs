//! Answers that are held, cut, hanging or broken, as a client sees them on the wire.

use std::time::Duration;

use futures::StreamExt;
use sallyport_test_support::scripted_model::{AgentStep, FailureKind, Scenario, ScriptedModel};
use serde_json::{Value, json};

const KEY: &str = "model-key";
const LIMIT: Duration = Duration::from_secs(20);

/// A vendor's call, with the event that ends its streams.
const VENDORS: [(&str, &str); 2] = [
    ("/v1/messages", "message_stop"),
    ("/v1/chat/completions", "[DONE]"),
];

fn start(step: AgentStep) -> ScriptedModel {
    ScriptedModel::start(Scenario::new().run([step]), KEY).unwrap()
}

fn a_long_text() -> AgentStep {
    AgentStep::say("word ".repeat(100))
}

async fn ask(model: &ScriptedModel, path: &str, stream: bool) -> reqwest::Response {
    let body = json!({
        "model": "m", "max_tokens": 9, "stream": stream, "tools": [{ "name": "bash" }],
        "messages": [{ "role": "user", "content": "go" }],
    });
    reqwest::Client::new()
        .post(format!("{}{path}", model.base_url()))
        .header("x-api-key", KEY)
        .header("anthropic-version", "2023-06-01")
        .bearer_auth(KEY)
        .json(&body)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_cut_answer_begins_and_breaks() {
    for (path, end) in VENDORS {
        for stream in [true, false] {
            let model = start(a_long_text().fail(1, FailureKind::Cut));
            let answer = ask(&model, path, stream).await;
            assert_eq!(answer.status(), 200);
            let mut body = answer.bytes_stream();
            let mut text = String::new();
            let error = loop {
                match body.next().await.expect("it does not end in order") {
                    Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                    Err(error) => break error,
                }
            };
            assert!(
                text.contains("word") && !text.contains(end),
                "{path}: {text}"
            );
            assert!(error.is_body() || error.is_decode(), "{path}: {error:?}");
            assert!(
                ask(&model, path, stream)
                    .await
                    .text()
                    .await
                    .unwrap()
                    .contains("word")
            );
        }
    }
}

#[tokio::test]
async fn a_hanging_answer_begins_and_stays_open_until_the_server_goes() {
    for (path, _) in VENDORS {
        let model = start(a_long_text().fail(1, FailureKind::Hang));
        let mut body = ask(&model, path, true).await.bytes_stream();
        let mut text = String::new();
        // Half of a hundred words, then nothing.
        while text.matches("word").count() < 40 {
            text.push_str(&String::from_utf8_lossy(
                &body.next().await.unwrap().unwrap(),
            ));
        }
        // It breaks when the server goes; had it been finished, it would end in order.
        drop(model);
        let last = loop {
            match body.next().await {
                Some(Ok(_)) => {}
                last => break last,
            }
        };
        assert!(matches!(last, Some(Err(_))), "{path}");
    }
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_is_the_vendor_s_event() {
    for ((path, end), words) in VENDORS
        .into_iter()
        .zip(["overloaded_error", "server_error"])
    {
        let model = start(a_long_text().fail(2, FailureKind::StreamError));
        let text = ask(&model, path, true).await.text().await.unwrap();
        let last = text.trim_end().lines().last().unwrap();
        let event: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(event["error"]["type"], words);
        assert!(text.contains("word") && !text.contains(end));
        assert_eq!(
            ask(&model, path, false).await.status(),
            500,
            "there is no stream to break"
        );
    }
}

#[tokio::test]
async fn a_held_answer_comes_when_the_latch_is_released() {
    let model = start(AgentStep::say("at last").wait_for("door"));
    let asked = ask(&model, "/v1/messages", false);
    tokio::pin!(asked);
    tokio::select! {
        _ = &mut asked => panic!("the answer was not held"),
        held = model.wait_until_held("door", LIMIT) => held.unwrap(),
    }
    let record = model.requests().remove(0);
    assert!(
        record.cue.is_some() && record.status.is_none(),
        "{record:?}"
    );
    model.release("door");
    let answer: Value = asked.await.json().await.unwrap();
    assert_eq!(answer["content"][0]["text"], "at last");
    model
        .wait_until(LIMIT, "the answer is in the log", |requests| {
            requests[0].status == Some(200)
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn another_scenario_starts_from_its_beginning() {
    let broken = AgentStep::say("old").fail(
        1,
        FailureKind::Status {
            status: 529,
            retry_after_seconds: None,
        },
    );
    let model = start(broken);
    assert_eq!(
        ask(&model, "/v1/messages", false).await.status().as_u16(),
        529
    );
    model.set_scenario(Scenario::new().run([AgentStep::say("new")]));
    assert!(
        ask(&model, "/v1/messages", false)
            .await
            .text()
            .await
            .unwrap()
            .contains("new")
    );
}

#[tokio::test]
async fn other_paths_and_methods_are_errors_in_the_vendor_s_words() {
    let model = start(a_long_text());
    let url = format!("{}/v1/files", model.base_url());
    let client = reqwest::Client::new();
    let answer = client
        .get(&url)
        .header("x-api-key", KEY)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(
        answer.json::<Value>().await.unwrap()["error"]["type"],
        "not_found_error"
    );
    let answer = client.get(&url).bearer_auth(KEY).send().await.unwrap();
    assert_eq!(
        answer.json::<Value>().await.unwrap()["error"]["code"],
        "unknown_url"
    );
}
