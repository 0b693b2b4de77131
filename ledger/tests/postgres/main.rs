//! The ledger against a real Postgres: one server for all tests here, a database for each.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod commands;
mod gates;
mod history_exports;
mod hosts;
mod inbox;
mod lists;
mod logs;
mod model_spending;
mod notifications;
mod planner_responses;
mod planners;
mod pull_requests;
mod retention;
mod transcripts;
mod transitions;
mod workflows;

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_ledger::{Database, config::DatabaseConfig};
use sallyport_test_support::postgres::Postgres;
use sallyport_workflows::{
    State,
    activities::{TicketFacts, TransitionRecord},
    ticket::{FLUX_LENS, TicketKey},
};
use sqlx::{Connection as _, PgConnection};

/// A database with the ledger's schema and nothing in it.
async fn ledger() -> Database {
    let url = Postgres::shared().database().await.unwrap();
    Database::connect(&DatabaseConfig::with_url(url))
        .await
        .unwrap()
}

/// The database's address for whoever owns it.
fn url(database: &Database) -> String {
    let options = database.pool().connect_options();
    format!(
        "postgres://sallyport:for-tests-only@{}:{}/{}",
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap()
    )
}

/// Another ledger on the same database: another process, as far as the database can tell.
async fn second_process(database: &Database) -> Database {
    Database::connect(&DatabaseConfig::with_url(url(database)))
        .await
        .unwrap()
}

/// A connection of the database's owner, who may do and see what the application may not.
async fn owner(database: &Database) -> PgConnection {
    PgConnection::connect(&url(database)).await.unwrap()
}

fn ticket(id: &str) -> TicketKey {
    TicketKey::first(FLUX_LENS, id)
}

/// Some seconds into the tests' day.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn transition(id: &str, sequence: u64, from: Option<State>, to: State) -> TransitionRecord {
    TransitionRecord {
        ticket: ticket(id),
        sequence,
        from,
        to,
        at: at(sequence as i64),
        triggered_by: "system".into(),
        reason: None,
        facts: TicketFacts {
            repository_url: "file:///demo.git".into(),
            ..TicketFacts::default()
        },
    }
}

/// A workflow that has begun.
async fn begun(database: &Database, id: &str) -> TicketKey {
    sallyport_ledger::transitions::record_transition(
        database,
        &transition(id, 1, None, State::Pending),
    )
    .await
    .unwrap();
    ticket(id)
}

#[tokio::test]
async fn connecting_from_many_processes_at_once_migrates_once() {
    let url = Postgres::shared().database().await.unwrap();
    let connections = (0..4).map(|_| {
        let config = DatabaseConfig::with_url(url.clone());
        tokio::spawn(async move { Database::connect(&config).await })
    });
    for connection in connections.collect::<Vec<_>>() {
        connection.await.unwrap().unwrap().ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = DatabaseConfig::with_url(format!("postgres://u:hidden@127.0.0.1:{port}/x"));
    let error = Database::connect(&config).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(!error.contains("hidden"), "{error}");
}

#[tokio::test]
async fn a_closed_database_is_unavailable() {
    let database = ledger().await;
    database.close().await;
    assert!(database.ping().await.unwrap_err().is_unavailable());
}
