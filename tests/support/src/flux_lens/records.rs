//! What the fake remembers of the traffic, for assertions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The calls that Flux Lens offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// `GET /fluxlens/ticket/{id}`
    GetTicket,
    /// `POST /fluxlens/ticket/{id}/comment`
    AddComment,
    /// `PATCH /fluxlens/ticket/{id}/status`
    SetStatus,
    /// `GET /fluxlens/events`
    ListEvents,
}

/// A request that arrived at the API, with what was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRequest {
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// The call that it meant; none for a path or method that the contract does not have.
    pub operation: Option<Operation>,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The body; null if there was none or it was not JSON.
    pub body: Value,
    /// The status that was answered.
    pub status: u16,
}

/// A way to misbehave, used once for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(super) status: u16,
    pub(super) retry_after_seconds: Option<u64>,
    pub(super) after_effect: bool,
}

impl Fault {
    /// Answers with `status` (400 to 599) instead of doing what was asked.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            retry_after_seconds: None,
            after_effect: false,
        }
    }

    /// Answers 429 with `Retry-After: seconds`.
    #[must_use]
    pub fn rate_limit(seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..Self::status(429)
        }
    }

    /// Does what was asked and then answers with the error all the same, as if a proxy had lost the answer.
    #[must_use]
    pub fn after_effect(mut self) -> Self {
        self.after_effect = true;
        self
    }
}

/// A webhook on its way to the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The value of `X-FluxLens-Delivery`.
    pub id: String,
    /// The value of `X-FluxLens-Event`.
    pub event: String,
    /// The ticket that it is about; none for `ping`.
    pub ticket_id: Option<String>,
    /// The exact bytes that are signed and sent.
    pub body: String,
    /// All tries so far, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
}

impl Delivery {
    /// Whether some try was answered with 2xx.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.attempts.iter().any(|attempt| {
            attempt
                .status
                .is_some_and(|status| (200..300).contains(&status))
        })
    }
}

/// One try to deliver a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// The status that came back, if any did.
    pub status: Option<u16>,
    /// Why none came back.
    pub error: Option<String>,
}
