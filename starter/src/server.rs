//! The HTTP server: all routes, and how it runs and stops.

use std::{io, net::SocketAddr};

use axum::{Router, extract::connect_info::IntoMakeServiceWithConnectInfo, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::{
    OpenApi as _,
    openapi::{Deprecated, path::Paths},
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    api::{
        agent, approvals, commands, error::ApiError, health, lists, live, metrics, problem,
        reports, timeline, workflows,
    },
    dispatcher, openapi, sealer,
    state::StarterState,
    text,
    webhooks::flux_lens,
};

/// All routes, each with its part of the [API's description](crate::openapi).
pub fn routes() -> OpenApiRouter<StarterState> {
    OpenApiRouter::with_openapi(openapi::Description::openapi())
        .routes(routes!(health::health))
        .routes(routes!(openapi::document))
        .routes(routes!(flux_lens::receive))
        .routes(routes!(lists::workflows))
        .routes(routes!(live::everything))
        .routes(routes!(workflows::start))
        .routes(routes!(workflows::view))
        .routes(routes!(timeline::timeline))
        .routes(routes!(workflows::spec))
        .routes(routes!(workflows::context))
        .routes(routes!(workflows::diff))
        .routes(routes!(workflows::qa_report))
        .routes(routes!(workflows::transcript))
        .routes(routes!(commands::transition))
        .routes(routes!(agent::logs))
        .routes(routes!(agent::status))
        .routes(routes!(lists::pending))
        .routes(routes!(live::approvals))
        .routes(routes!(approvals::content))
        .routes(routes!(approvals::changes))
        .routes(routes!(approvals::decide))
        .routes(routes!(metrics::metrics))
        .routes(routes!(reports::models))
        // The names of the original design.
        .routes(also_at("/api/approvals/pending", routes!(lists::pending)))
        .routes(also_at(
            "/api/approvals/{id}/decide",
            routes!(approvals::decide),
        ))
        .routes(also_at(
            "/api/workflows/{id}/timeline",
            routes!(timeline::timeline),
        ))
}

/// The same at another path. The description calls it deprecated, since one name is enough for new clients.
fn also_at(
    path: &str,
    (schemas, paths, answer): UtoipaMethodRouter<StarterState>,
) -> UtoipaMethodRouter<StarterState> {
    let mut moved = Paths::new();
    for mut item in paths.paths.into_values() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            operation.deprecated = Some(Deprecated::True);
            let id = operation.operation_id.take();
            operation.operation_id = id.map(|id| format!("{id}_by_original_path"));
        }
        moved.paths.insert(path.to_owned(), item);
    }
    (schemas, moved, answer)
}

/// What answers all routes.
pub fn router(state: StarterState) -> Router {
    Router::from(routes())
        .fallback(async || ApiError::not_found(text::NO_SUCH_PATH))
        .layer(middleware::from_fn(problem::with_id))
        .with_state(state)
}

/// All routes, for a server that tells them where requests come from.
pub fn service(state: StarterState) -> IntoMakeServiceWithConnectInfo<Router, SocketAddr> {
    router(state).into_make_service_with_connect_info()
}

/// Answers requests, works the inbox off and seals the audit log until `shutdown`; requests that are under way are
/// finished first.
pub async fn serve(
    state: StarterState,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "the starter listens");
    let dispatcher = tokio::spawn(dispatcher::run(state.clone(), shutdown.clone()));
    let sealer = tokio::spawn(sealer::run(state.clone(), shutdown.clone()));
    let feed = {
        let (state, shutdown) = (state.clone(), shutdown.clone());
        tokio::spawn(async move { state.feed.run(&state.database, shutdown).await })
    };
    let served = axum::serve(listener, service(state))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .await;
    shutdown.cancel();
    dispatcher.await.map_err(io::Error::other)?;
    sealer.await.map_err(io::Error::other)?;
    feed.await.map_err(io::Error::other)?;
    served
}
