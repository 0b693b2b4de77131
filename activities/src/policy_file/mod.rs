//! `.sallyport.toml`: what a repository says about how its tickets are worked on. It is read at the base commit and at
//! no other, so an agent cannot change the rules that it is judged by.

//!
//! A file here for each of its sections; `[policy]` is read by [`crate::policy_section`].

mod gates;
mod scope;
mod setup;

use sallyport_workflows::{
    policy::InstallationPolicy,
    scope::ScopeRules,
    spec::{SpecGate, SpecGates},
    text::shorten,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use self::{gates::GateEntry, scope::ScopeEntry, setup::SetupEntry};
pub use self::{
    gates::{MAXIMUM_ALL_GATES_SECONDS, MAXIMUM_GATE_SECONDS, MAXIMUM_GATES, QualityGate},
    setup::{MAXIMUM_SETUP_SECONDS, Setup},
};

/// The file's name, at the top of the repository.
pub const FILE: &str = ".sallyport.toml";

/// The largest file that is read, in bytes.
pub const MAXIMUM_FILE_BYTES: u64 = 64 << 10;

/// What to write when there is nothing.
const EXAMPLE: &str = "[[gates]]\nname = \"Unit tests\"\ncommand = \"npm test\"\n";

/// The repository's part of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryPolicy {
    /// What QA runs, in order. None if the file names none; then [`complete`](crate::qa::detect::complete) finds them.
    pub gates: Vec<QualityGate>,
    /// Whether the gates were detected from the repository's other files.
    #[serde(default)]
    pub detected: bool,
    /// What it says of the scope of every SPEC.
    #[serde(default, skip_serializing_if = "ScopeRules::is_empty")]
    pub scope: ScopeRules,
    /// How what it depends on is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Setup>,
}

impl RepositoryPolicy {
    /// The gates as a SPEC lists them.
    pub fn as_in_spec(&self) -> SpecGates {
        let gate = |gate: &QualityGate| SpecGate {
            name: gate.name.clone(),
            command: gate.command.clone(),
            required: gate.required,
        };
        SpecGates {
            detected: self.detected,
            list: self.gates.iter().map(gate).collect(),
        }
    }
}

/// The whole policy, as it is pinned for one SPEC: what is stored, and what the SPEC's revision covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What the ticket runs under: the installation's policy as the repository's section `[policy]` made it stricter.
    pub effective: InstallationPolicy,
    /// What else the repository says.
    pub repository: RepositoryPolicy,
}

/// What is wrong with a repository's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// It names no gate or is missing, and none was detected either.
    #[error(
        "{FILE} is missing or names no gates on the base branch, and nothing that a change could fail was detected at the \
         top of the repository{}; so nothing could judge a change; commit one that names the commands of QA, such as:\n\
         {EXAMPLE}",
        in_brackets(seen)
    )]
    NoGates {
        /// What was seen instead.
        seen: Vec<String>,
    },
    /// It is no text.
    #[error("{FILE} is not text in UTF-8")]
    NotText,
    /// Something in it is wrong.
    #[error("{FILE}, line {line}: {problem}{quoted}")]
    Wrong {
        /// The line, from 1.
        line: usize,
        /// What is wrong, with the key's name.
        problem: String,
        /// The line's text in brackets, or nothing.
        quoted: String,
    },
}

fn in_brackets(seen: &[String]) -> String {
    match seen {
        [] => String::new(),
        seen => format!(" ({})", shorten(&seen.join("; "), 200)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    gates: Vec<GateEntry>,
    #[serde(default)]
    scope: ScopeEntry,
    #[serde(default)]
    setup: Option<SetupEntry>,
    /// Read by [`crate::policy_section`].
    #[serde(default, rename = "policy")]
    _policy: IgnoredAny,
}

/// Reads the file's content; nothing if there is no such file.
pub fn parse(content: Option<&[u8]>) -> Result<RepositoryPolicy, PolicyProblem> {
    let content = content.unwrap_or_default();
    let text = str::from_utf8(content).map_err(|_| PolicyProblem::NotText)?;
    let file: File = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        wrong(text, start, error.message())
    })?;
    Ok(RepositoryPolicy {
        gates: gates::checked(text, file.gates)?,
        detected: false,
        scope: file.scope.checked(text)?,
        setup: file.setup.map(|setup| setup.checked(text)).transpose()?,
    })
}

/// What is wrong at the byte `start` of `text`.
pub(crate) fn wrong(text: &str, start: usize, problem: &str) -> PolicyProblem {
    let before = text.get(..start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let quoted: String = text
        .lines()
        .nth(line - 1)
        .unwrap_or_default()
        .trim()
        .chars()
        .filter(|letter| !letter.is_control())
        .take(80)
        .collect();
    PolicyProblem::Wrong {
        line,
        problem: problem.replace('\n', " "),
        quoted: if quoted.is_empty() {
            quoted
        } else {
            format!(" (`{quoted}`)")
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        parse(Some(text.as_bytes())).unwrap_err().to_string()
    }

    #[test]
    fn a_short_file_has_good_defaults() {
        let policy = parse(Some(
            b"[[gates]]\nname = 'Unit tests'\ncommand = 'node --test'\n",
        ));
        let gate = QualityGate {
            name: "Unit tests".into(),
            command: "node --test".into(),
            required: true,
            allow_red_base: false,
            timeout_seconds: 600,
        };
        assert_eq!(policy.unwrap().gates, [gate]);
    }

    #[test]
    fn a_file_without_gates_leaves_them_to_be_detected() {
        for content in [None, Some(&b""[..])] {
            let policy = parse(content).unwrap();
            assert!(policy.gates.is_empty() && !policy.detected);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let gate = "[[gates]]\nname = 'a'\ncommand = 'b'\n";
        for (text, line, words) in [
            (
                "[[gates]]\nname = 'a'\ncomand = 'b'\n".to_owned(),
                3,
                "comand",
            ),
            (format!("{gate}colour = 'red'\n"), 4, "colour"),
            (format!("{gate}[setups]\n"), 4, "setups"),
            (format!("{gate}timeout_seconds = 0\n"), 4, "timeout_seconds"),
            (
                format!("{gate}timeout_seconds = 3601\n"),
                4,
                "timeout_seconds",
            ),
            (
                format!("{gate}timeout_seconds = 'x'\n"),
                4,
                "timeout_seconds",
            ),
            (format!("{gate}required = 1\n"), 4, "required"),
            (
                "[[gates]]\nname = ''\ncommand = 'b'\n".to_owned(),
                2,
                "name",
            ),
            (
                "[[gates]]\nname = 'a\"\ncommand = 'b'\n".to_owned(),
                2,
                "name = 'a",
            ),
            (
                "[[gates]]\nname = 'a'\ncommand = ' '\n".to_owned(),
                3,
                "command",
            ),
            (
                "[[gates]]\nname = 'Review'\ncommand = 'b'\n".to_owned(),
                2,
                "a person who looks",
            ),
            (format!("{gate}{gate}"), 5, "same `name`"),
            ("[scope]\nnevr = []\n".to_owned(), 2, "nevr"),
            (
                "[scope]\nnever = [\n  'a',\n  'x/**.js']\n".to_owned(),
                4,
                "whole folders",
            ),
            ("[scope]\ncreate = ['**']\n".to_owned(), 2, "every file"),
            ("[scope]\nmodify = ['a', 'a']\n".to_owned(), 2, "twice"),
        ] {
            let problem = problem(&text);
            assert!(
                problem.starts_with(&format!("{FILE}, line {line}: ")),
                "{problem}"
            );
            assert!(problem.contains(words), "{problem}");
        }
        let missing = problem("\n[[gates]]\nname = 'a'\n");
        assert!(
            missing.contains("command") && missing.contains("line 2"),
            "{missing}"
        );
    }

    #[test]
    fn the_number_of_gates_and_their_time_are_bounded() {
        let gates = |count: usize, seconds: u64| -> String {
            let gate = |number| {
                format!(
                    "[[gates]]\nname = 'g{number}'\ncommand = 'x'\ntimeout_seconds = {seconds}\n"
                )
            };
            (0..count).map(gate).collect()
        };
        assert_eq!(
            parse(Some(gates(12, 600).as_bytes())).unwrap().gates.len(),
            12
        );
        assert!(problem(&gates(13, 60)).contains("more than 12"));
        assert!(problem(&gates(4, 3600)).contains("together at most"));
        assert_eq!(parse(Some(b"\xff")).unwrap_err(), PolicyProblem::NotText);
    }
}
