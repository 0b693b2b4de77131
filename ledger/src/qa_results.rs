//! What QA found: the results of the repositories' gates, and where the reports are.

use chrono::{DateTime, Utc};
use sallyport_workflows::{ObjectRef, activities::StepKey, text::shorten};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    convert::{from_bigint, object_ref, storable, to_bigint},
    database::Database,
    error::{LedgerError, Trying},
};

/// How much of a command's output is kept here, in characters, from its end. All that was captured is in object storage.
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
    /// Whether it did so on the base commit; nothing where it did not run there.
    pub base_passed: Option<bool>,
    /// Whether its failure does not count: it is the same on the base commit, and the policy lets that pass.
    pub excused: bool,
    /// Its exit code; nothing where it was killed.
    pub exit_code: Option<i32>,
    /// What it printed; the last [`MAXIMUM_OUTPUT`] characters are kept.
    pub output: String,
    /// All that was captured of it, stored.
    pub stored: ObjectRef,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// A gate's result, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Whether it did so on the base commit; nothing where it did not run there.
    pub base_passed: Option<bool>,
    /// Whether its failure does not count.
    #[serde(default)]
    pub excused: bool,
    /// Its exit code; nothing where it was killed.
    pub exit_code: Option<i32>,
    /// The end of what it printed.
    pub output: String,
    /// All that was captured of it, in object storage.
    pub stored: Option<ObjectRef>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// When it was written down.
    pub at: DateTime<Utc>,
}

/// What a run of QA came to, to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewQaReport {
    /// The commit that was checked.
    pub commit: String,
    /// The commit that it was compared with.
    pub base_commit: String,
    /// Whether it passed.
    pub passed: bool,
    /// Why, in sentences.
    pub reason: String,
    /// How many new test files prove nothing.
    pub flagged_tests: u32,
    /// The report, Markdown, stored.
    pub report: ObjectRef,
    /// The report, JSON, stored.
    pub report_json: ObjectRef,
}

/// What a run of QA came to, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QaReportRow {
    /// The step of the workflow that ran QA.
    pub step: u64,
    /// The commit that was checked.
    pub commit: String,
    /// The commit that it was compared with.
    pub base_commit: String,
    /// Whether it passed.
    pub passed: bool,
    /// Why, in sentences.
    pub reason: String,
    /// How many new test files prove nothing.
    pub flagged_tests: u64,
    /// The report, Markdown, stored.
    pub report: ObjectRef,
    /// The report, JSON, stored.
    pub report_json: ObjectRef,
    /// When it was written down.
    pub at: DateTime<Utc>,
}

/// Writes one QA run down, the report and the gates' results, all or none.
///
/// Key: the step, for results with the gate's name. A second run of the step replaces what the first one wrote: what the
/// workflow gets to see is the last.
pub async fn record(
    database: &Database,
    step: &StepKey,
    report: &NewQaReport,
    results: &[NewQaResult],
) -> Result<(), LedgerError> {
    let action = "write QA's results";
    let mut transaction = database.pool().begin().await.trying_to(action)?;
    sqlx::query!(
        "INSERT INTO qa_reports (workflow_id, step, head_commit, base_commit, passed, reason, flagged_tests, report_url,
                                 report_bytes, report_json_url, report_json_bytes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (workflow_id, step) DO UPDATE SET
             head_commit = EXCLUDED.head_commit, base_commit = EXCLUDED.base_commit, passed = EXCLUDED.passed,
             reason = EXCLUDED.reason, flagged_tests = EXCLUDED.flagged_tests, report_url = EXCLUDED.report_url,
             report_bytes = EXCLUDED.report_bytes, report_json_url = EXCLUDED.report_json_url,
             report_json_bytes = EXCLUDED.report_json_bytes, created_at = now()",
        step.ticket.ledger_id(),
        to_bigint(step.sequence),
        report.commit,
        report.base_commit,
        report.passed,
        storable(&report.reason),
        i64::from(report.flagged_tests),
        report.report.key,
        to_bigint(report.report.bytes),
        report.report_json.key,
        to_bigint(report.report_json.bytes),
    )
    .execute(&mut *transaction)
    .await
    .trying_to(action)?;
    for result in results {
        sqlx::query!(
            "INSERT INTO qa_results (workflow_id, step, head_commit, gate_name, command, required, passed, base_passed,
                                     excused, exit_code, output, output_url, output_bytes, duration_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT (workflow_id, step, gate_name) DO UPDATE SET
                 head_commit = EXCLUDED.head_commit, command = EXCLUDED.command, required = EXCLUDED.required,
                 passed = EXCLUDED.passed, base_passed = EXCLUDED.base_passed, excused = EXCLUDED.excused,
                 exit_code = EXCLUDED.exit_code, output = EXCLUDED.output, output_url = EXCLUDED.output_url,
                 output_bytes = EXCLUDED.output_bytes, duration_ms = EXCLUDED.duration_ms, created_at = now()",
            step.ticket.ledger_id(),
            to_bigint(step.sequence),
            report.commit,
            storable(&result.gate_name),
            storable(&result.command),
            result.required,
            result.passed,
            result.base_passed,
            result.excused,
            result.exit_code,
            storable(&end_of(&result.output)),
            result.stored.key,
            to_bigint(result.stored.bytes),
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
        "SELECT step, head_commit, gate_name, command, required, passed, base_passed, excused, exit_code, output, output_url,
                output_bytes, duration_ms, created_at
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
            base_passed: row.base_passed,
            excused: row.excused,
            exit_code: row.exit_code,
            output: row.output,
            stored: object_ref(row.output_url, row.output_bytes),
            duration_ms: from_bigint(row.duration_ms),
            at: row.created_at,
        })
        .collect())
}

/// What a workflow's runs of QA came to, in the order in which they came.
pub async fn reports_of_workflow(
    database: &Database,
    workflow: Uuid,
) -> Result<Vec<QaReportRow>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT step, head_commit, base_commit, passed, reason, flagged_tests, report_url, report_bytes, report_json_url,
                report_json_bytes, created_at
         FROM qa_reports WHERE workflow_id = $1 ORDER BY step",
        workflow,
    )
    .fetch_all(database.pool())
    .await
    .trying_to("read QA's reports")?;
    Ok(rows
        .into_iter()
        .map(|row| QaReportRow {
            step: from_bigint(row.step),
            commit: row.head_commit,
            base_commit: row.base_commit,
            passed: row.passed,
            reason: row.reason,
            flagged_tests: from_bigint(row.flagged_tests),
            report: ObjectRef {
                key: row.report_url,
                bytes: from_bigint(row.report_bytes),
            },
            report_json: ObjectRef {
                key: row.report_json_url,
                bytes: from_bigint(row.report_json_bytes),
            },
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
