//! The audit log: what is written, what the application may not do, and that each change by hand shows.

mod seals;

use chrono::TimeDelta;
use sallyport_ledger::{
    Database, Objects,
    approvals::close_gate,
    audit::{
        entry::Entry,
        history::HistoryFacts,
        key::SealKey,
        read::{check_workflow, entries},
        sealer::seal,
        verify::Fault,
    },
    commands::{self, record_command},
    config::ObjectsConfig,
    decisions::{self, record_decision},
    transitions::record_transition,
};
use sallyport_workflows::{
    ObjectRef, State,
    activities::{CloseGate, ExtendedGate, GateClosing, RecordCommand, RecordDecision},
    command::{Action, Command, CommandRecord},
    decision::{DecisionRecord, Verdict},
    gate::Gate,
    policy::BudgetRaise,
    ticket::TicketKey,
};
use sqlx::{Executor as _, PgConnection};
use uuid::Uuid;

use crate::{at, gates, ledger, owner, second_process, ticket, transition, transitions::spec};

const KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

fn key() -> SealKey {
    SealKey::new(&KEY.into()).unwrap()
}

fn objects() -> (tempfile::TempDir, Objects) {
    let folder = tempfile::tempdir().unwrap();
    let config = ObjectsConfig::folder(folder.path().join("objects"));
    let objects = Objects::open(&config).unwrap();
    (folder, objects)
}

fn decision(ticket: &TicketKey, id: u128, approval: Uuid) -> RecordDecision {
    RecordDecision {
        ticket: ticket.clone(),
        approval_id: Some(approval),
        record: DecisionRecord {
            id: Uuid::from_u128(id),
            gate: Gate::Spec,
            revision: "a".repeat(64),
            decision: Verdict::Approve,
            by: "approver@example.com".into(),
            at: at(50) + TimeDelta::nanoseconds(123_456_789),
            proven: true,
            refused: None,
        },
        comments: Some(ObjectRef::of(b"well\0done")),
    }
}

fn extension(ticket: &TicketKey, approval: Uuid) -> RecordCommand {
    RecordCommand {
        ticket: ticket.clone(),
        record: CommandRecord {
            id: Uuid::from_u128(77),
            action: Action::Extend,
            by: "admin@example.com".into(),
            reason: Some("holidays\0".into()),
            state: State::AwaitingSpecApproval,
            at: at(40),
            proven: true,
            refused: None,
        },
        from: None,
        raise: BudgetRaise::default(),
        seconds: Some(3600),
        extended: Some(ExtendedGate {
            approval_id: approval,
            deadline: at(90_000),
        }),
    }
}

/// A ticket up to its approved SPEC, with everything that can be on record.
async fn life(database: &Database, id: &str) -> TicketKey {
    let ticket = ticket(id);
    let mut sequence = 0;
    let mut from = None;
    let mut steps = vec![State::Pending, State::Planning, State::AwaitingSpecApproval];
    for to in steps.drain(..) {
        sequence += 1;
        let mut record = transition(id, sequence, from, to);
        record.facts.spec = (to == State::AwaitingSpecApproval).then(|| spec("a", "first"));
        record_transition(database, &record).await.unwrap();
        from = Some(to);
    }
    let gate = gates::open(database, &gates::request(&ticket, 1)).await;
    record_command(database, &extension(&ticket, gate.approval_id))
        .await
        .unwrap();
    decisions::record_refusal(
        database,
        &decisions::RefusedByApi {
            ticket: ticket.clone(),
            id: Uuid::from_u128(1),
            approval_id: Some(gate.approval_id),
            gate: Gate::Spec,
            revision: "b".repeat(64),
            decision: Verdict::Reject,
            by: "viewer@example.com".into(),
            comments: None,
            reason: "another revision".into(),
            at: at(45),
        },
    )
    .await
    .unwrap();
    record_decision(database, &decision(&ticket, 2, gate.approval_id))
        .await
        .unwrap();
    commands::record_refusal(
        database,
        &commands::RefusedByApi {
            ticket: ticket.clone(),
            id: Uuid::from_u128(3),
            command: Command {
                id: Some(Uuid::from_u128(3)),
                action: Action::Retry,
                from: Some(State::Planning),
                raise: BudgetRaise::default(),
                seconds: None,
                by: "admin@example.com".into(),
                reason: None,
                proof: None,
            },
            reason: "nothing to retry".into(),
            at: at(55),
        },
    )
    .await
    .unwrap();
    let closing = CloseGate {
        ticket: ticket.clone(),
        approval_id: gate.approval_id,
        closing: GateClosing::Approved,
        by: Some("approver@example.com".into()),
        at: at(50),
    };
    assert!(close_gate(database, &closing).await.unwrap());
    let mut approved = transition(id, 4, from, State::SpecApproved);
    approved.reason = Some("approved\0".into());
    approved.facts.spec = Some(spec("a", "first"));
    record_transition(database, &approved).await.unwrap();
    ticket
}

async fn faults(database: &Database, ticket: &TicketKey) -> Vec<String> {
    let checked = check_workflow(database, ticket.ledger_id(), &[])
        .await
        .unwrap();
    checked.found.iter().map(Fault::to_string).collect()
}

async fn chain(database: &Database, ticket: &TicketKey) -> Vec<Entry> {
    let mut connection = database.pool().acquire().await.unwrap();
    entries(&mut connection, ticket.ledger_id()).await.unwrap()
}

/// Runs SQL as the owner, past the triggers: what somebody with the database in hand can do.
async fn by_hand(database: &Database, sql: &str) {
    let mut owner: PgConnection = owner(database).await;
    owner
        .execute("SET session_replication_role = replica")
        .await
        .unwrap();
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    let done = owner.execute(sqlx::raw_sql(sql)).await.unwrap();
    assert!(done.rows_affected() > 0, "nothing was changed");
}

#[tokio::test]
async fn a_life_is_on_record_once_and_in_order() {
    let database = ledger().await;
    let ticket = life(&database, "FL-1").await;
    assert_eq!(faults(&database, &ticket).await, Vec::<String>::new());
    let kinds: Vec<String> = chain(&database, &ticket)
        .await
        .iter()
        .map(|entry| entry.kind.to_string())
        .collect();
    assert_eq!(
        kinds,
        [
            "transition",
            "transition",
            "transition",
            "gate_opened",
            "command",
            "decision_refused",
            "decision",
            "command_refused",
            "gate_closed",
            "transition"
        ]
    );
    // All of it again, as retries would.
    let again = decision(&ticket, 2, gates::request(&ticket, 1).approval_id);
    record_decision(&database, &again).await.unwrap();
    record_transition(
        &database,
        &transition("FL-1", 2, Some(State::Pending), State::Planning),
    )
    .await
    .unwrap();
    gates::open(&database, &gates::request(&ticket, 1)).await;
    assert_eq!(chain(&database, &ticket).await.len(), 10);
    assert_eq!(faults(&database, &ticket).await, Vec::<String>::new());
}

#[tokio::test]
async fn many_writers_make_one_chain() {
    let database = ledger().await;
    let other = second_process(&database).await;
    let ticket = crate::begun(&database, "FL-1").await;
    let gate = gates::open(&database, &gates::request(&ticket, 1)).await;
    let tasks: Vec<_> = (0..16u128)
        .map(|number| {
            let database = if number % 2 == 0 { &database } else { &other }.clone();
            // Each of eight decisions by two writers at once.
            let input = decision(&ticket, 100 + number / 2, gate.approval_id);
            tokio::spawn(async move { record_decision(&database, &input).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(chain(&database, &ticket).await.len(), 10);
    assert_eq!(faults(&database, &ticket).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_application_can_only_add() {
    let database = ledger().await;
    let ticket = life(&database, "FL-1").await;
    let (_folder, objects) = objects();
    seal(&database, &objects, &key()).await.unwrap();
    for table in [
        "audit_log",
        "audit_seals",
        "audit_seal_copies",
        "state_transitions",
        "decisions",
        "commands",
    ] {
        let column = match table {
            "audit_seals" | "audit_seal_copies" => "number = number",
            _ => "workflow_id = workflow_id",
        };
        for sql in [
            format!("UPDATE {table} SET {column}"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            format!("DROP TABLE {table}"),
        ] {
            let refused = database
                .pool()
                .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())))
                .await;
            let error = refused.unwrap_err();
            let code = error
                .as_database_error()
                .unwrap()
                .code()
                .unwrap()
                .into_owned();
            assert_eq!(code, "42501", "{sql}: {error}");
        }
    }
    // The owner is stopped by a trigger, as long as it is there.
    let mut owner = owner(&database).await;
    for sql in [
        "UPDATE audit_log SET content = ''",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_log",
    ] {
        let error = owner.execute(sql).await.unwrap_err().to_string();
        assert!(error.contains("only ever added to"), "{sql}: {error}");
    }
    assert_eq!(faults(&database, &ticket).await, Vec::<String>::new());
}

#[tokio::test]
async fn every_change_by_hand_shows() {
    let changes = [
        (
            "UPDATE audit_log SET content = replace(content, 'approver@', 'attacker@') WHERE kind = 'decision'",
            "entry 7 (decision) was changed",
        ),
        (
            "UPDATE audit_log SET recorded_at = recorded_at + interval '1 microsecond' WHERE position = 4",
            "entry 4 (gate_opened) was changed",
        ),
        (
            "UPDATE audit_log SET entry_key = '9' WHERE position = 2",
            "entry 2 (transition) was changed",
        ),
        (
            "UPDATE audit_log SET hash = decode(repeat('ab', 32), 'hex') WHERE position = 3",
            "entry 4 (gate_opened) does not follow",
        ),
        (
            "DELETE FROM audit_log WHERE position = 6",
            "entry 6 is missing",
        ),
        (
            "DELETE FROM audit_log WHERE position = 1",
            "entry 1 is missing",
        ),
        (
            "UPDATE state_transitions SET triggered_by = 'Somebody@example.com' WHERE sequence = 4",
            "table state_transitions, row 4: the column triggered_by is not what the log says",
        ),
        (
            "UPDATE state_transitions SET recorded_at = recorded_at + interval '1 microsecond' WHERE sequence = 1",
            "row 1: the column recorded_at is not",
        ),
        (
            "DELETE FROM state_transitions WHERE sequence = 2",
            "table state_transitions lacks the row 2",
        ),
        (
            "UPDATE decisions SET decided_by = 'x' WHERE origin = 'workflow'",
            "table decisions, row 00000000-0000-0000-0000-000000000002: the column decided_by is",
        ),
        (
            "DELETE FROM decisions WHERE origin = 'api'",
            "table decisions lacks the row 00000000-0000-0000-0000-000000000001 api",
        ),
        (
            "INSERT INTO decisions SELECT workflow_id, gen_random_uuid(), approval_id, gate, revision, decision, decided_by, \
             comments, comments_bytes, proven, refused, origin, decided_at, recorded_at FROM decisions LIMIT 1",
            "it was invented",
        ),
        (
            "UPDATE commands SET extend_seconds = 3601 WHERE origin = 'workflow'",
            "table commands, row 00000000-0000-0000-0000-00000000004d: the column extend_seconds is",
        ),
        (
            "DELETE FROM commands WHERE origin = 'api'",
            "table commands lacks the row",
        ),
        (
            "UPDATE approvals SET expires_at = expires_at + interval '1 second'",
            "the column expires_at is not",
        ),
        (
            "UPDATE approvals SET comments = 'sha256/00'",
            "the column comments is not",
        ),
        ("DELETE FROM approvals", "table approvals lacks the row"),
        (
            "UPDATE spec_revisions SET files = 3",
            "the column files is not",
        ),
        (
            "DELETE FROM spec_revisions",
            "table spec_revisions lacks the row aaaa",
        ),
        (
            "INSERT INTO spec_revisions SELECT workflow_id, sequence, 'never planned', base_commit, spec_url, spec_bytes, \
             document_url, document_bytes, files, confidence_percent, planned_at FROM spec_revisions",
            "table spec_revisions has a row never planned that is not in the log",
        ),
        (
            "UPDATE workflows SET state = 'COMPLETED', cost_micro_usd = 1",
            "the columns cost_micro_usd, state are not",
        ),
    ];
    for (sql, expected) in changes {
        let database = ledger().await;
        let ticket = life(&database, "FL-1").await;
        by_hand(&database, sql).await;
        let found = faults(&database, &ticket).await;
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "{sql}: {found:#?}"
        );
    }
}

#[tokio::test]
async fn a_decision_that_no_workflow_recorded_is_not_in_the_history() {
    let database = ledger().await;
    let ticket = life(&database, "FL-1").await;
    let mut history = HistoryFacts::default();
    let chain_before = chain(&database, &ticket).await;
    for entry in chain_before
        .iter()
        .filter(|entry| entry.kind.is_in_the_history())
    {
        let (activity, input) = match entry.kind.as_str() {
            "transition" => ("record_transition", entry.content.clone()),
            "gate_closed" => ("close_gate", entry.content.clone()),
            "decision" => ("record_decision", entry.content.clone()),
            "command" => ("record_command", entry.content.clone()),
            _ => {
                let opened: serde_json::Value = serde_json::from_str(&entry.content).unwrap();
                ("open_gate", opened["request"].to_string())
            }
        };
        history.take(activity, input.as_bytes(), true);
    }
    history.take("plan", b"{}", true);
    assert_eq!(history.compare(&chain_before), []);

    // With the application's own means, so that chain, tables and seals agree.
    let invented = decision(&ticket, 9, gates::request(&ticket, 1).approval_id);
    record_decision(&database, &invented).await.unwrap();
    assert_eq!(faults(&database, &ticket).await, Vec::<String>::new());
    let found = history.compare(&chain(&database, &ticket).await);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].to_string().contains("it was invented"),
        "{found:?}"
    );

    // What the history asked for and the log lacks; what has not completed is not asked for.
    let mut another = decision(&ticket, 10, gates::request(&ticket, 1).approval_id);
    history.take(
        "record_decision",
        &serde_json::to_vec(&another).unwrap(),
        false,
    );
    assert_eq!(history.compare(&chain_before), []);
    history.take(
        "record_decision",
        &serde_json::to_vec(&another).unwrap(),
        true,
    );
    assert!(matches!(
        history.compare(&chain_before).as_slice(),
        [Fault::NotOnRecord(..)]
    ));
    // And what it says otherwise.
    another.record.by = "somebody@example.com".into();
    record_decision(&database, &another).await.unwrap();
    let found = history.compare(&chain(&database, &ticket).await);
    assert!(
        found
            .iter()
            .any(|fault| matches!(fault, Fault::OtherThanTheHistory(..))),
        "{found:?}"
    );
}
