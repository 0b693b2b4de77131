//! A model on a real socket that says what a [`Scenario`] has written down, in the vendors' own protocols:
//! Anthropic's Messages API (`POST /v1/messages`), OpenAI's Chat Completions API (`POST /v1/chat/completions`) and Google's
//! Gemini API (`POST /v1beta/models/{model}:generateContent`), streaming and not, with tool calls, structured output, token
//! counts and error bodies.
//!
//! It checks requests as the vendors do (key, required fields, the pairing of tool calls with their results, the
//! rules for output schemas), so that a client that works here has kept them.

mod anthropic;
mod builders;
mod conversation;
mod director;
mod google;
mod google_rules;
mod latches;
mod openai;
mod protocol;
mod scenario;
mod schema_rules;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use serde_json::Value;

pub use director::Cue;
pub use scenario::{
    AgentRun, AgentStep, Before, Failure, FailureKind, PlanAnswer, PlanContent, PlanScript,
    Scenario, ToolCall, Usage,
};

use crate::local_server::{BoundSocket, LocalServer};
use crate::waiting::Changes;
use conversation::{Answer, Conversation, Refusal};
use director::Director;
use latches::Latches;
use protocol::Protocol;

/// The largest request body; Anthropic's own limit.
const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// A running model. Dropping it stops it and cuts its connections.
#[derive(Debug)]
pub struct ScriptedModel {
    server: LocalServer,
    shared: Arc<Shared>,
}

/// A request that arrived, with what was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRequest {
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// Path and query.
    pub path: String,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; null if it was not JSON.
    pub body: Value,
    /// The place in the scenario that it was about; none if it was refused before.
    pub cue: Option<Cue>,
    /// The failure that it met on purpose.
    pub failure: Option<FailureKind>,
    /// The status that was answered; none while the answer is held.
    pub status: Option<u16>,
}

#[derive(Debug)]
struct Shared {
    api_key: String,
    inner: Mutex<Inner>,
    latches: Arc<Latches>,
    changes: Changes,
}

#[derive(Debug)]
struct Inner {
    director: Director,
    requests: Vec<RecordedRequest>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the record of a request and wakes those who wait.
    fn note(&self, place: usize, change: impl FnOnce(&mut RecordedRequest)) {
        if let Some(record) = self.lock().requests.get_mut(place) {
            change(record);
        }
        self.changes.announce();
    }
}

impl ScriptedModel {
    /// Starts the model on a free port of 127.0.0.1. Callers must show `api_key`.
    ///
    /// # Errors
    /// If no port or thread can be had.
    pub fn start(scenario: Scenario, api_key: impl Into<String>) -> anyhow::Result<Self> {
        let socket = BoundSocket::bind(0)?;
        let shared = Arc::new(Shared {
            api_key: api_key.into(),
            inner: Mutex::new(Inner {
                director: Director::new(scenario),
                requests: Vec::new(),
            }),
            latches: Latches::new(),
            changes: Changes::new(),
        });
        let router = Router::new().fallback(serve).with_state(shared.clone());
        let server = LocalServer::start("scripted-model", socket, router)?;
        Ok(Self { server, shared })
    }

    /// Where it listens, without a slash or `/v1` at its end. Pi wants exactly this for `anthropic-messages`, `/v1` behind it
    /// for `openai-completions` and `/v1beta` for `google-generative-ai`; genai wants `/v1/` or `/v1beta/` behind it.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.server.base_url()
    }

    /// Plays another scenario from now on, from its beginning. Answers under way stay as they are.
    pub fn set_scenario(&self, scenario: Scenario) {
        self.shared.lock().director = Director::new(scenario);
    }

    /// All requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.clone()
    }

    /// Looks at all requests so far, oldest first, without a copy of them.
    pub fn look<T>(&self, look: impl FnOnce(&[RecordedRequest]) -> T) -> T {
        look(&self.shared.lock().requests)
    }

    /// Lets go what the latch holds now or will be asked to hold.
    pub fn release(&self, latch: &str) {
        self.shared.latches.release(latch);
    }

    /// Waits until the latch holds an answer, that is, until a client is stuck there.
    ///
    /// # Errors
    /// If it does not happen within `limit`.
    pub async fn wait_until_held(&self, latch: &str, limit: Duration) -> anyhow::Result<()> {
        self.shared.latches.until_held(latch, limit).await
    }

    /// Waits until `holds` is true of the requests so far. `what` completes the sentence "waited ... in vain until".
    ///
    /// # Errors
    /// If it does not happen within `limit`.
    pub async fn wait_until(
        &self,
        limit: Duration,
        what: &str,
        mut holds: impl FnMut(&[RecordedRequest]) -> bool,
    ) -> anyhow::Result<()> {
        let holds = || holds(&self.shared.lock().requests);
        self.shared.changes.until_within(limit, what, holds).await
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let place = {
        let mut inner = shared.lock();
        inner.requests.push(RecordedRequest {
            at: Utc::now(),
            path: parts.uri.to_string(),
            headers: texts(&parts.headers),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            cue: None,
            failure: None,
            status: None,
        });
        inner.requests.len() - 1
    };
    shared.changes.announce();
    let response = answer(
        &shared,
        place,
        &parts.method,
        &parts.uri,
        &parts.headers,
        &body,
    )
    .await;
    let status = response.status().as_u16();
    shared.note(place, |record| record.status = Some(status));
    response
}

async fn answer(
    shared: &Shared,
    place: usize,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let vendors: [&'static dyn Protocol; 3] =
        [&openai::OpenAi, &anthropic::Anthropic, &google::Google];
    let Some(vendor) = vendors
        .into_iter()
        .find(|vendor| vendor.serves(uri.path()) && method == Method::POST)
    else {
        // In the words of the vendor whose key header the caller uses.
        let mut speaking = vendors.into_iter();
        let vendor = speaking.find(|vendor| headers.contains_key(vendor.key_header()));
        let refusal = Refusal::UnknownPath(format!("{method} {}", uri.path()));
        return error(vendor.unwrap_or(vendors[0]), &refusal);
    };
    let request =
        match check_key(shared, vendor, headers).and_then(|()| vendor.read(uri, headers, body)) {
            Ok(request) => request,
            Err(refusal) => return error(vendor, &refusal),
        };
    let directed = shared.lock().director.direct(&request);
    let direction = match directed {
        Ok(direction) => direction,
        Err(refusal) => return error(vendor, &refusal),
    };
    shared.note(place, |record| record.cue = Some(direction.cue));

    let failure = shared
        .lock()
        .director
        .next_failure(direction.cue, &direction.before);
    if let Some(failure) = failure {
        shared.note(place, |record| record.failure = Some(failure.clone()));
        return fail(vendor, &request, &direction.answer, &failure);
    }
    if let Some(latch) = &direction.before.wait_for {
        shared.latches.pass(latch).await;
    }
    if direction.before.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(direction.before.delay_ms)).await;
    }
    whole(vendor, &request, &direction.answer)
}

fn check_key(shared: &Shared, vendor: &dyn Protocol, headers: &HeaderMap) -> Result<(), Refusal> {
    match vendor.key(headers) {
        Some(shown) if shown == shared.api_key => Ok(()),
        shown => Err(Refusal::WrongKey(shown)),
    }
}

/// The whole answer, as the request wants it.
fn whole(vendor: &dyn Protocol, request: &Conversation, answer: &Answer) -> Response {
    if request.stream {
        let events = vendor.events(answer).into_iter().map(Ok::<_, Infallible>);
        event_stream(Body::from_stream(stream::iter(events)))
    } else {
        axum::Json(vendor.document(answer)).into_response()
    }
}

/// The answer that goes wrong.
fn fail(
    vendor: &dyn Protocol,
    request: &Conversation,
    answer: &Answer,
    failure: &FailureKind,
) -> Response {
    if let FailureKind::Status {
        status,
        retry_after_seconds,
    } = failure
    {
        let refusal = Refusal::Scripted {
            status: *status,
            retry_after_seconds: *retry_after_seconds,
        };
        return error(vendor, &refusal);
    }
    let pieces = if request.stream {
        vendor.events(answer)
    } else {
        let document = vendor.document(answer).to_string();
        conversation::pieces(&document, document.len() / 2 + 1)
    };
    let half = pieces.len().div_ceil(2);
    let begun = stream::iter(pieces.into_iter().take(half)).map(Ok::<_, std::io::Error>);
    let body = match failure {
        FailureKind::Cut => Body::from_stream(begun.chain(stream::once(async {
            // A pause in which what was said leaves for the client; then the connection breaks.
            tokio::task::yield_now().await;
            Err(std::io::Error::other(
                "the scenario cuts the connection here",
            ))
        }))),
        FailureKind::Hang => Body::from_stream(begun.chain(stream::pending())),
        FailureKind::StreamError if request.stream => {
            let event = vendor.error_event();
            Body::from_stream(begun.chain(stream::iter([Ok(event)])))
        }
        FailureKind::StreamError | FailureKind::Status { .. } => {
            let refusal = Refusal::Scripted {
                status: 500,
                retry_after_seconds: None,
            };
            return error(vendor, &refusal);
        }
    };
    if request.stream {
        event_stream(body)
    } else {
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

fn event_stream(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

fn error(vendor: &dyn Protocol, refusal: &Refusal) -> Response {
    let (status, body) = vendor.error(refusal);
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (code, axum::Json(body)).into_response();
    if let Refusal::Scripted {
        retry_after_seconds: Some(seconds),
        ..
    } = refusal
        && vendor.tells_retry_after()
    {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    response
}

fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}
