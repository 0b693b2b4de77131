//! Whatever is no success is a problem document, whoever answers.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{Router, middleware, routing::get};
use reqwest::{Method, Response, StatusCode};
use sallyport_starter::api::{error::ErrorCode, problem, types::Problem};
use serde_json::Value;
use tokio::net::TcpListener;
use tracing_subscriber::fmt::MakeWriter;

use crate::{VIEWER, answer, message, starter};

/// The document of an answer that is no success, held against RFC 9457 and against the answer's own headers.
pub async fn document(response: Response) -> Value {
    let status = response.status();
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/problem+json");
    let body: Value = response.json().await.unwrap();
    let problem: Problem = serde_json::from_value(body.clone()).unwrap();
    assert_eq!(problem.status, status.as_u16(), "{body}");
    assert_eq!(problem.code.status(), status, "{body}");
    assert_eq!(problem.r#type, problem.code.type_uri(), "{body}");
    assert_eq!(problem.title, problem.code.title(), "{body}");
    assert!(!problem.detail.is_empty(), "{body}");
    let id = headers["x-request-id"].to_str().unwrap();
    assert_eq!(problem.instance, format!("urn:uuid:{id}"), "{body}");
    body
}

#[tokio::test]
async fn what_no_handler_answers_is_a_document_too() {
    let starter = starter().await;
    for (method, path, status) in [
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
        (Method::DELETE, "/workflows", StatusCode::METHOD_NOT_ALLOWED),
        (
            Method::GET,
            "/webhooks/flux-lens",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (Method::GET, "/workflows/%FF", StatusCode::BAD_REQUEST),
        (
            Method::GET,
            "/workflows?limit=many",
            StatusCode::BAD_REQUEST,
        ),
        (Method::GET, "/workflows?state=%FF", StatusCode::BAD_REQUEST),
        (
            Method::GET,
            "/workflows?nonsense=1",
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let url = format!("{}{path}", starter.base);
        let request = starter.http.request(method, &url).bearer_auth(VIEWER);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        if status == StatusCode::METHOD_NOT_ALLOWED {
            assert!(response.headers().contains_key("allow"), "{path}");
        }
        document(response).await;
    }
    let (_, said) = answer(starter.get("/workflows?nonsense=1", VIEWER)).await;
    assert!(message(&said).contains("nonsense"), "{said}");
}

#[tokio::test]
async fn a_success_has_an_id_too_and_no_two_have_the_same() {
    let starter = starter().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let response = starter.get("/workflows", VIEWER).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        ids.insert(
            response.headers()["x-request-id"]
                .clone()
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(ids.len(), 3);
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_500_and_its_id_is_found_in_the_log() {
    // For all of the process: a subscriber of one thread would miss spans that other threads have met before it.
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    async fn broken() -> &'static str {
        panic!("what only the log may say")
    }
    let routes = Router::new()
        .route("/broken", get(broken))
        .layer(middleware::from_fn(problem::with_id));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/broken", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = http.get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = document(response).await;
    assert_eq!(body["code"], ErrorCode::Internal.as_str());
    assert!(!body.to_string().contains("what only the log"), "{body}");
    let id = body["instance"]
        .as_str()
        .unwrap()
        .trim_start_matches("urn:uuid:");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.lines()
            .any(|line| line.contains(id) && line.contains("panicked")),
        "{log}"
    );
}
