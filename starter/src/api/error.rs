//! Answers that are no success, and the reading of bodies, where most of them come from.

use axum::{
    Json,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sallyport_ledger::{LedgerError, ObjectError};
use serde::de::DeserializeOwned;

use crate::{
    api::{
        auth::Role,
        types::{ErrorBody, ErrorMessage},
    },
    text,
    webhooks::body,
};

/// Seconds after which a sender may try again when the database is down.
const RETRY_AFTER: &str = "5";

/// An answer that is no success: a status, a stable name and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// 400: the request is malformed.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 400: a field of the body is missing or malformed.
    pub fn bad_field(field: &str, problem: &str) -> Self {
        Self::bad_request(text::bad_field(field, problem))
    }

    /// 401: a webhook's signature is missing or wrong.
    pub fn bad_signature() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "bad_signature",
            text::BAD_SIGNATURE,
        )
    }

    /// 401: no token, or one that nobody has.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", text::UNAUTHORIZED)
    }

    /// 403: the person may not do this.
    pub fn forbidden(person: &str, role: Role, needed: Role) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            text::forbidden(person, role, needed),
        )
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 404: the ticket is known, and has nothing of the kind, or not yet.
    pub fn not_there_yet(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_there_yet", message)
    }

    /// 408: the body did not arrive in time.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", text::TOO_SLOW)
    }

    /// 400: the body broke off.
    pub fn broken_body() -> Self {
        Self::bad_request(text::BROKEN_BODY)
    }

    /// 409: it is too late, too early, or about something else.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "refused", message)
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            text::too_large(limit),
        )
    }

    /// 422: well formed, and yet it cannot be meant.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    /// 503: Temporal or every worker is down.
    pub fn nobody_answers() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "nobody_answers",
            text::NOBODY_ANSWERS,
        )
    }

    /// 500: our fault. The cause goes to the log, not to the caller.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = cause, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            text::INTERNAL,
        )
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::NotFound { .. } => Self::not_found(error.to_string()),
            LedgerError::Ambiguous { .. } => {
                Self::new(StatusCode::CONFLICT, "ambiguous", error.to_string())
            }
            LedgerError::Unavailable { .. } => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the database is out of reach"
                );
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "database_unavailable",
                    text::DATABASE_DOWN,
                )
            }
            LedgerError::Refused { .. } | LedgerError::Unknown { .. } => Self::internal(&error),
        }
    }
}

impl From<ObjectError> for ApiError {
    fn from(error: ObjectError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(ErrorBody {
            error: ErrorMessage {
                code: self.code.to_owned(),
                message: self.message,
            },
        });
        let mut response = (self.status, body).into_response();
        let extra = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, RETRY_AFTER)),
            StatusCode::UNAUTHORIZED if self.code == "unauthorized" => {
                Some((header::WWW_AUTHENTICATE, "Bearer"))
            }
            _ => None,
        };
        if let Some((name, value)) = extra {
            response
                .headers_mut()
                .insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}

/// The request's JSON. What is no JSON is 400; what lacks a field or has one too many is 422.
pub(super) async fn body_of<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let (parts, content) = request.into_parts();
    let content = body::read(&parts.headers, content).await?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&content)
        .map_err(|error| ApiError::bad_field("", &error.to_string()))?;
    parse_json(&content)
        .map_err(|(field, problem)| ApiError::unprocessable(text::bad_field(&field, &problem)))
}

/// Parses JSON. An error names the field, empty if it is none's fault, and says what is wrong with it.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, (String, String)> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.inner().to_string();
        if !error.inner().is_data() {
            // It is no JSON at all: that is no field's fault.
            return (String::new(), problem);
        }
        // serde tells a missing field at the place of what it is missing from.
        let missing = problem
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next())
            .map(str::to_owned);
        let field = match (path.as_str(), missing) {
            (".", Some(missing)) => missing,
            (_, Some(missing)) => format!("{path}.{missing}"),
            (".", None) => String::new(),
            (_, None) => path,
        };
        (field, problem)
    })?;
    parser
        .end()
        .map_err(|error| (String::new(), error.to_string()))?;
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Outer {
        _inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        _id: u8,
    }

    fn field(body: &str) -> String {
        parse_json::<Outer>(body.as_bytes()).unwrap_err().0
    }

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(field(r#"{"_inner":{}}"#), "_inner._id");
        assert_eq!(field(r#"{"_inner":{"_id":"x"}}"#), "_inner._id");
        assert_eq!(field(r#"{"_inner":{"_id":1}"#), "");
        assert_eq!(field(r#"{} {}"#), "");
        assert_eq!(parse_json::<Inner>(b"{}").unwrap_err().0, "_id");
    }

    #[tokio::test]
    async fn golden_body() {
        let response = ApiError::bad_field("ticket.id", "missing").into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .unwrap();
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"error":{"code":"bad_request","message":"the body's field `ticket.id` is not understood: missing"}}"#
        );
        let headers = ApiError::unauthorized().into_response().headers().clone();
        assert_eq!(headers["www-authenticate"], "Bearer");
    }

    #[test]
    fn a_database_that_is_down_says_when_to_come_back() {
        let error = LedgerError::Unavailable {
            action: "list",
            source: sqlx::Error::PoolTimedOut,
        };
        let response = ApiError::from(error).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "5");
    }
}
