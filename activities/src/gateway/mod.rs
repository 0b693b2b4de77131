//! The model gateway: the one way out of an agent's room.
//!
//! For each run it serves HTTP on a Unix socket of its own, to whoever shows the run's token. It knows the vendor's key, and the
//! room does not. It lets through
//! one kind of request (`request`) to one model, and counts what that costs (`budget`): before a request is passed on,
//! the most that it can cost is set aside, and without that much left it is refused. What it cost in the end is read
//! from the vendor's answer (`meter`); an answer that does not say is charged with all that was set aside. The same goes for
//! the day's budget of the whole installation (`day`). What is more than the vendor takes in a minute waits (`rate`).
//!
//! A vendor is a variant of [`Vendor`]; what is particular to it is in `config` (its paths), `request`, `meter`, `hint` (when to
//! ask again) and `refusal` (the form of its errors).

mod budget;
mod config;
mod day;
mod headers;
mod hint;
mod meter;
mod price;
mod proxy;
mod rate;
mod refusal;
mod request;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sallyport_workflows::usage::Usage;
use secrecy::SecretString;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::{budget::Budget, proxy::Run};
pub use self::{
    config::{ModelConfig, RetryPolicy, Vendor},
    day::{DayBudget, DayError, USED_UP},
    hint::pause_asked_for,
    price::{Price, price_of},
    rate::{Pace, RateLimits},
};
use crate::sandbox::socket;

/// The socket's name in its folder.
pub const SOCKET: &str = "gw.sock";

/// What one run may spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Requests to the model.
    pub requests: u64,
    /// Tokens, input and output together.
    pub tokens: u64,
    /// Money, in millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Time, from when the gateway is opened.
    pub wall: Duration,
}

/// Whose budget does not cover another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// The run's own.
    Run,
    /// The whole installation's, for today.
    Day,
}

/// What a run spent, and what it was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayReport {
    /// What was spent.
    pub usage: Usage,
    /// Requests that were passed on to the vendor.
    pub requests: u64,
    /// Requests that were not: not allowed, or over the budget.
    pub refused: u64,
    /// The first budget that did not cover a request.
    pub exhausted: Option<Exhausted>,
    /// The last failure that was the vendor's, or of the way there, and that no further try mended.
    pub upstream_error: Option<String>,
}

/// The gateway cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Money cannot be counted.
    #[error(
        "no price is known for the model `{model}`, so its cost cannot be limited; \
         set its price in the configuration, in US dollars per million tokens"
    )]
    UnknownPrice {
        /// The model.
        model: String,
    },
    /// The configured address is none.
    #[error("`{url}` is no address of a model's vendor: {reason}")]
    BadAddress {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model's name cannot stand in a path.
    #[error(
        "`{model}` is no name of a Google model; write its id alone, without `models/`, such as `gemini-2.5-flash`"
    )]
    BadModel {
        /// The name.
        model: String,
    },
    /// The HTTP client cannot be made.
    #[error("cannot make the HTTP client for the model's vendor: {0}")]
    Client(#[source] reqwest::Error),
    /// The socket cannot be made.
    #[error("cannot make the model gateway's socket in {folder}: {source}")]
    Socket {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Opens a [`RunGateway`] for each run.
#[derive(Clone, Debug)]
pub struct Gateway {
    config: Arc<ModelConfig>,
    price: Price,
    pace: Arc<Pace>,
    day: Option<DayBudget>,
    client: reqwest::Client,
}

impl Gateway {
    /// A gateway to the configured model. Refuses a model without a price: its cost could not be limited.
    pub fn new(config: ModelConfig) -> Result<Self, GatewayError> {
        let price = config
            .price
            .or_else(|| price_of(&config.model))
            .ok_or_else(|| GatewayError::UnknownPrice {
                model: config.model.clone(),
            })?;
        config.endpoint(true)?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("sallyport/", env!("CARGO_PKG_VERSION")))
            // The key goes to the configured address and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(15))
            .read_timeout(Duration::from_secs(300))
            .build()
            .map_err(GatewayError::Client)?;
        Ok(Self {
            pace: Arc::new(Pace::new(config.rate)),
            config: Arc::new(config),
            price,
            day: None,
            client,
        })
    }

    /// The same, within what the installation may spend in a day.
    #[must_use]
    pub fn within(self, day: DayBudget) -> Self {
        Self {
            day: Some(day),
            ..self
        }
    }

    /// What the gateway is configured with.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How fast the vendor is asked; for whoever else asks it too.
    pub fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }

    /// Starts to serve one run. The socket is in a new folder `gw` in `folder`, which must be the run's own; as root,
    /// everybody must be able to pass the folders above.
    pub fn open(&self, folder: &Path, limits: RunLimits) -> Result<RunGateway, GatewayError> {
        let folder = folder.join("gw");
        let failed = |source| GatewayError::Socket {
            folder: folder.clone(),
            source,
        };
        let listener = socket::listen(&folder, SOCKET).map_err(failed)?;
        let deadline = Instant::now() + limits.wall;
        let run = Arc::new(Run {
            config: Arc::clone(&self.config),
            client: self.client.clone(),
            pace: Arc::clone(&self.pace),
            day: self.day.clone(),
            budget: Budget::new(&folder.display().to_string(), limits, self.price),
            deadline,
            token: format!("run-{}", Uuid::new_v4().simple()).into(),
            closed: CancellationToken::new(),
            answers: TaskTracker::new(),
        });
        let closed = run.closed.clone();
        let server = axum::serve(listener, proxy::router(Arc::clone(&run)))
            .with_graceful_shutdown(async move { closed.cancelled().await });
        let server = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "a run's model gateway ended");
            }
        });
        Ok(RunGateway {
            run,
            folder,
            server,
        })
    }
}

/// The gateway of one run. Dropping it ends it; [`finish`](Self::finish) also waits until all is counted.
#[derive(Debug)]
pub struct RunGateway {
    run: Arc<Run>,
    folder: PathBuf,
    server: JoinHandle<()>,
}

impl RunGateway {
    /// The folder with the socket [`SOCKET`] and nothing else.
    pub fn socket_dir(&self) -> &Path {
        &self.folder
    }

    /// What the gateway is configured with.
    pub fn config(&self) -> &ModelConfig {
        &self.run.config
    }

    /// What each request must show in the place of the vendor's key. Worth nothing after the run.
    pub fn token(&self) -> &SecretString {
        &self.run.token
    }

    /// What is spent by now.
    pub fn usage(&self) -> Usage {
        self.run.budget.report().usage
    }

    /// Cuts what is still being answered, ends, and says what the run spent.
    pub async fn finish(self) -> GatewayReport {
        self.run.closed.cancel();
        self.run.answers.close();
        self.run.answers.wait().await;
        self.run.budget.report()
    }
}

impl Drop for RunGateway {
    fn drop(&mut self) {
        self.run.closed.cancel();
        self.server.abort();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
