//! What passes, and what it costs.

use axum::http::header;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn an_answer_passes_by_and_is_counted() {
    let scene = scene(Vendor::Anthropic, plenty(), [Reply::Stream(STREAM)]).await;
    let answer = scene
        .client
        .post("http://gateway/v1/messages?beta=true")
        .header("authorization", "Bearer x")
        .header(
            "anthropic-beta",
            "files-api-2025-04-14, interleaved-thinking-2025-05-14",
        )
        .header("x-forwarded-for", "x")
        .json(&question())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(answer.text().await.unwrap(), STREAM);

    let (path, headers, body) = scene.upstream.requests().remove(0);
    assert_eq!((path.as_str(), &body), ("/v1/messages", &question()));
    assert_eq!(
        (&headers["x-api-key"], &headers["anthropic-version"]),
        (&KEY.parse().unwrap(), &"2023-06-01".parse().unwrap())
    );
    assert_eq!(headers["anthropic-beta"], "interleaved-thinking-2025-05-14");
    assert!(!headers.contains_key("authorization") && !headers.contains_key("x-forwarded-for"));

    let report = scene.gateway.finish().await;
    let usage = Usage {
        requests: 1,
        input_tokens: 800,
        output_tokens: 50,
        cache_read_tokens: 200,
        cache_write_tokens: 0,
        cost_micro_usd: 2400 + 750 + 60,
    };
    assert_eq!(
        report,
        GatewayReport {
            usage,
            requests: 1,
            ..GatewayReport::default()
        }
    );
}

#[tokio::test]
async fn openais_protocol_is_served_on_its_own_path() {
    let text =
        "data: {\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n";
    let scene = scene(Vendor::OpenAi, plenty(), [Reply::Stream(text)]).await;
    let body = json!({"model": "m", "stream": true, "messages": []});
    assert_eq!(scene.post("/v1/messages", body.clone()).await.status(), 404);
    assert_eq!(
        scene
            .post("/v1/chat/completions", body)
            .await
            .text()
            .await
            .unwrap(),
        text
    );
    let (_, headers, body) = scene.upstream.requests().remove(0);
    assert_eq!(headers["authorization"], format!("Bearer {KEY}").as_str());
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    assert_eq!(scene.gateway.finish().await.usage.tokens(), 15);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_charged_in_full() {
    let cut = &STREAM[..STREAM.find("data: {\"type\":\"message_delta\"").unwrap()];
    let scene = scene(Vendor::Anthropic, plenty(), [Reply::Stream(cut)]).await;
    assert_eq!(scene.ask().await.text().await.unwrap(), cut);
    let usage = scene.gateway.finish().await.usage;
    let question = question().to_string().len() as u64;
    assert_eq!(
        (usage.requests, usage.output_tokens, usage.input_tokens),
        (1, 100, question.div_ceil(3))
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_and_a_run_that_ends_are_charged_too() {
    let scene = scene(
        Vendor::Anthropic,
        plenty(),
        [Reply::Hang("data: {}\n\n"), Reply::Hang("data: {}\n\n")],
    )
    .await;
    let mut answer = scene.ask().await;
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    let mut cut = scene.ask().await;
    assert!(cut.chunk().await.unwrap().is_some());
    let report = scene.gateway.finish().await;
    assert_eq!(
        (report.usage.requests, report.usage.output_tokens),
        (2, 200)
    );
    assert!(
        matches!(cut.chunk().await, Err(_) | Ok(None)),
        "the stream ends with the run"
    );
}

#[tokio::test]
async fn a_busy_vendor_is_asked_again() {
    let busy = |status, after| Reply::Status(status, after, "busy".to_owned());
    let replies = [busy(429, Some("0")), busy(529, None), Reply::Stream(STREAM)];
    let scene = scene(Vendor::Anthropic, plenty(), replies).await;
    assert_eq!(scene.ask().await.text().await.unwrap(), STREAM);
    let report = scene.gateway.finish().await;
    assert_eq!(
        (
            report.requests,
            report.usage.requests,
            report.upstream_error
        ),
        (1, 1, None)
    );
    assert_eq!(scene.upstream.requests().len(), 3);
}

#[tokio::test]
async fn a_vendor_that_stays_busy_or_asks_for_too_much_patience_is_given_up() {
    let busy = || Reply::Status(503, None, "busy".to_owned());
    let patience = Reply::Status(
        429,
        Some("3600"),
        r#"{"error":{"message":"tomorrow"}}"#.to_owned(),
    );
    let scene = scene(
        Vendor::Anthropic,
        plenty(),
        [busy(), busy(), busy(), patience],
    )
    .await;
    assert_eq!(scene.ask().await.status(), 503);
    assert_eq!(scene.ask().await.status(), 429);
    let report = scene.gateway.finish().await;
    assert_eq!(
        (report.requests, report.usage),
        (2, Usage::default()),
        "a refused request costs nothing"
    );
    assert_eq!(
        report.upstream_error.unwrap(),
        "the model's vendor answered 429: tomorrow"
    );
    assert_eq!(scene.upstream.requests().len(), 4);
}

#[tokio::test]
async fn a_vendor_out_of_reach_costs_nothing() {
    // A port that was free a moment ago.
    let url = format!(
        "http://{}",
        TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
    );
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::new(config(Vendor::Anthropic, &url))
        .unwrap()
        .open(folder.path(), plenty())
        .unwrap();
    let answer = client(&gateway, gateway.token().expose_secret())
        .post("http://gateway/v1/messages")
        .json(&question())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 502);
    let report = gateway.finish().await;
    assert_eq!(report.usage, Usage::default());
    assert!(report.upstream_error.unwrap().contains("cannot be reached"));
}
