//! `/workflows`: one ticket with all that is known of it, its texts, and starting one by hand.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use sallyport_ledger::{
    approvals::{self, ApprovalRow},
    commands, decisions,
    flux_lens::{REQUESTED, is_ticket_id},
    inbox::{self, NewEvent},
    qa_results, spec_revisions, transcripts, transitions,
    workflows::{self, WorkflowRow},
};
use sallyport_workflows::{
    ObjectRef,
    gate::Gate,
    ticket::{FLUX_LENS, Priority},
};
use uuid::Uuid;

use crate::{
    api::{
        auth::{Caller, Role},
        document,
        error::ApiError,
        input::{Path, body_of},
        types::{Acknowledgement, ScopeAsked, StartRequest, WorkflowView},
    },
    openapi::TICKET,
    state::StarterState,
    text,
};

/// One ticket: what the ledger has, and what its workflow answers just now.
#[utoipa::path(
    get,
    path = "/workflows/{id}",
    tag = "workflows",
    operation_id = "get_workflow",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET)),
    responses((status = OK, description = "The ticket.", body = WorkflowView)),
)]
pub async fn view(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
) -> Result<Json<WorkflowView>, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let (status, transitions, approvals, decisions, commands, qa_results) = tokio::join!(
        state.tickets.status(&workflow.workflow_id),
        transitions::of_workflow(&state.database, workflow.id),
        approvals::of_workflow(&state.database, workflow.id),
        decisions::of_workflow(&state.database, workflow.id),
        commands::of_workflow(&state.database, workflow.id),
        qa_results::of_workflow(&state.database, workflow.id),
    );
    let (status, approvals) = (status.ok(), approvals?);
    Ok(Json(WorkflowView {
        temporal_url: temporal_url(&state, &workflow),
        live: status.is_some(),
        status,
        transitions: transitions?,
        scope_requests: scope_requests(&state, &approvals).await,
        approvals,
        decisions: decisions?,
        commands: commands?,
        qa_results: qa_results?,
        workflow,
    }))
}

/// What the agent asked for, as people were asked about it. One that cannot be read is left out: the rest is worth having.
async fn scope_requests(state: &StarterState, approvals: &[ApprovalRow]) -> Vec<ScopeAsked> {
    let mut asked = Vec::new();
    for approval in approvals.iter().filter(|row| row.gate == Gate::Scope) {
        let content = match state.objects.get(&approval.content).await {
            Ok(content) => content,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, approval = %approval.id, "cannot read a request for more scope");
                continue;
            }
        };
        match serde_json::from_slice(&content) {
            Ok(request) => asked.push(ScopeAsked {
                approval_id: approval.id,
                request,
            }),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, approval = %approval.id, "what is stored is no request for more scope");
            }
        }
    }
    asked
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

/// The latest SPEC, as it was written.
#[utoipa::path(
    get,
    path = "/workflows/{id}/spec",
    tag = "workflows",
    operation_id = "get_spec",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET)),
    responses((status = OK, description = "The SPEC.", body = String, content_type = document::MARKDOWN)),
)]
pub async fn spec(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
) -> Result<Response, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let spec = there(&workflow, workflow.spec.as_ref(), "SPEC")?;
    let revision = workflow.spec_revision.as_deref();
    document::stored(&state, spec, document::MARKDOWN, revision).await
}

/// What the planner was shown of the repository when it wrote the latest SPEC, and why; and what was left out.
#[utoipa::path(
    get,
    path = "/workflows/{id}/context",
    tag = "workflows",
    operation_id = "get_context",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET)),
    responses((status = OK, description = "The report.", body = String, content_type = document::MARKDOWN)),
)]
pub async fn context(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
) -> Result<Response, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let specs = spec_revisions::of_workflow(&state.database, workflow.id).await?;
    let latest = specs.last();
    let report = latest.and_then(|spec| spec.context.as_ref());
    let report = there(&workflow, report, "context report")?;
    let revision = latest.map(|spec| spec.revision.as_str());
    document::stored(&state, report, document::MARKDOWN, revision).await
}

/// The agent's latest diff against the base.
#[utoipa::path(
    get,
    path = "/workflows/{id}/diff",
    tag = "workflows",
    operation_id = "get_diff",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET)),
    responses((status = OK, description = "The diff.", body = String, content_type = document::DIFF)),
)]
pub async fn diff(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
) -> Result<Response, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let diff = there(&workflow, workflow.diff.as_ref(), "diff")?;
    let head = workflow.head_commit.as_deref();
    let revision = head.map(sallyport_workflows::revision::pull_request_revision);
    document::stored(&state, diff, document::DIFF, revision.as_deref()).await
}

/// The latest QA report.
#[utoipa::path(
    get,
    path = "/workflows/{id}/qa-report",
    tag = "workflows",
    operation_id = "get_qa_report",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET)),
    responses((status = OK, description = "The report.", body = String, content_type = document::MARKDOWN)),
)]
pub async fn qa_report(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
) -> Result<Response, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let report = there(&workflow, workflow.qa_report.as_ref(), "QA report")?;
    document::stored(&state, report, document::MARKDOWN, None).await
}

/// What was said between the agent and its model, one conversation after the other, without secrets: JSON Lines, as Pi writes
/// them.
#[utoipa::path(
    get,
    path = "/workflows/{id}/transcript",
    tag = "workflows",
    operation_id = "get_transcript",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET)),
    responses((status = OK, description = "The transcript.", body = String, content_type = document::JSON_LINES)),
)]
pub async fn transcript(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
) -> Result<Response, ApiError> {
    let workflow = workflows::find(&state.database, &id).await?;
    let all = transcripts::of_workflow(&state.database, workflow.id).await?;
    let first = there(&workflow, all.first(), "transcript")?;
    document::stored_all(&state, (first, &all[1..]), document::JSON_LINES).await
}

fn there<'a>(
    workflow: &WorkflowRow,
    reference: Option<&'a ObjectRef>,
    what: &str,
) -> Result<&'a ObjectRef, ApiError> {
    reference.ok_or_else(|| {
        ApiError::not_there_yet(text::not_there_yet(what, &workflow.key(), workflow.state))
    })
}

/// Files an event as if the ticket system had sent it; the ticket starts once the inbox is worked off.
#[utoipa::path(
    post,
    path = "/workflows/start",
    tag = "workflows",
    operation_id = "start_workflow",
    security(("bearer" = ["admin"])),
    request_body = StartRequest,
    responses((status = ACCEPTED, description = "It is in the inbox.", body = Acknowledgement)),
)]
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
        "id": id,
        "event": REQUESTED,
        "by": caller.person,
        "ticket": { "id": wish.ticket_id, "project": project },
    });
    let event = NewEvent {
        source: FLUX_LENS.to_owned(),
        delivery_id: format!("{REQUESTED}/{id}"),
        event: REQUESTED.to_owned(),
        ticket_id: Some(wish.ticket_id),
        priority: Priority::default(),
        only_body_signed: false,
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
