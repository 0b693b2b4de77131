//! What is not let through, and who may ask.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn everything_else_is_refused_and_counted() {
    let scene = scene(Vendor::Anthropic, plenty(), []).await;
    for (path, body) in [
        (
            "/v1/messages",
            json!({"model": "other", "max_tokens": 1, "messages": []}),
        ),
        ("/v1/files", question()),
        ("/v1/messages/batches", question()),
    ] {
        let answer = scene.post(path, body).await;
        assert!(answer.status().is_client_error());
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["type"], "error");
        assert!(body["error"]["message"].is_string());
    }
    assert_eq!(
        scene
            .client
            .get("http://gateway/v1/messages")
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    let large = "x".repeat(request::LARGEST_BODY + 1);
    let answer = scene
        .client
        .post("http://gateway/v1/messages")
        .body(large)
        .send()
        .await;
    assert!(answer.is_err() || answer.unwrap().status() == 413);
    let report = scene.gateway.finish().await;
    assert_eq!(
        (report.refused, report.requests, report.usage),
        (5, 0, Usage::default())
    );
    assert_eq!(report.exhausted, None);
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[tokio::test]
async fn without_budget_nothing_is_asked() {
    // One answer costs 3210; setting one aside takes 1500 for the answer, and a little for the question.
    let limits = RunLimits {
        cost_micro_usd: 4000,
        ..plenty()
    };
    let scene = scene(
        Vendor::Anthropic,
        limits,
        [Reply::Stream(STREAM), Reply::Stream(STREAM)],
    )
    .await;
    assert_eq!(scene.ask().await.text().await.unwrap(), STREAM);
    let refused = scene.ask().await;
    assert_eq!(refused.status(), 402);
    let text = refused.text().await.unwrap();
    assert!(
        text.contains("out of budget"),
        "Pi must not take it for something to try again: {text}"
    );
    let report = scene.gateway.finish().await;
    assert_eq!(
        (report.exhausted, report.refused, report.requests),
        (Some(Exhausted::Run), 1, 1)
    );
    assert_eq!(scene.upstream.requests().len(), 1);
}

#[tokio::test]
async fn who_does_not_show_the_run_s_token_is_refused_in_every_protocol() {
    for (vendor, path) in [
        (Vendor::Anthropic, "/v1/messages"),
        (Vendor::OpenAi, "/v1/chat/completions"),
        (Vendor::Google, "/v1beta/models/m:generateContent"),
    ] {
        let scene = scene(vendor, plenty(), []).await;
        let other = Gateway::new(config(vendor, "http://127.0.0.1:1")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let other = other.open(folder.path(), plenty()).unwrap();
        for token in ["", "not-a-real-key", KEY, other.token().expose_secret()] {
            let asked = client(&scene.gateway, token)
                .post(format!("http://gateway{path}"))
                .json(&question());
            let refused = asked.send().await.unwrap();
            assert_eq!(refused.status(), 401, "{vendor:?} {token}");
            let text = refused.text().await.unwrap();
            assert!(text.contains("the run's token"), "{text}");
        }
        assert_eq!(scene.gateway.finish().await.refused, 4);
        assert!(scene.upstream.requests().is_empty());
    }
}

#[tokio::test]
async fn the_key_is_never_told() {
    let replies = [
        Reply::Status(
            401,
            None,
            format!("{{\"error\":{{\"message\":\"bad key {KEY}\"}}}}"),
        ),
        Reply::Status(
            400,
            None,
            format!("{{\"error\":{{\"message\":\"you sent {KEY}\"}}}}"),
        ),
    ];
    let scene = scene(Vendor::Anthropic, plenty(), replies).await;
    let (first, second) = (scene.ask().await, scene.ask().await);
    assert_eq!(
        (first.status().as_u16(), second.status().as_u16()),
        (401, 400)
    );
    for text in [first.text().await.unwrap(), second.text().await.unwrap()] {
        assert!(!text.contains(KEY), "{text}");
    }
    assert!(!format!("{:?}", scene.gateway).contains(KEY));
    assert!(!format!("{:?}", scene.gateway.finish().await).contains(KEY));
}

#[tokio::test]
async fn the_socket_is_for_the_room_alone_and_goes_with_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder
        .path()
        .join("a-folder-with-a-rather-long-name/".repeat(4));
    let gateway = Gateway::new(config(Vendor::Anthropic, "http://127.0.0.1:1")).unwrap();
    let run = gateway.open(&deep, plenty()).unwrap();
    let socket = run.socket_dir().join(SOCKET);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o007;
    assert_eq!((mode(&socket), mode(run.socket_dir())), (0, 0));
    drop(run);
    assert!(!socket.exists());

    fs::create_dir_all(deep.join("gw")).unwrap();
    fs::write(deep.join("gw/gw.sock"), "left by a killed worker").unwrap();
    gateway.open(&deep, plenty()).unwrap();
}

#[tokio::test]
async fn a_model_without_a_price_is_refused() {
    let mut config = config(Vendor::OpenAi, "http://127.0.0.1:1");
    config.price = None;
    let error = Gateway::new(config).unwrap_err().to_string();
    assert!(
        error.contains("`m`") && error.contains("set its price"),
        "{error}"
    );
}

#[tokio::test]
async fn a_run_whose_time_is_up_is_cut() {
    let limits = RunLimits {
        wall: Duration::from_millis(300),
        ..plenty()
    };
    let scene = scene(Vendor::Anthropic, limits, [Reply::Hang("data: {}\n\n")]).await;
    let mut answer = scene.ask().await;
    while let Ok(Some(_)) = answer.chunk().await {}
    let late = scene.ask().await;
    assert_eq!(late.status(), 403);
    assert!(late.text().await.unwrap().contains("time is up"));
}
