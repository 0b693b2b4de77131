//! `POST /webhooks/flux-lens`: the contract is `docs/flux-lens.yaml`.
//!
//! In this order: size, the sender's address, signature over the raw body, how much was sent, parsing, the inbox, the
//! answer. Flux Lens signs no time, so there is no window of time: what is replayed is known by its delivery's id, and by
//! its body where the id is not signed.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use sallyport_ledger::{
    flux_lens::{self, EventProblem},
    inbox::{self, NewEvent},
};

use crate::{
    api::{error::ApiError, types::Acknowledgement},
    state::StarterState,
    text,
    webhooks::{address::ClientAddress, body},
};

const DELIVERY: &str = "x-fluxlens-delivery";
const EVENT: &str = "x-fluxlens-event";
const SIGNATURE: &str = "x-fluxlens-signature";

/// Takes one delivery in, durably, and answers at once.
#[utoipa::path(
    post,
    path = "/webhooks/flux-lens",
    tag = "webhooks",
    operation_id = "flux_lens_webhook",
    security(("flux_lens_signature" = [])),
    params(
        ("X-FluxLens-Delivery" = String, Header, max_length = 255, description = "The delivery's id: sent again with the same, it is taken in once."),
        ("X-FluxLens-Event" = Option<String>, Header, description = "The event's name, as in the body."),
    ),
    request_body(content = Object, description = "An event as the contract of Flux Lens has it: `docs/flux-lens.yaml`."),
    responses((status = OK, description = "It is in the inbox, or was before.", body = Acknowledgement)),
)]
pub async fn receive(
    State(state): State<StarterState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Acknowledgement>, ApiError> {
    let limits = &state.flux_lens_limits;
    let body = body::read(&headers, body).await?;
    if !limits.is_allowed(address) {
        tracing::warn!(%address, "turned away a webhook from an address that is not allowed");
        return Err(ApiError::not_from_there(address));
    }
    let signature = headers
        .get(SIGNATURE)
        .map_or(&b""[..], |value| value.as_bytes());
    if !state.webhook_key.signed(signature, &body) {
        limits
            .count_unverified(address)
            .map_err(ApiError::too_many)?;
        tracing::warn!(%address, "turned away a webhook with a missing or wrong signature");
        return Err(ApiError::bad_signature());
    }
    limits.count_verified().map_err(ApiError::too_many)?;
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
    let delivery = headers
        .get(DELIVERY)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let named = headers.get(EVENT).map(|value| value.as_bytes());
    flux_lens::understand(delivery, named, body)
        .map(|understood| understood.event)
        .map_err(|problem| match problem {
            EventProblem::Delivery => ApiError::bad_request(text::bad_header(
                "X-FluxLens-Delivery",
                "the delivery's id, at most 255 characters",
            )),
            EventProblem::OtherEvent => {
                ApiError::bad_request(text::contradiction("X-FluxLens-Event", "event"))
            }
            EventProblem::OtherDelivery => {
                ApiError::bad_request(text::contradiction("X-FluxLens-Delivery", "delivery_id"))
            }
            EventProblem::Field { field, problem } => ApiError::bad_field(&field, &problem),
        })
}
