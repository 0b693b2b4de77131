//! What is removed from object storage, and above all what is not.

use std::{collections::BTreeSet, fs, time::SystemTime};

use chrono::{TimeDelta, Utc};
use sallyport_ledger::{
    Database, Objects,
    config::DatabaseConfig,
    garbage::{self, Collected, GarbageError, references::COLUMNS},
    objects::Listing,
};
use sallyport_test_support::postgres::Postgres;
use sallyport_workflows::{
    ObjectRef,
    ticket::{FLUX_LENS, TicketKey},
};
use sqlx::AssertSqlSafe;

use super::{Storage, suite::over_both};

over_both!(
    what_is_referred_to_stays_and_an_orphan_goes,
    a_dry_run_removes_nothing,
    what_is_young_stays_whoever_knows_of_it,
    storing_again_protects_from_a_collection_that_follows,
    what_went_into_the_trash_in_a_race_comes_back,
    what_stays_forgotten_leaves_the_trash,
    an_empty_ledger_removes_nothing,
    collectors_at_the_same_time_do_no_harm,
);

const SAFE: TimeDelta = TimeDelta::days(7);

async fn ledger() -> Database {
    let url = Postgres::shared().database().await.unwrap();
    Database::connect(&DatabaseConfig::with_url(url))
        .await
        .unwrap()
}

fn ticket() -> TicketKey {
    TicketKey::first(FLUX_LENS, "FL-1")
}

/// Makes what is stored at `path` as old as `age`.
fn make_old(storage: &Storage, path: &str, age: TimeDelta) {
    let then = SystemTime::now() - age.to_std().unwrap();
    let file = fs::File::options()
        .write(true)
        .open(storage.file(path))
        .unwrap();
    file.set_modified(then).unwrap();
}

/// An object that was stored long ago.
async fn old(storage: &Storage, content: &str) -> ObjectRef {
    let reference = storage.objects().put(content.to_owned()).await.unwrap();
    make_old(storage, &reference.key, SAFE + TimeDelta::hours(1));
    reference
}

/// A ledger that refers to one old object.
async fn with_one_kept(storage: &Storage) -> (Database, ObjectRef) {
    let database = ledger().await;
    let kept = old(storage, "kept").await;
    garbage::record(&database, &ticket(), std::slice::from_ref(&kept))
        .await
        .unwrap();
    (database, kept)
}

async fn collect(database: &Database, objects: &Objects) -> Collected {
    garbage::collect(database, objects, Utc::now(), SAFE, false)
        .await
        .unwrap()
}

async fn list(objects: &Objects, listing: Listing) -> BTreeSet<String> {
    use futures::TryStreamExt as _;
    let found: Vec<_> = objects.list(listing).try_collect().await.unwrap();
    found.into_iter().map(|object| object.key).collect()
}

async fn what_is_referred_to_stays_and_an_orphan_goes(storage: Storage) {
    let (database, kept) = with_one_kept(&storage).await;
    let orphan = old(&storage, "orphan").await;
    storage
        .objects()
        .put_named("seals/1.json", "{}")
        .await
        .unwrap();
    make_old(&storage, "named/seals/1.json", TimeDelta::days(1000));
    let done = collect(&database, storage.objects()).await;
    let expected = Collected {
        objects: 2,
        referred: 1,
        removed: 1,
        removed_bytes: 6,
        ..Collected::default()
    };
    assert_eq!(done, expected);
    let stored = list(storage.objects(), Listing::Stored).await;
    assert_eq!(stored, BTreeSet::from([kept.key.clone()]));
    let discarded = list(storage.objects(), Listing::Discarded).await;
    assert_eq!(discarded, BTreeSet::from([orphan.key]));
    assert_eq!(storage.objects().get(&kept).await.unwrap(), "kept");
    let seal = storage.objects().get_named("seals/1.json").await.unwrap();
    assert_eq!(seal.unwrap(), "{}");
}

async fn a_dry_run_removes_nothing(storage: Storage) {
    let (database, _) = with_one_kept(&storage).await;
    old(&storage, "orphan").await;
    let objects = storage.objects();
    let done = garbage::collect(&database, objects, Utc::now(), SAFE, true)
        .await
        .unwrap();
    assert_eq!((done.removed, done.removed_bytes), (1, 6));
    assert_eq!(list(objects, Listing::Stored).await.len(), 2);
    assert!(list(objects, Listing::Discarded).await.is_empty());
}

async fn what_is_young_stays_whoever_knows_of_it(storage: Storage) {
    let (database, _) = with_one_kept(&storage).await;
    let young = storage.objects().put("young").await.unwrap();
    make_old(&storage, &young.key, SAFE - TimeDelta::hours(1));
    let done = collect(&database, storage.objects()).await;
    assert_eq!((done.young, done.removed), (1, 0));
    assert!(
        list(storage.objects(), Listing::Stored)
            .await
            .contains(&young.key)
    );
    // However short the safe age is that somebody asks for, some days are kept.
    let soon = TimeDelta::seconds(1);
    let fresh = storage.objects().put("fresh").await.unwrap();
    make_old(&storage, &young.key, TimeDelta::days(2));
    let done = garbage::collect(&database, storage.objects(), Utc::now(), soon, false).await;
    assert_eq!(done.unwrap().removed, 0);
    assert!(
        list(storage.objects(), Listing::Stored)
            .await
            .contains(&fresh.key)
    );
}

/// An activity stores what is there already, old and forgotten, and has not yet put it on record.
async fn storing_again_protects_from_a_collection_that_follows(storage: Storage) {
    let (database, _) = with_one_kept(&storage).await;
    let again = old(&storage, "stored again").await;
    storage.objects().put("stored again").await.unwrap();
    let done = collect(&database, storage.objects()).await;
    assert_eq!((done.young, done.removed), (1, 0));
    assert!(
        list(storage.objects(), Listing::Stored)
            .await
            .contains(&again.key)
    );
}

/// The collector has looked at the age; then an activity stores the same content; then the collector removes it.
async fn what_went_into_the_trash_in_a_race_comes_back(storage: Storage) {
    let (database, _) = with_one_kept(&storage).await;
    let objects = storage.objects();
    let raced = objects.put("raced").await.unwrap();
    objects.discard(&raced.key).await.unwrap();
    assert!(!list(objects, Listing::Stored).await.contains(&raced.key));

    // Whoever reads it finds it, and it is back.
    assert_eq!(objects.get(&raced).await.unwrap(), "raced");
    assert!(list(objects, Listing::Stored).await.contains(&raced.key));

    // Or nobody reads it until the next collection, which knows by then that somebody refers to it.
    objects.discard(&raced.key).await.unwrap();
    garbage::record(&database, &ticket(), std::slice::from_ref(&raced))
        .await
        .unwrap();
    make_old(&storage, &format!("trash/{}", raced.key), SAFE * 2);
    let done = collect(&database, objects).await;
    assert_eq!((done.recovered, done.purged), (1, 0));
    assert!(list(objects, Listing::Stored).await.contains(&raced.key));
    assert!(list(objects, Listing::Discarded).await.is_empty());
    assert_eq!(objects.get(&raced).await.unwrap(), "raced");
}

async fn what_stays_forgotten_leaves_the_trash(storage: Storage) {
    let (database, _) = with_one_kept(&storage).await;
    let objects = storage.objects();
    let orphan = old(&storage, "orphan").await;
    collect(&database, objects).await;
    // It stays in the trash for as long once more, counted from now.
    let done = collect(&database, objects).await;
    assert_eq!((done.removed, done.purged), (0, 0));
    make_old(
        &storage,
        &format!("trash/{}", orphan.key),
        SAFE + TimeDelta::hours(1),
    );
    let done = collect(&database, objects).await;
    assert_eq!((done.removed, done.purged), (0, 1));
    assert!(list(objects, Listing::Discarded).await.is_empty());
    assert!(objects.get(&orphan).await.is_err());
}

async fn an_empty_ledger_removes_nothing(storage: Storage) {
    let database = ledger().await;
    let done = collect(&database, storage.objects()).await;
    assert_eq!(done, Collected::default());
    old(&storage, "of another ledger").await;
    let refused = garbage::collect(&database, storage.objects(), Utc::now(), SAFE, false).await;
    assert!(
        matches!(refused, Err(GarbageError::NothingReferred(1))),
        "{refused:?}"
    );
    assert_eq!(list(storage.objects(), Listing::Stored).await.len(), 1);
}

async fn collectors_at_the_same_time_do_no_harm(storage: Storage) {
    let (database, kept) = with_one_kept(&storage).await;
    for number in 0..20 {
        old(&storage, &format!("orphan {number}")).await;
    }
    let collections = (0..3).map(|_| {
        let (database, objects) = (database.clone(), storage.objects().clone());
        tokio::spawn(
            async move { garbage::collect(&database, &objects, Utc::now(), SAFE, false).await },
        )
    });
    for collection in collections.collect::<Vec<_>>() {
        collection.await.unwrap().unwrap();
    }
    let stored = list(storage.objects(), Listing::Stored).await;
    assert_eq!(stored, BTreeSet::from([kept.key]));
    assert_eq!(list(storage.objects(), Listing::Discarded).await.len(), 20);
}

/// Columns that are named as if they referred to objects, and do not.
const OTHERS: [(&str, &str); 12] = [
    ("agent_logs", "file_path"),
    ("audit_log", "entry_key"),
    ("audit_seals", "content"),
    ("audit_seals", "public_key"),
    ("commands", "raise"),
    ("feed", "body"),
    ("notifications", "notification_key"),
    ("pull_requests", "repository_url"),
    ("workflows", "pr_url"),
    ("workflows", "repository_url"),
    ("workflows", "ticket_url"),
    ("_sqlx_migrations", "checksum"),
];

#[tokio::test]
async fn every_column_that_could_refer_to_an_object_is_accounted_for() {
    let database = ledger().await;
    let named: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns
         WHERE table_schema = 'public'
           AND (column_name ~ '(_url|_path|_key|_object|_ref|comments|checksum|content)$' OR data_type IN ('json', 'jsonb'))",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    for (table, column) in &named {
        let name = (table.as_str(), column.as_str());
        assert!(
            COLUMNS.contains(&name) || OTHERS.contains(&name),
            "does {table}.{column} refer to objects? Put it into ledger/src/garbage/references.rs, or say here that not"
        );
    }
    for (table, column) in COLUMNS {
        let is_there = named.contains(&(table.to_owned(), column.to_owned()));
        assert!(is_there, "{table}.{column} is gone");
    }
}

#[tokio::test]
async fn what_any_column_refers_to_stays() {
    let database = ledger().await;
    let storage = Storage::folder();
    // As the owner, past the triggers: the application can only add to some of these tables.
    let owner = database.pool().acquire().await.unwrap();
    let owner = tokio::sync::Mutex::new(owner);
    let execute = async |sql: String| {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
            .execute(&mut **owner.lock().await)
            .await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    execute("SET ROLE NONE; SET session_replication_role = replica".to_owned()).await;
    execute(
        "INSERT INTO workflows (id, workflow_id, source, ticket_id, attempt, repository_url, state, since,
                                spec_path, spec_bytes, spec_revision, diff_path, diff_bytes, qa_report_url, qa_report_bytes)
         VALUES (gen_random_uuid(), 'w', 's', 't', 1, 'r', 'PENDING', now(), 'x', 1, 'x', 'x', 1, 'x', 1);
         INSERT INTO state_transitions (workflow_id, sequence, to_state, triggered_by, created_at)
         SELECT id, 1, 'PENDING', 'system', now() FROM workflows;
         INSERT INTO approvals (id, workflow_id, approval_type, revision, content_url, content_bytes, approvals_needed,
                                requested_at, expires_at, base_from, base_to, base_files, base_first, base_diff_url,
                                base_diff_bytes)
         SELECT gen_random_uuid(), id, 'SPEC', 'r', 'x', 1, 1, now(), now(), 'a', 'b', 1, 'c', 'x', 1 FROM workflows;
         INSERT INTO decisions (workflow_id, id, gate, revision, decision, decided_by, comments, comments_bytes, proven,
                                origin, decided_at)
         SELECT id, gen_random_uuid(), 'SPEC', 'r', 'REVISE', 'a', 'x', 1, true, 'workflow', now() FROM workflows;
         INSERT INTO qa_results (workflow_id, step, head_commit, gate_name, command, required, passed, output, duration_ms,
                                 output_url, output_bytes)
         SELECT id, 1, 'c', 'g', 'c', true, true, '', 1, 'x', 1 FROM workflows;
         INSERT INTO qa_reports (workflow_id, step, head_commit, base_commit, passed, reason, flagged_tests, report_url,
                                 report_bytes, report_json_url, report_json_bytes)
         SELECT id, 1, 'c', 'b', true, '', 0, 'x', 1, 'x', 1 FROM workflows;
         INSERT INTO audit_log (workflow_id, position, kind, entry_key, content, recorded_at, previous_hash, hash)
         SELECT id, 1, 'transition', '1', 'x', now(), sha256(''), sha256('') FROM workflows;
         INSERT INTO checkpoints SELECT id, 1, false, 'x', 1, now() FROM workflows;
         INSERT INTO transcripts SELECT id, 1, 1, 'x', 1, now() FROM workflows;
         INSERT INTO planner_responses SELECT id, sha256(''), 1, 'x', 1, now() FROM workflows;
         INSERT INTO spec_revisions SELECT id, 1, 'r', 'b', 'x', 1, 'x', 1, 1, 1, now(), 'x', 1 FROM workflows;
         INSERT INTO history_exports SELECT id, 'r', 1, now(), 'x', 1, now() FROM workflows;
         INSERT INTO object_references (workflow_id, object_key) SELECT id, 'x' FROM workflows;
         INSERT INTO agent_log_archives SELECT id, 1, 1, 1, 'x', 1, now() FROM workflows;
         INSERT INTO ticket_archives SELECT id, 'x', 1, now() FROM workflows;"
            .to_owned(),
    )
    .await;
    for (table, column) in COLUMNS {
        let reference = old(&storage, &format!("of {table}.{column}")).await;
        let value = match column {
            "metadata" | "content" => format!(
                r#"{{"facts": {{"deep": [{{"key": "{}"}}]}}}}"#,
                reference.key
            ),
            _ => reference.key,
        };
        execute(format!("UPDATE {table} SET {column} = '{value}'")).await;
    }
    let done = collect(&database, storage.objects()).await;
    assert_eq!(done.removed, 0, "{done:?}");
    assert_eq!(done.referred, COLUMNS.len() as u64);
}
