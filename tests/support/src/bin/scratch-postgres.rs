//! A Postgres with the migrations applied, for as long as the standard input stays open: `cargo xtask generate` has
//! sqlx check the queries against it.

use std::{
    io::{Read, Write},
    path::Path,
};

use anyhow::Context;
use sallyport_test_support::postgres::Postgres;
use sqlx::{Connection, PgConnection, migrate::Migrator};

/// Usage: `scratch-postgres MIGRATIONS`. Prints the database's URL once it is ready.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let migrations = std::env::args()
        .nth(1)
        .context("say where the migrations are")?;
    let url = Postgres::shared().database().await?;
    let mut connection = PgConnection::connect(&url).await?;
    Migrator::new(Path::new(&migrations))
        .await?
        .run(&mut connection)
        .await?;
    connection.close().await?;
    writeln!(std::io::stdout(), "{url}")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
