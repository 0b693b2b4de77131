//! Where the ledger refers to objects: one place for all of it.

use std::collections::HashSet;

use crate::{Database, LedgerError, error::Trying};

/// Every column that refers to objects, as table and column. A test holds it against the schema and against what
/// [`all`] finds, so a migration that adds such a column cannot be forgotten here.
pub const COLUMNS: [(&str, &str); 23] = [
    ("agent_log_archives", "log_url"),
    ("approvals", "base_diff_url"),
    ("approvals", "comments"),
    ("approvals", "content_url"),
    ("audit_log", "content"),
    ("checkpoints", "bundle_url"),
    ("decisions", "comments"),
    ("history_exports", "content_url"),
    ("object_references", "object_key"),
    ("planner_responses", "response_url"),
    ("qa_reports", "report_json_url"),
    ("qa_reports", "report_url"),
    ("qa_results", "output_url"),
    ("spec_revisions", "context_url"),
    ("spec_revisions", "document_url"),
    ("spec_revisions", "spec_url"),
    ("state_transitions", "metadata"),
    ("ticket_archives", "archive_url"),
    ("transcripts", "transcript_url"),
    ("workflows", "diff_path"),
    ("workflows", "qa_report_url"),
    ("workflows", "spec_path"),
    // Of the original design: empty, and read all the same.
    ("workflows", "workspace_path"),
];

/// The keys of all objects that the ledger refers to.
pub(super) async fn all(database: &Database) -> Result<HashSet<String>, LedgerError> {
    let keys = sqlx::query_scalar!(
        r#"SELECT key AS "key!" FROM (
               SELECT log_url AS key FROM agent_log_archives
               UNION SELECT base_diff_url FROM approvals
               UNION SELECT comments FROM approvals
               UNION SELECT content_url FROM approvals
               UNION SELECT (regexp_matches(content, 'sha256/[0-9a-f]{64}', 'g'))[1] FROM audit_log
               UNION SELECT bundle_url FROM checkpoints
               UNION SELECT comments FROM decisions
               UNION SELECT content_url FROM history_exports
               UNION SELECT object_key FROM object_references
               UNION SELECT response_url FROM planner_responses
               UNION SELECT report_json_url FROM qa_reports
               UNION SELECT report_url FROM qa_reports
               UNION SELECT output_url FROM qa_results
               UNION SELECT context_url FROM spec_revisions
               UNION SELECT document_url FROM spec_revisions
               UNION SELECT spec_url FROM spec_revisions
               UNION SELECT (regexp_matches(metadata::text, 'sha256/[0-9a-f]{64}', 'g'))[1] FROM state_transitions
               UNION SELECT archive_url FROM ticket_archives
               UNION SELECT transcript_url FROM transcripts
               UNION SELECT diff_path FROM workflows
               UNION SELECT qa_report_url FROM workflows
               UNION SELECT spec_path FROM workflows
               UNION SELECT workspace_path FROM workflows
           ) AS referred WHERE key IS NOT NULL"#,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("find what the ledger refers to")?;
    Ok(keys.into_iter().collect())
}
