//! `POST /workflows/{id}/transition`: what people may do to a ticket beside deciding at its gates.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sallyport_ledger::workflows;

use crate::{
    api::{
        auth::{Caller, Role},
        error::{ApiError, body_of},
        types::{CommandRequest, Pending},
    },
    command::{self, Commanded},
    state::StarterState,
};

/// `POST /workflows/{id}/transition`.
pub async fn transition(
    State(state): State<StarterState>,
    caller: Caller,
    Path(id): Path<String>,
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
