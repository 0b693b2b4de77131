//! What is too much for the vendor now is asked later.

use std::num::NonZeroU32;

use serde_json::Value;

use super::*;

fn said(body: &'static str) -> Reply {
    Reply::Stream(body)
}

#[tokio::test]
async fn a_busy_vendor_is_asked_again_when_it_says_so_and_soon_when_it_does_not() {
    for status in [429, 529] {
        for hint in [Some("0.4"), None] {
            let busy = Reply::Status(status, hint, "busy".to_owned());
            let scene = scene(Vendor::Anthropic, plenty(), [busy, said(STREAM)]).await;
            let start = Instant::now();
            assert_eq!(scene.ask().await.text().await.unwrap(), STREAM);
            // Our own first pause is a millisecond.
            let waited = start.elapsed() >= Duration::from_millis(400);
            assert_eq!(
                waited,
                hint.is_some(),
                "{status} {hint:?}: {:?}",
                start.elapsed()
            );
            assert_eq!(scene.upstream.requests().len(), 2);
            assert_eq!(scene.gateway.finish().await.usage.requests, 1);
        }
    }
}

/// A gateway that keeps to `limits`, with two runs, and a client for each.
async fn two_runs(
    limits: RateLimits,
    wall: Duration,
    replies: impl IntoIterator<Item = Reply>,
) -> (
    Upstream,
    Vec<(RunGateway, reqwest::Client)>,
    tempfile::TempDir,
) {
    let (upstream, url) = Upstream::start(replies).await;
    let mut config = config(Vendor::Anthropic, &url);
    config.rate = limits;
    let gateway = Gateway::new(config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let runs = ["one", "two"].map(|name| {
        let limits = RunLimits { wall, ..plenty() };
        let run = gateway.open(&folder.path().join(name), limits).unwrap();
        let client = client(&run, run.token().expose_secret());
        (run, client)
    });
    (upstream, runs.into(), folder)
}

async fn ask(client: &reqwest::Client, question: &Value) -> reqwest::Response {
    let request = client.post("http://gateway/v1/messages").json(question);
    request.send().await.unwrap()
}

#[tokio::test]
async fn all_runs_of_a_worker_share_the_tokens_of_a_minute_and_wait_for_them() {
    // 1000 a second.
    let limits = RateLimits {
        input_tokens_per_minute: NonZeroU32::new(60_000),
        ..RateLimits::default()
    };
    let wall = Duration::from_secs(60);
    let replies = [said(STREAM), said(STREAM)];
    let (upstream, runs, _folder) = two_runs(limits, wall, replies).await;
    let mut large = question();
    large["messages"][0]["content"] = "x".repeat(3 * 61_000).into();
    let mut small = question();
    small["messages"][0]["content"] = "x".repeat(3 * 500).into();

    assert_eq!(
        ask(&runs[0].1, &large).await.status(),
        200,
        "it waits for nobody"
    );
    let start = Instant::now();
    let answer = ask(&runs[1].1, &small).await;
    assert_eq!(answer.status(), 200, "it is held and not refused");
    assert!(
        start.elapsed() >= Duration::from_millis(400),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_run_and_what_was_not_sent_costs_nothing() {
    let limits = RateLimits {
        requests_per_minute: NonZeroU32::new(1),
        ..RateLimits::default()
    };
    let (upstream, mut runs, _folder) =
        two_runs(limits, Duration::from_millis(1500), [said(STREAM)]).await;
    assert_eq!(ask(&runs[0].1, &question()).await.status(), 200);
    let answer = ask(&runs[1].1, &question()).await;
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("over"));
    let report = runs.pop().unwrap().0.finish().await;
    assert_eq!((report.usage, report.exhausted), (Usage::default(), None));
    assert_eq!(upstream.requests().len(), 1);
}
