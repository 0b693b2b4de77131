//! Webhooks that never came, with the ticket system over HTTP and a real Postgres.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::TimeDelta;
use futures::future::BoxFuture;
use sallyport_ledger::{
    config::{DatabaseConfig, FluxLensConfig},
    flux_lens::understand,
};
use sallyport_test_support::{
    flux_lens::{Fault, FluxLens as FakeFluxLens, FluxLensOptions, NewTicket, Operation, Priority},
    postgres::Postgres,
};
use sallyport_workflows::activities::TicketStatusName;

use super::*;
use crate::tickets::{EventPage, FetchedTicket, flux_lens::FluxLens};

const NAME: &str = "flux-lens";

struct Scene {
    fake: FakeFluxLens,
    source: Arc<FluxLens>,
    database: Database,
}

impl Scene {
    async fn new() -> Self {
        let fake = FakeFluxLens::start(FluxLensOptions::new("token", "secret")).unwrap();
        fake.withhold_deliveries(true);
        let config = FluxLensConfig {
            token: Some("token".into()),
            ..FluxLensConfig::at(fake.base_url())
        };
        let url = Postgres::shared().database().await.unwrap();
        Self {
            source: Arc::new(FluxLens::new(&config).unwrap()),
            fake,
            database: Database::connect(&DatabaseConfig::with_url(url))
                .await
                .unwrap(),
        }
    }

    fn file(&self, tickets: usize) {
        for number in 1..=tickets {
            self.fake
                .create_ticket(NewTicket {
                    title: format!("Ticket {number}"),
                    description: "It is broken.".into(),
                    priority: Priority::High,
                    reporter: "reporter@example.com".into(),
                    project: "DEMO".into(),
                    labels: Vec::new(),
                })
                .unwrap();
        }
    }

    async fn run(&self) -> Result<Reconciled, StepError> {
        reconcile(&self.database, NAME, &*self.source, long_ago()).await
    }

    /// Takes in a delivery as the webhook does.
    async fn deliver(&self, number: usize) -> bool {
        let delivery = &self.fake.deliveries()[number];
        let named = Some(delivery.event.as_bytes());
        let read = understand(&delivery.id, named, delivery.body.as_bytes()).unwrap();
        let accepted = inbox::accept(&self.database, &read.event).await.unwrap();
        accepted.duplicate
    }

    /// The inbox has each delivery once, byte for byte, in the order of the list where nothing came by webhook.
    async fn holds_all_once(&self) -> Vec<String> {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT delivery_id, body FROM inbox ORDER BY id")
                .fetch_all(self.database.pool())
                .await
                .unwrap();
        let sent: BTreeSet<_> = self
            .fake
            .deliveries()
            .into_iter()
            .map(|delivery| (delivery.id, delivery.body.into_bytes()))
            .collect();
        assert_eq!(rows.len(), sent.len(), "none lost, none twice");
        assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), sent);
        rows.into_iter().map(|(id, _)| id).collect()
    }
}

fn long_ago() -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(30)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_webhooks_that_never_came_are_found_in_one_run() {
    let scene = Scene::new().await;
    scene.file(499);
    scene.fake.ping().unwrap();
    let done = scene.run().await.unwrap();
    let found = Reconciled {
        events: 500,
        taken: 500,
        ..Reconciled::default()
    };
    assert_eq!(done, found);
    let order: Vec<_> = scene
        .fake
        .deliveries()
        .into_iter()
        .map(|each| each.id)
        .collect();
    assert_eq!(scene.holds_all_once().await, order);
    // The next run begins behind them, and one of them that comes late is a duplicate.
    assert_eq!(scene.run().await.unwrap(), Reconciled::default());
    assert!(scene.deliver(250).await);
    scene.file(1);
    assert_eq!(scene.run().await.unwrap().taken, 1);
    scene.holds_all_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_come_meanwhile_make_one_row_each() {
    let scene = Arc::new(Scene::new().await);
    scene.file(500);
    // Each other one, before and during two runs at the same time.
    for number in (0..100).step_by(2) {
        assert!(!scene.deliver(number).await);
    }
    let webhooks = scene.clone();
    let webhooks = tokio::spawn(async move {
        let mut new = 0;
        for number in (100..500).step_by(2) {
            new += u64::from(!webhooks.deliver(number).await);
        }
        new
    });
    let other = scene.clone();
    let other = tokio::spawn(async move { other.run().await.unwrap() });
    let one = scene.run().await.unwrap();
    let (other, webhooks) = (other.await.unwrap(), webhooks.await.unwrap());
    assert_eq!(50 + one.taken + other.taken + webhooks, 500);
    scene.holds_all_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_gone_begins_the_list_again() {
    let scene = Scene::new().await;
    scene.file(3);
    assert_eq!(scene.run().await.unwrap().taken, 3);
    scene.file(2);
    // As after a restore of the ticket system: our place is none of its list.
    reconciliation::remember(&scene.database, NAME, "after-9999")
        .await
        .unwrap();
    let done = scene.run().await.unwrap();
    assert_eq!((done.begun_again, done.events, done.taken), (1, 5, 2));
    scene.holds_all_once().await;

    // Older than is kept.
    reconciliation::remember(&scene.database, NAME, "after-1")
        .await
        .unwrap();
    scene.fake.forget_events().unwrap();
    scene.file(2);
    let done = scene.run().await.unwrap();
    assert_eq!((done.begun_again, done.events, done.taken), (1, 2, 2));
    scene.holds_all_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_system_that_is_down_fails_the_run_and_the_next_goes_on() {
    let scene = Scene::new().await;
    scene.file(2);
    assert_eq!(scene.run().await.unwrap().taken, 2);
    scene.file(2);
    scene
        .fake
        .fail_next(Operation::ListEvents, 1, Fault::status(503));
    let failed = scene.run().await.unwrap_err();
    assert!(!failed.is_final());
    let message = failed.message();
    assert!(
        message.contains("Flux Lens could not list events") && message.contains("503"),
        "{message}"
    );
    let done = scene.run().await.unwrap();
    assert_eq!((done.events, done.taken), (2, 2));
    scene.holds_all_once().await;
}

/// A source whose list breaks off after so many answers, as where the worker is killed.
#[derive(Debug)]
struct Breaking {
    source: Arc<FluxLens>,
    answers: AtomicUsize,
}

impl TicketSource for Breaking {
    fn fetch<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Result<FetchedTicket, TicketError>> {
        self.source.fetch(ticket)
    }

    fn comment<'a>(
        &'a self,
        ticket: &'a str,
        key: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), TicketError>> {
        self.source.comment(ticket, key, text)
    }

    fn set_status<'a>(
        &'a self,
        ticket: &'a str,
        status: TicketStatusName,
    ) -> BoxFuture<'a, Result<(), TicketError>> {
        self.source.set_status(ticket, status)
    }

    fn events<'a>(
        &'a self,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<EventPage, TicketError>> {
        let left = self.answers.fetch_sub(1, Ordering::SeqCst);
        Box::pin(async move {
            if left == 0 {
                std::future::pending::<()>().await;
            }
            self.source.events(after).await
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_in_the_middle_is_taken_up_where_it_was() {
    let scene = Scene::new().await;
    scene.file(700);
    let breaking = Arc::new(Breaking {
        source: scene.source.clone(),
        answers: AtomicUsize::new(1),
    });
    let (database, source) = (scene.database.clone(), breaking.clone());
    let killed =
        tokio::spawn(async move { reconcile(&database, NAME, &*source, long_ago()).await });
    // It has asked for its second part, so the first is taken in and its place remembered.
    while breaking.answers.load(Ordering::SeqCst) != usize::MAX {
        tokio::task::yield_now().await;
    }
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let done = scene.run().await.unwrap();
    assert_eq!((done.events, done.taken), (200, 200));
    scene.holds_all_once().await;

    // Killed between events and place: they are looked at again.
    reconciliation::remember(&scene.database, NAME, "after-600")
        .await
        .unwrap();
    let done = scene.run().await.unwrap();
    assert_eq!((done.events, done.taken), (100, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_before_it_counts_is_left_out() {
    let scene = Scene::new().await;
    scene.file(2);
    let later = Utc::now() + TimeDelta::seconds(1);
    let done = reconcile(&scene.database, NAME, &*scene.source, later).await;
    let done = done.unwrap();
    assert_eq!((done.events, done.taken, done.too_old), (2, 0, 2));
}
