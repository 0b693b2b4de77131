//! The list of workflows, newest first.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sallyport_workflows::State;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{COUNTED, Conditions, Total, explain};
use crate::{
    convert::storable,
    database::Database,
    error::{LedgerError, Trying},
    workflows::{self, WorkflowRow},
};

/// A place in this list.
pub type Cursor = super::Cursor<1>;
/// Where a page of it begins.
pub type Position = super::Position<1>;

/// The fewest characters of a text to look for: fewer say too little to find anything by.
pub const SHORTEST_TEXT: usize = 3;
/// How many characters of a text are looked up in the index. A longer one is compared whole with what these find: taking a
/// text apart is work for Postgres that grows with the square of its length.
pub const LONGEST_TEXT: usize = 200;

/// Which workflows to list. All that is given must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those about the repository with this URL.
    pub repository: Option<String>,
    /// Only those of this ticket system.
    pub source: Option<String>,
    /// Only those with an open gate that this person may decide: an email address in any case.
    pub assignee: Option<String>,
    /// Only those whose ticket's id, or the first 500 characters of whose title, hold this text, in any case: at least
    /// [`SHORTEST_TEXT`] characters.
    pub text: Option<String>,
}

/// A part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The workflows asked for, newest first.
    pub workflows: Vec<WorkflowRow>,
    /// Where the next page begins; nothing if this is the last.
    pub next: Option<Cursor>,
    /// How many the filter finds in all.
    pub total: Total,
}

/// The workflows that `filter` asks for, newest first: `limit` of them, from `position` on.
pub async fn list(
    database: &Database,
    filter: &Filter,
    position: Position,
    limit: u32,
) -> Result<Page, LedgerError> {
    let action = "list the workflows";
    let mut ids: Vec<(Uuid, DateTime<Utc>)> = Vec::new();
    if limit > 0 {
        let mut query = QueryBuilder::new("");
        page(&mut query, filter, position, limit);
        let query = query.build_query_as().persistent(false);
        ids = query.fetch_all(database.pool()).await.trying_to(action)?;
    }
    let has_more = ids.len() > limit as usize;
    ids.truncate(limit as usize);
    let next = ids.last().filter(|_| has_more);
    let mut query = QueryBuilder::new("");
    count(&mut query, filter);
    let total = query.build_query_scalar().persistent(false);
    let total: i64 = total.fetch_one(database.pool()).await.trying_to(action)?;
    Ok(Page {
        next: next.map(|(id, at)| Cursor { at: *at, id: *id }),
        workflows: rows(database, &ids).await?,
        total: Total::of(total),
    })
}

/// The rows in the order of their ids.
async fn rows(
    database: &Database,
    ids: &[(Uuid, DateTime<Utc>)],
) -> Result<Vec<WorkflowRow>, LedgerError> {
    let ids: Vec<Uuid> = ids.iter().map(|(id, _)| *id).collect();
    let rows = workflows::by_ids(database, &ids).await?;
    let mut rows: HashMap<Uuid, WorkflowRow> = rows.into_iter().map(|row| (row.id, row)).collect();
    Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
}

/// How Postgres finds a page, and how it counts: for the tests, `cargo xtask bench lists` and whoever wonders.
pub async fn plans(
    database: &Database,
    filter: &Filter,
    position: Position,
    limit: u32,
    analyze: bool,
) -> Result<[Vec<String>; 2], LedgerError> {
    Ok([
        explain(database, analyze, |query| {
            page(query, filter, position, limit)
        })
        .await?,
        explain(database, analyze, |query| count(query, filter)).await?,
    ])
}

/// One row more than asked for, which tells whether there is a next page.
fn page(query: &mut QueryBuilder<Postgres>, filter: &Filter, position: Position, limit: u32) {
    query.push("SELECT id, created_at FROM workflows");
    let mut conditions = Conditions(false);
    filtered(query, &mut conditions, filter);
    let mut offset = 0;
    match position {
        Position::Offset(rows) => offset = rows,
        Position::After(cursor) => {
            conditions.next(query);
            query.push("(created_at, id) < (").push_bind(cursor.at);
            query.push(", ").push_bind(cursor.id).push(")");
        }
    }
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ");
    query.push_bind(i64::from(limit) + 1);
    query.push(" OFFSET ").push_bind(i64::from(offset));
}

fn count(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push("SELECT count(*) FROM (SELECT 1 FROM workflows");
    filtered(query, &mut Conditions(false), filter);
    // In this order it walks an index, as the page does.
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ");
    query.push_bind(i64::try_from(COUNTED).unwrap_or(i64::MAX) + 1);
    query.push(") AS counted");
}

fn filtered(query: &mut QueryBuilder<Postgres>, conditions: &mut Conditions, filter: &Filter) {
    let equal = [
        ("state = ", filter.state.map(State::as_str)),
        ("repository_url = ", filter.repository.as_deref()),
        ("source = ", filter.source.as_deref()),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            conditions.next(query);
            query.push(column).push_bind(storable(value));
        }
    }
    if let Some(person) = &filter.assignee {
        conditions.next(query);
        query.push(
            "EXISTS (SELECT FROM approvals WHERE approvals.workflow_id = workflows.id AND status = 'PENDING' AND ",
        );
        decided_by(query, person);
        query.push(")");
    }
    if let Some(text) = &filter.text {
        let text = storable(text);
        let looked_up: String = text.chars().take(LONGEST_TEXT).collect();
        conditions.next(query);
        query.push("trigrams(searched(ticket_id, title)) @> trigrams(lower(");
        query.push_bind(looked_up);
        query.push(")) AND position(lower(").push_bind(text);
        query.push(") IN searched(ticket_id, title)) > 0");
    }
}

/// The condition that a person may decide about a request. One that names nobody is everybody's.
pub(super) fn decided_by(query: &mut QueryBuilder<Postgres>, person: &str) {
    query.push("deciders(approvers) && ARRAY['*', lower(");
    query.push_bind(storable(person.trim()));
    query.push("::text)]");
}
