//! Many deliveries of few tickets, at two starters at once: each ticket becomes one workflow, and nothing is lost.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use sallyport_starter::dispatcher;
use sallyport_test_support::{child::until, proxy::Proxy, temporal::TemporalServer};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use tokio_util::sync::CancellationToken;

use crate::{Starter, event, planner::PATIENCE, start};

/// How often one delivery is sent, as a source does that got no answer.
const COPIES_OF_A_DELIVERY: usize = 4;
/// Requests at once.
const AT_ONCE: usize = 64;

/// What is sent.
struct Storm {
    tickets: usize,
    deliveries_each: usize,
    /// Temporal is out of reach for the middle third.
    outage: bool,
}

/// What came of it.
struct Seen {
    answers: BTreeMap<u16, usize>,
    times: Vec<Duration>,
    sent_in: Duration,
    settled_in: Duration,
    workflows: i64,
    attempts: i64,
    dispatched: i64,
    rows: i64,
}

impl Seen {
    fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[(times.len() - 1) * percent / 100]
    }
}

impl Storm {
    async fn blow(&self) -> Seen {
        let server = TemporalServer::own().unwrap();
        let port = server.address.rsplit(':').next().unwrap().parse().unwrap();
        let link = Proxy::start(port).await.unwrap();
        let temporal = format!("http://127.0.0.1:{}", link.port());
        let unlimited = |parts: &mut sallyport_starter::StarterParts| {
            parts.flux_lens.webhooks_per_minute = 10_000_000;
        };
        let first = start(&temporal, unlimited).await;
        let second = start(&temporal, |parts| {
            unlimited(parts);
            parts.database = first.database.clone();
        })
        .await;
        let starters = [&first, &second];
        let shutdown = CancellationToken::new();
        let running: Vec<_> = starters
            .iter()
            .map(|starter| tokio::spawn(dispatcher::run(starter.state.clone(), shutdown.clone())))
            .collect();

        let total = self.tickets * self.deliveries_each;
        let sent = AtomicUsize::new(0);
        let began = Instant::now();
        let answers: Vec<(u16, Duration)> = futures::stream::iter(0..total)
            .map(|number| {
                let number = shuffled(number, total);
                let (ticket, copy) = (number / self.deliveries_each, number % self.deliveries_each);
                let (starters, sent, link) = (&starters, &sent, &link);
                async move {
                    let done = sent.fetch_add(1, Ordering::Relaxed);
                    if self.outage && done == total / 3 {
                        link.cut();
                    } else if self.outage && done == total * 2 / 3 {
                        link.mend();
                    }
                    deliver(starters[number % 2], ticket, copy).await
                }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let sent_in = began.elapsed();
        let count = async |sql: &'static str| -> i64 {
            sqlx::query_scalar(sql)
                .fetch_one(first.database.pool())
                .await
                .unwrap()
        };
        let settled = until(PATIENCE, "the inbox is worked off", async || {
            let pending = count("SELECT count(*) FROM inbox WHERE status = 'pending'").await;
            (pending == 0).then_some(())
        });
        settled.await.unwrap();
        let settled_in = began.elapsed();
        shutdown.cancel();
        for dispatcher in running {
            dispatcher.await.unwrap();
        }
        let mut by_status = BTreeMap::new();
        for (status, _) in &answers {
            *by_status.entry(*status).or_default() += 1;
        }
        Seen {
            answers: by_status,
            times: answers.iter().map(|(_, time)| *time).collect(),
            sent_in,
            settled_in,
            workflows: workflows(&server.address, self.tickets).await,
            attempts: count("SELECT count(*) FROM workflows").await,
            dispatched: count("SELECT count(*) FROM inbox WHERE status = 'dispatched'").await,
            rows: count("SELECT count(*) FROM inbox").await,
        }
    }

    fn check(&self, seen: &Seen) {
        let total = self.tickets * self.deliveries_each;
        assert_eq!(seen.answers, BTreeMap::from([(200, total)]));
        let tickets = i64::try_from(self.tickets).unwrap();
        assert_eq!(
            (seen.workflows, seen.attempts, seen.dispatched),
            (tickets, tickets, tickets)
        );
        let distinct = self.tickets * self.deliveries_each.div_ceil(COPIES_OF_A_DELIVERY);
        assert_eq!(seen.rows, i64::try_from(distinct).unwrap());
    }
}

async fn deliver(starter: &Starter, ticket: usize, copy: usize) -> (u16, Duration) {
    let delivery = format!("d{ticket}/{}", copy / COPIES_OF_A_DELIVERY);
    let mut body = event("ticket.created", &format!("STORM-{}", ticket + 1));
    body["delivery_id"] = delivery.clone().into();
    let began = Instant::now();
    // A busy database may say that it has no time now; then a source sends again.
    let answered = until(PATIENCE, "the delivery is taken or refused", async || {
        let request = starter.webhook(&delivery, &body.to_string());
        let status = request.send().await.unwrap().status().as_u16();
        (status != 503).then_some(status)
    });
    (answered.await.unwrap(), began.elapsed())
}

/// A fixed order in which nothing is beside what it was beside: a stride that has no divisor in common with the whole.
fn shuffled(number: usize, total: usize) -> usize {
    number * 7919 % total
}

/// How many tickets Temporal runs, as soon as its list has caught up.
async fn workflows(address: &str, at_least: usize) -> i64 {
    let options = ConnectionOptions::new(address.parse::<Url>().unwrap());
    let connection = Connection::connect(options.identity("test").build())
        .await
        .unwrap();
    let client = Client::new(connection, ClientOptions::new("default").build()).unwrap();
    let counted = until(PATIENCE, "Temporal's list has caught up", async || {
        let counted = client.count_workflows("WorkflowType = 'ticket'", Default::default());
        let counted = counted.await.unwrap().count();
        (counted >= at_least).then_some(counted)
    });
    i64::try_from(counted.await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_tickets_told_of_twenty_times_are_five_hundred_workflows() {
    let storm = Storm {
        tickets: 500,
        deliveries_each: 20,
        outage: false,
    };
    storm.check(&storm.blow().await);
}

/// `cargo xtask bench storm`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a bench: slow, and its times are for people"]
async fn bench() {
    let storm = Storm {
        tickets: 500,
        deliveries_each: 60,
        outage: true,
    };
    let seen = storm.blow().await;
    println!(
        "{} deliveries of {} tickets, Temporal out of reach for the middle third:\n\
         answers {:?}; median {:?}, 99 % within {:?}, longest {:?}\n\
         sent in {:.1} s, all settled after {:.1} s; {} workflows, {} attempts in the ledger, {} events kept",
        seen.times.len(),
        storm.tickets,
        seen.answers,
        seen.percentile(50),
        seen.percentile(99),
        seen.percentile(100),
        seen.sent_in.as_secs_f32(),
        seen.settled_in.as_secs_f32(),
        seen.workflows,
        seen.attempts,
        seen.rows,
    );
    storm.check(&seen);
}
