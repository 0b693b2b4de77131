//! What reaches the starter from outside.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Client;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::fixture::{shared, ticket};

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn deliver(id: &str, body: &str, secret: &str) -> (u16, Value) {
    let url = format!("{}/webhooks/flux-lens", shared().run.starter_url);
    let response = Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
        .post(url)
        .header("content-type", "application/json")
        .header("x-fluxlens-delivery", id)
        .header("x-fluxlens-event", "ticket.created")
        .header("x-fluxlens-signature", signature(secret, body.as_bytes()))
        .body(body.to_owned())
        .send()
        .await
        .expect("an answer");
    (
        response.status().as_u16(),
        response.json().await.unwrap_or(Value::Null),
    )
}

fn event(ticket_id: &str) -> Value {
    json!({
        "event": "ticket.created",
        "occurred_at": "2026-11-23T12:00:00Z",
        "ticket": {
            "id": ticket_id, "project": "demo", "title": "A ticket", "url": "http://127.0.0.1/t",
            "priority": "normal", "reporter": "reporter@example.com",
        },
    })
}

const SECRET: &str = "flux-lens-webhook-secret";

#[tokio::test]
async fn a_wrong_signature_is_refused_and_starts_nothing() {
    let body = event("FL-9001").to_string();
    let (status, answer) = deliver("forged-1", &body, "another secret").await;
    assert_eq!(status, 401, "{answer}");
    // The same delivery, rightly signed, is not taken for a repetition of the forged one.
    let (status, answer) = deliver("forged-1", "{}", SECRET).await;
    assert_eq!(status, 400, "{answer}");
    assert!(shared().api.ticket("FL-9001").await.is_err());
}

#[tokio::test]
async fn malformed_json_is_refused_with_the_field() {
    let (status, answer) = deliver("malformed-1", "{\"event\": ", SECRET).await;
    assert_eq!(status, 400, "{answer}");
    let mut body = event("FL-9002");
    body["ticket"]["priority"] = json!("urgent");
    let (status, answer) = deliver("malformed-2", &body.to_string(), SECRET).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer["detail"]
            .as_str()
            .unwrap_or_default()
            .contains("ticket.priority"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_same_delivery_twice_starts_one_workflow() {
    let sallyport = shared();
    let id = sallyport.flux_lens.create_ticket(ticket("demo")).unwrap();
    sallyport.api.until_gate(&id, "SPEC").await.unwrap();
    let delivery = sallyport
        .flux_lens
        .deliveries()
        .into_iter()
        .find(|delivery| delivery.body.contains(&format!("\"{id}\"")))
        .expect("the ticket's delivery");
    for _ in 0..3 {
        assert_eq!(
            sallyport.flux_lens.redeliver(&delivery.id).await.unwrap(),
            200
        );
    }
    // The same ticket under another delivery is the same work, too.
    let again = deliver(&format!("again-{id}"), &event(&id).to_string(), SECRET).await;
    assert_eq!(again.0, 200, "{}", again.1);
    let list = sallyport.api.get("/workflows?limit=500").await.unwrap();
    let of_ticket: Vec<&Value> = list["workflows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["ticket_id"] == id.as_str())
        .collect();
    assert_eq!(of_ticket.len(), 1, "{list:#}");
    let view = sallyport.api.ticket(&id).await.unwrap();
    assert_eq!(
        view["transitions"].as_array().map(Vec::len),
        Some(3),
        "{view:#}"
    );
    assert_eq!(sallyport.flux_lens.comments(&id).len(), 2);
}

#[tokio::test]
async fn a_ticket_that_flux_lens_does_not_know_is_parked_with_the_reason() {
    let sallyport = shared();
    let (status, answer) = deliver("unknown-1", &event("FL-9003").to_string(), SECRET).await;
    assert_eq!(status, 200, "{answer}");
    let view = sallyport.api.until_state("FL-9003", "ERROR").await.unwrap();
    assert_eq!(
        view["status"]["failure"]["kind"], "TicketNotFound",
        "{view:#}"
    );
    let shown = sallyport.run_sallyport(&["status", "FL-9003"]).unwrap();
    assert!(shown.contains("TicketNotFound"), "{shown}");
}
