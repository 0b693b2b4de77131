//! `GET /api/metrics`: a few numbers about all tickets.

use axum::{Json, extract::State};
use chrono::Utc;
use sallyport_ledger::lists::metrics;

use crate::{
    api::{auth::Caller, error::ApiError, types::Metrics},
    state::StarterState,
};

/// A few numbers about all tickets.
#[utoipa::path(
    get,
    path = "/api/metrics",
    tag = "workflows",
    operation_id = "get_metrics",
    security(("bearer" = ["viewer"])),
    responses((status = OK, description = "The numbers.", body = Metrics)),
)]
pub async fn metrics(
    State(state): State<StarterState>,
    _caller: Caller,
) -> Result<Json<Metrics>, ApiError> {
    let metrics = metrics::read(&state.database, Utc::now()).await?;
    Ok(Json(Metrics {
        active_workflows: metrics.active_workflows,
        pending_approvals: metrics.pending_approvals,
        completed_today: metrics.completed_today,
        success_rate: metrics.success_rate,
    }))
}
