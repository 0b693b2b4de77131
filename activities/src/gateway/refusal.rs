//! Answers of the gateway itself, in the shape of the vendor's errors.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::Vendor;

/// Why the gateway answers for the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The request asks for something that this gateway does not pass on.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// The request is not what the vendor's protocol says.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn into_response(self, vendor: Vendor) -> Response {
        let kind = match self.status {
            StatusCode::PAYMENT_REQUIRED => "billing_error",
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
            status if status.is_client_error() => "invalid_request_error",
            _ => "api_error",
        };
        let body = match vendor {
            Vendor::Anthropic => {
                json!({"type": "error", "error": {"type": kind, "message": self.message}})
            }
            Vendor::OpenAi => {
                json!({"error": {"message": self.message, "type": kind, "code": kind, "param": null}})
            }
            Vendor::Google => {
                let status = match self.status {
                    StatusCode::PAYMENT_REQUIRED => "FAILED_PRECONDITION",
                    StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
                    StatusCode::FORBIDDEN => "PERMISSION_DENIED",
                    StatusCode::NOT_FOUND => "NOT_FOUND",
                    StatusCode::TOO_MANY_REQUESTS => "RESOURCE_EXHAUSTED",
                    status if status.is_client_error() => "INVALID_ARGUMENT",
                    StatusCode::INTERNAL_SERVER_ERROR => "INTERNAL",
                    _ => "UNAVAILABLE",
                };
                json!({"error": {"code": self.status.as_u16(), "message": self.message, "status": status}})
            }
        };
        (self.status, Json(body)).into_response()
    }
}
