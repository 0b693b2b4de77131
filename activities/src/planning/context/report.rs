//! What the planner was shown and why, and what was left out: for people who ask why a SPEC misses something.

use std::fmt::Write as _;

use sallyport_workflows::text::grouped;
use serde::{Deserialize, Serialize};

/// The most things of one kind that are listed.
const MAXIMUM_LISTED: usize = 30;

/// What the planner was shown of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextReport {
    /// The commit that was read.
    pub commit: String,
    /// How many files it has.
    pub files: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// How many tokens might be shown, by estimate.
    pub budget_tokens: u64,
    /// The parts, in the order in which they were shown.
    pub parts: Vec<PartReport>,
    /// What the planner looked at by itself after that, in order; not part of the budget.
    #[serde(default)]
    pub looked: Vec<Shown>,
}

/// What was shown of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartReport {
    /// What it is, such as `Files`.
    pub title: String,
    /// What was shown.
    pub shown: Vec<Shown>,
    /// What was not, and why: a sentence each.
    pub left_out: Vec<String>,
}

/// One thing that was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What it is, such as a path.
    pub what: String,
    /// Why it was chosen.
    pub why: String,
    /// How many tokens it has, by estimate.
    pub tokens: u64,
}

/// How many tokens `text` has, by estimate: three bytes each, which is more than most vendors count for code.
pub fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(3)
}

impl PartReport {
    /// How many tokens were shown.
    pub fn tokens(&self) -> u64 {
        self.shown.iter().map(|shown| shown.tokens).sum()
    }
}

impl ContextReport {
    /// How many tokens were shown in all, by estimate.
    pub fn tokens(&self) -> u64 {
        self.parts.iter().map(PartReport::tokens).sum()
    }

    /// The report in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# What the planner was shown\n\nCommit {}: {} files, {} bytes. Shown: about {} of at most {} tokens.\n",
            self.commit,
            grouped(self.files),
            grouped(self.bytes),
            grouped(self.tokens()),
            grouped(self.budget_tokens),
        );
        for part in &self.parts {
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "\n## {}: about {} tokens\n\n",
                part.title,
                grouped(part.tokens())
            );
            for shown in part.shown.iter().take(MAXIMUM_LISTED) {
                let (what, tokens) = (&shown.what, grouped(shown.tokens));
                let _ = writeln!(text, "- {what} ({tokens}): {}", shown.why);
            }
            if part.shown.len() > MAXIMUM_LISTED {
                let _ = writeln!(text, "- and {} more", part.shown.len() - MAXIMUM_LISTED);
            }
            if part.shown.is_empty() {
                text.push_str("Nothing.\n");
            }
            if !part.left_out.is_empty() {
                text.push_str("\nLeft out:\n\n");
            }
            for left_out in part.left_out.iter().take(MAXIMUM_LISTED) {
                let _ = writeln!(text, "- {left_out}");
            }
            if part.left_out.len() > MAXIMUM_LISTED {
                let _ = writeln!(text, "- and {} more", part.left_out.len() - MAXIMUM_LISTED);
            }
        }
        if !self.looked.is_empty() {
            text.push_str("\n## Looked at by the planner itself\n\n");
        }
        for Shown { what, tokens, .. } in &self.looked {
            let _ = writeln!(text, "- {what} ({})", grouped(*tokens));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    #[test]
    fn the_report_is_as_agreed() {
        let shown = |number: u64| Shown {
            what: format!("src/{number}.js"),
            why: "has `parse` 3x".to_owned(),
            tokens: 1000 + number,
        };
        let report = ContextReport {
            commit: "c".repeat(40),
            files: 78_635,
            bytes: 1_234_567_890,
            budget_tokens: 40_000,
            parts: vec![
                PartReport {
                    title: "Files".to_owned(),
                    shown: (0..32).map(shown).collect(),
                    left_out: vec!["`src/large.js` has 2,000,000 bytes".to_owned()],
                },
                PartReport {
                    title: "History".to_owned(),
                    ..PartReport::default()
                },
            ],
            looked: vec![Shown {
                what: "search src for \"unit\"".to_owned(),
                ..shown(40)
            }],
        };
        golden("context-report.md", &report.markdown());
        assert_eq!(tokens("1234"), 2);
    }
}
