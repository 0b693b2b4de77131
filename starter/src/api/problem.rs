//! Problem documents (RFC 9457): every answer that is no success is one, with the request's id, which stands in the log
//! beside it.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::api::{
    error::{ApiError, ErrorCode},
    types::Problem,
};

/// The media type of problem documents.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// The header that names a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request an id, and each answer that is no success its document, also where axum itself answers or a handler
/// panics.
pub async fn with_id(request: Request, next: Next) -> Response {
    let id = Uuid::new_v4();
    let span = tracing::info_span!(
        "request",
        %id,
        method = %request.method(),
        path = request.uri().path(),
    );
    async move {
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        // What it panicked with stands on the standard error, by the panic hook.
        let answer = answer.unwrap_or_else(|_| {
            tracing::error!("a request's handler panicked");
            ApiError::from(ErrorCode::Internal).into_response()
        });
        let mut answer = document(answer, id);
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        answer
    }
    .instrument(span)
    .await
}

/// The answer with its document, if it is no success.
fn document(answer: Response, id: Uuid) -> Response {
    let status = answer.status();
    if !(status.is_client_error() || status.is_server_error()) {
        tracing::debug!(status = status.as_u16(), "answered");
        return answer;
    }
    let (mut parts, _) = answer.into_parts();
    let error = parts.extensions.remove::<ApiError>();
    let error = error.unwrap_or_else(|| ApiError::from(code_of(status)));
    let body = Problem {
        r#type: error.code.type_uri(),
        title: error.code.title().to_owned(),
        status: status.as_u16(),
        detail: error.detail,
        code: error.code,
        instance: format!("urn:uuid:{id}"),
    };
    if status.is_server_error() {
        tracing::warn!(
            status = body.status,
            code = %body.code,
            detail = body.detail,
            "could not answer"
        );
    } else {
        tracing::info!(
            status = body.status,
            code = %body.code,
            detail = body.detail,
            "refused"
        );
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let media_type = HeaderValue::from_static(MEDIA_TYPE);
    parts.headers.insert(header::CONTENT_TYPE, media_type);
    let body = serde_json::to_vec(&body).unwrap_or_default();
    Response::from_parts(parts, body.into())
}

/// What axum means where it answers by itself.
fn code_of(status: StatusCode) -> ErrorCode {
    match status {
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        status if status.is_client_error() => ErrorCode::BadRequest,
        _ => ErrorCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn text(answer: Response) -> String {
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn golden_document() {
        let answer = ApiError::bad_field("ticket.id", "missing").into_response();
        let answer = document(answer, Uuid::nil());
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(
            text(answer).await,
            "{\"type\":\"/problems/bad_request\",\"title\":\"The request cannot be read\",\"status\":400,\
             \"detail\":\"the body's field `ticket.id` is not understood: missing\",\"code\":\"bad_request\",\
             \"instance\":\"urn:uuid:00000000-0000-0000-0000-000000000000\"}"
        );
    }

    #[tokio::test]
    async fn what_axum_answers_by_itself_becomes_a_document_and_keeps_its_headers() {
        let plain = (
            StatusCode::METHOD_NOT_ALLOWED,
            [(header::ALLOW, "GET"), (header::CONTENT_LENGTH, "5")],
            "plain",
        );
        let answer = document(plain.into_response(), Uuid::nil());
        assert_eq!(answer.headers()["allow"], "GET");
        assert!(!answer.headers().contains_key("content-length"));
        assert!(
            text(answer)
                .await
                .contains("\"code\":\"method_not_allowed\"")
        );
    }

    #[tokio::test]
    async fn a_success_is_left_as_it_is() {
        let answer = document("fine".into_response(), Uuid::nil());
        assert_eq!(text(answer).await, "fine");
    }
}
