//! Answers that are no success: what each is called, and the sentence that goes with it. `problem` writes the documents.

use std::{fmt, net::IpAddr, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sallyport_ledger::{LedgerError, ObjectError, retention::RetentionError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{api::auth::Role, text};

/// Seconds after which a sender may try again when the database is down.
const RETRY_AFTER: u64 = 5;

/// The stable name of what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 400: the request is malformed.
    BadRequest,
    /// 401: a webhook's signature is missing or wrong.
    BadSignature,
    /// 401: no token, or one that does not count.
    Unauthorized,
    /// 403: the person may not do this.
    Forbidden,
    /// 404.
    NotFound,
    /// 404: the ticket is known, and has nothing of the kind, or not yet.
    NotThereYet,
    /// 405: the path is known, and takes no such method.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    TooSlow,
    /// 409: several tickets have that name.
    Ambiguous,
    /// 409: it is too late, too early, or about something else.
    Refused,
    /// 413.
    TooLarge,
    /// 422: well formed, and yet it cannot be meant.
    Invalid,
    /// 429: more than is taken from there.
    TooMany,
    /// 500: our fault.
    Internal,
    /// 503.
    DatabaseUnavailable,
    /// 503: Temporal or every worker is down.
    NobodyAnswers,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::BadRequest,
        Self::BadSignature,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::NotThereYet,
        Self::MethodNotAllowed,
        Self::TooSlow,
        Self::Ambiguous,
        Self::Refused,
        Self::TooLarge,
        Self::Invalid,
        Self::TooMany,
        Self::Internal,
        Self::DatabaseUnavailable,
        Self::NobodyAnswers,
    ];

    /// The name in a document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BadSignature => "bad_signature",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::NotThereYet => "not_there_yet",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooSlow => "too_slow",
            Self::Ambiguous => "ambiguous",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::TooMany => "too_many",
            Self::Internal => "internal",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::NobodyAnswers => "nobody_answers",
        }
    }

    /// The status that goes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::BadSignature | Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NotThereYet => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Ambiguous | Self::Refused => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::DatabaseUnavailable | Self::NobodyAnswers => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What it means in a few words.
    pub const fn title(self) -> &'static str {
        text::title(self)
    }

    /// The reference that identifies this kind of problem.
    pub fn type_uri(self) -> String {
        format!("/problems/{}", self.as_str())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An answer that is no success: a stable name and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Which kind.
    pub(super) code: ErrorCode,
    /// What was tried, on what, and what to do.
    pub(super) detail: String,
    /// Seconds after which it may be tried again, where that is known.
    retry_after: Option<u64>,
}

impl From<ErrorCode> for ApiError {
    /// The error with the sentence that is always said of it.
    fn from(code: ErrorCode) -> Self {
        Self::new(code, text::general(code))
    }
}

impl ApiError {
    fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            retry_after: matches!(
                code,
                ErrorCode::DatabaseUnavailable | ErrorCode::NobodyAnswers
            )
            .then_some(RETRY_AFTER),
            code,
            detail: detail.into(),
        }
    }

    /// 400: the request is malformed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, detail)
    }

    /// 400: a field of the body is missing or malformed.
    pub fn bad_field(field: &str, problem: &str) -> Self {
        Self::bad_request(text::bad_field(field, problem))
    }

    /// 401: a webhook's signature is missing or wrong.
    pub fn bad_signature() -> Self {
        ErrorCode::BadSignature.into()
    }

    /// 401: no token, or one that does not count.
    pub fn unauthorized() -> Self {
        ErrorCode::Unauthorized.into()
    }

    /// 403: the person may not do this.
    pub fn forbidden(person: &str, role: Role, needed: Role) -> Self {
        Self::new(ErrorCode::Forbidden, text::forbidden(person, role, needed))
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, detail)
    }

    /// 404: the ticket is known, and has nothing of the kind, or not yet.
    pub fn not_there_yet(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotThereYet, detail)
    }

    /// 408: the body did not arrive in time.
    pub fn too_slow() -> Self {
        ErrorCode::TooSlow.into()
    }

    /// 400: the body broke off.
    pub fn broken_body() -> Self {
        Self::bad_request(text::BROKEN_BODY)
    }

    /// 409: it is too late, too early, or about something else.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Refused, detail)
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        Self::new(ErrorCode::TooLarge, text::too_large(limit))
    }

    /// 422: well formed, and yet it cannot be meant.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, detail)
    }

    /// 403: the source does not send from there.
    pub fn not_from_there(address: IpAddr) -> Self {
        Self::new(ErrorCode::Forbidden, text::not_from_there(address))
    }

    /// 429: more than is taken; the next may come after `wait`.
    pub fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        Self {
            retry_after: Some(seconds),
            ..Self::new(ErrorCode::TooMany, text::too_many(seconds))
        }
    }

    /// 503: Temporal or every worker is down.
    pub fn nobody_answers() -> Self {
        ErrorCode::NobodyAnswers.into()
    }

    /// 503: the database is down; `detail` says what else is known.
    pub fn unhealthy(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::DatabaseUnavailable, detail)
    }

    /// 500: our fault. The cause goes to the log, not to the caller.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = cause, "a request failed");
        ErrorCode::Internal.into()
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::NotFound { .. } => Self::not_found(error.to_string()),
            LedgerError::Ambiguous { .. } => Self::new(ErrorCode::Ambiguous, error.to_string()),
            LedgerError::Unavailable { .. } => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the database is out of reach"
                );
                ErrorCode::DatabaseUnavailable.into()
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

impl From<RetentionError> for ApiError {
    fn from(error: RetentionError) -> Self {
        match error {
            RetentionError::Ledger(error) => error.into(),
            RetentionError::Objects(error) => error.into(),
            RetentionError::Json { .. } => Self::internal(&error),
        }
    }
}

/// Without its body, which needs the request's id: `problem::with_id` writes it.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.code == ErrorCode::Unauthorized {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_the_document_and_in_the_code() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn whoever_has_no_token_is_told_which_kind_is_wanted() {
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
