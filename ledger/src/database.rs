//! The connection to Postgres and its schema.

use std::{str::FromStr, time::Duration};

use secrecy::ExposeSecret;
use sqlx::{
    PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    config::DatabaseConfig,
    error::{LedgerError, Trying},
    secret::SecretError,
};

/// The schema, built into the program: forward only, each applied once.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

const DEFAULT_CONNECTIONS: u32 = 10;
/// A claimed event holds one while its workflow's row is written with another.
const MINIMUM_CONNECTIONS: u32 = 2;
/// How long a caller waits for a connection before it is told that the database is out of reach.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);
/// Limits that Postgres keeps for us, in milliseconds, so that neither a lost client nor a wrong query holds others up.
const SERVER_LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "30000"),
    ("lock_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "60000"),
];

/// Why there is no ledger to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not configured, or cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The URL is none. It is not shown: it may hold a password.
    #[error("`database.url` is not like postgres://user:password@host:port/database: {0}")]
    Url(sqlx::Error),
    /// Nobody answers there, or not to us.
    #[error(
        "cannot connect to Postgres at {address}: {source}; is it running, and are user, password and database right?"
    )]
    Unreachable {
        /// Host and port.
        address: String,
        /// What sqlx says.
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the ledger's schema up to date: {0}")]
    Migration(#[from] MigrateError),
}

/// The ledger's database. Cheap to clone: all clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Database {
    pool: PgPool,
}

impl Database {
    /// Connects and brings the schema up to date. Safe to call from several processes at once: sqlx holds an advisory
    /// lock while it migrates.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, ConnectError> {
        let url = config.url()?;
        let options = PgConnectOptions::from_str(url.expose_secret())
            .map_err(ConnectError::Url)?
            .application_name("sallyport")
            .options(SERVER_LIMITS);
        let address = format!("{}:{}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(
                config
                    .max_connections
                    .unwrap_or(DEFAULT_CONNECTIONS)
                    .max(MINIMUM_CONNECTIONS),
            )
            .acquire_timeout(ACQUIRE_LIMIT)
            .connect_with(options)
            .await
            .map_err(|source| ConnectError::Unreachable { address, source })?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool })
    }

    /// The pool, for what has no function here.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), LedgerError> {
        sqlx::query_scalar!(r#"SELECT 1 AS "one!""#)
            .fetch_one(&self.pool)
            .await
            .trying_to("see whether it answers")
            .map(|_| ())
    }

    /// Closes all connections; what is under way is finished first.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
