//! A ledger full of tickets, and each list query that the API makes of it.

use chrono::{DateTime, Utc};
use sallyport_ledger::{
    Database, LedgerError,
    lists::{
        approvals, metrics,
        workflows::{self, Cursor, Filter, Position},
    },
};
use sallyport_workflows::State;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// Tables that grow with every ticket: reading all of one is what no list may do.
pub const LARGE: [&str; 2] = ["workflows", "approvals"];

/// One query and its plan.
pub struct Planned {
    /// What is asked for.
    pub name: String,
    /// The indexes of which one must be used.
    pub indexes: &'static [&'static str],
    /// The plan.
    pub plan: Vec<String>,
}

impl Planned {
    /// What is wrong with the plan, if anything.
    pub fn fault(&self) -> Option<String> {
        let reads_all = |line: &&String| {
            LARGE
                .iter()
                .any(|table| line.contains(&format!("Seq Scan on {table}")))
        };
        if let Some(line) = self.plan.iter().find(reads_all) {
            return Some(format!("{} reads a whole table: {line}", self.name));
        }
        let text = self.plan.join("\n");
        let uses = |index: &&str| {
            text.contains(&format!(" {index} ")) || text.contains(&format!("{index}\n"))
        };
        (!self.indexes.iter().any(uses))
            .then(|| format!("{} uses none of {:?}:\n{text}", self.name, self.indexes))
    }
}

/// Fills an empty ledger with `count` tickets: 40 repositories, two ticket systems of which one has few, one ticket in
/// fifty with an open gate, one gate in ten for certain people.
pub async fn fill(database: &Database, count: u32) -> Result<(), sqlx::Error> {
    let statements = [
        format!(
            "INSERT INTO workflows (id, workflow_id, source, ticket_id, attempt, title, repository_url, state, since,
                                    created_at, completed_at)
             SELECT gen_random_uuid(), 'ticket:' || source || ':FL-' || n, source, 'FL-' || n, 1,
                    (ARRAY['Totals are wrong', 'Crash on start', 'Add a button', 'Slow report'])[n % 4 + 1] || ' in part '
                        || md5(n::text),
                    'https://git.example.com/repository-' || n % 40 || '.git', state, created, created,
                    CASE WHEN state IN ('COMPLETED', 'CANCELLED', 'SPEC_REJECTED') THEN created END
             FROM (SELECT n, CASE WHEN n % 500 = 0 THEN 'github' ELSE 'flux-lens' END AS source,
                          CASE WHEN n % 50 = 0 THEN 'AWAITING_SPEC_APPROVAL' WHEN n % 50 = 1 THEN 'EXECUTING'
                               WHEN n % 50 < 5 THEN 'CANCELLED' WHEN n % 10000 = 7 THEN 'ERROR' ELSE 'COMPLETED' END
                              AS state,
                          now() - n * interval '1 minute' AS created
                   FROM generate_series(1, {count}) AS n) AS made"
        ),
        "INSERT INTO approvals (id, workflow_id, approval_type, revision, content_url, content_bytes, approvals_needed,
                                requested_at, expires_at, approvers, status, decided_at)
         SELECT gen_random_uuid(), id, 'SPEC', repeat('a', 64), 'key', 1, 1, created_at, created_at + interval '1 day',
                CASE WHEN right(ticket_id, 3) = '000' THEN ARRAY['Lead@example.com', 'other@example.com']
                     WHEN right(ticket_id, 3) IN ('050', '100', '150', '200') THEN ARRAY['other@example.com']
                     ELSE '{}' END,
                CASE WHEN state = 'AWAITING_SPEC_APPROVAL' THEN 'PENDING' ELSE 'EXPIRED' END,
                CASE WHEN state = 'AWAITING_SPEC_APPROVAL' THEN NULL ELSE created_at END
         FROM workflows"
            .to_owned(),
        "VACUUM (ANALYZE) workflows".to_owned(),
        "VACUUM (ANALYZE) approvals".to_owned(),
    ];
    let mut connection = database.pool().acquire().await?;
    sqlx::query("SET statement_timeout = 0")
        .execute(&mut *connection)
        .await?;
    // Only the tables' owner may count what is in them.
    sqlx::query("SET ROLE NONE")
        .execute(&mut *connection)
        .await?;
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    // It goes back to the pool, whose limits it must have again.
    connection.close().await
}

/// Each list query with its plan.
pub async fn plans(
    database: &Database,
    newest: DateTime<Utc>,
    analyze: bool,
) -> Result<Vec<Planned>, LedgerError> {
    let text = |text: &str| Some(text.to_owned());
    let all = Filter::default();
    let state = |state| Filter {
        state: Some(state),
        ..Filter::default()
    };
    let repository = Filter {
        repository: text("https://git.example.com/repository-7.git"),
        ..Filter::default()
    };
    let few = Filter {
        source: text("github"),
        ..Filter::default()
    };
    let of_text = |wanted| Filter {
        text: text(wanted),
        ..Filter::default()
    };
    let of = |assignee| Filter {
        assignee: text(assignee),
        ..Filter::default()
    };
    let cases: [(&str, Filter, &'static [&'static str]); 14] = [
        ("all", all, &["workflows_list"]),
        (
            "one state, most tickets",
            state(State::Completed),
            &["workflows_list_state", "workflows_list"],
        ),
        (
            "one state, few tickets",
            state(State::Error),
            &["workflows_list_state"],
        ),
        (
            "one state, no ticket",
            state(State::QaRunning),
            &["workflows_list_state"],
        ),
        (
            "one repository",
            repository.clone(),
            &["workflows_list_repository"],
        ),
        (
            "one repository and state",
            Filter {
                state: Some(State::Error),
                ..repository
            },
            &["workflows_list_repository_state", "workflows_list_state"],
        ),
        (
            "a source with few tickets",
            few.clone(),
            &["workflows_list_source"],
        ),
        (
            "that source and a state",
            Filter {
                state: Some(State::Executing),
                ..few
            },
            &["workflows_list_source_state", "workflows_list_state"],
        ),
        (
            "a text that one title has",
            of_text("c4ca4238a0b923820dcc"),
            &["workflows_list_text"],
        ),
        (
            "a text that no ticket has",
            of_text("zzqzzq"),
            &["workflows_list_text"],
        ),
        (
            "a text that every title has",
            of_text("part"),
            &["workflows_list_text", "workflows_list"],
        ),
        (
            "a text and a state",
            Filter {
                state: Some(State::Error),
                ..of_text("crash")
            },
            &["workflows_list_text", "workflows_list_state"],
        ),
        (
            "a person, with the gates that are everybody's",
            of("nobody@example.com"),
            &[
                "approvals_pending_workflow",
                "approvals_pending_deciders",
                "approvals_pending",
            ],
        ),
        (
            "a person and a state",
            Filter {
                state: Some(State::AwaitingSpecApproval),
                ..of("LEAD@example.com")
            },
            &[
                "approvals_pending_workflow",
                "approvals_pending_deciders",
                "approvals_pending",
            ],
        ),
    ];
    let after = Position::After(Cursor {
        at: newest - chrono::TimeDelta::minutes(1000),
        id: Uuid::nil(),
    });
    let mut planned = Vec::new();
    for (name, filter, indexes) in cases {
        for (place, position) in [("first page", Position::default()), ("by cursor", after)] {
            let [page, count] = workflows::plans(database, &filter, position, 50, analyze).await?;
            let name = format!("`GET /workflows`, {name}");
            planned.push(Planned {
                name: format!("{name}: {place}"),
                indexes,
                plan: page,
            });
            if position == Position::default() {
                planned.push(Planned {
                    name: format!("{name}: total"),
                    indexes,
                    plan: count,
                });
            }
        }
    }
    let offset = Position::Offset(10_000);
    let [page, _] = workflows::plans(database, &Filter::default(), offset, 50, analyze).await?;
    planned.push(Planned {
        name: "`GET /workflows`, all: the largest offset".to_owned(),
        indexes: &["workflows_list"],
        plan: page,
    });
    let cursor = approvals::Cursor {
        at: newest - chrono::TimeDelta::days(2),
        id: Uuid::nil(),
    };
    for (name, person, cursor) in [
        ("all: first page", None, None),
        ("all: by cursor", None, Some(cursor)),
        ("a person: first page", Some("lead@example.com"), None),
        (
            "a person: by cursor",
            Some("lead@example.com"),
            Some(cursor),
        ),
    ] {
        planned.push(Planned {
            name: format!("`GET /approvals/pending`, {name}"),
            indexes: &["approvals_pending", "approvals_pending_deciders"],
            plan: approvals::plan(database, person, cursor, 50, analyze).await?,
        });
    }
    planned.push(Planned {
        name: "`GET /api/metrics`".to_owned(),
        indexes: &["workflows_active"],
        plan: metrics::plan(database, newest, analyze).await?,
    });
    Ok(planned)
}
