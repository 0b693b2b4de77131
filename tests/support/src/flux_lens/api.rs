//! The REST side of the contract.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::records::{Fault, Operation, RecordedRequest};
use super::ticket::Status;
use super::world::Refusal;

/// The largest request body; a comment has at most 64 Ki characters.
const BODY_LIMIT: usize = 1024 * 1024;
/// The longest comment, in characters (contract).
const COMMENT_LIMIT: usize = 65_536;
/// The most events of one answer, and how many there are where nobody says (contract).
const EVENTS_LIMIT: usize = 500;
const EVENTS_DEFAULT: usize = 100;
/// The longest idempotency key (contract).
const KEY_LIMIT: usize = 255;

const TICKET: &str = "/fluxlens/ticket/{id}";
const COMMENT: &str = "/fluxlens/ticket/{id}/comment";
const EVENTS: &str = "/fluxlens/events";
const STATUS: &str = "/fluxlens/ticket/{id}/status";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(TICKET, get(get_ticket))
        .route(COMMENT, post(add_comment))
        .route(STATUS, patch(set_status))
        .route(EVENTS, get(list_events))
        .route_layer(from_fn_with_state(shared.clone(), at_the_door))
        .route("/tickets/{id}", get(page))
        .with_state(shared)
}

/// Checks the token, plays the faults that are switched on, and writes the request down.
async fn at_the_door(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let at = Utc::now();
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, BODY_LIMIT).await else {
        return problem(
            400,
            "Bad request",
            "the body is larger than 1 MiB or broke off",
        );
    };
    let pattern = parts
        .extensions
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let operation = operation(pattern.as_deref(), &parts.method);
    let mut record = RecordedRequest {
        at,
        operation,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        idempotency_key: text_header(&parts.headers, "idempotency-key"),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        status: 0,
    };
    let allowed = text_header(&parts.headers, "authorization")
        .is_some_and(|shown| shown == format!("Bearer {}", shared.token));

    let request = Request::from_parts(parts, Body::from(bytes));
    let response = if !allowed {
        let mut response = problem(
            401,
            "Unauthorized",
            "show a valid token: Authorization: Bearer TOKEN",
        );
        let scheme = header::HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
        response
    } else {
        match operation.and_then(|operation| take_fault(&shared, operation)) {
            None => next.run(request).await,
            Some(fault) => {
                if fault.after_effect {
                    drop(next.run(request).await);
                }
                fault_response(&fault)
            }
        }
    };
    record.status = response.status().as_u16();
    shared.lock().requests.push(record);
    shared.changes.announce();
    response
}

fn operation(pattern: Option<&str>, method: &Method) -> Option<Operation> {
    match (pattern?, method.as_str()) {
        (TICKET, "GET") => Some(Operation::GetTicket),
        (COMMENT, "POST") => Some(Operation::AddComment),
        (STATUS, "PATCH") => Some(Operation::SetStatus),
        (EVENTS, "GET") => Some(Operation::ListEvents),
        _ => None,
    }
}

fn take_fault(shared: &Shared, operation: Operation) -> Option<Fault> {
    let mut inner = shared.lock();
    let place = inner
        .faults
        .iter()
        .position(|(meant, _)| *meant == operation)?;
    inner.faults.remove(place).map(|(_, fault)| fault)
}

fn fault_response(fault: &Fault) -> Response {
    let (title, detail) = match fault.status {
        429 => (
            "Too many requests",
            "this token sends too many requests; wait as Retry-After says",
        ),
        500.. => (
            "Server error",
            "Flux Lens has a problem of its own; try again",
        ),
        _ => ("Refused", "Flux Lens refuses this request"),
    };
    let mut response = problem(fault.status, title, detail);
    if let Some(seconds) = fault.retry_after_seconds {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

async fn get_ticket(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    match shared.lock().world.ticket(&id, &shared.base_url) {
        Some(ticket) => axum::Json(ticket).into_response(),
        None => refusal(&id, &Refusal::UnknownTicket),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewComment {
    comment: String,
}

async fn add_comment(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = text_header(&headers, "idempotency-key").unwrap_or_default();
    if !(1..=KEY_LIMIT).contains(&key.len()) {
        return bad_request("the header Idempotency-Key is required and has 1 to 255 characters");
    }
    let text = match serde_json::from_slice::<NewComment>(&body) {
        Ok(new) => new.comment,
        Err(error) => return bad_request(&format!("the body is not a comment: {error}")),
    };
    if !(1..=COMMENT_LIMIT).contains(&text.chars().count()) {
        return bad_request("comment: 1 to 65536 characters");
    }
    match shared.change(|world| world.add_comment(&id, &key, &text)) {
        Ok(Ok(receipt)) => {
            let status = if receipt.created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            let body = json!({ "id": receipt.id, "created": receipt.created });
            (status, axum::Json(body)).into_response()
        }
        Ok(Err(why)) => refusal(&id, &why),
        Err(error) => problem(500, "Server error", &format!("{error:#}")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewStatus {
    status: Status,
}

async fn set_status(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let status = match serde_json::from_slice::<NewStatus>(&body) {
        Ok(new) => new.status,
        Err(error) => return bad_request(&format!("the body is not a status: {error}")),
    };
    match shared.change(|world| world.set_status(&id, status)) {
        Ok(Ok(())) => axum::Json(json!({ "id": id, "status": status })).into_response(),
        Ok(Err(why)) => refusal(&id, &why),
        Err(error) => problem(500, "Server error", &format!("{error:#}")),
    }
}

#[derive(Deserialize)]
struct EventsQuery {
    after: Option<String>,
    limit: Option<usize>,
}

async fn list_events(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(error) => return bad_request(&error.body_text()),
    };
    let limit = query.limit.unwrap_or(EVENTS_DEFAULT);
    if !(1..=EVENTS_LIMIT).contains(&limit) {
        return bad_request("limit: 1 to 500");
    }
    let inner = shared.lock();
    let Some((page, next)) = inner.world.deliveries_after(query.after.as_deref(), limit) else {
        return problem(
            410,
            "Gone",
            "this place in the list of events is unknown or too old; begin again without `after`",
        );
    };
    let events: Vec<_> = page
        .iter()
        .map(|delivery| {
            json!({ "delivery_id": delivery.id, "event": delivery.event, "body": delivery.body })
        })
        .collect();
    axum::Json(json!({ "events": events, "next": next })).into_response()
}

/// The ticket's page for people: plain text, outside the contract.
async fn page(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let inner = shared.lock();
    let Some(ticket) = inner.world.ticket(&id, &shared.base_url) else {
        return refusal(&id, &Refusal::UnknownTicket);
    };
    let status = serde_json::to_value(ticket.status).unwrap_or_default();
    let mut text = format!(
        "{}: {}\n{}, filed by {}\n\n{}\n",
        ticket.id,
        ticket.title,
        status.as_str().unwrap_or_default(),
        ticket.reporter,
        ticket.description
    );
    for comment in inner.world.comments(&id) {
        text += &format!(
            "\n--- comment {}, {}\n{}\n",
            comment.id, comment.created_at, comment.text
        );
    }
    text.into_response()
}

fn refusal(id: &str, why: &Refusal) -> Response {
    match why {
        Refusal::UnknownTicket => {
            problem(404, "Unknown ticket", &format!("there is no ticket {id}"))
        }
        Refusal::FinalStatus(status) => problem(
            409,
            "Final status",
            &format!("{id} is {status:?}, which is final; a person must reopen it first"),
        ),
    }
}

fn bad_request(detail: &str) -> Response {
    problem(400, "Bad request", detail)
}

/// A problem report (RFC 9457). `status` must be a valid HTTP status; anything else becomes 500.
fn problem(status: u16, title: &str, detail: &str) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body =
        json!({ "type": "about:blank", "title": title, "status": code.as_u16(), "detail": detail });
    (
        code,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}

fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
