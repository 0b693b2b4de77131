//! Reading a request's body with a limit on size and time.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use futures::StreamExt;

use crate::api::error::ApiError;

/// The largest body of a webhook, in bytes.
pub const LIMIT: usize = 1024 * 1024;
/// How long a body may take.
const TIME: Duration = Duration::from_secs(10);
/// How much of a body that is too large is still read, and thrown away: a sender that is cut off while it writes does
/// not get to read the answer.
const DISCARDED: usize = 8 * LIMIT;

/// The body, at most [`LIMIT`] bytes of it. Nothing is kept of a larger one.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > DISCARDED) {
        return Err(ApiError::too_large(LIMIT));
    }
    tokio::time::timeout(TIME, collect(body))
        .await
        .map_err(|_| ApiError::too_slow())?
}

async fn collect(body: Body) -> Result<Bytes, ApiError> {
    let mut chunks = body.into_data_stream();
    let mut kept = Vec::new();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::broken_body())?;
        length += chunk.len();
        if length > DISCARDED {
            break;
        }
        if length > LIMIT {
            kept = Vec::new();
        } else {
            kept.extend_from_slice(&chunk);
        }
    }
    if length > LIMIT {
        return Err(ApiError::too_large(LIMIT));
    }
    Ok(kept.into())
}
