//! `GET /workflows` and `GET /approvals/pending`: lists, read from the ledger alone, in pages.

use axum::{Json, extract::State};
use sallyport_ledger::{
    config::RepositoryConfig,
    lists::{
        LARGEST_OFFSET, approvals,
        workflows::{self, Filter, LONGEST_TEXT, Position, SHORTEST_TEXT},
    },
};
use sallyport_workflows::state::UnknownState;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        input::Query,
        types::{PendingApprovals, WorkflowList},
    },
    state::StarterState,
    text,
};

/// The most rows that one answer lists.
const MAXIMUM_LIMIT: u32 = 500;

/// The query of `GET /workflows`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WorkflowQuery {
    /// Only those in this state.
    state: Option<String>,
    /// Only those about this repository: its URL, or its project in the configuration.
    repository: Option<String>,
    /// Only those of this ticket system, such as `flux-lens`.
    source: Option<String>,
    /// Only those with an open gate that this person may decide: an email address.
    assignee: Option<String>,
    /// Only those whose ticket's id or title holds this text, in any case: at least 3 characters.
    text: Option<String>,
    /// How many at most, up to 500; 0 only counts.
    #[serde(default = "fifty")]
    #[param(maximum = 500)]
    limit: u32,
    /// How many of the newest to pass over, up to 10,000.
    #[param(maximum = 10_000)]
    offset: Option<u32>,
    /// `next` of an earlier answer: begin where that one ended.
    cursor: Option<String>,
}

fn fifty() -> u32 {
    50
}

/// Tickets, the newest first, in pages.
#[utoipa::path(
    get,
    path = "/workflows",
    tag = "workflows",
    operation_id = "list_workflows",
    security(("bearer" = ["viewer"])),
    params(WorkflowQuery),
    responses((status = OK, description = "A page of them.", body = WorkflowList)),
)]
pub async fn workflows(
    State(state): State<StarterState>,
    _caller: Caller,
    Query(query): Query<WorkflowQuery>,
) -> Result<Json<WorkflowList>, ApiError> {
    let position = position(query.offset, query.cursor.as_deref())?;
    let limit = limit(query.limit, 0)?;
    let filter = filter(query, &state.repositories)?;
    let page = workflows::list(&state.database, &filter, position, limit).await?;
    Ok(Json(WorkflowList {
        workflows: page.workflows,
        total: page.total.count,
        total_is_capped: page.total.is_capped,
        next: page.next.map(|cursor| cursor.to_string()),
    }))
}

fn limit(given: u32, least: u32) -> Result<u32, ApiError> {
    if (least..=MAXIMUM_LIMIT).contains(&given) {
        Ok(given)
    } else {
        Err(ApiError::bad_request(text::bad_limit(least, MAXIMUM_LIMIT)))
    }
}

fn filter(query: WorkflowQuery, repositories: &[RepositoryConfig]) -> Result<Filter, ApiError> {
    let state = query
        .state
        .map(|name| name.to_uppercase().parse())
        .transpose()
        .map_err(|error: UnknownState| ApiError::bad_request(error.to_string()))?;
    let repository = query.repository.map(|name| {
        let configured = repositories.iter().find(|one| one.project == name);
        configured.map_or(name, |one| one.url.clone())
    });
    let text = query.text.map(|text| text.trim().to_owned());
    if let Some(text) = &text
        && !(SHORTEST_TEXT..=LONGEST_TEXT).contains(&text.chars().count())
    {
        let problem = text::text_length(SHORTEST_TEXT, LONGEST_TEXT);
        return Err(ApiError::bad_request(problem));
    }
    Ok(Filter {
        state,
        repository,
        source: query.source,
        assignee: query.assignee,
        text,
    })
}

fn position(offset: Option<u32>, cursor: Option<&str>) -> Result<Position, ApiError> {
    match (offset, cursor) {
        (Some(_), Some(_)) => Err(ApiError::bad_request(text::CURSOR_AND_OFFSET)),
        (Some(offset), None) if offset > LARGEST_OFFSET => Err(ApiError::bad_request(
            text::offset_too_large(LARGEST_OFFSET),
        )),
        (offset, None) => Ok(Position::Offset(offset.unwrap_or_default())),
        (None, Some(cursor)) => cursor
            .parse()
            .map(Position::After)
            .map_err(|_| ApiError::bad_request(text::BROKEN_CURSOR)),
    }
}

/// The query of `GET /approvals/pending`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PendingQuery {
    /// Only what this person may decide: an email address.
    assignee: Option<String>,
    /// How many at most, from 1 to 500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500)]
    limit: u32,
    /// `next` of an earlier answer: begin where that one ended.
    cursor: Option<String>,
}

/// Open gates, the most urgent first, in pages.
#[utoipa::path(
    get,
    path = "/approvals/pending",
    tag = "approvals",
    operation_id = "list_pending_approvals",
    security(("bearer" = ["viewer"])),
    params(PendingQuery),
    responses((status = OK, description = "A page of them.", body = PendingApprovals)),
)]
pub async fn pending(
    State(state): State<StarterState>,
    _caller: Caller,
    Query(query): Query<PendingQuery>,
) -> Result<Json<PendingApprovals>, ApiError> {
    let cursor = query.cursor.as_deref().map(str::parse).transpose();
    let cursor = cursor.map_err(|_| ApiError::bad_request(text::BROKEN_CURSOR))?;
    let limit = limit(query.limit, 1)?;
    let assignee = query.assignee.as_deref();
    let page = approvals::pending(&state.database, assignee, cursor, limit).await?;
    Ok(Json(PendingApprovals {
        approvals: page.approvals,
        next: page.next.map(|cursor| cursor.to_string()),
    }))
}
