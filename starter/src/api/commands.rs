//! `POST /workflows/{id}/transition`: what people may do to a ticket beside deciding at its gates.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sallyport_ledger::workflows;
use sallyport_workflows::command::CommandOutcome;

use crate::{
    api::{
        auth::{Caller, Role},
        error::ApiError,
        input::{Path, body_of},
        types::{CommandRequest, Pending},
    },
    command::{self, Commanded},
    openapi::TICKET,
    state::StarterState,
};

/// Retries, abandons, cancels, reopens a ticket, or gives its gate more time.
///
/// An approver may reopen; everything else takes an admin.
#[utoipa::path(
    post,
    path = "/workflows/{id}/transition",
    tag = "workflows",
    operation_id = "transition_workflow",
    security(("bearer" = ["approver"])),
    params(("id" = String, Path, description = TICKET)),
    request_body = CommandRequest,
    responses(
        (status = OK, description = "It is carried out.", body = CommandOutcome),
        (status = ACCEPTED, description = "Nobody judged it in time; it was sent, and will be judged.", body = Pending),
    ),
)]
pub async fn transition(
    State(state): State<StarterState>,
    caller: Caller,
    Path(id): Path,
    request: Request,
) -> Result<Response, ApiError> {
    // Nobody below may command anything, whatever the body asks for.
    caller.must_be(Role::Approver)?;
    let request: CommandRequest = body_of(request).await?;
    caller.must_be(command::role_for(request.action))?;
    let command = command::of(&caller, request)?;
    let workflow = workflows::find(&state.database, &id).await?;
    Ok(match command::give(&state, &workflow, command).await? {
        Commanded::Accepted(outcome) => Json(outcome).into_response(),
        Commanded::Pending => {
            (StatusCode::ACCEPTED, Json(Pending { pending: true })).into_response()
        }
    })
}
