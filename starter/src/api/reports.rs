//! `GET /api/reports/models`: how planners and their models do.

use axum::{Json, extract::State};
use chrono::{TimeDelta, Utc};
use sallyport_ledger::model_report::{self, ModelReport};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{auth::Caller, error::ApiError, input::Query},
    state::StarterState,
    text,
};

/// How far back a report may go, in days.
const MAXIMUM_DAYS: u32 = 3650;

/// The query of `GET /api/reports/models`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ModelReportQuery {
    /// Tickets that began within so many days are counted: from 1 to 3650.
    #[serde(default = "thirty")]
    #[param(minimum = 1, maximum = 3650)]
    days: u32,
}

fn thirty() -> u32 {
    30
}

/// What became of the tickets that each planner planned, and how its models answered.
#[utoipa::path(
    get,
    path = "/api/reports/models",
    tag = "workflows",
    operation_id = "get_model_report",
    security(("bearer" = ["viewer"])),
    params(ModelReportQuery),
    responses((status = OK, description = "The report.", body = ModelReport)),
)]
pub async fn models(
    State(state): State<StarterState>,
    _caller: Caller,
    Query(query): Query<ModelReportQuery>,
) -> Result<Json<ModelReport>, ApiError> {
    if !(1..=MAXIMUM_DAYS).contains(&query.days) {
        return Err(ApiError::bad_request(text::bad_days(MAXIMUM_DAYS)));
    }
    let since = Utc::now() - TimeDelta::days(i64::from(query.days));
    Ok(Json(model_report::read(&state.database, since).await?))
}
