//! What the doctor says: as data, and as text.

use serde::Serialize;

use crate::terminal::{Painter, Style, line};

/// What the doctor says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The engine that the configuration names.
    pub engine: &'static str,
    /// Whether it can make rooms here.
    pub works: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// What holds a room to each limit.
    pub limits: Vec<Limit>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it: sentences and commands, one a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedy: Vec<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but somebody should know.
    Warning,
    /// Something does not work because of it.
    Failed,
}

/// What holds a room to a limit.
#[derive(Clone, Debug, Serialize)]
pub struct Limit {
    /// Of what.
    pub of: &'static str,
    /// How much, and whose.
    pub allowed: String,
    /// By what it is kept.
    pub kept_by: &'static str,
}

impl Check {
    /// A thing that is as it should be.
    pub fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, found)
    }

    /// A thing that somebody should know of.
    pub fn warning(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warning, found)
    }

    /// A thing that keeps something from working.
    pub fn failed(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Failed, found)
    }

    fn new(name: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict,
            found: found.into(),
            remedy: Vec::new(),
        }
    }

    /// The same with what to do about it.
    pub fn remedy(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.remedy.extend(lines.into_iter().map(Into::into));
        self
    }
}

impl Report {
    /// As people read it.
    pub fn text(&self, painter: Painter) -> String {
        let (style, verdict) = if self.works {
            (Style::Green, "works on this machine")
        } else {
            (Style::Red, "does not work on this machine")
        };
        let mut text = format!(
            "The sandbox engine {} {}.\n\n",
            painter.paint(Style::Bold, self.engine),
            painter.paint(style, verdict)
        );
        let width = self.checks.iter().map(|check| check.name.len()).max();
        let width = width.unwrap_or(0);
        for check in &self.checks {
            let (style, mark) = match check.verdict {
                Verdict::Ok => (Style::Green, "✓"),
                Verdict::Warning => (Style::Yellow, "!"),
                Verdict::Failed => (Style::Red, "✗"),
            };
            text.push_str(&format!(
                "{} {:width$}  {}\n",
                painter.paint(style, mark),
                check.name,
                line(&check.found)
            ));
            for remedy in &check.remedy {
                text.push_str(&format!("  {:width$}  {}\n", "", line(remedy)));
            }
        }
        text.push_str(&format!(
            "\n{}\n",
            painter.paint(Style::Bold, "What holds a room to its limits")
        ));
        let of = self.limits.iter().map(|limit| limit.of.len()).max();
        let of = of.unwrap_or(0);
        let allowed = self.limits.iter().map(|limit| limit.allowed.len()).max();
        let allowed = allowed.unwrap_or(0);
        for limit in &self.limits {
            text.push_str(&format!(
                "  {:of$}  {:allowed$}  {}\n",
                limit.of, limit.allowed, limit.kept_by
            ));
        }
        text
    }
}
