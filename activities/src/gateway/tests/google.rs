//! Google's protocol, in which the path names model and method, and errors carry the hint when to ask again.

use serde_json::{Value, json};

use super::*;

const EVENTS: &str = concat!(
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]},\"finishReason\":\"STOP\"}],",
    "\"usageMetadata\":{\"promptTokenCount\":100,\"candidatesTokenCount\":5,\"thoughtsTokenCount\":7}}\r\n\r\n",
);
const ONE_PIECE: &str = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4}}"#;
const STREAM_PATH: &str = "/v1beta/models/m:streamGenerateContent?alt=sse";
const WHOLE_PATH: &str = "/v1beta/models/m:generateContent";

fn words() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}], "generationConfig": {"maxOutputTokens": 100}})
}

#[tokio::test]
async fn the_one_models_two_methods_are_served() {
    let replies = [
        Reply::Stream(EVENTS),
        Reply::Status(200, None, ONE_PIECE.to_owned()),
    ];
    let scene = scene(Vendor::Google, plenty(), replies).await;
    let answer = scene.post(STREAM_PATH, words()).await;
    assert_eq!(answer.text().await.unwrap(), EVENTS);
    let answer = scene.post(&format!("{WHOLE_PATH}?key=x"), words()).await;
    assert_eq!(answer.text().await.unwrap(), ONE_PIECE);

    let requests = scene.upstream.requests();
    let paths: Vec<&str> = requests.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(
        paths,
        [STREAM_PATH, WHOLE_PATH],
        "and no query of the room's"
    );
    for (_, headers, body) in &requests {
        assert_eq!(
            (&headers["x-goog-api-key"], body),
            (&KEY.parse().unwrap(), &words())
        );
        assert!(!headers.contains_key("x-api-key"));
    }
    let usage = scene.gateway.finish().await.usage;
    assert_eq!(
        (usage.requests, usage.input_tokens, usage.output_tokens),
        (2, 103, 16)
    );
}

#[tokio::test]
async fn other_models_methods_and_ways_to_stream_are_refused_in_googles_words() {
    let scene = scene(Vendor::Google, plenty(), []).await;
    for (path, status, said) in [
        ("/v1beta/models/other:generateContent", 404, "NOT_FOUND"),
        ("/v1beta/models/m:countTokens", 404, "NOT_FOUND"),
        ("/v1beta/models/m:batchGenerateContent", 404, "NOT_FOUND"),
        ("/v1beta/cachedContents", 404, "NOT_FOUND"),
        ("/upload/v1beta/files", 404, "NOT_FOUND"),
        ("/v1/models/m:generateContent", 404, "NOT_FOUND"),
        (
            "/v1beta/models/m:streamGenerateContent",
            400,
            "INVALID_ARGUMENT",
        ),
        (
            "/v1beta/models/m%2F..%2Fx:generateContent",
            404,
            "NOT_FOUND",
        ),
    ] {
        let answer = scene.post(path, words()).await;
        assert_eq!(answer.status(), status, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            (&body["error"]["status"], &body["error"]["code"]),
            (&json!(said), &json!(status))
        );
    }
    let mut search = words();
    search["tools"] = json!([{"googleSearch": {}}]);
    let answer = scene.post(WHOLE_PATH, search).await;
    assert_eq!(answer.status(), 403);
    let report = scene.gateway.finish().await;
    assert_eq!((report.refused, report.requests), (9, 0));
    assert!(scene.upstream.requests().is_empty());
}

#[tokio::test]
async fn the_hint_in_an_error_says_when_to_ask_again() {
    let busy = |delay: &str| {
        let padding = "x".repeat(2 * 2000);
        let body = json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [padding]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]}});
        Reply::Status(429, None, body.to_string())
    };
    let replies = [busy("0.4s"), Reply::Stream(EVENTS), busy("3600s")];
    let scene = scene(Vendor::Google, plenty(), replies).await;
    let start = Instant::now();
    let answer = scene.post(STREAM_PATH, words()).await;
    assert_eq!(answer.text().await.unwrap(), EVENTS);
    assert!(
        start.elapsed() >= Duration::from_millis(400),
        "our own first pause is 1 ms"
    );
    let answer = scene.post(STREAM_PATH, words()).await;
    assert_eq!(answer.status(), 429, "nobody waits that long");
    let told: Value = answer.json().await.unwrap();
    assert_eq!(
        told["error"]["message"],
        "the model's vendor answered 429: slow down"
    );
}

#[tokio::test]
async fn a_wrong_key_is_called_one_though_it_looks_like_a_wrong_request() {
    let body = json!({"error": {"code": 400, "message": format!("API key {KEY} not valid."), "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}});
    let replies = [Reply::Status(400, None, body.to_string())];
    let scene = scene(Vendor::Google, plenty(), replies).await;
    let answer = scene.post(WHOLE_PATH, words()).await.text().await.unwrap();
    assert!(
        answer.contains("refused the gateway's key") && !answer.contains(KEY),
        "{answer}"
    );
    assert_eq!(scene.gateway.finish().await.usage, Usage::default());
}

#[tokio::test]
async fn without_budget_the_error_is_one_that_pi_does_not_try_again() {
    let limits = RunLimits {
        requests: 0,
        ..plenty()
    };
    let scene = scene(Vendor::Google, limits, []).await;
    let answer = scene.post(STREAM_PATH, words()).await;
    assert_eq!(answer.status(), 402);
    let body: Value = answer.json().await.unwrap();
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("out of budget"),
        "{body}"
    );
}
