//! `/approvals`: what waits for a decision, what it asks about, and deciding it.

use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sallyport_ledger::approvals::{self, ApprovalRow};
use sallyport_workflows::gate::Gate;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    api::{
        auth::{Caller, Role},
        document,
        error::{ApiError, body_of},
        types::{Pending, PendingApprovals},
    },
    decide::{self, Decided},
    state::StarterState,
    text,
};

/// The query of `GET /approvals/pending`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingQuery {
    /// Only what this person may decide: an email address.
    #[serde(default)]
    assignee: Option<String>,
}

/// `GET /approvals/pending`.
pub async fn pending(
    State(state): State<StarterState>,
    _caller: Caller,
    query: Result<Query<PendingQuery>, QueryRejection>,
) -> Result<Json<PendingApprovals>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    // An empty filter is none: what a form sends.
    let assignee = query.assignee.filter(|person| !person.is_empty());
    let approvals = approvals::pending(&state.database, assignee.as_deref()).await?;
    Ok(Json(PendingApprovals { approvals }))
}

/// `GET /approvals/{approval_id}/content`: exactly what the gate asks about. A SPEC's text, a diff, or, at gate SCOPE, the
/// JSON of a [`ScopeRequest`](sallyport_workflows::scope::ScopeRequest).
pub async fn content(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(approval): Path<String>,
) -> Result<Response, ApiError> {
    let approval = find(&state, &approval).await?;
    let media_type = match approval.gate {
        Gate::Spec => document::MARKDOWN,
        Gate::Scope => document::JSON,
        Gate::Pr => document::DIFF,
    };
    let revision = Some(approval.revision.as_str());
    document::stored(&state, &approval.content, media_type, revision).await
}

/// `GET /approvals/{approval_id}/changes`: what changed on the base branch, where the gate asks again because of it.
pub async fn changes(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(approval): Path<String>,
) -> Result<Response, ApiError> {
    let approval = find(&state, &approval).await?;
    let change = approval.base_change.as_ref();
    let change = change.ok_or_else(|| ApiError::not_there_yet(text::no_base_change(&approval)))?;
    let revision = Some(approval.revision.as_str());
    document::stored(&state, &change.diff, document::DIFF, revision).await
}

async fn find(state: &StarterState, approval: &str) -> Result<ApprovalRow, ApiError> {
    Ok(approvals::get(&state.database, id_of(approval)?).await?)
}

fn id_of(approval: &str) -> Result<Uuid, ApiError> {
    Uuid::parse_str(approval).map_err(|_| ApiError::not_found(text::no_such_approval(approval)))
}

/// `POST /approvals/{approval_id}/decision`.
pub async fn decide(
    State(state): State<StarterState>,
    caller: Caller,
    Path(approval): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.must_be(Role::Approver)?;
    let approval = id_of(&approval)?;
    let decision = body_of(request).await?;
    Ok(
        match decide::decide(&state, &caller, approval, decision).await? {
            Decided::Counted(outcome) => Json(outcome).into_response(),
            Decided::Pending => {
                (StatusCode::ACCEPTED, Json(Pending { pending: true })).into_response()
            }
        },
    )
}
