//! The list of open gates, the most urgent first.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Conditions, explain, workflows::decided_by};
use crate::{
    approvals::{self, ApprovalRow},
    database::Database,
    error::{LedgerError, Trying},
};

/// A place in this list.
pub type Cursor = super::Cursor<2>;

/// A part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The requests asked for, the most urgent first.
    pub approvals: Vec<ApprovalRow>,
    /// Where the next page begins; nothing if this is the last.
    pub next: Option<Cursor>,
}

/// The requests that wait for a decision, the most urgent first: all of them, or those that `assignee` may decide, an
/// email address in any case. `limit` of them, after `cursor`.
pub async fn pending(
    database: &Database,
    assignee: Option<&str>,
    cursor: Option<Cursor>,
    limit: u32,
) -> Result<Page, LedgerError> {
    let mut query = QueryBuilder::new("");
    page(&mut query, assignee, cursor, limit);
    let query = query.build_query_as().persistent(false);
    let mut ids: Vec<(Uuid, DateTime<Utc>)> = query
        .fetch_all(database.pool())
        .await
        .trying_to("list the open gates")?;
    let has_more = ids.len() > limit as usize;
    ids.truncate(limit as usize);
    let next = ids.last().filter(|_| has_more);
    let next = next.map(|(id, at)| Cursor { at: *at, id: *id });
    let ids: Vec<Uuid> = ids.into_iter().map(|(id, _)| id).collect();
    let rows = approvals::by_ids(database, &ids).await?;
    let mut rows: HashMap<Uuid, ApprovalRow> = rows.into_iter().map(|row| (row.id, row)).collect();
    Ok(Page {
        approvals: ids.iter().filter_map(|id| rows.remove(id)).collect(),
        next,
    })
}

/// How Postgres finds a page; see [`workflows::plans`](super::workflows::plans).
pub async fn plan(
    database: &Database,
    assignee: Option<&str>,
    cursor: Option<Cursor>,
    limit: u32,
    analyze: bool,
) -> Result<Vec<String>, LedgerError> {
    explain(database, analyze, |query| {
        page(query, assignee, cursor, limit);
    })
    .await
}

fn page(
    query: &mut QueryBuilder<Postgres>,
    assignee: Option<&str>,
    cursor: Option<Cursor>,
    limit: u32,
) {
    query.push("SELECT id, expires_at FROM approvals WHERE status = 'PENDING'");
    let mut conditions = Conditions(true);
    if let Some(person) = assignee {
        conditions.next(query);
        decided_by(query, person);
    }
    if let Some(cursor) = cursor {
        conditions.next(query);
        query.push("(expires_at, id) > (").push_bind(cursor.at);
        query.push(", ").push_bind(cursor.id).push(")");
    }
    query.push(" ORDER BY expires_at, id LIMIT ");
    query.push_bind(i64::from(limit) + 1);
}
