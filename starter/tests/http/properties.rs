//! Whatever is sent, in bodies, headers, ids and cursors: it is taken in or refused, and never our fault.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::{ADMIN, Starter, event, planner, problems, signature, starter_from};

/// How many of each kind are sent.
const CASES: usize = 300;

/// The same values on every run.
fn values<T>(strategy: impl Strategy<Value = T>) -> impl Iterator<Item = T> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    std::iter::repeat_with(move || strategy.new_tree(&mut runner).unwrap().current()).take(CASES)
}

/// Text of any letters, the ones that databases and paths stumble over among them.
fn text() -> impl Strategy<Value = String> {
    let bad = prop::sample::select(vec![
        "\0",
        "\u{feff}",
        "'",
        "\"",
        "%",
        "\\",
        "../",
        "\u{202e}",
        "\n",
        "\u{10ffff}",
    ]);
    let part = prop_oneof![any::<String>(), bad.prop_map(str::to_owned)];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(text(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

/// An event, or what was one before a part of it became something else, or anything at all.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let names = vec![
        "ticket.created",
        "ticket.created",
        "ticket.updated",
        "ticket.commented",
        "ticket.reopened",
        "no.such",
    ];
    let paths = vec![
        "/event",
        "/occurred_at",
        "/delivery_id",
        "/ticket",
        "/ticket/id",
        "/ticket/project",
        "/ticket/title",
        "/ticket/url",
        "/ticket/priority",
        "/ticket/reporter",
    ];
    let changed = (
        prop::sample::select(names),
        prop::sample::select(paths),
        prop_oneof![any_json(), text().prop_map(Value::from)],
    );
    let changed = changed.prop_map(|(name, path, value)| {
        let mut body = event(name, "FL-1");
        body["delivery_id"] = json!("d-1");
        if let Some(part) = body.pointer_mut(path) {
            *part = value;
        }
        body.to_string().into_bytes()
    });
    prop_oneof![
        6 => changed,
        1 => any_json().prop_map(|json| json.to_string().into_bytes()),
        1 => any::<Vec<u8>>(),
    ]
}

/// What a header may hold on the wire; mostly what it should.
fn header(right: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![0x20..0x7fu8, 0x80..=0xffu8, Just(b'\t')];
    prop_oneof![
        1 => prop::collection::vec(byte, 0..300),
        3 => Just(right.as_bytes().to_vec()),
    ]
}

async fn unlimited() -> Starter {
    starter_from(|parts| parts.flux_lens.webhooks_per_minute = 10_000_000).await
}

#[tokio::test]
async fn whatever_is_signed_is_taken_or_refused() {
    let starter = unlimited().await;
    let mut taken = 0;
    for (body, delivery, name) in values((body(), header("d-1"), header("ticket.created"))) {
        let request = starter
            .http
            .post(format!("{}/webhooks/flux-lens", starter.base))
            .header("x-fluxlens-delivery", delivery)
            .header("x-fluxlens-event", name)
            .header("x-fluxlens-signature", signature(&body))
            .body(body.clone());
        let response = request.send().await.unwrap();
        let status = response.status();
        let said = String::from_utf8_lossy(&body).into_owned();
        match status {
            StatusCode::OK => taken += 1,
            StatusCode::BAD_REQUEST => drop(problems::document(response).await),
            other => panic!("{other} for {said:?}"),
        }
    }
    assert!((1..CASES).contains(&taken), "{taken} were taken");
    // What was taken is there.
    let rows = starter.inbox().await;
    assert!(
        !rows.is_empty() && rows.len() <= taken,
        "{} of {taken}",
        rows.len()
    );
}

/// One path with a part of any text in it, as a client has to write it.
fn path_with(
    client: &Client,
    base: &str,
    before: &str,
    part: &str,
    after: &str,
) -> reqwest::RequestBuilder {
    let mut url = reqwest::Url::parse(base).unwrap();
    let mut parts = url.path_segments_mut().unwrap();
    parts.pop_if_empty();
    parts.extend(before.split('/')).push(part);
    parts.extend(after.split('/').filter(|part| !part.is_empty()));
    drop(parts);
    client.get(url).bearer_auth(ADMIN)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stands_where_an_id_or_a_cursor_stands_is_found_or_refused() {
    let (starter, _server) = planner::starter_with_planner().await;
    let (ticket, gate) = planner::at_gate_one(&starter, "FL-1").await;
    let known = [
        ticket.workflow_id(),
        ticket.ledger_id().to_string(),
        gate.id.to_string(),
        "FL-1".to_owned(),
    ];
    let ids = prop_oneof![
        3 => text(),
        1 => prop::sample::select(known.to_vec()),
        1 => any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string()),
    ];
    let routes = prop::sample::select(vec![
        ("workflows", ""),
        ("workflows", "timeline"),
        ("workflows", "spec"),
        ("workflows", "diff"),
        ("workflows", "context"),
        ("workflows", "qa-report"),
        ("workflows", "transcript"),
        ("agent/logs", ""),
        ("agent/status", ""),
        ("approvals", "content"),
        ("approvals", "changes"),
    ]);
    for ((before, after), id) in values((routes, ids)) {
        let request = path_with(&starter.http, &starter.base, before, &id, after);
        let status = request.send().await.unwrap().status();
        assert!(
            status == StatusCode::OK || status.is_client_error(),
            "{status} for {before}/{id:?}/{after}"
        );
    }
    for (cursor, other) in values((text(), text())) {
        for (path, name) in [
            ("/workflows", "cursor"),
            ("/workflows", "text"),
            ("/workflows", "repository"),
            ("/workflows", "assignee"),
            ("/approvals/pending", "cursor"),
            ("/approvals/pending", "assignee"),
        ] {
            let mut url = reqwest::Url::parse(&format!("{}{path}", starter.base)).unwrap();
            url.query_pairs_mut()
                .append_pair(name, &cursor)
                .append_pair("source", &other);
            let request = starter.http.get(url).bearer_auth(ADMIN);
            let status = request.send().await.unwrap().status();
            assert!(
                status == StatusCode::OK || status == StatusCode::BAD_REQUEST,
                "{status} for {path}?{name}={cursor:?}"
            );
        }
    }
}
