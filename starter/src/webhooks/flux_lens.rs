//! `POST /webhooks/flux-lens`: the contract is `docs/flux-lens.yaml`.
//!
//! In this order: size, signature over the raw body, parsing, the inbox, the answer.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use chrono::{DateTime, Utc};
use sallyport_ledger::inbox::{self, NewEvent};
use sallyport_workflows::ticket::{FLUX_LENS, Priority};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    api::{error::ApiError, types::Acknowledgement},
    state::StarterState,
    text,
    webhooks::body,
};

/// Somebody filed a ticket.
pub const CREATED: &str = "ticket.created";
/// Somebody edited it.
pub const UPDATED: &str = "ticket.updated";
/// Somebody took it out of a final status.
pub const REOPENED: &str = "ticket.reopened";
/// An admin asked for it through our own API; Flux Lens never sends this.
pub const REQUESTED: &str = "sallyport.start";

const DELIVERY: &str = "x-fluxlens-delivery";
const EVENT: &str = "x-fluxlens-event";
const SIGNATURE: &str = "x-fluxlens-signature";
/// The longest id of a delivery, in bytes.
const LONGEST_DELIVERY: usize = 255;
/// The longest id of a ticket, in bytes.
const LONGEST_TICKET: usize = 64;

/// What every event has.
#[derive(Debug, Deserialize)]
struct Envelope {
    event: String,
    /// Read so that a body without it is refused; the database's own time is what counts here.
    #[serde(rename = "occurred_at")]
    _occurred_at: DateTime<Utc>,
    #[serde(default)]
    delivery_id: Option<String>,
}

/// An event about a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketEvent {
    /// What happened.
    pub event: String,
    /// To which ticket.
    pub ticket: EventTicket,
}

/// What an event says of its ticket. Enough to decide whether it matters; the rest is read over the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTicket {
    /// The ticket's id.
    pub id: String,
    /// The project's key.
    pub project: String,
    /// The title.
    pub title: String,
    /// The ticket's page for people.
    pub url: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Who filed it.
    pub reporter: String,
}

/// Handles one delivery.
pub async fn receive(
    State(state): State<StarterState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Acknowledgement>, ApiError> {
    let body = body::read(&headers, body).await?;
    let signature = headers
        .get(SIGNATURE)
        .map_or(&b""[..], |value| value.as_bytes());
    if !state.webhook_key.signed(signature, &body) {
        tracing::warn!("turned away a webhook with a missing or wrong signature");
        return Err(ApiError::bad_signature());
    }
    let event = understand(&headers, &body)?;
    let accepted = inbox::accept(&state.database, &event).await?;
    tracing::info!(
        delivery = event.delivery_id,
        event = event.event,
        ticket = event.ticket_id,
        duplicate = accepted.duplicate,
        "took a webhook in"
    );
    state.new_event.notify_one();
    Ok(Json(Acknowledgement {
        accepted: true,
        duplicate: accepted.duplicate,
    }))
}

/// What a signed body says.
fn understand(headers: &HeaderMap, body: &[u8]) -> Result<NewEvent, ApiError> {
    let delivery = delivery_id(headers)?;
    let envelope: Envelope = parse(body)?;
    // Headers are not signed, so they may repeat what the body says and no more.
    let contradicts = |header: &str, said: &str| {
        headers
            .get(header)
            .is_some_and(|value| value.as_bytes() != said.as_bytes())
    };
    if contradicts(EVENT, &envelope.event) {
        return Err(ApiError::bad_request(text::contradiction(
            "X-FluxLens-Event",
            "event",
        )));
    }
    if envelope
        .delivery_id
        .as_deref()
        .is_some_and(|id| id != delivery)
    {
        return Err(ApiError::bad_request(text::contradiction(
            "X-FluxLens-Delivery",
            "delivery_id",
        )));
    }
    let (ticket_id, ignored) = match envelope.event.as_str() {
        CREATED | UPDATED | REOPENED => {
            let event: TicketEvent = parse(body)?;
            check(&event.ticket)?;
            (Some(event.ticket.id), None)
        }
        "ping" => (None, Some("a ping asks for nothing")),
        _ => (
            None,
            Some("Sallyport does nothing about this kind of event"),
        ),
    };
    Ok(NewEvent {
        source: FLUX_LENS.to_owned(),
        delivery_id: delivery.to_owned(),
        event: envelope.event,
        ticket_id,
        body: body.to_vec(),
        ignored: ignored.map(str::to_owned),
    })
}

fn delivery_id(headers: &HeaderMap) -> Result<&str, ApiError> {
    headers
        .get(DELIVERY)
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= LONGEST_DELIVERY)
        .ok_or_else(|| {
            ApiError::bad_request(text::bad_header(
                "X-FluxLens-Delivery",
                "the delivery's id, at most 255 characters",
            ))
        })
}

fn check(ticket: &EventTicket) -> Result<(), ApiError> {
    if !is_ticket_id(&ticket.id) {
        return Err(ApiError::bad_field("ticket.id", "it must be like FL-1"));
    }
    for (field, value) in [
        ("ticket.project", &ticket.project),
        ("ticket.title", &ticket.title),
    ] {
        if value.trim().is_empty() {
            return Err(ApiError::bad_field(field, "it must not be empty"));
        }
    }
    Ok(())
}

/// Whether `id` is what Flux Lens calls tickets: `^[A-Z][A-Z0-9]*-[1-9][0-9]*$`.
pub fn is_ticket_id(id: &str) -> bool {
    let Some((project, number)) = id.split_once('-') else {
        return false;
    };
    let upper = |byte: u8| byte.is_ascii_uppercase();
    id.len() <= LONGEST_TICKET
        && project.bytes().next().is_some_and(upper)
        && project
            .bytes()
            .all(|byte| upper(byte) || byte.is_ascii_digit())
        && number
            .bytes()
            .next()
            .is_some_and(|byte| (b'1'..=b'9').contains(&byte))
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parses a body; an error names the field.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    crate::api::error::parse_json(body)
        .map_err(|(field, problem)| ApiError::bad_field(&field, &problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticket_ids_are_those_of_the_contract() {
        for good in ["FL-1", "A-10", "AB2-999"] {
            assert!(is_ticket_id(good), "{good}");
        }
        let long = format!("F-{}", "1".repeat(64));
        for bad in [
            "", "FL", "FL-", "FL-0", "FL-01", "fl-1", "1FL-1", "-1", "FL-1x", "FL-1\n", "F L-1",
            "FL--1", &long,
        ] {
            assert!(!is_ticket_id(bad), "{bad}");
        }
    }
}
