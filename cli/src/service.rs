//! `sallyport worker` and `sallyport starter`: each is put together here from the configuration, and runs until SIGTERM
//! or SIGINT.

use std::{
    fs,
    future::Future,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use sallyport_activities::{
    context::{Context, Parts},
    planning::symbols::reader::SymbolReader,
    sandbox,
    tools::Tools,
    workspace::diff::Signature,
};
use sallyport_ledger::{Database, Objects, config::ObjectsConfig};
use sallyport_starter::{StarterParts, StarterState, temporal::Tickets};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::{
    config::Config, exit::Problem, private_file::write_once, reach, terminal::shows_colour,
};

/// What is logged where RUST_LOG says nothing. sqlx would repeat Postgres's notices at every start.
const USUAL_LOGS: &str = "info,sqlx=warn";

/// Runs a worker.
pub fn worker(file: &Path) -> Result<(), Problem> {
    let config = Config::load(file)?;
    #[cfg(feature = "chaos")]
    if let Some(wall) = config.worker.missing_wall {
        sallyport_activities::walls::take_away(wall);
    }
    serve(async |shutdown| {
        let data_dir = reach::make(&config.data_dir, rustix::process::geteuid().is_root())?;
        let tools = Tools::load(&config.tools.manifest)?;
        let database = Database::connect(&config.database).await?;
        let host_id = host_id(&data_dir)?;
        let parts = Parts {
            database: database.clone(),
            objects: objects(&config.objects).await?,
            tools,
            data_dir: data_dir.clone(),
            host_id: host_id.clone(),
            model: config.model.clone(),
            flux_lens: config.flux_lens.clone(),
            repositories: config.repositories.clone(),
            decision_key: config.decisions.key()?,
            author: Signature::default(),
            leaks: config.leak_check()?,
            checkpoint_every: config.worker.checkpoint_every(),
            setup: config.worker.setup.clone(),
            engine: config.worker.sandbox.clone(),
            symbols: SymbolReader::this_program(),
        };
        let context = Context::build(parts)?;
        sandbox::preflight(&context.sandbox, &data_dir.join("workspaces")).await?;
        let identity = format!("sallyport-worker@{host_id}");
        let client = sallyport_worker::temporal::connect(&config.temporal, &identity).await?;
        sallyport_worker::temporal::ensure_search_attributes(&client, &config.temporal.namespace)
            .await?;
        sallyport_worker::schedules::ensure(&client, &config.maintenance, &host_id).await?;
        sallyport_worker::run(
            client,
            &config.worker,
            config.retention,
            Arc::new(context),
            shutdown,
        )
        .await?;
        database.close().await;
        Ok(())
    })
}

/// Runs a starter.
pub fn starter(file: &Path) -> Result<(), Problem> {
    let config = Config::load(file)?;
    serve(async |shutdown| {
        let listen = config.starter.listen;
        let database = Database::connect(&config.database).await?;
        let address = config.temporal.address.parse().with_context(|| {
            format!(
                "`temporal.address` is `{}`: write it as http://HOST:PORT",
                config.temporal.address
            )
        })?;
        let state = StarterState::new(StarterParts {
            objects: objects(&config.objects).await?,
            database: database.clone(),
            tickets: Tickets::at(address, &config.temporal.namespace),
            config: config.starter,
            flux_lens: config.flux_lens,
            repositories: config.repositories,
            decisions: config.decisions,
            audit: config.audit,
            policy: config.policy,
        })?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen} (`starter.listen`)"))?;
        sallyport_starter::serve(state, listener, shutdown)
            .await
            .context("the starter's server failed")?;
        database.close().await;
        Ok(())
    })
}

/// Runs a service on this thread (a worker's future cannot change threads) until it ends or a signal stops it.
fn serve<Service>(service: impl FnOnce(CancellationToken) -> Service) -> Result<(), Problem>
where
    Service: Future<Output = anyhow::Result<()>>,
{
    let wanted = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(USUAL_LOGS))
        .context("RUST_LOG is not understood; write it like `info,sqlx=warn`")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(shows_colour(&std::io::stderr()))
        .with_target(std::io::stderr().is_terminal())
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(async {
            let shutdown = CancellationToken::new();
            let mut interrupt =
                signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
            let mut terminate =
                signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
            let stop = shutdown.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                tracing::info!("asked to stop");
                stop.cancel();
            });
            service(shutdown).await
        })?;
    Ok(())
}

/// The object storage, after it was seen that it can be used: a ticket should not be the first to find out.
async fn objects(config: &ObjectsConfig) -> anyhow::Result<Objects> {
    let objects = Objects::open(config)?;
    objects.check().await?;
    Ok(objects)
}

/// This host's id: made once, and kept in the data folder.
fn host_id(data_dir: &Path) -> anyhow::Result<String> {
    let path: PathBuf = data_dir.join("host-id");
    write_once(&path, &format!("{}\n", Uuid::new_v4()))?;
    let id =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let id = Uuid::parse_str(id.trim())
        .with_context(|| format!("{} holds no host id; remove it", path.display()))?;
    Ok(id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let id = host_id(folder.path()).unwrap();
        assert_eq!(host_id(folder.path()).unwrap(), id);
        fs::write(folder.path().join("host-id"), "nonsense").unwrap();
        assert!(
            host_id(folder.path())
                .unwrap_err()
                .to_string()
                .contains("host-id")
        );
    }
}
