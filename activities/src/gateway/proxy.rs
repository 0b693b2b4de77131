//! Serving a run's requests, and passing them on.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
    routing::post,
};
use futures::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ModelConfig, Vendor,
    budget::{Budget, Reservation},
    config::GOOGLE_EVENTS,
    day::{DayBudget, DayError},
    headers,
    hint::pause_asked_for,
    meter::Meter,
    rate::Pace,
    refusal::Refusal,
    request::{self, LARGEST_BODY, Request},
};

/// How much of a vendor's error message is passed on.
const LONGEST_ERROR: usize = 2000;

/// How much of a vendor's error is read: Google's hint when to ask again comes late in it.
const LONGEST_ERROR_BODY: usize = 64 << 10;

/// One run's gateway.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) config: Arc<ModelConfig>,
    pub(super) client: reqwest::Client,
    pub(super) pace: Arc<Pace>,
    pub(super) budget: Budget,
    pub(super) day: Option<DayBudget>,
    pub(super) deadline: Instant,
    /// What each request must show.
    pub(super) token: SecretString,
    /// Says that the run is over.
    pub(super) closed: CancellationToken,
    /// What is being answered.
    pub(super) answers: TaskTracker,
}

pub(super) fn router(run: Arc<Run>) -> Router {
    run.config
        .paths()
        .iter()
        .fold(Router::new(), |router, path| {
            router.route(path, post(serve))
        })
        .fallback(refuse_path)
        .method_not_allowed_fallback(refuse_path)
        .with_state(run)
}

async fn refuse_path(State(run): State<Arc<Run>>) -> Response {
    run.budget.refuse();
    let message = format!(
        "this gateway serves only POST {}",
        run.config.paths().join(" and ")
    );
    Refusal::new(StatusCode::NOT_FOUND, message).into_response(run.config.vendor)
}

async fn serve(State(run): State<Arc<Run>>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let vendor = run.config.vendor;
    let refused = |refusal: Refusal| {
        tracing::warn!(reason = %refusal.message, "the model gateway refused a request");
        run.budget.refuse();
        refusal.into_response(vendor)
    };
    if !headers::shows_token(vendor, &run.token, &headers) {
        let message = "this gateway serves only who shows the run's token";
        return refused(Refusal::new(StatusCode::UNAUTHORIZED, message));
    }
    let body = match axum::body::to_bytes(body, LARGEST_BODY).await {
        Ok(body) => body,
        Err(_) => {
            let message = format!("the body is larger than {LARGEST_BODY} bytes or broke off");
            return refused(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
    };
    let streamed_by_path = run.config.streamed_by(uri.path());
    let query = uri.query().unwrap_or_default();
    if streamed_by_path == Some(true) && !query.split('&').any(|part| part == GOOGLE_EVENTS) {
        let message = format!("streams are served only with `?{GOOGLE_EVENTS}`");
        return refused(Refusal::malformed(message));
    }
    let request = match request::check(&run.config, streamed_by_path, &body) {
        Ok(request) => request,
        Err(refusal) => return refused(refusal),
    };
    drop(body);
    if Instant::now() >= run.deadline {
        return refused(Refusal::forbidden("this run's time is up"));
    }
    let mut reservation = match run
        .budget
        .reserve(request.input_tokens, request.output_tokens)
    {
        Ok(reservation) => reservation,
        // Counted by the budget itself.
        Err(exhausted) => return not_covered(&exhausted).into_response(vendor),
    };
    reservation.note_bytes(request.body.len(), 0);
    // In a task of its own: what a client that hangs up leaves behind must still be counted.
    let (answer, answered) = tokio::sync::oneshot::channel();
    let task_run = Arc::clone(&run);
    run.answers.spawn(async move {
        let run = task_run;
        let day = match &run.day {
            Some(day) => match day.set_aside(reservation.most()).await {
                Ok(set_aside) => Some((day, set_aside, reservation.cost())),
                Err(problem) => {
                    reservation.release();
                    let refusal = day_refuses(&run, &problem);
                    let _ = answer.send(refusal.into_response(vendor));
                    return;
                }
            },
            None => None,
        };
        let work = async {
            match ask(&run, &request, &headers, &mut reservation).await {
                Ok(response) => pass_on(response, vendor, request.streamed, reservation, answer).await,
                Err(failure) => {
                    if failure.unbilled {
                        reservation.release();
                    }
                    run.budget.upstream_failed(failure.refusal.message.clone());
                    tracing::warn!(reason = %failure.refusal.message, "the model's vendor did not answer");
                    let _ = answer.send(failure.refusal.into_response(vendor));
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = tokio::time::sleep_until(run.deadline) => {}
            () = run.closed.cancelled() => {}
        }
        if let Some((day, set_aside, cost)) = day
            && let Ok(cost) = cost.await
        {
            day.settle(set_aside, cost).await;
        }
    });
    answered
        .await
        .unwrap_or_else(|_| Refusal::forbidden("this run is over").into_response(vendor))
}

/// Pi does not try again after a 402 that speaks of a budget.
fn not_covered(problem: &dyn std::error::Error) -> Refusal {
    tracing::warn!(reason = %problem, "the model gateway refused a request");
    Refusal::new(StatusCode::PAYMENT_REQUIRED, problem.to_string())
}

fn day_refuses(run: &Run, problem: &DayError) -> Refusal {
    match problem {
        DayError::UsedUp => {
            run.budget.day_is_used_up();
            not_covered(problem)
        }
        DayError::Ledger(_) => {
            tracing::warn!(reason = %problem, "the model gateway refused a request");
            run.budget.refuse();
            run.budget.upstream_failed(problem.to_string());
            // The room need not know more.
            let message = "what it costs cannot be counted now";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }
}

/// No answer to pass on.
struct Failure {
    refusal: Refusal,
    /// Whether the vendor cannot have charged for it.
    unbilled: bool,
}

impl Failure {
    fn new(status: StatusCode, unbilled: bool, message: impl Into<String>) -> Self {
        Self {
            refusal: Refusal::new(status, message),
            unbilled,
        }
    }
}

/// Asks the vendor, again if need be, until there is an answer to pass on.
async fn ask(
    run: &Run,
    request: &Request,
    headers: &HeaderMap,
    reservation: &mut Reservation,
) -> Result<reqwest::Response, Failure> {
    let url = run
        .config
        .endpoint(request.streamed)
        .map_err(|error| Failure::new(StatusCode::BAD_GATEWAY, true, error.to_string()))?;
    let headers = headers::outgoing(&run.config, headers).ok_or_else(|| {
        Failure::new(
            StatusCode::BAD_GATEWAY,
            true,
            "the configured key cannot stand in a header",
        )
    })?;
    let retry = &run.config.retry;
    let mut delay = retry.first_delay;
    let mut attempt = 1;
    loop {
        run.pace.wait(request.input_tokens).await;
        reservation.set_chargeable(true);
        let sent = run
            .client
            .post(url.clone())
            .headers(headers.clone())
            .body(request.body.clone())
            .send()
            .await;
        let (failure, wait) = match sent {
            Ok(response) if response.status().is_success() => return Ok(response),
            Ok(response) => {
                let status = response.status();
                let (failure, wait) = vendors_refusal(&run.config, response).await;
                if !(status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) {
                    return Err(failure);
                }
                (failure, wait)
            }
            Err(error) => {
                // What broke off after the connection was made may have been charged for.
                let unbilled = error.is_connect();
                let message = format!(
                    "the model's vendor cannot be reached: {}",
                    sources(&error.without_url())
                );
                (
                    Failure::new(StatusCode::BAD_GATEWAY, unbilled, message),
                    None,
                )
            }
        };
        reservation.set_chargeable(!failure.unbilled);
        let pause = wait.unwrap_or(delay);
        if attempt >= retry.attempts || pause > retry.longest_delay {
            return Err(failure);
        }
        tracing::info!(attempt, pause_ms = pause.as_millis() as u64, reason = %failure.refusal.message, "asking the model's vendor again");
        sleep(pause).await;
        attempt += 1;
        delay = (delay * 2).min(retry.longest_delay);
    }
}

/// An error of the vendor's, as the room may see it, and the pause that the vendor asks for.
async fn vendors_refusal(
    config: &ModelConfig,
    response: reqwest::Response,
) -> (Failure, Option<Duration>) {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut said = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(Ok(part)) = stream.next().await {
        said.extend_from_slice(&part);
        if said.len() > LONGEST_ERROR_BODY {
            break;
        }
    }
    let said = String::from_utf8_lossy(&said).replace(config.api_key.expose_secret(), "[key]");
    let body: Value = serde_json::from_str(&said).unwrap_or_default();
    let wait = pause_asked_for(&headers, &body);
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) || is_bad_key(&body) {
        // The vendor's own words may quote the key.
        let message = format!(
            "the model's vendor refused the gateway's key ({})",
            status.as_u16()
        );
        return (Failure::new(status, true, message), wait);
    }
    let said = body["error"]["message"].as_str().unwrap_or(&said);
    let said: String = said.chars().take(LONGEST_ERROR).collect();
    // 408 and 409 would make Pi's client try again by itself.
    let shown = if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        StatusCode::BAD_REQUEST
    } else {
        status
    };
    let message = format!("the model's vendor answered {}: {said}", status.as_u16());
    (Failure::new(shown, true, message), wait)
}

/// Whether this is Google's error for a wrong key, which has the status of a wrong request.
fn is_bad_key(body: &Value) -> bool {
    let details = body["error"]["details"].as_array();
    details
        .into_iter()
        .flatten()
        .any(|detail| detail["reason"] == "API_KEY_INVALID")
}

/// An error with its causes, on one line.
fn sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Passes the vendor's answer on as it comes, and counts it when it has ended.
async fn pass_on(
    response: reqwest::Response,
    vendor: Vendor,
    streamed: bool,
    mut reservation: Reservation,
    answer: tokio::sync::oneshot::Sender<Response>,
) {
    let (parts, passed) = mpsc::channel::<Result<Bytes, std::io::Error>>(16);
    let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
    let mut passed_on = Response::new(Body::from_stream(ReceiverStream::new(passed)));
    *passed_on.status_mut() = response.status();
    if let Some(content_type) = content_type {
        passed_on
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
    }
    if answer.send(passed_on).is_err() {
        return;
    }
    let mut meter = Meter::new(vendor, streamed);
    let mut body = response.bytes_stream();
    while let Some(part) = body.next().await {
        match part {
            Ok(part) => {
                meter.push(&part);
                reservation.note_bytes(0, part.len());
                // The client hung up: stop the vendor too, by dropping the connection.
                if parts.send(Ok(part)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = parts
                    .send(Err(std::io::Error::other(error.without_url())))
                    .await;
                return;
            }
        }
    }
    // An answer that does not say what it cost is charged with what was set aside, when the reservation is dropped.
    if let Some(used) = meter.finish() {
        reservation.settle(used);
    }
}
