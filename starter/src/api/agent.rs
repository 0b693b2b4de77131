//! `/agent`: what the agent does and did.

use axum::{Json, extract::State};
use sallyport_ledger::{agent_logs::MAXIMUM_PAGE, retention::agent_logs, workflows};
use sallyport_workflows::State as TicketState;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        input::{Path, Query},
        types::{AgentStatus, AgentStatusName, LogPage},
    },
    openapi::TICKET,
    state::StarterState,
    text,
};

/// The query of `GET /agent/logs/{id}`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// `next` of an earlier answer: only the lines after that one.
    #[serde(default)]
    #[param(maximum = 9_223_372_036_854_775_807i64)]
    after: u64,
    /// How many at most, up to 1000.
    #[serde(default = "two_hundred")]
    #[param(maximum = 1000)]
    limit: u32,
}

fn two_hundred() -> u32 {
    200
}

/// The agent's lines, the oldest first, in pages.
#[utoipa::path(
    get,
    path = "/agent/logs/{id}",
    tag = "agent",
    operation_id = "get_agent_logs",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET), LogQuery),
    responses((status = OK, description = "A page of lines.", body = LogPage)),
)]
pub async fn logs(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
    Query(query): Query<LogQuery>,
) -> Result<Json<LogPage>, ApiError> {
    if i64::try_from(query.after).is_err() {
        return Err(ApiError::bad_request(text::NO_SUCH_LINE));
    }
    if query.limit > MAXIMUM_PAGE {
        return Err(ApiError::bad_request(text::bad_limit(0, MAXIMUM_PAGE)));
    }
    let workflow = workflows::find(&state.database, &id).await?;
    let (database, objects) = (&state.database, &state.objects);
    let logs = agent_logs::page(database, objects, workflow.id, query.after, query.limit).await?;
    let next = logs.last().map_or(query.after, |line| line.id);
    Ok(Json(LogPage { logs, next }))
}

/// What the agent does just now.
#[utoipa::path(
    get,
    path = "/agent/status/{id}",
    tag = "agent",
    operation_id = "get_agent_status",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET)),
    responses((status = OK, description = "How it stands.", body = AgentStatus)),
)]
pub async fn status(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
) -> Result<Json<AgentStatus>, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    // Without Temporal's answer, the state alone is told.
    let pending = state
        .tickets
        .pending_activities(&workflow.workflow_id)
        .await
        .unwrap_or_default();
    let working = pending
        .into_iter()
        .find(|activity| matches!(activity.name.as_str(), "run_agent" | "run_qa"));
    let (progress, current_step) = match working {
        Some(activity) => (activity.heartbeat, activity.name),
        None => (serde_json::Value::Null, workflow.state.to_string()),
    };
    Ok(Json(AgentStatus {
        status: status_in(workflow.state),
        progress,
        current_step,
    }))
}

/// How the agent stands in a state of its ticket.
fn status_in(state: TicketState) -> AgentStatusName {
    use TicketState::*;
    match state {
        Pending | Planning | AwaitingSpecApproval | SpecApproved | AwaitingScopeApproval => {
            AgentStatusName::Waiting
        }
        Executing | QaRunning => AgentStatusName::Running,
        PrCreated | AwaitingPrApproval | PrClosed | Merged | Completed => {
            AgentStatusName::Completed
        }
        SpecRejected | QaFailed | Error | Cancelled => AgentStatusName::Failed,
    }
}
