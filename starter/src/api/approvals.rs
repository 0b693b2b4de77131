//! `/approvals`: what a gate asks about, and deciding it.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sallyport_ledger::approvals::{self, ApprovalRow};
use sallyport_workflows::{decision::DecisionOutcome, gate::Gate, scope::ScopeRequest};
use uuid::Uuid;

use crate::{
    api::{
        auth::{Caller, Role},
        document,
        error::ApiError,
        input::{Path, body_of},
        types::{DecisionRequest, Pending},
    },
    decide::{self, Decided},
    state::StarterState,
    text,
};

/// Exactly what a gate asks about: a SPEC's text, a diff, or the agent's request for files.
///
/// The header `X-Sallyport-Revision` names it as a decision has to.
#[utoipa::path(
    get,
    path = "/approvals/{id}/content",
    tag = "approvals",
    operation_id = "get_approval_content",
    security(("bearer" = ["viewer"])),
    params(("id" = Uuid, Path, description = "The request's id: `id` of an approval.")),
    responses(
        (status = OK, description = "What is asked about, byte for byte.", content(
            (String = document::MARKDOWN),
            (String = document::DIFF),
            (ScopeRequest = document::JSON),
        )),
    ),
)]
pub async fn content(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(approval): Path,
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

/// What changed on the base branch, where a gate asks again because of it.
#[utoipa::path(
    get,
    path = "/approvals/{id}/changes",
    tag = "approvals",
    operation_id = "get_approval_changes",
    security(("bearer" = ["viewer"])),
    params(("id" = Uuid, Path, description = "The request's id: `id` of an approval.")),
    responses((status = OK, description = "The diff of the base branch.", body = String, content_type = document::DIFF)),
)]
pub async fn changes(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(approval): Path,
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

/// Decides at a gate. Sent again with the same `id`, it gets the same answer.
#[utoipa::path(
    post,
    path = "/approvals/{id}/decision",
    tag = "approvals",
    operation_id = "decide",
    security(("bearer" = ["approver"])),
    params(("id" = Uuid, Path, description = "The request's id: `id` of an approval.")),
    request_body = DecisionRequest,
    responses(
        (status = OK, description = "It counts.", body = DecisionOutcome),
        (status = ACCEPTED, description = "Nobody judged it in time; it was sent, and will be judged.", body = Pending),
    ),
)]
pub async fn decide(
    State(state): State<StarterState>,
    caller: Caller,
    Path(approval): Path,
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
