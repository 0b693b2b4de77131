//! Whether the tables that people read say what the audit log says: each row is made anew from its entry and compared,
//! column by column.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound as _, Utc};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use self::expected::Expected;
use super::entry::Entry;
use crate::error::{LedgerError, Trying};

mod expected;

/// The columns of a row.
type Row = Map<String, Value>;
/// Rows by what names them.
type Table = BTreeMap<String, Row>;

/// Where the tables and the log differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The log has it, the table has not.
    Missing {
        /// The table.
        table: &'static str,
        /// What names the row.
        row: String,
    },
    /// The table has it, the log has not.
    Invented {
        /// The table.
        table: &'static str,
        /// What names the row.
        row: String,
    },
    /// They differ.
    Changed {
        /// The table.
        table: &'static str,
        /// What names the row.
        row: String,
        /// The columns.
        columns: Vec<String>,
    },
    /// An entry's content is not what its kind holds.
    Unreadable {
        /// The entry's place.
        position: u64,
        /// What the parser says.
        problem: String,
    },
}

/// The rows of a workflow, as they are.
#[derive(Debug)]
pub struct Rows {
    workflow: Option<Row>,
    transitions: Table,
    approvals: Table,
    decisions: Table,
    commands: Table,
    specs: Table,
}

impl Rows {
    /// Reads them, all columns.
    pub async fn read(connection: &mut PgConnection, workflow: Uuid) -> Result<Self, LedgerError> {
        let action = "read what the audit log is compared with";
        let row = sqlx::query_scalar!(
            r#"SELECT to_jsonb(t) AS "row!" FROM workflows t WHERE id = $1"#,
            workflow,
        )
        .fetch_optional(&mut *connection)
        .await
        .trying_to(action)?;
        let transitions = sqlx::query_scalar!(
            r#"SELECT to_jsonb(t) AS "row!" FROM state_transitions t WHERE workflow_id = $1"#,
            workflow,
        )
        .fetch_all(&mut *connection)
        .await
        .trying_to(action)?;
        let approvals = sqlx::query_scalar!(
            r#"SELECT to_jsonb(t) AS "row!" FROM approvals t WHERE workflow_id = $1"#,
            workflow,
        )
        .fetch_all(&mut *connection)
        .await
        .trying_to(action)?;
        let decisions = sqlx::query_scalar!(
            r#"SELECT to_jsonb(t) AS "row!" FROM decisions t WHERE workflow_id = $1"#,
            workflow,
        )
        .fetch_all(&mut *connection)
        .await
        .trying_to(action)?;
        let commands = sqlx::query_scalar!(
            r#"SELECT to_jsonb(t) AS "row!" FROM commands t WHERE workflow_id = $1"#,
            workflow,
        )
        .fetch_all(&mut *connection)
        .await
        .trying_to(action)?;
        let specs = sqlx::query_scalar!(
            r#"SELECT to_jsonb(t) AS "row!" FROM spec_revisions t WHERE workflow_id = $1"#,
            workflow,
        )
        .fetch_all(&mut *connection)
        .await
        .trying_to(action)?;
        Ok(Self {
            workflow: row.and_then(|row| row.as_object().cloned()),
            transitions: table(transitions, &["sequence"]),
            approvals: table(approvals, &["id"]),
            decisions: table(decisions, &["id", "origin"]),
            commands: table(commands, &["id", "origin"]),
            specs: table(specs, &["revision"]),
        })
    }
}

/// Compares the rows of a workflow with its entries.
pub fn compare(entries: &[Entry], rows: &Rows) -> Vec<Difference> {
    let mut found = Vec::new();
    let expected = match Expected::of(entries) {
        Ok(expected) => expected,
        Err(difference) => return vec![difference],
    };
    if let (Some(is), Some(should)) = (&rows.workflow, &expected.workflow) {
        let columns = differing(should, is);
        if !columns.is_empty() {
            found.push(Difference::Changed {
                table: "workflows",
                row: text(is, "workflow_id"),
                columns,
            });
        }
    }
    for (name, should, are) in [
        (
            "state_transitions",
            &expected.transitions,
            &rows.transitions,
        ),
        ("approvals", &expected.approvals, &rows.approvals),
        ("decisions", &expected.decisions, &rows.decisions),
        ("commands", &expected.commands, &rows.commands),
        ("spec_revisions", &expected.specs, &rows.specs),
    ] {
        compare_tables(name, should, are, &mut found);
    }
    found
}

fn compare_tables(table: &'static str, should: &Table, are: &Table, found: &mut Vec<Difference>) {
    let names: BTreeSet<&String> = should.keys().chain(are.keys()).collect();
    for row in names {
        match (should.get(row), are.get(row)) {
            (Some(should), Some(is)) => {
                let columns = differing(should, is);
                if !columns.is_empty() {
                    found.push(Difference::Changed {
                        table,
                        row: row.clone(),
                        columns,
                    });
                }
            }
            (Some(_), None) => found.push(Difference::Missing {
                table,
                row: row.clone(),
            }),
            (None, _) => found.push(Difference::Invented {
                table,
                row: row.clone(),
            }),
        }
    }
}

fn object(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

fn table(rows: Vec<Value>, names: &[&str]) -> Table {
    rows.into_iter()
        .map(|row| {
            let row = object(row);
            (name(&row, names), row)
        })
        .collect()
}

fn name(row: &Row, columns: &[&str]) -> String {
    let parts: Vec<String> = columns.iter().map(|column| text(row, column)).collect();
    parts.join(" ").trim_end_matches(" workflow").to_owned()
}

fn text(row: &Row, column: &str) -> String {
    match row.get(column) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// A time as the tables hold it: whole microseconds.
fn time(at: DateTime<Utc>) -> Value {
    json!(at.trunc_subsecs(6))
}

/// The columns that must be something else. Columns that nothing is expected of are passed over.
fn differing(should: &Row, is: &Row) -> Vec<String> {
    let mut columns: Vec<String> = should
        .iter()
        .filter(|(column, value)| !same(value, is.get(*column).unwrap_or(&Value::Null)))
        .map(|(column, _)| column.clone())
        .collect();
    columns.sort_unstable();
    columns
}

/// Whether two values are the same; times may be written in different ways.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => {
            one == other
                || matches!((one.parse::<DateTime<Utc>>(), other.parse::<DateTime<Utc>>()),
                            (Ok(one), Ok(other)) if one == other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one == other,
    }
}
