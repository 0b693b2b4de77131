//! Stored texts as answers: byte for byte, and never as a page that a browser would run.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, stream};
use sallyport_workflows::ObjectRef;

use crate::{api::error::ApiError, state::StarterState};

/// Markdown: SPECs and reports.
pub const MARKDOWN: &str = "text/markdown; charset=utf-8";
/// A diff.
pub const DIFF: &str = "text/x-diff; charset=utf-8";
/// JSON Lines: transcripts.
pub const JSON_LINES: &str = "application/jsonl; charset=utf-8";
/// JSON: requests for more scope.
pub const JSON: &str = "application/json; charset=utf-8";

/// The header that names what a gate asks about.
const REVISION: &str = "x-sallyport-revision";

/// A stored text; `revision` is what a gate asks about with it.
pub async fn stored(
    state: &StarterState,
    reference: &ObjectRef,
    media_type: &'static str,
    revision: Option<&str>,
) -> Result<Response, ApiError> {
    let content = state.objects.get(reference).await?;
    let mut response = (harmless(media_type), content).into_response();
    if let Some(revision) = revision.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(REVISION, revision);
    }
    Ok(response)
}

/// Stored texts, one behind the other. One that is gone is an error if it is the first, else the end of the answer.
pub async fn stored_all(
    state: &StarterState,
    (first, rest): (&ObjectRef, &[ObjectRef]),
    media_type: &'static str,
) -> Result<Response, ApiError> {
    let first = state.objects.get(first).await?;
    let objects = state.objects.clone();
    let rest = stream::iter(rest.to_vec()).then(move |reference| {
        let objects = objects.clone();
        async move { objects.get(&reference).await }
    });
    let content = Body::from_stream(stream::once(async { Ok(first) }).chain(rest));
    Ok((harmless(media_type), content).into_response())
}

/// Written by models and agents: whatever shows it must not run it.
fn harmless(media_type: &'static str) -> [(HeaderName, &'static str); 2] {
    [
        (header::CONTENT_TYPE, media_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]
}
