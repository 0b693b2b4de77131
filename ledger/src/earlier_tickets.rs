//! Ended tickets of a repository, with what became of their SPECs: what a planner can learn from.

use chrono::{DateTime, Utc};
use sallyport_workflows::{ObjectRef, State, decision::Verdict, gate::Gate, ticket::TicketKey};
use uuid::Uuid;

use crate::{
    convert::{self, from_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// A ticket that ended, or an earlier attempt at the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierTicket {
    /// The workflow.
    pub workflow: Uuid,
    /// The ticket's id in its system.
    pub ticket_id: String,
    /// Its title, if it was read.
    pub title: String,
    /// How it ended.
    pub state: State,
    /// When.
    pub ended_at: DateTime<Utc>,
    /// Whether it was merged.
    pub merged: bool,
    /// Its last SPEC, as JSON.
    pub document: ObjectRef,
}

/// What a person said about a ticket's SPEC or its pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// About what.
    pub gate: Gate,
    /// The answer that it came with.
    pub decision: Verdict,
    /// The words.
    pub text: ObjectRef,
}

/// At most `limit` tickets of the repository that had a SPEC and had ended when the attempt `before` began, the newest first.
/// What ends later changes nothing: whoever plans again after a fall is shown the same.
pub async fn of_repository(
    database: &Database,
    repository_url: &str,
    before: &TicketKey,
    limit: u32,
) -> Result<Vec<EarlierTicket>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT t.id, t.ticket_id, t.title, t.state, t.completed_at AS "ended_at!", t.pr_merged_at IS NOT NULL AS "merged!",
                  s.document_url, s.document_bytes
           FROM workflows t
           CROSS JOIN LATERAL (
               SELECT document_url, document_bytes FROM spec_revisions
               WHERE workflow_id = t.id ORDER BY sequence DESC LIMIT 1
           ) s
           WHERE t.repository_url = $1 AND t.id <> $2
                 AND t.completed_at <= (SELECT created_at FROM workflows WHERE id = $2)
           ORDER BY t.completed_at DESC LIMIT $3"#,
        repository_url,
        before.ledger_id(),
        i64::from(limit),
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find a repository's earlier tickets")?;
    rows.into_iter()
        .map(|row| {
            Ok(EarlierTicket {
                workflow: row.id,
                ticket_id: row.ticket_id,
                title: row.title.unwrap_or_default(),
                state: convert::state(&row.state)?,
                ended_at: row.ended_at,
                merged: row.merged,
                document: ObjectRef {
                    key: row.document_url,
                    bytes: from_bigint(row.document_bytes),
                },
            })
        })
        .collect()
}

/// What people said when they decided about a ticket, in order; what they only approved without a word is not there.
pub async fn comments(database: &Database, workflow: Uuid) -> Result<Vec<Comment>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT gate, decision, comments AS "comments!", comments_bytes AS "comments_bytes!" FROM decisions
           WHERE workflow_id = $1 AND origin = 'workflow' AND refused IS NULL AND comments IS NOT NULL
           ORDER BY decided_at, id"#,
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read what people said about an earlier ticket")?;
    rows.into_iter()
        .map(|row| {
            Ok(Comment {
                gate: convert::gate(&row.gate)?,
                decision: convert::verdict(&row.decision)?,
                text: ObjectRef {
                    key: row.comments,
                    bytes: from_bigint(row.comments_bytes),
                },
            })
        })
        .collect()
}
