//! The fake's webhooks are signed, kept to the contract, and sent until they are taken.

use std::time::Duration;

use sallyport_test_support::flux_lens::{FluxLens, FluxLensOptions, Status, signature};
use serde_json::Value;

use crate::contract_document::Contract;
use crate::flux_lens_contract::a_ticket;
use crate::webhook_receiver::{Received, Receiver};

const LIMIT: Duration = Duration::from_secs(20);

fn options() -> FluxLensOptions {
    let mut options = FluxLensOptions::new("token", "secret");
    options.retry.first_pause = Duration::from_millis(1);
    options.retry.longest_pause = Duration::from_millis(5);
    options
}

fn delivery_id((headers, _): &Received) -> &str {
    headers["x-fluxlens-delivery"].to_str().unwrap()
}

#[tokio::test]
async fn every_kind_of_event_is_sent_as_the_contract_says() {
    let receiver = Receiver::start(&[]).await;
    let lens = FluxLens::start(options()).unwrap();
    // Filed before the receiver's address is known: it waits.
    let id = lens.create_ticket(a_ticket()).unwrap();
    lens.set_webhook_url(&receiver.url);
    receiver.wait_for(1).await;
    lens.edit_ticket(&id, |ticket| ticket.title = "It is very broken".into())
        .unwrap();
    receiver.wait_for(2).await;
    set_status(&lens, &id, "Done").await;
    lens.reopen_ticket(&id).unwrap();
    receiver.wait_for(3).await;
    lens.ping().unwrap();
    let received = receiver.wait_for(4).await;

    let contract = Contract::load();
    let mut events = Vec::new();
    for (headers, body) in &received {
        let event = headers["x-fluxlens-event"].to_str().unwrap();
        let document: Value = serde_json::from_slice(body).unwrap();
        let operation = if event == "ping" {
            "receivePing"
        } else {
            "receiveTicketEvent"
        };
        contract.check_webhook(operation, headers, &document);
        assert_eq!(document["event"], event);
        assert_eq!(
            document["delivery_id"],
            headers["x-fluxlens-delivery"].to_str().unwrap()
        );
        assert_eq!(headers["x-fluxlens-signature"], signature("secret", body));
        assert_ne!(headers["x-fluxlens-signature"], signature("other", body));
        events.push((
            event,
            document["ticket"]["title"].as_str().map(str::to_owned),
        ));
    }
    let (old, new) = (
        Some("It is broken".to_owned()),
        Some("It is very broken".to_owned()),
    );
    assert_eq!(
        events,
        [
            ("ticket.created", old),
            ("ticket.updated", new.clone()),
            ("ticket.reopened", new),
            ("ping", None)
        ]
    );
    assert_eq!(lens.status(&id), Some(Status::Open));
}

async fn set_status(lens: &FluxLens, id: &str, status: &str) {
    let answer = reqwest::Client::new()
        .patch(format!("{}/fluxlens/ticket/{id}/status", lens.base_url()))
        .bearer_auth("token")
        .json(&serde_json::json!({ "status": status }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
}

#[tokio::test]
async fn a_webhook_is_sent_again_with_its_id_until_it_is_taken() {
    let receiver = Receiver::start(&[500, 302, 404]).await;
    let mut options = options();
    options.webhook_url = Some(receiver.url.clone());
    let lens = FluxLens::start(options).unwrap();
    lens.create_ticket(a_ticket()).unwrap();
    lens.wait_until(LIMIT, "the webhook is taken", |lens| {
        lens.deliveries()[0].is_done()
    })
    .await
    .unwrap();

    let delivery = lens.deliveries().remove(0);
    let statuses: Vec<_> = delivery
        .attempts
        .iter()
        .map(|attempt| attempt.status.unwrap())
        .collect();
    assert_eq!(statuses, [500, 302, 404, 200]);

    // A person asks for it once more, after it was taken.
    assert_eq!(lens.redeliver(&delivery.id).await.unwrap(), 200);
    let received = receiver.wait_for(5).await;
    assert!(
        received
            .iter()
            .all(|each| delivery_id(each) == delivery.id && each.1 == received[0].1)
    );
    assert!(lens.redeliver("unknown").await.is_err());
}

#[tokio::test]
async fn tries_end_when_they_are_used_up() {
    let receiver = Receiver::start(&[500; 10]).await;
    let mut options = options();
    options.webhook_url = Some(receiver.url.clone());
    options.retry.attempts = 3;
    let lens = FluxLens::start(options).unwrap();
    lens.create_ticket(a_ticket()).unwrap();
    receiver.wait_for(3).await;
    // Another ticket's tries pass: had the first one any left, they would show among them.
    lens.create_ticket(a_ticket()).unwrap();
    lens.wait_until(LIMIT, "the second delivery is given up", |lens| {
        lens.deliveries()[1].attempts.len() == 3
    })
    .await
    .unwrap();
    assert_eq!(lens.deliveries()[0].attempts.len(), 3);
    assert!(!lens.deliveries()[0].is_done());
}

#[tokio::test]
async fn a_restart_goes_on_with_the_ids_and_with_what_was_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.state_file = Some(folder.path().join("flux-lens.json"));
    let before = FluxLens::start(options.clone()).unwrap();
    let id = before.create_ticket(a_ticket()).unwrap();
    let delivery = before.deliveries().remove(0);
    drop(before);

    let receiver = Receiver::start(&[]).await;
    options.webhook_url = Some(receiver.url.clone());
    let after = FluxLens::start(options).unwrap();
    let received = receiver.wait_for(1).await;
    assert_eq!(delivery_id(&received[0]), delivery.id);
    assert_eq!(after.ticket(&id).unwrap().title, "It is broken");
    assert_eq!(after.create_ticket(a_ticket()).unwrap(), "FL-2");
}

#[tokio::test]
async fn what_was_sent_or_withheld_is_listed_with_the_same_id_and_body() {
    let receiver = Receiver::start(&[]).await;
    let lens = FluxLens::start(options()).unwrap();
    lens.set_webhook_url(&receiver.url);
    lens.create_ticket(a_ticket()).unwrap();
    let sent = receiver.wait_for(1).await;
    lens.withhold_deliveries(true);
    lens.create_ticket(a_ticket()).unwrap();
    lens.withhold_deliveries(false);
    lens.ping().unwrap();
    receiver.wait_for(2).await;

    let first = events(&lens, "?limit=2").await;
    let listed = first["events"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["delivery_id"], delivery_id(&sent[0]));
    assert_eq!(
        listed[0]["body"].as_str().unwrap().as_bytes(),
        &sent[0].1[..]
    );
    assert!(listed[1]["body"].as_str().unwrap().contains("FL-2"));
    let after = format!("?after={}", first["next"].as_str().unwrap());
    let second = events(&lens, &after).await;
    assert_eq!(second["events"][0]["event"], "ping");
    let last = format!("?after={}", second["next"].as_str().unwrap());
    assert_eq!(events(&lens, &last).await["events"], Value::Array(vec![]));

    lens.forget_events().unwrap();
    assert_eq!(events(&lens, &after).await["status"], 410);
    assert_eq!(events(&lens, &last).await["events"], Value::Array(vec![]));
    assert_eq!(events(&lens, "").await["events"], Value::Array(vec![]));
    assert_eq!(receiver.wait_for(2).await.len(), 2);
}

async fn events(lens: &FluxLens, query: &str) -> Value {
    let url = format!("{}/fluxlens/events{query}", lens.base_url());
    let request = reqwest::Client::new().get(url).bearer_auth("token");
    request.send().await.unwrap().json().await.unwrap()
}
