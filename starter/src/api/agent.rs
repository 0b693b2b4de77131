//! `/agent`: what the agent does and did.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use sallyport_ledger::{agent_logs, workflows};
use sallyport_workflows::State as TicketState;
use serde::Deserialize;

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        types::{AgentStatus, AgentStatusName, LogPage},
    },
    state::StarterState,
};

/// The query of `GET /agent/logs/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    #[serde(default)]
    after: u64,
    #[serde(default = "two_hundred")]
    limit: u32,
}

fn two_hundred() -> u32 {
    200
}

/// `GET /agent/logs/{id}`.
pub async fn logs(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path<String>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Json<LogPage>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let workflow = workflows::find(&state.database, &id).await?;
    let logs = agent_logs::page(&state.database, workflow.id, query.after, query.limit).await?;
    let next = logs.last().map_or(query.after, |line| line.id);
    Ok(Json(LogPage { logs, next }))
}

/// `GET /agent/status/{id}`.
pub async fn status(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path<String>,
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
