//! The day's budget, on a real ledger.

use sallyport_ledger::{Database, config::DatabaseConfig, model_spending::today};
use sallyport_test_support::postgres::Postgres;

use super::*;

async fn ledger() -> Database {
    let url = Postgres::shared().database().await.unwrap();
    let config = DatabaseConfig::with_url(url);
    Database::connect(&config).await.unwrap()
}

/// A run of a worker of its own.
async fn run(database: &Database, limit: u64, replies: impl IntoIterator<Item = Reply>) -> Scene {
    let (upstream, url) = Upstream::start(replies).await;
    let gateway = Gateway::new(config(Vendor::Anthropic, &url))
        .unwrap()
        .within(DayBudget::new(database.clone(), limit));
    scene_of(upstream, &gateway, plenty())
}

#[tokio::test]
async fn all_workers_share_what_may_be_spent_in_a_day() {
    let database = ledger().await;
    // One answer costs 3210; setting one aside takes 1500 for the answer, and a little for the question.
    let one = run(&database, 4000, [Reply::Stream(STREAM)]).await;
    let two = run(&database, 4000, [Reply::Stream(STREAM)]).await;
    assert_eq!(one.ask().await.text().await.unwrap(), STREAM);
    let report = one.gateway.finish().await;
    assert_eq!(
        (report.usage.cost_micro_usd, report.exhausted),
        (3210, None)
    );
    assert_eq!(today(&database).await.unwrap(), 3210);

    let refused = two.ask().await;
    assert_eq!(refused.status(), 402);
    let text = refused.text().await.unwrap();
    assert!(
        text.contains("out of budget") && text.contains("midnight UTC"),
        "{text}"
    );
    let report = two.gateway.finish().await;
    assert_eq!(
        (report.exhausted, report.refused, report.usage),
        (Some(Exhausted::Day), 1, Usage::default())
    );
    assert_eq!(two.upstream.requests().len(), 0);
    assert_eq!(today(&database).await.unwrap(), 3210);
}

#[tokio::test]
async fn what_breaks_off_counts_in_full_and_what_the_vendor_refuses_not_at_all() {
    let database = ledger().await;
    let refused = Reply::Status(400, None, "{}".to_owned());
    let scene = run(&database, 1_000_000, [refused, Reply::Hang("data: {}\n\n")]).await;
    assert_eq!(scene.ask().await.status(), 400);
    let hanging = scene.ask().await;
    assert_eq!(hanging.status(), 200);
    drop(hanging);
    let report = scene.gateway.finish().await;
    let counted = report.usage.cost_micro_usd;
    assert!(counted > 0, "{report:?}");
    assert_eq!(today(&database).await.unwrap(), counted);
}

#[tokio::test]
async fn nothing_is_spent_that_cannot_be_counted() {
    let database = ledger().await;
    let scene = run(&database, 1_000_000, []).await;
    database.close().await;
    let answer = scene.ask().await;
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(
        !text.contains("postgres") && !text.contains("pool"),
        "{text}"
    );
    let report = scene.gateway.finish().await;
    assert_eq!((report.exhausted, report.usage), (None, Usage::default()));
    let why = report.upstream_error.unwrap();
    assert!(why.contains("cannot be counted"), "{why}");
    assert_eq!(scene.upstream.requests().len(), 0);
}
