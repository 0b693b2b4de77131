//! `GET /workflows/{id}/timeline`: all that is on record of a ticket, in order.

use axum::{Json, extract::State};
use sallyport_ledger::{
    approvals, commands, costs, decisions, qa_results, spec_revisions, transitions, workflows,
};

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        input::Path,
        types::{Timeline, TimelineEvent, TimelineKind},
    },
    openapi::TICKET,
    state::StarterState,
};

/// All that is on record of a ticket, in order, without asking its workflow.
#[utoipa::path(
    get,
    path = "/workflows/{id}/timeline",
    tag = "workflows",
    operation_id = "get_timeline",
    security(("bearer" = ["viewer"])),
    params(("id" = String, Path, description = TICKET)),
    responses((status = OK, description = "What is on record.", body = Timeline)),
)]
pub async fn timeline(
    State(state): State<StarterState>,
    _caller: Caller,
    Path(id): Path,
) -> Result<Json<Timeline>, ApiError> {
    let database = &state.database;
    let workflow = workflows::find(database, &id).await?;
    let (transitions, approvals, decisions, commands, qa_results, spec_revisions, costs) = tokio::try_join!(
        transitions::of_workflow(database, workflow.id),
        approvals::of_workflow(database, workflow.id),
        decisions::of_workflow(database, workflow.id),
        commands::of_workflow(database, workflow.id),
        qa_results::of_workflow(database, workflow.id),
        spec_revisions::of_workflow(database, workflow.id),
        costs::of_workflow(database, workflow.id),
    )?;
    let mut timeline = Timeline {
        workflow,
        transitions,
        approvals,
        decisions,
        commands,
        qa_results,
        spec_revisions,
        costs,
        events: Vec::new(),
    };
    timeline.events = events(&timeline);
    Ok(Json(timeline))
}

/// What happened, by time; at the same time, what leads to something before what it leads to.
fn events(timeline: &Timeline) -> Vec<TimelineEvent> {
    use TimelineKind::*;
    let mut events = Vec::new();
    let mut add = |at, kind, place| events.push(TimelineEvent { at, kind, place });
    for (place, row) in timeline.transitions.iter().enumerate() {
        add(row.at, Transition, place);
    }
    for (place, row) in timeline.approvals.iter().enumerate() {
        add(row.requested_at, ApprovalOpened, place);
        if let Some(at) = row.decided_at {
            add(at, ApprovalClosed, place);
        }
    }
    for (place, row) in timeline.decisions.iter().enumerate() {
        add(row.at, Decision, place);
    }
    for (place, row) in timeline.commands.iter().enumerate() {
        add(row.at, Command, place);
    }
    for (place, row) in timeline.qa_results.iter().enumerate() {
        add(row.at, QaResult, place);
    }
    events.sort_by_key(|event| (event.at, event.kind, event.place));
    events
}
