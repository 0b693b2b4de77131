//! `GET /workflows/stream` and `GET /approvals/subscribe`: what happens, as it happens, as server-sent events or over a
//! WebSocket.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use sallyport_ledger::feed::{FeedEvent, Place};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use crate::{
    api::{auth::Caller, error::ApiError, input::Query},
    feed::{News, Subscription},
    state::StarterState,
    text,
};

/// The header with which a client says what it had last.
const LAST_EVENT_ID: &str = "last-event-id";
/// How often something is sent where nothing happens, so that a broken connection shows.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The query of a stream.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StreamQuery {
    /// The id of the event that was had last, for clients that cannot send the header `Last-Event-ID`.
    last_event_id: Option<String>,
}

/// Each change of state, and each gate that opens or closes, as it happens.
#[utoipa::path(
    get,
    path = "/workflows/stream",
    tag = "workflows",
    operation_id = "stream_workflows",
    security(("bearer" = ["viewer"])),
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id of the event that was had last.")),
    responses(
        (status = OK, description = "Server-sent events: `ready`, `reset`, `state`, `approval`, each with an id to resume from.", body = String, content_type = "text/event-stream"),
        (status = SWITCHING_PROTOCOLS, description = "The same events over a WebSocket, as JSON with `id`, `event` and `data`."),
    ),
)]
pub async fn everything(
    State(state): State<StarterState>,
    caller: Caller,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    answer(&state, &caller, query, &headers, upgrade, |_| true).await
}

/// Each gate that opens or closes, as it happens.
#[utoipa::path(
    get,
    path = "/approvals/subscribe",
    tag = "approvals",
    operation_id = "stream_approvals",
    security(("bearer" = ["viewer"])),
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id of the event that was had last.")),
    responses(
        (status = OK, description = "Server-sent events: `ready`, `reset`, `state`, `approval`, each with an id to resume from.", body = String, content_type = "text/event-stream"),
        (status = SWITCHING_PROTOCOLS, description = "The same events over a WebSocket, as JSON with `id`, `event` and `data`."),
    ),
)]
pub async fn approvals(
    State(state): State<StarterState>,
    caller: Caller,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let wanted = |event: &FeedEvent| event.kind == "approval";
    answer(&state, &caller, query, &headers, upgrade, wanted).await
}

async fn answer(
    state: &StarterState,
    caller: &Caller,
    query: StreamQuery,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    wanted: fn(&FeedEvent) -> bool,
) -> Result<Response, ApiError> {
    let last = match (headers.get(LAST_EVENT_ID), &query.last_event_id) {
        (Some(header), _) => Some(header.to_str().unwrap_or("?")),
        (None, parameter) => parameter.as_deref(),
    };
    let last: Option<Place> = last
        .filter(|last| !last.is_empty())
        .map(str::parse)
        .transpose()
        .map_err(|_| ApiError::bad_request(text::BROKEN_EVENT_ID))?;
    let subscription = Subscription::new(
        state.feed.clone(),
        state.database.clone(),
        caller.token,
        last,
    );
    Ok(match upgrade {
        Ok(upgrade) => upgrade.on_upgrade(move |socket| talk(socket, subscription, wanted)),
        Err(_) => server_sent(subscription, wanted),
    })
}

/// The next of the news that is wanted.
async fn next(subscription: &mut Subscription, wanted: fn(&FeedEvent) -> bool) -> Option<News> {
    loop {
        match subscription.next().await? {
            News::Event(event) if !wanted(&event) => {}
            news => return Some(news),
        }
    }
}

/// Id, name and data of an event.
fn parts(news: &News) -> (Place, &str, Value) {
    match news {
        News::Ready(place) => (*place, "ready", json!({})),
        News::Reset(place) => (*place, "reset", json!({ "detail": text::STREAM_RESET })),
        News::Event(event) => (event.place, &event.kind, event.body.clone()),
    }
}

fn server_sent(subscription: Subscription, wanted: fn(&FeedEvent) -> bool) -> Response {
    let events = stream::unfold(subscription, move |mut subscription| async move {
        let news = next(&mut subscription, wanted).await?;
        let (place, name, data) = parts(&news);
        let event = Event::default()
            .id(place.to_string())
            .event(name)
            .data(data.to_string());
        Some((Ok::<_, Infallible>(event), subscription))
    });
    let alive = KeepAlive::new().interval(HEARTBEAT).text("nothing new");
    Sse::new(events).keep_alive(alive).into_response()
}

/// Sends the same events as JSON; what the client says is not listened to.
async fn talk(
    mut socket: WebSocket,
    mut subscription: Subscription,
    wanted: fn(&FeedEvent) -> bool,
) {
    loop {
        let message = tokio::select! {
            said = socket.recv() => match said {
                None | Some(Err(_) | Ok(Message::Close(_))) => return,
                Some(Ok(_)) => continue,
            },
            () = tokio::time::sleep(HEARTBEAT) => Message::Ping(Vec::new().into()),
            news = next(&mut subscription, wanted) => match news {
                None => Message::Close(None),
                Some(news) => {
                    let (place, name, data) = parts(&news);
                    let event = json!({ "id": place.to_string(), "event": name, "data": data });
                    Message::Text(event.to_string().into())
                }
            },
        };
        let is_last = matches!(message, Message::Close(_));
        if socket.send(message).await.is_err() || is_last {
            return;
        }
    }
}
