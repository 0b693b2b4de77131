//! A receiver of webhooks that remembers what came and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::sync::watch;

/// What came with one request.
pub type Received = (HeaderMap, Bytes);

pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    answers: Mutex<VecDeque<u16>>,
    received: watch::Sender<Vec<Received>>,
}

impl Receiver {
    /// Answers with `answers` in turn, then with 200.
    pub async fn start(answers: &[u16]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/webhooks/flux-lens",
            listener.local_addr().unwrap()
        );
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers.iter().copied().collect()),
            received: watch::Sender::new(Vec::new()),
        });
        let router = Router::new()
            .route("/webhooks/flux-lens", post(receive))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// Waits until `count` requests have come, and returns them.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut received = self.shared.received.subscribe();
        let wait = received.wait_for(|all| all.len() >= count);
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .expect("webhooks come")
            .unwrap()
            .clone()
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = shared.answers.lock().unwrap().pop_front().unwrap_or(200);
    shared.received.send_modify(|all| all.push((headers, body)));
    StatusCode::from_u16(status).unwrap()
}
