//! The QA report for people, and for the agent when it has to repair. What fails QA stands first: the agent is given the
//! beginning.

use std::fmt::Write as _;

use sallyport_workflows::{activities::GateResult, text::shorten};

use super::{Effect, GateReport, NewTestsReport, Report};
use crate::{
    planning::render::{code, one_line},
    policy_file::FILE,
    qa::{
        criteria::{CriterionReport, CriterionState},
        gates::{GateRun, end_of},
        new_tests::Proof,
        rule::end_in_words,
    },
    text::{duration, gate_table},
};

/// How much of the output of a gate that failed is shown, in bytes from its end.
const SHOWN_OF_FAILED: usize = 6 << 10;

/// How much is shown of other output: of a gate that passed, or that failed on the base.
const SHOWN_OF_OTHERS: usize = 1 << 10;

/// The longest text of a criterion that is shown, in characters. All of it is in the SPEC.
const SHOWN_OF_CRITERION: usize = 300;

/// How many test files are named.
const SHOWN_FILES: usize = 20;

/// The report as Markdown. It is made of the data and nothing else.
pub fn markdown(report: &Report) -> String {
    let mut text = format!(
        "# QA report for ticket {}: {}\n\n{}\n\n",
        one_line(&report.ticket),
        if report.passed { "passed" } else { "failed" },
        one_line(&report.reason)
    );
    let gates = match report.gates_detected {
        true => format!(
            "detected from the repository's files, since its {} names none",
            code(FILE)
        ),
        false => format!("as {} names them", code(FILE)),
    };
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "- Commit: {}\n- Base commit: {}\n- SPEC: {}\n- Gates: {gates}",
        code(&report.commit),
        code(&report.base_commit),
        code(&report.spec_revision),
    );
    for note in &report.notes {
        let _ = writeln!(text, "- Note: {}", one_line(note));
    }
    let results: Vec<_> = report.gates.iter().map(result).collect();
    let _ = write!(
        text,
        "\n## Gates\n\n{}{}",
        gate_table(&results),
        effects(report)
    );
    if let Some(tests) = &report.new_tests {
        let _ = write!(text, "\n## New tests\n\n{}", new_tests(tests));
    }
    text.push_str("\n## Criteria\n\n");
    for criterion in &report.criteria {
        text.push_str(&criterion_line(criterion));
    }
    text.push_str("\n## Output\n");
    let mut gates: Vec<&GateReport> = report.gates.iter().collect();
    // The sort is stable: otherwise the order stays.
    gates.sort_by_key(|gate| (!gate.fails_qa, gate.on_commit.passed()));
    for gate in gates {
        text.push_str(&output(gate));
    }
    text
}

fn result(gate: &GateReport) -> GateResult {
    let passed = gate.on_commit.passed();
    GateResult {
        name: gate.name.clone(),
        required: gate.required,
        passed,
        base: Some(gate.on_base.passed()),
        excused: gate.required && !passed && !gate.fails_qa,
        duration_ms: gate.on_commit.duration_ms,
    }
}

/// What the change did, one line for each effect that there is.
fn effects(report: &Report) -> String {
    let lines = [
        (Effect::Broken, "Broken by the change"),
        (Effect::RedBefore, "Red before the change, and still"),
        (Effect::Repaired, "Repaired by the change"),
        (
            Effect::Unknown,
            "Not known, since the machine's memory ran out",
        ),
    ];
    let mut text = String::new();
    for (effect, words) in lines {
        let gates = report.gates.iter().filter(|gate| gate.effect == effect);
        let names: Vec<String> = gates.map(|gate| one_line(&gate.name)).collect();
        if !names.is_empty() {
            let space = if text.is_empty() { "\n" } else { "" };
            let _ = writeln!(text, "{space}- {words}: {}", names.join(", "));
        }
    }
    text
}

fn new_tests(tests: &NewTestsReport) -> String {
    let mut text = match tests.proof {
        Proof::PassWithout => {
            "**Warning: the tests that this change adds or changes pass without the change too, so they prove nothing.**"
        }
        Proof::FailWithout => {
            "The tests that this change adds or changes fail without it, as they should."
        }
        Proof::Unclear if tests.runs.is_empty() => {
            "Whether the tests that this change adds or changes fail without it is not known: no required gate that runs \
             tests passed."
        }
        Proof::Unclear => {
            "Whether the tests that this change adds or changes fail without it cannot be told: the gate that runs them \
             fails on the base commit by itself."
        }
    }
    .to_owned();
    text.push_str("\n\n");
    for file in tests.files.iter().take(SHOWN_FILES) {
        let _ = writeln!(text, "- {}", code(file));
    }
    if tests.files.len() > SHOWN_FILES {
        let _ = writeln!(text, "- and {} more", tests.files.len() - SHOWN_FILES);
    }
    if !tests.runs.is_empty() {
        text.push_str("\nOn the base commit with these files on top:\n\n");
    }
    for run in &tests.runs {
        let _ = writeln!(text, "- {}: {}", one_line(&run.name), ending(&run.run));
    }
    text
}

fn criterion_line(criterion: &CriterionReport) -> String {
    let state = match criterion.state {
        CriterionState::Met => "met",
        CriterionState::NotMet => "**not met**",
        CriterionState::ToReview => "to review",
    };
    format!(
        "{}. {state}: {} ({})\n",
        criterion.number,
        one_line(&shorten(&criterion.text, SHOWN_OF_CRITERION)),
        one_line(&criterion.why)
    )
}

fn output(gate: &GateReport) -> String {
    let red_on_both = !gate.on_commit.passed() && !gate.on_base.passed();
    let shown = match gate.on_commit.passed() {
        true => SHOWN_OF_OTHERS,
        false => SHOWN_OF_FAILED,
    };
    let mut text = format!(
        "\n### {}\n\n{}\n\nOn this commit: {}\n\n{}\nOn the base commit: {}\n",
        one_line(&gate.name),
        code(&gate.command),
        ending(&gate.on_commit),
        fenced(&gate.on_commit.output, shown),
        ending(&gate.on_base),
    );
    if red_on_both {
        let _ = write!(text, "\n{}", fenced(&gate.on_base.output, SHOWN_OF_OTHERS));
    }
    text
}

fn ending(run: &GateRun) -> String {
    let known = if run.earlier {
        ", known from an earlier run"
    } else {
        ""
    };
    format!(
        "{}, {}{known}; all that was kept: {}",
        one_line(&end_in_words(&run.end)),
        duration(run.duration_ms),
        code(&run.stored.key)
    )
}

/// The last `limit` bytes of `output` in a fence that they cannot close.
fn fenced(output: &str, limit: usize) -> String {
    let end = end_of(output, limit);
    let shown: String = end
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
    let cut = if end.len() < output.len() {
        "[... the beginning is left out ...]\n"
    } else {
        ""
    };
    format!("{fence}text\n{cut}{shown}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_output_the_end_is_shown() {
        let long = format!("{}the end", "ü".repeat(10_000));
        let shown = fenced(&long, 1000);
        assert!(shown.len() < 1200 && shown.contains("left out") && shown.contains("the end"));
    }
}
