//! Stored texts as answers: byte for byte, and never as a page that a browser would run.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use sallyport_workflows::ObjectRef;

use crate::{api::error::ApiError, state::StarterState};

/// Markdown: SPECs and reports.
pub const MARKDOWN: &str = "text/markdown; charset=utf-8";
/// A diff.
pub const DIFF: &str = "text/x-diff; charset=utf-8";
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
    // Written by models and agents: whatever shows it must not run it.
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = (headers, content).into_response();
    if let Some(revision) = revision.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(REVISION, revision);
    }
    Ok(response)
}
