//! `GET /health`.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};

use crate::{api::types::Health, state::StarterState};

/// How long each part may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this starter can do its work: take events in. 503 when it cannot.
pub async fn health(State(state): State<StarterState>) -> (StatusCode, Json<Health>) {
    let (database, temporal) = tokio::join!(
        tokio::time::timeout(PATIENCE, state.database.ping()),
        tokio::time::timeout(PATIENCE, state.tickets.ping()),
    );
    let database = matches!(database, Ok(Ok(())));
    let temporal = matches!(temporal, Ok(Ok(())));
    let name = |reachable: bool| if reachable { "ok" } else { "unreachable" }.to_owned();
    let status = if database {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = Health {
        status: if database { "ok" } else { "unavailable" }.to_owned(),
        database: name(database),
        temporal: name(temporal),
    };
    (status, Json(body))
}
