//! What leaves the ledger after a while, and that nothing younger, open or running does.

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_ledger::{
    Database, Objects,
    agent_logs::{self, LogLevel, NewLogLine},
    config::ObjectsConfig,
    garbage,
    inbox::{self, NewEvent},
    retention,
};
use sallyport_workflows::{
    ObjectRef, State,
    activities::StepKey,
    ticket::{Priority, TicketKey},
};
use sqlx::AssertSqlSafe;

use crate::{begun, ledger, transition};

struct Scene {
    database: Database,
    objects: Objects,
    folder: tempfile::TempDir,
}

/// The day on which the tests' old tickets have just been kept long enough.
fn now() -> DateTime<Utc> {
    Utc::now()
}

fn before() -> DateTime<Utc> {
    now() - TimeDelta::days(90)
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            database: ledger().await,
            objects: Objects::open(&ObjectsConfig::folder(folder.path())).unwrap(),
            folder,
        }
    }

    async fn sql(&self, sql: impl Into<String>) {
        let sql = sql.into();
        let done = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
            .execute(self.database.pool())
            .await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {sql}")))
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }

    /// A ticket with three lines of log that ended so many days ago.
    async fn ended(&self, id: &str, days: i64) -> TicketKey {
        let ticket = self.running(id).await;
        let mut end = transition(id, 2, Some(State::Pending), State::Cancelled);
        end.at = now() - TimeDelta::days(days);
        sallyport_ledger::transitions::record_transition(&self.database, &end)
            .await
            .unwrap();
        ticket
    }

    /// A ticket that goes on, with three lines of log that are old.
    async fn running(&self, id: &str) -> TicketKey {
        let ticket = begun(&self.database, id).await;
        let step = StepKey {
            ticket: ticket.clone(),
            sequence: 1,
        };
        let lines: Vec<_> = (1..=3)
            .map(|line| NewLogLine {
                line,
                at: before() - TimeDelta::days(30),
                level: LogLevel::Info,
                message: format!("{id} line {line}\nwith two lines, \"quoted\""),
                tool: Some("bash".into()),
                path: None,
            })
            .collect();
        agent_logs::insert(&self.database, &step, &lines)
            .await
            .unwrap();
        ticket
    }
}

#[tokio::test]
async fn old_logs_go_into_object_storage_and_are_read_from_there() {
    let scene = Scene::new().await;
    let Scene {
        database, objects, ..
    } = &scene;
    let old = scene.ended("OLD", 91).await.ledger_id();
    let young = scene.ended("YOUNG", 89).await.ledger_id();
    let running = scene.running("RUNNING").await.ledger_id();
    let expected = agent_logs::page(database, old, 0, 100).await.unwrap();
    let done = retention::agent_logs::archive(database, objects, before(), now())
        .await
        .unwrap();
    assert_eq!((done.tickets, done.lines), (1, 3));
    assert!(
        agent_logs::page(database, old, 0, 100)
            .await
            .unwrap()
            .is_empty()
    );
    for kept in [young, running] {
        assert_eq!(
            agent_logs::page(database, kept, 0, 100)
                .await
                .unwrap()
                .len(),
            3
        );
    }
    let page = retention::agent_logs::page(database, objects, old, 0, 100);
    assert_eq!(page.await.unwrap(), expected);
    // Page after page, and none after the last.
    let page = retention::agent_logs::page(database, objects, old, expected[0].id, 1);
    assert_eq!(page.await.unwrap(), expected[1..2]);
    let page = retention::agent_logs::page(database, objects, old, expected[2].id, 10);
    assert!(page.await.unwrap().is_empty());
    // Again there is nothing to do.
    let done = retention::agent_logs::archive(database, objects, before(), now()).await;
    assert_eq!(done.unwrap().lines, 0);
    // The archive is in use.
    let collected = garbage::collect(
        database,
        objects,
        now() + TimeDelta::days(30),
        TimeDelta::days(7),
        false,
    );
    assert_eq!(collected.await.unwrap().removed, 0);
}

#[tokio::test]
async fn a_page_goes_over_from_the_archive_to_the_table() {
    let scene = Scene::new().await;
    let Scene {
        database, objects, ..
    } = &scene;
    let ticket = scene.ended("OLD", 91).await;
    retention::agent_logs::archive(database, objects, before(), now())
        .await
        .unwrap();
    // A worker that was cut off wrote its last line late.
    let step = StepKey {
        ticket: ticket.clone(),
        sequence: 1,
    };
    let late = NewLogLine {
        line: 4,
        at: now(),
        level: LogLevel::Warn,
        message: "late".into(),
        tool: None,
        path: None,
    };
    agent_logs::insert(database, &step, &[late]).await.unwrap();
    let page = retention::agent_logs::page(database, objects, ticket.ledger_id(), 0, 100)
        .await
        .unwrap();
    assert_eq!(page.len(), 4);
    assert_eq!(page[3].message, "late");
    assert!(page.is_sorted_by_key(|row| row.id));
    let done = retention::agent_logs::archive(database, objects, before(), now()).await;
    assert_eq!(done.unwrap().lines, 1);
    let again = retention::agent_logs::page(database, objects, ticket.ledger_id(), 0, 100);
    assert_eq!(again.await.unwrap(), page);
}

#[tokio::test]
async fn archivists_at_the_same_time_lose_and_double_nothing() {
    let scene = Scene::new().await;
    let ticket = scene.ended("OLD", 400).await.ledger_id();
    let expected = agent_logs::page(&scene.database, ticket, 0, 100)
        .await
        .unwrap();
    let runs = (0..4).map(|_| {
        let (database, objects) = (scene.database.clone(), scene.objects.clone());
        tokio::spawn(async move {
            let logs = retention::agent_logs::archive(&database, &objects, before(), now()).await;
            let tickets = retention::tickets::archive(&database, &objects, before(), now()).await;
            (logs.unwrap().lines, tickets.unwrap())
        })
    });
    let mut totals = (0, 0);
    for run in runs.collect::<Vec<_>>() {
        let (lines, tickets) = run.await.unwrap();
        totals = (totals.0 + lines, totals.1 + tickets);
    }
    assert!(totals.0 <= 3, "{totals:?}");
    assert_eq!(totals.1, 1);
    let page = retention::agent_logs::page(&scene.database, &scene.objects, ticket, 0, 100);
    assert_eq!(page.await.unwrap(), expected);
}

#[tokio::test]
async fn storage_that_is_down_loses_no_log() {
    let scene = Scene::new().await;
    let ticket = scene.ended("OLD", 91).await.ledger_id();
    // The folder is a file now: nothing can be written in it.
    let path = scene.folder.path().join("sha256");
    std::fs::write(&path, "").unwrap();
    let failed =
        retention::agent_logs::archive(&scene.database, &scene.objects, before(), now()).await;
    assert!(failed.is_err());
    let page = agent_logs::page(&scene.database, ticket, 0, 100)
        .await
        .unwrap();
    assert_eq!(page.len(), 3);
}

fn event(delivery: &str) -> NewEvent {
    NewEvent {
        source: "flux-lens".into(),
        delivery_id: delivery.into(),
        event: "ticket.created".into(),
        ticket_id: Some("FL-1".into()),
        priority: Priority::Normal,
        only_body_signed: false,
        body: b"{}".to_vec(),
        ignored: None,
    }
}

#[tokio::test]
async fn events_that_were_worked_off_go_and_all_others_stay() {
    let scene = Scene::new().await;
    let (old, young) = ("now() - interval '91 days'", "now() - interval '89 days'");
    for (delivery, status, finished) in [
        ("old-dispatched", "dispatched", old),
        ("old-ignored", "ignored", old),
        ("old-failed", "failed", old),
        ("young", "dispatched", young),
        ("of-running", "dispatched", old),
        ("of-ended", "dispatched", old),
        ("of-just-ended", "dispatched", old),
    ] {
        inbox::accept(&scene.database, &event(delivery))
            .await
            .unwrap();
        scene
            .sql(format!(
                "UPDATE inbox SET status = '{status}', finished_at = {finished}, note = 'n' WHERE delivery_id = '{delivery}'"
            ))
            .await;
    }
    inbox::accept(&scene.database, &event("pending"))
        .await
        .unwrap();
    scene
        .sql("UPDATE inbox SET received_at = now() - interval '1 year' WHERE delivery_id = 'pending'")
        .await;
    scene.running("R").await;
    scene.ended("E", 91).await;
    scene.ended("J", 1).await;
    for (ticket, delivery) in [
        ("R", "of-running"),
        ("E", "of-ended"),
        ("J", "of-just-ended"),
    ] {
        scene
            .sql(format!(
                "UPDATE workflows SET inbox_id = (SELECT id FROM inbox WHERE delivery_id = '{delivery}') WHERE ticket_id = '{ticket}'"
            ))
            .await;
    }
    let removed = retention::remove_events(&scene.database, before())
        .await
        .unwrap();
    assert_eq!(removed, 3);
    let left: Vec<String> = sqlx::query_scalar("SELECT delivery_id FROM inbox ORDER BY id")
        .fetch_all(scene.database.pool())
        .await
        .unwrap();
    let expected = [
        "old-failed",
        "young",
        "of-running",
        "of-just-ended",
        "pending",
    ];
    assert_eq!(left, expected);
    assert_eq!(scene.count("workflows WHERE inbox_id IS NOT NULL").await, 2);
    assert_eq!(
        retention::remove_events(&scene.database, before())
            .await
            .unwrap(),
        0
    );
}

async fn notify(scene: &Scene, ticket: &TicketKey, key: &str, status: &str) {
    let id = ticket.ledger_id();
    let sent = match status {
        "SENT" => "now() - interval '91 days'",
        _ => "NULL",
    };
    scene
        .sql(format!(
            "INSERT INTO notifications (workflow_id, notification_key, channel, recipient, status, sent_at, created_at)
             VALUES ('{id}', '{key}', 'any', '*', '{status}', {sent}, now() - interval '100 days')"
        ))
        .await;
}

#[tokio::test]
async fn what_people_were_told_goes_after_the_tickets_end_only() {
    let scene = Scene::new().await;
    let old = scene.ended("OLD", 91).await;
    let young = scene.ended("YOUNG", 89).await;
    let running = scene.running("RUNNING").await;
    for ticket in [&old, &young, &running] {
        for (key, status) in [("a", "SENT"), ("b", "SKIPPED"), ("c", "PENDING")] {
            notify(&scene, ticket, key, status).await;
        }
    }
    let removed = retention::remove_notifications(&scene.database, before());
    assert_eq!(removed.await.unwrap(), 2);
    assert_eq!(scene.count("notifications").await, 7);
    assert_eq!(
        scene.count("notifications WHERE status = 'PENDING'").await,
        3
    );
}

async fn put_for(scene: &Scene, ticket: &TicketKey, content: &str) -> ObjectRef {
    let stored = scene.objects.put(content.to_owned()).await.unwrap();
    garbage::record(&scene.database, ticket, std::slice::from_ref(&stored))
        .await
        .unwrap();
    stored
}

#[tokio::test]
async fn a_finished_ticket_becomes_one_document_and_its_audit_log_stays() {
    let scene = Scene::new().await;
    let old = scene.ended("OLD", 400).await;
    let young = scene.ended("YOUNG", 300).await;
    let running = scene.running("RUNNING").await;
    let mut kept = Vec::new();
    let mut forgotten = Vec::new();
    for ticket in [&old, &young, &running] {
        let name = &ticket.ticket_id;
        let output = put_for(&scene, ticket, &format!("output of {name}")).await;
        forgotten.push(put_for(&scene, ticket, &format!("pinned policy of {name}")).await);
        notify(&scene, ticket, "a", "SENT").await;
        let id = ticket.ledger_id();
        scene
            .sql(format!(
                "INSERT INTO qa_results (workflow_id, step, head_commit, gate_name, command, required, passed, output,
                                         duration_ms, output_url, output_bytes)
                 VALUES ('{id}', 1, 'c', 'Unit tests', 'make', true, true, 'fine', 1, '{}', {})",
                output.key, output.bytes
            ))
            .await;
        kept.push(output);
    }
    let transitions = scene.count("state_transitions").await;
    let year = now() - TimeDelta::days(365);
    let (database, objects) = (&scene.database, &scene.objects);
    let archived = retention::tickets::archive(database, objects, year, now()).await;
    assert_eq!(archived.unwrap(), 1);
    let again = retention::tickets::archive(database, objects, year, now()).await;
    assert_eq!(again.unwrap(), 0);

    let row: (String, i64) =
        sqlx::query_as("SELECT archive_url, archive_bytes FROM ticket_archives")
            .fetch_one(database.pool())
            .await
            .unwrap();
    let reference = ObjectRef {
        key: row.0,
        bytes: row.1 as u64,
    };
    let document: serde_json::Value =
        serde_json::from_slice(&objects.get(&reference).await.unwrap()).unwrap();
    assert_eq!(document["workflows"][0]["ticket_id"], "OLD");
    assert_eq!(document["state_transitions"].as_array().unwrap().len(), 2);
    assert_eq!(document["qa_results"][0]["output"], "fine");
    assert_eq!(document["notifications"][0]["status"], "SENT");
    let log = document["agent_log_archives"][0]["log_url"]
        .as_str()
        .unwrap();
    assert!(log.starts_with("sha256/"));

    for table in ["qa_results", "notifications"] {
        let of_old = format!("{table} WHERE workflow_id = '{}'", old.ledger_id());
        assert_eq!(scene.count(&of_old).await, 0, "{table}");
        assert_eq!(scene.count(table).await, 2, "{table}");
    }
    assert_eq!(scene.count("state_transitions").await, transitions);
    assert_eq!(scene.count("workflows").await, 3);
    assert_eq!(scene.count("agent_logs").await, 6, "the others' logs stay");

    // What the document names stays in object storage; what only the running ticket needed goes at last.
    let later = now() + TimeDelta::days(30);
    let done = garbage::collect(database, objects, later, TimeDelta::days(7), false)
        .await
        .unwrap();
    assert_eq!(done.removed, 1, "{done:?}");
    for reference in kept.iter().chain(&forgotten[1..]) {
        objects.get(reference).await.unwrap();
    }
    assert!(!scene.folder.path().join(&forgotten[0].key).exists());
}

#[tokio::test]
async fn an_archive_holds_every_table_that_knows_of_a_workflow() {
    let database = ledger().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name = 'workflow_id' ORDER BY 1",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    // Lines are in archives of their own; what is referred to is found by the names in the document.
    // The audit log stays where it is, for ever; an event is no part of a ticket.
    // What belongs to a workspace goes with it, when the ticket ends; a transcript and the planner's answers go when the ticket
    // is archived.
    let others = [
        "agent_logs",
        "agent_runs",
        "audit_heads",
        "audit_log",
        "checkpoints",
        "inbox",
        "object_references",
        "planner_responses",
        "ticket_archives",
        "transcripts",
        "workspaces",
    ];
    for table in tables {
        let table = table.as_str();
        assert!(
            retention::tickets::TABLES.contains(&table) || others.contains(&table),
            "does {table} belong into a ticket's archive? See ledger/src/retention/tickets.rs"
        );
    }
}
