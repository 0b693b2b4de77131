//! Live streams: nothing lost, nothing twice, in order, whatever is cut and whoever commits late.

use std::{
    collections::{BTreeMap, VecDeque},
    process::Command,
};

use futures::StreamExt as _;
use reqwest::{Response, StatusCode};
use sallyport_ledger::{
    Database,
    config::DatabaseConfig,
    feed::{self, Place},
    tokens::{self, NewToken, Role, Token},
    transitions::record_transition,
};
use sallyport_test_support::{postgres::Postgres, tools::TestTools};
use sallyport_workflows::{
    State,
    activities::{OpenGateRequest, TicketFacts, TransitionRecord},
    gate::Gate,
    policy::GatePolicy,
    ticket::{FLUX_LENS, TicketKey},
};
use serde_json::Value;
use sqlx::{PgPool, Transaction, postgres::PgPoolOptions};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Starter, VIEWER, answer, message, open_gate, starter};

/// A starter whose feed is read.
async fn live_starter() -> (Starter, CancellationToken) {
    let starter = starter().await;
    let shutdown = CancellationToken::new();
    let (state, stop) = (starter.state.clone(), shutdown.clone());
    tokio::spawn(async move { state.feed.run(&state.database, stop).await });
    (starter, shutdown)
}

/// An event as a client gets it.
#[derive(Clone, Debug)]
struct Got {
    id: String,
    name: String,
    data: Value,
}

/// One connection's server-sent events.
struct Events {
    bytes: futures::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>,
    text: String,
}

impl Events {
    async fn open(starter: &Starter, path: &str, token: &str, last: Option<&str>) -> Self {
        let mut request = starter.get(path, token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self::of(response)
    }

    fn of(response: Response) -> Self {
        let bytes = response
            .bytes_stream()
            .map(|chunk| chunk.map(|chunk| chunk.to_vec()));
        Self {
            bytes: bytes.boxed(),
            text: String::new(),
        }
    }

    /// The next event; nothing if the stream ended.
    async fn next(&mut self) -> Option<Got> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start().to_owned())
                };
                let got = field("data:").map(|data| Got {
                    id: field("id:").unwrap(),
                    name: field("event:").unwrap(),
                    data: serde_json::from_str(&data).unwrap(),
                });
                self.text = rest.to_owned();
                match got {
                    Some(got) => return Some(got),
                    // A heartbeat.
                    None => continue,
                }
            }
            let chunk = self.bytes.next().await?.ok()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

fn record(ticket: &str, sequence: u64) -> TransitionRecord {
    TransitionRecord {
        ticket: TicketKey::first(FLUX_LENS, ticket),
        sequence,
        from: (sequence > 1).then_some(State::Pending),
        to: State::Planning,
        at: chrono::Utc::now(),
        triggered_by: "system".into(),
        reason: None,
        facts: TicketFacts {
            repository_url: "file:///demo.git".into(),
            ..TicketFacts::default()
        },
    }
}

/// Writes a transition in a transaction that is left open.
async fn begin(
    pool: &PgPool,
    ticket: &TicketKey,
    sequence: i64,
) -> Transaction<'static, sqlx::Postgres> {
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO state_transitions (workflow_id, sequence, from_state, to_state, triggered_by, created_at)
         VALUES ($1, $2, 'PLANNING', 'PLANNING', 'system', now())",
    )
    .bind(ticket.ledger_id())
    .bind(sequence)
    .execute(&mut *transaction)
    .await
    .unwrap();
    transaction
}

/// Reads until it has `count` events, and cuts its connection after every few; hands back what it got.
async fn restless(
    starter: &Starter,
    number: usize,
    count: usize,
    begun: tokio::sync::oneshot::Sender<()>,
) -> Vec<Got> {
    let path = "/workflows/stream";
    let mut events = Events::open(starter, path, VIEWER, None).await;
    let ready = events.next().await.unwrap();
    assert_eq!(ready.name, "ready");
    begun.send(()).unwrap();
    let (mut got, mut last): (Vec<Got>, String) = (Vec::new(), ready.id);
    // The first clients never cut; the others do after each event, after every second, up to every fifty-first.
    let patience = if number < 20 {
        usize::MAX
    } else {
        number % 51 + 1
    };
    let mut taken = 0;
    while got.len() < count {
        if taken == patience {
            events = Events::open(starter, path, VIEWER, Some(&last)).await;
            assert_eq!(events.next().await.unwrap().name, "ready");
            taken = 0;
        }
        let event = events.next().await.unwrap();
        last.clone_from(&event.id);
        taken += 1;
        // How each ticket began is older than the stream, and may yet be told.
        if event.data["sequence"] != 1 {
            got.push(event);
        }
    }
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_miss_nothing_and_get_nothing_twice() {
    const CLIENTS: usize = 200;
    const OPEN: usize = 6;
    const COUNT: usize = 120;
    let (starter, _shutdown) = live_starter().await;
    let tickets: Vec<TicketKey> = (1..=COUNT)
        .map(|number| TicketKey::first(FLUX_LENS, format!("FL-{number}")))
        .collect();
    for number in 1..=COUNT {
        record_transition(&starter.database, &record(&format!("FL-{number}"), 1))
            .await
            .unwrap();
    }
    let starter = std::sync::Arc::new(starter);
    let (mut clients, mut begun) = (Vec::new(), Vec::new());
    for number in 0..CLIENTS {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let starter = starter.clone();
        clients.push(tokio::spawn(async move {
            restless(&starter, number, COUNT, sender).await
        }));
        begun.push(receiver);
    }
    for client in begun {
        client.await.unwrap();
    }

    // Transactions overlap, and whoever began first commits last of every few.
    let options = starter.database.pool().connect_options();
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .connect_with((*options).clone())
        .await
        .unwrap();
    let mut open = VecDeque::new();
    for (number, ticket) in tickets.iter().enumerate() {
        open.push_back(begin(&pool, ticket, 2).await);
        if open.len() == OPEN {
            // The youngest, the oldest, or one of the middle.
            let which = [OPEN - 1, OPEN - 1, OPEN / 2, OPEN - 1, 0][number % 5];
            open.remove(which).unwrap().commit().await.unwrap();
        }
        if number % 17 == 0 {
            // One that is given up leaves a gap in the numbers.
            begin(&pool, ticket, 3).await.rollback().await.unwrap();
        }
    }
    for transaction in open {
        transaction.commit().await.unwrap();
    }

    let mut first: Option<Vec<String>> = None;
    for client in clients {
        let got = client.await.unwrap();
        let places: Vec<Place> = got.iter().map(|event| event.id.parse().unwrap()).collect();
        assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for event in &got {
            assert_eq!(
                (&*event.name, &event.data["sequence"]),
                ("state", &2.into()),
                "{event:?}"
            );
            *seen
                .entry(event.data["ticket_id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        assert!(
            seen.len() == COUNT && seen.values().all(|times| *times == 1),
            "{seen:?}"
        );
        let ids: Vec<String> = got.into_iter().map(|event| event.id).collect();
        assert_eq!(first.get_or_insert_with(|| ids.clone()), &ids);
    }
}

#[tokio::test]
async fn who_was_away_too_long_is_told_to_read_anew() {
    let (starter, _shutdown) = live_starter().await;
    let begin = feed::end(&starter.database).await.unwrap().to_string();
    record_transition(&starter.database, &record("FL-1", 1))
        .await
        .unwrap();
    let path = "/workflows/stream";
    let mut events = Events::open(&starter, path, VIEWER, Some(&begin)).await;
    assert_eq!(events.next().await.unwrap().id, begin);
    let had = events.next().await.unwrap();
    assert_eq!(had.data["ticket_id"], "FL-1");

    sqlx::query("UPDATE feed SET created_at = now() - interval '8 days'")
        .execute(starter.database.pool())
        .await
        .unwrap();
    // The reader prunes, too, and may have been first.
    feed::prune(&starter.database).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM feed")
        .fetch_one(starter.database.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
    record_transition(&starter.database, &record("FL-2", 1))
        .await
        .unwrap();
    let mut missed = Events::open(&starter, path, VIEWER, Some(&begin)).await;
    let reset = missed.next().await.unwrap();
    assert_eq!(reset.name, "reset");
    assert!(
        reset.data["detail"]
            .as_str()
            .unwrap()
            .contains("read the lists anew")
    );
    // Whoever had the newest that was pruned has missed nothing.
    let mut events = Events::open(&starter, path, VIEWER, Some(&had.id)).await;
    assert_eq!(events.next().await.unwrap().name, "ready");
    assert_eq!(events.next().await.unwrap().data["ticket_id"], "FL-2");
    // A place that this database has not come to yet is another one's.
    let mut foreign = Events::open(&starter, path, VIEWER, Some("9000000000-1")).await;
    assert_eq!(foreign.next().await.unwrap().name, "reset");
    for wrong in ["1", "-", "1-x", "99999999999999999999-1", "1-2-3", "+1-1"] {
        let request = starter.get(path, VIEWER).header("last-event-id", wrong);
        let (status, said) = answer(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(message(&said).contains("Last-Event-ID"), "{said}");
    }
}

#[tokio::test]
async fn a_revoked_token_and_a_shutdown_end_streams() {
    let (starter, shutdown) = live_starter().await;
    let token = Token::new([5; 32]);
    let new = NewToken {
        id: Uuid::from_u128(5),
        person: "stored@example.com".into(),
        role: Role::Viewer,
        name: None,
        created_by: "root".into(),
        expires_at: None,
    };
    tokens::create(&starter.database, &token, &new)
        .await
        .unwrap();
    let path = "/approvals/subscribe";
    let mut stored = Events::open(&starter, path, token.text(), None).await;
    let mut other = Events::open(&starter, path, VIEWER, None).await;
    assert_eq!(stored.next().await.unwrap().name, "ready");
    assert_eq!(other.next().await.unwrap().name, "ready");
    tokens::revoke(&starter.database, new.id).await.unwrap();
    // What happens four times a minute.
    starter
        .state
        .feed
        .check_tokens(&starter.database)
        .await
        .unwrap();
    assert!(stored.next().await.is_none());
    shutdown.cancel();
    assert!(other.next().await.is_none());
}

#[tokio::test]
async fn gates_are_told_over_a_websocket_too() {
    let (starter, _shutdown) = live_starter().await;
    let url = format!("{}/approvals/subscribe", starter.base.replace("http", "ws"));
    let refused = tokio_tungstenite::connect_async(&url).await.unwrap_err();
    assert!(refused.to_string().contains("401"), "{refused}");

    let mut request = url.into_client_request().unwrap();
    let bearer = format!("Bearer {VIEWER}").parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let mut said = async || loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return serde_json::from_str::<Value>(&text).unwrap();
        }
    };
    assert_eq!(said().await["event"], "ready");
    let ticket = record("FL-1", 1).ticket;
    record_transition(&starter.database, &record("FL-1", 1))
        .await
        .unwrap();
    let content = starter.objects.put("text").await.unwrap();
    let approval = open_gate(
        &starter,
        &OpenGateRequest {
            ticket: ticket.clone(),
            approval_id: ticket.child_id("approval", 1),
            gate: Gate::Spec,
            revision: "abcdef0123".repeat(6),
            content,
            policy: GatePolicy::seconds(3600),
            reporter: "reporter@example.com".into(),
            opened_at: chrono::Utc::now(),
            base_change: None,
        },
    )
    .await;
    // The change of state before it is not told here.
    let event = said().await;
    assert_eq!(
        (&event["event"], &event["data"]["status"]),
        (&"approval".into(), &"PENDING".into())
    );
    assert_eq!(event["data"]["id"], approval.to_string());
    assert_eq!(event["data"]["gate"], "SPEC");
    assert!(event["id"].as_str().unwrap().parse::<Place>().is_ok());
}

/// All that is in a feed.
async fn everything(database: &Database) -> Vec<(String, Value)> {
    let rows = sqlx::query_as("SELECT kind, body FROM feed ORDER BY transaction, id")
        .fetch_all(database.pool())
        .await;
    rows.unwrap()
}

#[tokio::test]
async fn a_backup_brings_the_feed_back_as_it_was_and_it_goes_on() {
    let mut urls = Vec::new();
    for _ in 0..2 {
        urls.push(Postgres::shared().database().await.unwrap());
    }
    let before = Database::connect(&DatabaseConfig::with_url(urls[0].clone()))
        .await
        .unwrap();
    record_transition(&before, &record("FL-1", 1))
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("ledger.dump");
    let programs = TestTools::load().unwrap().postgres_bin_dir;
    let run = |name: &str, database: &str, arguments: &[&str]| {
        let mut command = Command::new(programs.join(name));
        let command = command.args(["--dbname", database]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    };
    let file = dump.to_str().unwrap();
    run("pg_dump", &urls[0], &["--format=custom", "--file", file]);
    run("pg_restore", &urls[1], &["--exit-on-error", file]);

    let after = Database::connect(&DatabaseConfig::with_url(urls[1].clone()))
        .await
        .unwrap();
    let kept = everything(&before).await;
    assert_eq!(kept.len(), 1);
    // Nothing is told again by what the restoring writes.
    assert_eq!(everything(&after).await, kept);
    // The application, which is not the owner, writes on.
    let role: String = sqlx::query_scalar("SELECT current_user::text")
        .fetch_one(after.pool())
        .await
        .unwrap();
    assert_eq!(role, "sallyport_app");
    record_transition(&after, &record("FL-2", 1)).await.unwrap();
    let feed = everything(&after).await;
    assert_eq!(feed[..1], kept);
    assert_eq!(feed[1].1["ticket_id"], "FL-2");
}
