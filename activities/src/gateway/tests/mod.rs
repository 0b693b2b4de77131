//! The gateway between a client on its socket and a vendor on this machine's loopback.

mod answers;
mod day;
mod google;
mod logs;
mod pace;
mod refusals;

use std::{
    collections::VecDeque,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, stream};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

use super::*;

const KEY: &str = "sk-the-real-key";
const PRICE: Price = Price {
    input: 3_000_000,
    output: 15_000_000,
    cache_read: 300_000,
    cache_write: 3_750_000,
};
const STREAM: &str = concat!(
    "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":800,\"cache_read_input_tokens\":200}}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi\"}}\n\n",
    "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":50}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
);

enum Reply {
    Status(u16, Option<&'static str>, String),
    Stream(&'static str),
    /// Begins to answer, then says no more.
    Hang(&'static str),
}

/// A vendor that answers what the test has laid out, in order.
#[derive(Clone, Default)]
struct Upstream {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
    asked: Arc<Notify>,
}

impl Upstream {
    async fn start(replies: impl IntoIterator<Item = Reply>) -> (Self, String) {
        let upstream = Self {
            replies: Arc::new(Mutex::new(replies.into_iter().collect())),
            ..Self::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(Self::answer)
            .with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (upstream, url)
    }

    async fn answer(State(upstream): State<Self>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        upstream
            .requests
            .lock()
            .unwrap()
            .push((parts.uri.to_string(), parts.headers, body));
        upstream.asked.notify_one();
        let reply = upstream
            .replies
            .lock()
            .unwrap()
            .pop_front()
            .expect("the test laid out a reply for each request");
        let events = [(header::CONTENT_TYPE, "text/event-stream")];
        match reply {
            Reply::Status(status, retry_after, body) => {
                let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
                if let Some(seconds) = retry_after {
                    response
                        .headers_mut()
                        .insert(header::RETRY_AFTER, seconds.parse().unwrap());
                }
                response
            }
            Reply::Stream(text) => (events, text).into_response(),
            Reply::Hang(text) => {
                let start =
                    stream::once(
                        async move { Ok::<_, io::Error>(Bytes::from_static(text.as_bytes())) },
                    );
                (events, Body::from_stream(start.chain(stream::pending()))).into_response()
            }
        }
    }

    fn requests(&self) -> Vec<(String, HeaderMap, Value)> {
        self.requests.lock().unwrap().clone()
    }
}

fn config(vendor: Vendor, url: &str) -> ModelConfig {
    let mut config = ModelConfig::new(vendor, "m", KEY.into());
    config.base_url = url.to_owned();
    config.price = Some(PRICE);
    config.retry = RetryPolicy {
        attempts: 3,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_secs(5),
    };
    config
}

fn plenty() -> RunLimits {
    RunLimits {
        requests: 100,
        tokens: 1_000_000,
        cost_micro_usd: 10_000_000,
        wall: Duration::from_secs(60),
    }
}

/// A gateway to an upstream, and a client on its socket.
struct Scene {
    upstream: Upstream,
    gateway: RunGateway,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

async fn scene(
    vendor: Vendor,
    limits: RunLimits,
    replies: impl IntoIterator<Item = Reply>,
) -> Scene {
    let (upstream, url) = Upstream::start(replies).await;
    let gateway = Gateway::new(config(vendor, &url)).unwrap();
    scene_of(upstream, &gateway, limits)
}

fn scene_of(upstream: Upstream, gateway: &Gateway, limits: RunLimits) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway.open(folder.path(), limits).unwrap();
    Scene {
        upstream,
        client: client(&gateway, gateway.token().expose_secret()),
        gateway,
        _folder: folder,
    }
}

/// A client on a run's socket that shows `token` in every vendor's way.
fn client(run: &RunGateway, token: &str) -> reqwest::Client {
    let value = |text: String| HeaderValue::from_str(&text).unwrap();
    let headers = [
        (HeaderName::from_static("x-api-key"), value(token.into())),
        (
            HeaderName::from_static("x-goog-api-key"),
            value(token.into()),
        ),
        (header::AUTHORIZATION, value(format!("Bearer {token}"))),
    ];
    reqwest::Client::builder()
        .default_headers(HeaderMap::from_iter(headers))
        .unix_socket(run.socket_dir().join(SOCKET))
        .build()
        .unwrap()
}

impl Scene {
    async fn post(&self, path: &str, body: Value) -> reqwest::Response {
        self.client
            .post(format!("http://gateway{path}"))
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    async fn ask(&self) -> reqwest::Response {
        self.post("/v1/messages?beta=true", question()).await
    }
}

fn question() -> Value {
    json!({"model": "m", "max_tokens": 100, "stream": true, "messages": [{"role": "user", "content": "go"}]})
}
