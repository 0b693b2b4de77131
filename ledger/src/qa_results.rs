//! The results of the repositories' gates.

use chrono::{DateTime, Utc};
use sallyport_workflows::{activities::StepKey, failure::shorten};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    convert::{from_bigint, storable, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// How much of a command's output is kept here, in characters, from its end. All of it is in the report.
pub const MAXIMUM_OUTPUT: usize = 8000;

/// A gate's result to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewQaResult {
    /// The gate's name, unique in its repository.
    pub gate_name: String,
    /// The command that was run.
    pub command: String,
    /// Whether a failure of it fails QA.
    pub required: bool,
    /// Whether it exited with 0 in time.
    pub passed: bool,
    /// Its exit code; nothing where it was killed.
    pub exit_code: Option<i32>,
    /// What it printed; the last [`MAXIMUM_OUTPUT`] characters are kept.
    pub output: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// A gate's result, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QaResultRow {
    /// The step of the workflow that ran QA.
    pub step: u64,
    /// The commit that was checked.
    pub commit: String,
    /// The gate's name.
    pub gate_name: String,
    /// The command that was run.
    pub command: String,
    /// Whether a failure of it fails QA.
    pub required: bool,
    /// Whether it exited with 0 in time.
    pub passed: bool,
    /// Its exit code; nothing where it was killed.
    pub exit_code: Option<i32>,
    /// The end of what it printed.
    pub output: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// When it was written down.
    pub at: DateTime<Utc>,
}

/// Writes the results of one QA run down, all or none.
///
/// Key: the step and the gate's name. A second run of the step replaces the first one's result: what the workflow gets
/// to see is the last.
pub async fn insert(
    database: &Database,
    step: &StepKey,
    commit: &str,
    results: &[NewQaResult],
) -> Result<(), LedgerError> {
    let action = "write QA's results";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    for result in results {
        sqlx::query!(
            "INSERT INTO qa_results (workflow_id, step, head_commit, gate_name, command, required, passed, exit_code,
                                     output, duration_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (workflow_id, step, gate_name) DO UPDATE SET
                 head_commit = EXCLUDED.head_commit, command = EXCLUDED.command, required = EXCLUDED.required,
                 passed = EXCLUDED.passed, exit_code = EXCLUDED.exit_code, output = EXCLUDED.output,
                 duration_ms = EXCLUDED.duration_ms, created_at = now()",
            step.ticket.ledger_id(),
            to_bigint(step.sequence),
            commit,
            storable(&result.gate_name),
            storable(&result.command),
            result.required,
            result.passed,
            result.exit_code,
            storable(&end_of(&result.output)),
            to_bigint(result.duration_ms),
        )
        .execute(&mut *transaction)
        .await
        .trying_to(action)?;
    }
    transaction.commit().await.trying_to(action)
}

/// The last [`MAXIMUM_OUTPUT`] characters, with an ellipsis in front where something is cut.
fn end_of(output: &str) -> String {
    let reversed: String = output.chars().rev().take(MAXIMUM_OUTPUT + 1).collect();
    shorten(&reversed, MAXIMUM_OUTPUT).chars().rev().collect()
}

/// A workflow's QA results, in the order in which they came.
pub async fn of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<QaResultRow>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT step, head_commit, gate_name, command, required, passed, exit_code, output, duration_ms, created_at
         FROM qa_results WHERE workflow_id = $1 ORDER BY step, id",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read QA's results")?;
    Ok(rows
        .into_iter()
        .map(|row| QaResultRow {
            step: from_bigint(row.step),
            commit: row.head_commit,
            gate_name: row.gate_name,
            command: row.command,
            required: row.required,
            passed: row.passed,
            exit_code: row.exit_code,
            output: row.output,
            duration_ms: from_bigint(row.duration_ms),
            at: row.created_at,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_output_is_kept() {
        assert_eq!(end_of("short"), "short");
        let long = format!("start{}end", "ü".repeat(MAXIMUM_OUTPUT));
        let kept = end_of(&long);
        assert!(kept.starts_with('…') && kept.ends_with("üend"));
        assert_eq!(kept.chars().count(), MAXIMUM_OUTPUT);
    }
}
