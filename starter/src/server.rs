//! The HTTP server: all routes, and how it runs and stops.

use std::io;

use axum::{
    Router,
    routing::{get, post},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{agent, approvals, commands, error::ApiError, health, workflows},
    dispatcher,
    state::StarterState,
    text,
    webhooks::flux_lens,
};

/// All routes.
pub fn router(state: StarterState) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/webhooks/flux-lens", post(flux_lens::receive))
        .route("/workflows", get(workflows::list))
        .route("/workflows/start", post(workflows::start))
        .route("/workflows/{id}", get(workflows::view))
        .route("/workflows/{id}/spec", get(workflows::spec))
        .route("/workflows/{id}/diff", get(workflows::diff))
        .route("/workflows/{id}/qa-report", get(workflows::qa_report))
        .route("/workflows/{id}/transition", post(commands::transition))
        .route("/agent/logs/{id}", get(agent::logs))
        .route("/agent/status/{id}", get(agent::status))
        .route("/approvals/pending", get(approvals::pending))
        .route("/approvals/{approval_id}/content", get(approvals::content))
        .route("/approvals/{approval_id}/changes", get(approvals::changes))
        .route("/approvals/{approval_id}/decision", post(approvals::decide))
        .fallback(async || ApiError::not_found(text::NO_SUCH_PATH))
        .with_state(state)
}

/// Answers requests and works the inbox off until `shutdown`; requests that are under way are finished first.
pub async fn serve(
    state: StarterState,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "the starter listens");
    let dispatcher = tokio::spawn(dispatcher::run(state.clone(), shutdown.clone()));
    let served = axum::serve(listener, router(state))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .await;
    shutdown.cancel();
    dispatcher.await.map_err(io::Error::other)?;
    served
}
