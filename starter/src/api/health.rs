//! `GET /health`.

use std::time::Duration;

use axum::{Json, extract::State};

use crate::{
    api::{error::ApiError, types::Health},
    state::StarterState,
    text,
};

/// How long each part may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this starter can do its work: take events in. 503 when it cannot.
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    operation_id = "health",
    responses((status = OK, description = "It can.", body = Health)),
)]
pub async fn health(State(state): State<StarterState>) -> Result<Json<Health>, ApiError> {
    let (database, temporal) = tokio::join!(
        tokio::time::timeout(PATIENCE, state.database.ping()),
        tokio::time::timeout(PATIENCE, state.tickets.ping()),
    );
    let temporal = matches!(temporal, Ok(Ok(())));
    if !matches!(database, Ok(Ok(()))) {
        return Err(ApiError::unhealthy(text::unhealthy(temporal)));
    }
    Ok(Json(Health {
        status: "ok".to_owned(),
        database: "ok".to_owned(),
        temporal: if temporal { "ok" } else { "unreachable" }.to_owned(),
    }))
}
