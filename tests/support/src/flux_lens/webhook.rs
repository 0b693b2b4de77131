//! Sending webhooks: signed, and again until they are taken.

use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Shared;
use super::records::DeliveryAttempt;

/// How long the receiver has to answer (contract).
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The value of `X-FluxLens-Signature` for `body` under `secret`.
#[must_use]
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Sends a delivery until it is taken or its tries are used up.
pub(super) async fn deliver(shared: &Shared, delivery_id: &str) {
    // Tests file tickets before the starter has a port.
    shared
        .changes
        .until(|| shared.lock().webhook_url.is_some())
        .await;
    let mut pause = shared.retry.first_pause;
    for _ in 0..shared.retry.attempts {
        match attempt(shared, delivery_id).await {
            Ok(attempt)
                if attempt
                    .status
                    .is_some_and(|status| (200..300).contains(&status)) =>
            {
                return;
            }
            Ok(_) => {}
            // The delivery can't be written down any more: going on would send what nobody knows of.
            Err(_) => return,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(shared.retry.longest_pause);
    }
}

/// Sends a delivery once and writes down how it went.
pub(super) async fn attempt(shared: &Shared, delivery_id: &str) -> anyhow::Result<DeliveryAttempt> {
    let (url, delivery) = {
        let inner = shared.lock();
        let url = inner
            .webhook_url
            .clone()
            .context("the webhook has no address yet")?;
        let delivery = inner
            .world
            .deliveries()
            .iter()
            .find(|each| each.id == delivery_id)
            .cloned();
        (
            url,
            delivery.with_context(|| format!("there is no delivery {delivery_id}"))?,
        )
    };
    // A connection of its own for each try, as after a restart of either side.
    let answer = reqwest::Client::builder()
        .timeout(ANSWER_LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?
        .post(&url)
        .header("content-type", "application/json")
        .header("user-agent", "FluxLens-Webhook/1")
        .header("x-fluxlens-delivery", &delivery.id)
        .header("x-fluxlens-event", &delivery.event)
        .header(
            "x-fluxlens-signature",
            signature(&shared.webhook_secret, delivery.body.as_bytes()),
        )
        .body(delivery.body)
        .send()
        .await;
    let (status, error) = match answer {
        Ok(answer) => (Some(answer.status().as_u16()), None),
        Err(error) => (None, Some(format!("{:#}", anyhow::Error::from(error)))),
    };
    let attempt = DeliveryAttempt {
        at: Utc::now(),
        status,
        error,
    };
    shared.change(|world| world.add_attempt(delivery_id, attempt.clone()))?;
    Ok(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_is_hmac_sha256() {
        assert_eq!(
            signature("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
