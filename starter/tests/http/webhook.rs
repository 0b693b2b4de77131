use reqwest::StatusCode;
use serde_json::json;

use crate::{answer, event, message, signature, starter};

#[tokio::test]
async fn a_signed_event_is_on_disk_before_the_answer() {
    let starter = starter().await;
    let answer = starter
        .deliver("d1", &event("ticket.created", "FL-1"))
        .await;
    assert_eq!(answer, json!({"accepted": true, "duplicate": false}));
    assert_eq!(
        starter.inbox().await,
        [("ticket.created".into(), "pending".into(), None)]
    );
    let stored: Vec<u8> = sqlx::query_scalar("SELECT body FROM inbox")
        .fetch_one(starter.database.pool())
        .await
        .unwrap();
    assert_eq!(
        stored,
        event("ticket.created", "FL-1").to_string().into_bytes()
    );
}

#[tokio::test]
async fn the_same_delivery_twice_is_one_event() {
    let starter = starter().await;
    starter
        .deliver("d1", &event("ticket.created", "FL-1"))
        .await;
    let answer = starter
        .deliver("d1", &event("ticket.created", "FL-1"))
        .await;
    assert_eq!(answer, json!({"accepted": true, "duplicate": true}));
    assert_eq!(starter.inbox().await.len(), 1);
}

#[tokio::test]
async fn a_wrong_or_missing_signature_is_401() {
    let starter = starter().await;
    let body = event("ticket.created", "FL-1").to_string();
    let other = signature(format!("{body} ").as_bytes());
    for wrong in [other.as_str(), "", "sha256=", &signature(b"")] {
        let request = starter
            .http
            .post(format!("{}/webhooks/flux-lens", starter.base))
            .header("x-fluxlens-delivery", "d1")
            .header("x-fluxlens-signature", wrong)
            .body(body.clone());
        let (status, answer) = answer(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            answer,
            json!({"error": {"code": "bad_signature", "message":
                "the header X-FluxLens-Signature is missing or is not the signature of this body; sign the raw body with \
                 the secret that is `flux_lens.webhook_secret` here"}})
        );
    }
    let unsigned = starter
        .http
        .post(format!("{}/webhooks/flux-lens", starter.base))
        .body(body);
    assert_eq!(answer(unsigned).await.0, StatusCode::UNAUTHORIZED);
    assert!(starter.inbox().await.is_empty());
}

#[tokio::test]
async fn a_malformed_body_is_400_with_the_field() {
    let starter = starter().await;
    let mut no_id = event("ticket.created", "FL-1");
    no_id["ticket"].as_object_mut().unwrap().remove("id");
    let mut number = event("ticket.created", "FL-1");
    number["ticket"]["title"] = json!(7);
    let mut priority = event("ticket.created", "FL-1");
    priority["ticket"]["priority"] = json!("urgent");
    let mut untimely = event("ticket.created", "FL-1");
    untimely["occurred_at"] = json!("yesterday");
    let mut unprojected = event("ticket.created", "FL-1");
    unprojected["ticket"]["project"] = json!(" ");
    for (field, body) in [
        ("ticket.id", no_id),
        ("ticket.id", event("ticket.created", "../../etc")),
        ("ticket.title", number),
        ("ticket.priority", priority),
        ("ticket.project", unprojected),
        ("occurred_at", untimely),
        ("event", json!({"occurred_at": "2026-11-23T10:00:00Z"})),
        (
            "ticket",
            json!({"event": "ticket.created", "occurred_at": "2026-11-23T10:00:00Z"}),
        ),
    ] {
        let (status, answer) = answer(starter.webhook("d1", &body.to_string())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(
            message(&answer).contains(&format!("`{field}`")),
            "{field}: {answer}"
        );
    }
    for broken in ["", "{", "[]", "\"x\"", "{} {}"] {
        let (status, _) = answer(starter.webhook("d1", broken)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{broken:?}");
    }
    assert!(starter.inbox().await.is_empty());
}

#[tokio::test]
async fn the_size_is_limited_before_all_else() {
    let starter = starter().await;
    let large = "x".repeat(1024 * 1024 + 1);
    let request = starter
        .http
        .post(format!("{}/webhooks/flux-lens", starter.base))
        .header("x-fluxlens-signature", "sha256=00")
        .body(large);
    assert_eq!(answer(request).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    // Exactly the limit is read, and then judged by its signature and content.
    let exact = "x".repeat(1024 * 1024);
    assert_eq!(
        answer(starter.webhook("d1", &exact)).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn the_delivery_must_be_named_and_headers_must_not_contradict() {
    let starter = starter().await;
    let mut body = event("ticket.created", "FL-1");
    let nameless = starter.webhook("", &body.to_string());
    let (status, said) = answer(nameless).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(message(&said).contains("X-FluxLens-Delivery"), "{said}");
    let contradicting = starter
        .webhook("d1", &body.to_string())
        .header("x-fluxlens-event", "ping");
    assert!(message(&answer(contradicting).await.1).contains("X-FluxLens-Event"));
    body["delivery_id"] = json!("d2");
    let replayed = starter.webhook("d1", &body.to_string());
    assert!(message(&answer(replayed).await.1).contains("delivery_id"));
    assert!(starter.inbox().await.is_empty());
}

#[tokio::test]
async fn what_asks_for_nothing_is_taken_and_ignored() {
    let starter = starter().await;
    let at = "2026-11-23T10:00:00Z";
    starter
        .deliver("d1", &json!({"event": "ping", "occurred_at": at}))
        .await;
    starter
        .deliver(
            "d2",
            &json!({"event": "ticket.exploded", "occurred_at": at, "ticket": 7}),
        )
        .await;
    let rows = starter.inbox().await;
    assert!(
        rows.iter()
            .all(|(_, status, note)| status == "ignored" && note.is_some()),
        "{rows:?}"
    );
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn without_the_database_nothing_is_acknowledged() {
    let starter = starter().await;
    starter.database.close().await;
    let body = event("ticket.created", "FL-1").to_string();
    let response = starter.webhook("d1", &body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "5");
    let health = starter.http.get(format!("{}/health", starter.base));
    let (status, said) = answer(health).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(said["database"], "unreachable");
}

#[tokio::test]
async fn without_temporal_webhooks_are_still_taken() {
    let starter = starter().await;
    starter
        .deliver("d1", &event("ticket.created", "FL-1"))
        .await;
    let health = starter.http.get(format!("{}/health", starter.base));
    let (status, said) = answer(health).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        said,
        json!({"status": "ok", "database": "ok", "temporal": "unreachable"})
    );
}
