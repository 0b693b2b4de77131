//! `/workflows`: lists, one ticket with all that is known of it, its texts, and starting one by hand.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sallyport_ledger::{
    approvals, decisions,
    inbox::{self, NewEvent},
    qa_results, transitions,
    workflows::{self, Filter, WorkflowRow},
};
use sallyport_workflows::{ObjectRef, status::TicketStatus, ticket::FLUX_LENS};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    api::{
        auth::{Caller, Role},
        error::ApiError,
        types::{Acknowledgement, ReopenRequest, StartRequest, WorkflowList, WorkflowView},
    },
    decide,
    state::StarterState,
    text,
    webhooks::{
        body,
        flux_lens::{REQUESTED, is_ticket_id},
    },
};

/// The most workflows that one answer lists.
const MAXIMUM_LIMIT: u32 = 500;

/// The query of `GET /workflows`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    #[serde(default)]
    state: Option<String>,
    #[serde(default = "fifty")]
    limit: u32,
    #[serde(default)]
    offset: u32,
}

fn fifty() -> u32 {
    50
}

/// `GET /workflows`.
pub async fn list(
    State(state): State<StarterState>,
    _caller: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<WorkflowList>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    // An empty filter is none: what a form sends.
    let wanted = query
        .state
        .filter(|name| !name.is_empty())
        .map(|name| name.to_uppercase().parse())
        .transpose()
        .map_err(|error: sallyport_workflows::state::UnknownState| {
            ApiError::bad_request(error.to_string())
        })?;
    let filter = Filter {
        state: wanted,
        limit: query.limit.min(MAXIMUM_LIMIT),
        offset: query.offset,
    };
    let page = workflows::list(&state.database, &filter).await?;
    Ok(Json(WorkflowList {
        workflows: page.workflows,
        total: page.total,
    }))
}

/// `GET /workflows/{id}`.
pub async fn view(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<WorkflowView>, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let (status, transitions, approvals, decisions, qa_results) = tokio::join!(
        state.tickets.status(&workflow.workflow_id),
        transitions::of_workflow(&state.database, workflow.id),
        approvals::of_workflow(&state.database, workflow.id),
        decisions::of_workflow(&state.database, workflow.id),
        qa_results::of_workflow(&state.database, workflow.id),
    );
    let status = status.ok();
    Ok(Json(WorkflowView {
        temporal_url: temporal_url(&state, &workflow),
        live: status.is_some(),
        status,
        transitions: transitions?,
        approvals: approvals?,
        decisions: decisions?,
        qa_results: qa_results?,
        workflow,
    }))
}

fn temporal_url(state: &StarterState, workflow: &WorkflowRow) -> Option<String> {
    let base = state
        .config
        .temporal_ui_url
        .as_deref()?
        .trim_end_matches('/');
    // The UI's router takes the id as one part of the path.
    let id: String = workflow
        .workflow_id
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    Some(format!(
        "{base}/namespaces/{}/workflows/{id}",
        state.tickets.namespace()
    ))
}

/// `GET /workflows/{id}/spec`.
pub async fn spec(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let mut response = document(
        &state,
        &workflow,
        workflow.spec.as_ref(),
        "SPEC",
        "text/markdown",
    )
    .await?;
    if let Some(revision) = workflow
        .spec_revision
        .as_deref()
        .and_then(|text| HeaderValue::from_str(text).ok())
    {
        response
            .headers_mut()
            .insert("x-sallyport-revision", revision);
    }
    Ok(response)
}

/// `GET /workflows/{id}/diff`.
pub async fn diff(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let mut response = document(
        &state,
        &workflow,
        workflow.diff.as_ref(),
        "diff",
        "text/x-diff",
    )
    .await?;
    let revision = workflow
        .head_commit
        .as_deref()
        .map(sallyport_workflows::revision::pull_request_revision);
    if let Some(revision) = revision.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response
            .headers_mut()
            .insert("x-sallyport-revision", revision);
    }
    Ok(response)
}

/// `GET /workflows/{id}/qa-report`.
pub async fn qa_report(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    document(
        &state,
        &workflow,
        workflow.qa_report.as_ref(),
        "QA report",
        "text/markdown",
    )
    .await
}

/// A stored text, byte for byte.
async fn document(
    state: &StarterState,
    workflow: &WorkflowRow,
    reference: Option<&ObjectRef>,
    what: &str,
    media_type: &'static str,
) -> Result<Response, ApiError> {
    let reference = reference.ok_or_else(|| {
        ApiError::not_found(text::not_there_yet(what, &workflow.key(), workflow.state))
    })?;
    let content = state.objects.get(reference).await?;
    let media_type = format!("{media_type}; charset=utf-8");
    // Written by models and agents: whatever shows it must not run it.
    let headers = [
        (header::CONTENT_TYPE, media_type.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, content).into_response())
}

/// `POST /workflows/{id}/reopen`.
pub async fn reopen(
    State(state): State<StarterState>,
    caller: Caller,
    Path(id): Path<String>,
    request: axum::extract::Request,
) -> Result<Json<TicketStatus>, ApiError> {
    caller.must_be(Role::Approver)?;
    let wish: ReopenRequest = body_of(request).await?;
    let workflow = workflows::find(&state.database, &id).await?;
    decide::reopen(&state, &caller, &workflow.workflow_id, wish.id)
        .await
        .map(Json)
}

/// `POST /workflows/start`: files an event as if the ticket system had sent it.
pub async fn start(
    State(state): State<StarterState>,
    caller: Caller,
    request: axum::extract::Request,
) -> Result<(StatusCode, Json<Acknowledgement>), ApiError> {
    caller.must_be(Role::Admin)?;
    let wish: StartRequest = body_of(request).await?;
    if !is_ticket_id(&wish.ticket_id) {
        return Err(ApiError::unprocessable(text::bad_field(
            "ticket_id",
            "it must be like FL-1",
        )));
    }
    let project = match (wish.project, state.repositories.as_slice()) {
        (Some(project), _) => project,
        (None, [only]) => only.project.clone(),
        (None, _) => {
            return Err(ApiError::unprocessable(text::bad_field(
                "project",
                "it may be left out only where one repository is configured",
            )));
        }
    };
    if sallyport_ledger::config::repository_of(&state.repositories, &project).is_none() {
        return Err(ApiError::unprocessable(text::unknown_project(&project)));
    }
    let id = wish.id.unwrap_or_else(Uuid::new_v4);
    let body = serde_json::json!({
        "event": REQUESTED,
        "by": caller.person,
        "ticket": { "id": wish.ticket_id, "project": project },
    });
    let event = NewEvent {
        source: FLUX_LENS.to_owned(),
        delivery_id: format!("{REQUESTED}/{id}"),
        event: REQUESTED.to_owned(),
        ticket_id: Some(wish.ticket_id),
        body: body.to_string().into_bytes(),
        ignored: None,
    };
    let accepted = inbox::accept(&state.database, &event).await?;
    state.new_event.notify_one();
    Ok((
        StatusCode::ACCEPTED,
        Json(Acknowledgement {
            accepted: true,
            duplicate: accepted.duplicate,
        }),
    ))
}

/// The request's JSON. What is no JSON is 400; what lacks a field or has one too many is 422.
pub(super) async fn body_of<T: serde::de::DeserializeOwned>(
    request: axum::extract::Request,
) -> Result<T, ApiError> {
    let (parts, content) = request.into_parts();
    let content = body::read(&parts.headers, content).await?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&content)
        .map_err(|error| ApiError::bad_field("", &error.to_string()))?;
    super::error::parse_json(&content)
        .map_err(|(field, problem)| ApiError::unprocessable(text::bad_field(&field, &problem)))
}
