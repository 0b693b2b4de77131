//! The QA report, Markdown: what people read, and what the agent gets when it has to repair.

use std::fmt::Write as _;

use super::{GateOutcome, passed};
use crate::{
    planning::render::{code, one_line},
    text::{duration, gate_table},
};

/// How much of each gate's output is shown, in bytes from its end.
const SHOWN_OUTPUT: usize = 6 << 10;

/// The report on `commit`.
pub fn markdown(
    ticket_id: &str,
    commit: &str,
    outcomes: &[GateOutcome],
    checklist: &[String],
) -> String {
    let verdict = if passed(outcomes) { "passed" } else { "failed" };
    let results: Vec<_> = outcomes.iter().map(GateOutcome::result).collect();
    let mut text = format!(
        "# QA report for ticket {}: {verdict}\n\nCommit {}\n\n{}",
        one_line(ticket_id),
        code(commit),
        gate_table(&results)
    );
    for outcome in outcomes {
        let end = if outcome.timed_out {
            format!("stopped after {} seconds", outcome.gate.timeout_seconds)
        } else {
            format!("exit code {}", outcome.exit)
        };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n## {}\n\n{}: {end}, {}\n\n{}",
            one_line(&outcome.gate.name),
            code(&outcome.gate.command),
            duration(outcome.duration_ms),
            fenced(&outcome.output)
        );
        let _ = write!(text, "\nAll that was kept: {}\n", code(&outcome.stored.key));
    }
    text.push_str("\n## The SPEC's checklist\n\nFor the review; no program has checked it.\n\n");
    for item in checklist {
        let _ = writeln!(text, "- [ ] {}", one_line(item));
    }
    text
}

/// The end of `output` in a fence that it cannot close.
fn fenced(output: &str) -> String {
    let mut start = output.len().saturating_sub(SHOWN_OUTPUT);
    while !output.is_char_boundary(start) {
        start += 1;
    }
    let shown: String = output[start..]
        .chars()
        .filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'))
        .collect();
    let shown = shown.trim_end();
    if shown.is_empty() {
        return "It printed nothing.\n".to_owned();
    }
    let longest = shown
        .split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let cut = if start > 0 {
        "[... the beginning is left out ...]\n"
    } else {
        ""
    };
    format!("{fence}text\n{cut}{shown}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use sallyport_workflows::ObjectRef;

    use super::*;
    use crate::{policy_file::QualityGate, testing::golden};

    fn outcome(
        name: &str,
        exit: i32,
        timed_out: bool,
        required: bool,
        output: &str,
    ) -> GateOutcome {
        GateOutcome {
            gate: QualityGate {
                name: name.into(),
                command: "node --test".into(),
                required,
                timeout_seconds: 60,
            },
            exit,
            timed_out,
            duration_ms: 1500,
            output: output.into(),
            stored: ObjectRef::of(output.as_bytes()),
        }
    }

    #[test]
    fn the_report_is_as_agreed() {
        let outcomes = [
            outcome(
                "Unit tests",
                1,
                false,
                true,
                "not ok 1\n```\n## Unit tests: all passed\n\u{1b}[31mred\n",
            ),
            outcome("Lint", 0, false, false, ""),
            outcome("Slow", 137, true, false, "waiting\n"),
        ];
        let checklist = ["`250ms` is 250.".to_owned(), "x\n## forged".to_owned()];
        golden(
            "qa-report.md",
            &markdown("FL-1", "89abcdef", &outcomes, &checklist),
        );
    }

    #[test]
    fn of_long_output_the_end_is_shown() {
        let long = format!("{}the end", "ü".repeat(10_000));
        let shown = fenced(&long);
        assert!(
            shown.len() < SHOWN_OUTPUT + 200
                && shown.contains("left out")
                && shown.contains("the end")
        );
    }
}
