use reqwest::StatusCode;
use serde_json::json;

use crate::{answer, event, message, problems, signature, starter, starter_from};

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
    let mut sent = event("ticket.created", "FL-1");
    sent["delivery_id"] = json!("d1");
    assert_eq!(stored, sent.to_string().into_bytes());
}

#[tokio::test]
async fn a_caught_delivery_under_another_name_is_a_duplicate() {
    let starter = starter().await;
    // Its id stands only in a header, which nobody signed.
    let body = event("ticket.reopened", "FL-1").to_string();
    for (delivery, duplicate) in [("d1", false), ("d2", true), ("d1", true)] {
        let (status, answer) = answer(starter.webhook(delivery, &body)).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["duplicate"], duplicate, "{delivery}");
    }
    assert_eq!(starter.inbox().await.len(), 1);
    // Another event of the same ticket is no replay.
    let later = body.replace("10:00:00Z", "10:00:01Z");
    let (_, answer) = answer(starter.webhook("d3", &later)).await;
    assert_eq!(answer["duplicate"], false);
}

#[tokio::test]
async fn what_nobody_signed_is_limited_and_what_is_signed_is_not() {
    let starter = starter().await;
    let unsigned = || {
        starter
            .http
            .post(format!("{}/webhooks/flux-lens", starter.base))
            .body("{}")
    };
    let mut refused = 0;
    // The count grows back while it is used up, by less than two a second.
    while refused == 0 {
        let response = unsigned().send().await.unwrap();
        match response.status() {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::TOO_MANY_REQUESTS => {
                let wait: u64 = response.headers()["retry-after"]
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap();
                assert!((1..=60).contains(&wait), "{wait}");
                assert_eq!(problems::document(response).await["code"], "too_many");
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    // The source itself, from the same address, is heard.
    starter
        .deliver("d1", &event("ticket.created", "FL-1"))
        .await;
}

#[tokio::test]
async fn only_the_networks_of_the_source_are_heard() {
    let starter = starter_from(|parts| {
        parts.flux_lens.webhook_networks = vec!["198.51.100.0/24".parse().unwrap()];
        parts.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let body = event("ticket.created", "FL-1").to_string();
    let from = |address: &str| {
        starter
            .webhook("d1", &body)
            .header("x-forwarded-for", address)
    };
    for elsewhere in ["203.0.113.1", "198.51.100.7, 203.0.113.1", "nonsense", ""] {
        let (status, answer) = answer(from(elsewhere)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{elsewhere}");
        assert!(
            message(&answer).contains("flux_lens.webhook_networks"),
            "{answer}"
        );
    }
    assert!(starter.inbox().await.is_empty());
    let (status, _) = answer(from("203.0.113.1, 198.51.100.7")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_source_that_sends_too_much_is_told_to_wait() {
    let starter = starter_from(|parts| parts.flux_lens.webhooks_per_minute = 3).await;
    let mut statuses = Vec::new();
    for number in 0..5 {
        let body = event("ticket.created", &format!("FL-{}", number + 1)).to_string();
        let (status, _) = answer(starter.webhook(&format!("d{number}"), &body)).await;
        statuses.push(status.as_u16());
    }
    assert_eq!(statuses[..3], [200, 200, 200]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
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
        assert_eq!(answer["code"], "bad_signature");
        assert_eq!(
            message(&answer),
            "the header X-FluxLens-Signature is missing or is not the signature of this body; sign the raw body with the \
             secret that is `flux_lens.webhook_secret` here"
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
    assert_eq!(
        message(&said),
        "the database cannot be reached, so no event can be taken in; Temporal cannot be reached either"
    );
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
