//! The connection to Postgres and its schema.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
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

const DEFAULT_CONNECTIONS: u32 = 20;
/// A claimed event holds one while its workflow's row is written with another; live streams are woken over a third.
const MINIMUM_CONNECTIONS: u32 = 3;
/// How long a caller waits for a connection before it is told that the database is out of reach.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);
/// Limits that Postgres keeps for us, in milliseconds, so that neither a lost client nor a wrong query holds others up.
const SERVER_LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "30000"),
    ("lock_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "60000"),
];

/// What the application may do is this role's; `migrations/0010_application_role.sql` makes it.
const APPLICATION_ROLE: (&str, &str) = ("role", "sallyport_app");

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
    /// The user may not act as the application.
    #[error(
        "the user of `database.url` may not take the role {role} on: {source}; as the owner of the schema: GRANT {role} TO \
         that user", role = APPLICATION_ROLE.1
    )]
    Role {
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
    /// Brings the schema up to date as its owner, and connects as the application, which may only add to the audit log.
    /// Safe to call from several processes at once: sqlx holds an advisory lock while it migrates.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, ConnectError> {
        migrate(config).await?;
        let options = options(&config.url()?)?
            .options(SERVER_LIMITS)
            .options([APPLICATION_ROLE]);
        let address = address(&options);
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
            .map_err(|source| match source.as_database_error() {
                // 42501: insufficient privilege. 22023: there is no such role.
                Some(error) if matches!(error.code().as_deref(), Some("42501" | "22023")) => {
                    ConnectError::Role { source }
                }
                _ => ConnectError::Unreachable { address, source },
            })?;
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

async fn migrate(config: &DatabaseConfig) -> Result<(), ConnectError> {
    let options = options(&config.owner_url()?)?;
    let address = address(&options);
    let owner = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_LIMIT)
        .connect_with(options)
        .await
        .map_err(|source| ConnectError::Unreachable { address, source })?;
    let migrated = MIGRATIONS.run(&owner).await;
    owner.close().await;
    Ok(migrated?)
}

fn options(url: &SecretString) -> Result<PgConnectOptions, ConnectError> {
    Ok(PgConnectOptions::from_str(url.expose_secret())
        .map_err(ConnectError::Url)?
        .application_name("sallyport"))
}

fn address(options: &PgConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}
