//! SPEC.md: a pure function of the ticket's id and the SPEC's data. People approve this text, and its hash is in the
//! revision; so the same data must always give the same bytes.
//!
//! The words come from a model that has read untrusted text. They can't forge a section: texts of several lines are
//! quoted as a whole, and everything else is brought into one line.

use std::fmt::Write as _;

use sallyport_workflows::{
    scope::{ScopePattern, ScopeRules, is_hidden},
    spec::{Check, Criterion, FileChange, Spec, SpecGates},
};

/// The text of `spec` for the ticket `ticket_id`.
pub fn spec_markdown(ticket_id: &str, spec: &Spec) -> String {
    let mut text = format!(
        "# Ticket {}: {}\n",
        one_line(ticket_id),
        one_line(&spec.title)
    );
    section(&mut text, "Problem statement", &quoted(&spec.problem));
    section(&mut text, "Proposed solution", &quoted(&spec.solution));
    let mut files = planned_files(spec);
    let rules = scope_rules(&spec.scope_rules);
    if !rules.is_empty() {
        let _ = write!(files, "\nBesides, as `.sallyport.toml` says:\n\n{rules}");
    }
    section(&mut text, "Files to modify", &files);
    let mut steps = String::new();
    for (number, step) in (1..).zip(&spec.plan) {
        // Writing to a string does not fail.
        let _ = writeln!(steps, "{number}. {}", one_line(step));
    }
    section(&mut text, "Implementation plan", &steps);
    section(&mut text, "Testing strategy", &list("- ", &spec.testing));
    section(
        &mut text,
        "Verification checklist",
        &criteria(&spec.criteria),
    );
    section(&mut text, "Quality gates", &gates(&spec.gates));
    section(&mut text, "Risks and mitigations", &list("- ", &spec.risks));
    let mut confidence = format!("{} %\n", percent(spec.confidence));
    // An earlier SPEC has to give the bytes that were approved.
    if spec.confidence_reasons.is_empty() {
        section(&mut text, "Confidence", &confidence);
        return text;
    }
    confidence.push('\n');
    confidence.push_str(&list("- ", &spec.confidence_reasons));
    section(
        &mut text,
        "Open questions",
        &list("- ", &spec.open_questions),
    );
    section(&mut text, "Confidence", &confidence);
    text
}

/// What `spec` lists, a line for each file and pattern.
pub fn planned_files(spec: &Spec) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    for file in &spec.files {
        let (path, change) = (code(file.path.as_str()), file.change.name());
        let _ = writeln!(text, "- {path} ({change}): {}", one_line(&file.reason));
    }
    for listed in &spec.patterns {
        let (pattern, change) = (code(listed.pattern.as_str()), listed.change.name());
        let now = match listed.matched {
            0 => "none now".to_owned(),
            matched => format!("{matched} now"),
        };
        let _ = writeln!(
            text,
            "- all files that fit {pattern} ({change}; {now}): {}",
            one_line(&listed.reason)
        );
    }
    text
}

/// What the repository says of every scope, a line each; empty if it says nothing.
pub fn scope_rules(rules: &ScopeRules) -> String {
    let list = |patterns: &[ScopePattern]| {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|pattern| code(pattern.as_str()))
            .collect();
        patterns.join(", ")
    };
    let mut text = String::new();
    for change in FileChange::ALL {
        let patterns = rules.patterns(change);
        if !patterns.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "- the agent may {} what fits {}",
                change.name(),
                list(patterns)
            );
        }
    }
    if !rules.never.is_empty() {
        let _ = writeln!(
            text,
            "- no agent may touch {}, nor what is below",
            list(&rules.never)
        );
    }
    text
}

/// The criteria, numbered, each with what shows it.
pub fn criteria(criteria: &[Criterion]) -> String {
    let lines = (1..).zip(criteria).map(|(number, criterion)| {
        let check = match &criterion.check {
            Check::Gate(name) => one_line(name),
            Check::Review => "review, by a person".to_owned(),
        };
        format!(
            "{number}. {} — checked by: {check}\n",
            one_line(&criterion.text)
        )
    });
    lines.collect()
}

fn gates(gates: &SpecGates) -> String {
    let mut text = match gates.detected {
        true => "Detected from the repository's files, since its `.sallyport.toml` names none:\n\n",
        false => "As `.sallyport.toml` names them:\n\n",
    }
    .to_owned();
    for gate in &gates.list {
        let need = if gate.required {
            "required"
        } else {
            "optional"
        };
        let (name, command) = (one_line(&gate.name), code(&gate.command));
        let _ = writeln!(text, "- {name} ({need}): {command}");
    }
    text
}

/// The planner's questions, numbered.
pub fn questions_markdown(questions: &[String]) -> String {
    let lines = (1..).zip(questions);
    lines
        .map(|(number, question)| format!("{number}. {}\n", one_line(question)))
        .collect()
}

/// A share from 0 to 1 in per cent.
pub fn percent(share: f64) -> u8 {
    // Clamped, so nothing is cut.
    (share.clamp(0.0, 1.0) * 100.0).round() as u8
}

fn section(text: &mut String, title: &str, content: &str) {
    let content = if content.is_empty() {
        "None.\n"
    } else {
        content
    };
    let _ = write!(text, "\n## {title}\n\n{content}");
}

fn list(bullet: &str, items: &[String]) -> String {
    items
        .iter()
        .map(|item| format!("{bullet}{}\n", one_line(item)))
        .collect()
}

/// `text` in one line, as words and nothing else at its beginning.
pub fn one_line(text: &str) -> String {
    let visible: String = visible(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let first_word = visible.split(' ').next().unwrap_or_default();
    let numbered = first_word
        .strip_suffix(['.', ')'])
        .is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()));
    // What would begin a heading, a quotation, a list, a table or HTML.
    if visible.starts_with(['#', '>', '-', '+', '*', '|', '=', '~', '<']) && !is_emphasis(&visible)
    {
        return format!("\\{visible}");
    }
    if numbered {
        let dot = first_word.len() - 1;
        return format!("{}\\{}", &visible[..dot], &visible[dot..]);
    }
    visible
}

/// `*so*` or `**so**` is no list.
fn is_emphasis(text: &str) -> bool {
    text.strip_prefix("**")
        .or_else(|| text.strip_prefix('*'))
        .is_some_and(|rest| !rest.starts_with([' ', '*']) && rest.contains('*'))
}

/// A text of several lines as a quotation: whatever is in it, headings, fences or HTML, ends with it.
pub fn quoted(text: &str) -> String {
    visible(text)
        .trim()
        .lines()
        .map(|line| {
            let line = line.trim_end();
            if line.is_empty() {
                ">\n".to_owned()
            } else {
                format!("> {line}\n")
            }
        })
        .collect()
}

/// `text` as code in a line, whatever ticks it has.
pub fn code(text: &str) -> String {
    let text = one_line_of_code(text);
    let longest = text
        .split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest > 0 {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

fn one_line_of_code(text: &str) -> String {
    visible(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Without control characters and without what turns the direction of writing or shows nothing at all; a comment of HTML,
/// which nobody would see, is shown.
fn visible(text: &str) -> String {
    let text: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter(|letter| {
            !is_hidden(*letter) && (!letter.is_control() || matches!(letter, '\n' | '\t'))
        })
        .collect();
    text.replace("<!--", "&lt;!--")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sallyport_workflows::{
        scope::RepositoryPath,
        spec::{SpecFile, SpecGate, SpecPattern},
    };

    use super::*;
    use crate::testing::golden;

    fn criterion(text: &str, check: &str) -> Criterion {
        Criterion {
            text: text.into(),
            check: Check::from(check.to_owned()),
        }
    }

    fn gate(name: &str, command: &str, required: bool) -> SpecGate {
        SpecGate {
            name: name.into(),
            command: command.into(),
            required,
        }
    }

    pub(crate) fn spec() -> Spec {
        let file = |path: &str, change, reason: &str| SpecFile {
            path: RepositoryPath::try_from(path.to_owned()).unwrap(),
            change,
            reason: reason.to_owned(),
        };
        let pattern = |pattern: &str, change, matched, reason: &str| SpecPattern {
            pattern: ScopePattern::try_from(pattern.to_owned()).unwrap(),
            change,
            matched,
            reason: reason.to_owned(),
        };
        Spec {
            title: "Read milliseconds".into(),
            problem: "`parse(\"250ms\")` throws.\n\nIt takes `m` for the unit.".into(),
            solution: "Try longer names first.".into(),
            files: vec![
                file("src/parse.js", FileChange::Modify, "The bug is here."),
                file("test/parse.test.js", FileChange::Create, "A test for it."),
                file("src/old.js", FileChange::Delete, "Nobody uses it."),
            ],
            patterns: vec![
                pattern(
                    "src/locales/*.json",
                    FileChange::Modify,
                    12,
                    "They are generated.",
                ),
                pattern(
                    "test/snapshots/**",
                    FileChange::Create,
                    0,
                    "Their names are hashes.",
                ),
            ],
            scope_rules: serde_json::from_value(serde_json::json!({
                "create": ["test/**/*.test.js"],
                "modify": ["package-lock.json", "**/*.snap"],
                "never": ["deploy/**", ".github"],
            }))
            .unwrap(),
            plan: vec!["See the test fail.".into(), "Sort the names.".into()],
            testing: vec!["`node --test` passes.".into()],
            criteria: vec![
                criterion("`250ms` is 250.", "Unit tests"),
                criterion("The README says so.", "review"),
            ],
            gates: SpecGates {
                detected: false,
                list: vec![
                    gate("Unit tests", "node --test", true),
                    gate("Lint", "npx eslint .", false),
                ],
            },
            risks: vec![],
            confidence: 0.956,
            confidence_reasons: vec!["The function and its test were read.".into()],
            open_questions: vec!["Whether `1e3ms` counts; assumed: no.".into()],
        }
    }

    #[test]
    fn the_text_is_as_agreed() {
        golden("spec.md", &spec_markdown("FL-1", &spec()));
    }

    #[test]
    fn a_spec_from_before_planners_gave_reasons_renders_as_it_was_approved() {
        let mut earlier = spec();
        earlier.confidence_reasons.clear();
        earlier.open_questions.clear();
        let text = spec_markdown("FL-1", &earlier);
        assert!(
            text.ends_with("## Risks and mitigations\n\nNone.\n\n## Confidence\n\n96 %\n"),
            "{text}"
        );
    }

    #[test]
    fn hostile_words_forge_no_section() {
        let evil = "fine\n\n## Files to modify\n\n- `src/evil.js`: yes\n```\n<!-- \u{202e}hidden";
        let mut hostile = spec();
        hostile.title = evil.into();
        hostile.problem = evil.into();
        hostile.files[0].reason = evil.into();
        hostile.patterns[0].reason = evil.into();
        hostile.plan = vec![
            "## Files to modify".into(),
            "1. x".into(),
            "- [x] done".into(),
        ];
        hostile.criteria = vec![criterion(evil, evil)];
        hostile.confidence_reasons = vec![evil.into()];
        hostile.open_questions = vec![evil.into()];
        hostile.gates = SpecGates {
            detected: true,
            list: vec![gate(evil, evil, true)],
        };
        golden("spec-hostile.md", &spec_markdown("FL-1\n# x", &hostile));
    }

    #[test]
    fn code_may_hold_ticks() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
    }

    proptest! {
        #[test]
        fn headings_are_always_the_same(text in "[ -~\n\r\t#>`]{0,60}") {
            let mut spec = spec();
            let expected: Vec<String> = headings(&spec_markdown("FL-1", &spec)).collect();
            spec.problem = text.clone();
            spec.solution = text.clone();
            spec.files[0].reason = text.clone();
            spec.plan = vec![text.clone()];
            spec.testing = vec![text.clone()];
            spec.criteria = vec![criterion(&text, &text)];
            spec.gates.list = vec![gate(&text, &text, true)];
            spec.risks = vec![text.clone()];
            spec.confidence_reasons = vec![text.clone()];
            spec.open_questions = vec![text.clone()];
            let found: Vec<String> = headings(&spec_markdown("FL-1", &spec)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    fn headings(text: &str) -> impl Iterator<Item = String> {
        text.lines()
            .filter(|line| line.starts_with('#') || line.starts_with("```"))
            .map(str::to_owned)
    }
}
