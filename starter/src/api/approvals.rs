//! `/approvals`: what waits for a decision, and deciding it.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sallyport_ledger::approvals;
use uuid::Uuid;

use crate::{
    api::{
        auth::{Caller, Role},
        error::ApiError,
        types::{DecisionPending, PendingApprovals},
        workflows::body_of,
    },
    decide::{self, Decided},
    state::StarterState,
    text,
};

/// `GET /approvals/pending`.
pub async fn pending(
    State(state): State<StarterState>,
    _caller: Caller,
) -> Result<Json<PendingApprovals>, ApiError> {
    let approvals = approvals::pending(&state.database).await?;
    Ok(Json(PendingApprovals { approvals }))
}

/// `POST /approvals/{approval_id}/decision`.
pub async fn decide(
    State(state): State<StarterState>,
    caller: Caller,
    Path(approval): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.must_be(Role::Approver)?;
    let approval = Uuid::parse_str(&approval)
        .map_err(|_| ApiError::not_found(text::no_such_approval(&approval)))?;
    let decision = body_of(request).await?;
    Ok(
        match decide::decide(&state, &caller, approval, decision).await? {
            Decided::Counted(outcome) => Json(outcome).into_response(),
            Decided::Pending => (
                StatusCode::ACCEPTED,
                Json(DecisionPending { pending: true }),
            )
                .into_response(),
        },
    )
}
