//! `.sallyport.toml`: what a repository says about how its tickets are worked on. It is read at the base commit and at
//! no other, so an agent cannot change the rules that it is judged by.

use std::collections::BTreeSet;

use sallyport_workflows::{
    policy::InstallationPolicy,
    scope::{MAXIMUM_PATTERNS, ScopePattern, ScopeRules},
    spec::{REVIEW, SpecGate, SpecGates},
    text::shorten,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use toml::Spanned;

/// The file's name, at the top of the repository.
pub const FILE: &str = ".sallyport.toml";

/// The largest file that is read, in bytes.
pub const MAXIMUM_FILE_BYTES: u64 = 64 << 10;

/// The most gates that a repository may have: as many results as fit into what the workflow keeps.
pub const MAXIMUM_GATES: usize = 12;

/// The longest time that one gate may take, in seconds.
pub const MAXIMUM_GATE_SECONDS: u64 = 3600;

/// The longest time that all gates together may take, in seconds.
pub const MAXIMUM_ALL_GATES_SECONDS: u64 = 3 * 60 * 60 + 30 * 60;

/// What to write when there is nothing.
const EXAMPLE: &str = "[[gates]]\nname = \"Unit tests\"\ncommand = \"npm test\"\n";

/// The repository's part of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A command that judges a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityGate {
    /// What people call it: one line of at most 60 characters, unique.
    pub name: String,
    /// A line of bash, run at the top of the repository.
    pub command: String,
    /// Whether a failure fails QA.
    pub required: bool,
    /// Whether a failure does not fail QA where the gate fails on the base commit in the same way.
    #[serde(default)]
    pub allow_red_base: bool,
    /// How long it may take, in seconds, up to [`MAXIMUM_GATE_SECONDS`].
    pub timeout_seconds: u64,
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
    /// Read by [`crate::policy_section`].
    #[serde(default, rename = "policy")]
    _policy: IgnoredAny,
}

/// A pattern with its place in the file.
type Entry = Spanned<String>;

/// As [`ScopeRules`], whose patterns would not say where they stand.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ScopeEntry {
    create: Vec<Entry>,
    modify: Vec<Entry>,
    delete: Vec<Entry>,
    never: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateEntry {
    name: Spanned<String>,
    command: Spanned<String>,
    #[serde(default = "yes")]
    required: bool,
    #[serde(default)]
    allow_red_base: bool,
    timeout_seconds: Option<Spanned<u64>>,
}

fn yes() -> bool {
    true
}

const DEFAULT_GATE_SECONDS: u64 = 600;

/// Reads the file's content; nothing if there is no such file.
pub fn parse(content: Option<&[u8]>) -> Result<RepositoryPolicy, PolicyProblem> {
    let content = content.unwrap_or_default();
    let text = str::from_utf8(content).map_err(|_| PolicyProblem::NotText)?;
    let file: File = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        wrong(text, start, error.message())
    })?;
    let mut names = BTreeSet::new();
    let mut seconds = 0;
    let mut gates = Vec::new();
    for entry in file.gates {
        let at = entry.name.span().start;
        if gates.len() == MAXIMUM_GATES {
            let problem = format!("there are more than {MAXIMUM_GATES} `gates`");
            return Err(wrong(text, at, &problem));
        }
        let gate = checked(text, entry)?;
        if !names.insert(gate.name.clone()) {
            return Err(wrong(text, at, "another gate has the same `name`"));
        }
        seconds += gate.timeout_seconds;
        if seconds > MAXIMUM_ALL_GATES_SECONDS {
            let problem = format!(
                "the `timeout_seconds` of all gates up to here are {seconds}; together at most \
                 {MAXIMUM_ALL_GATES_SECONDS} are allowed"
            );
            return Err(wrong(text, at, &problem));
        }
        gates.push(gate);
    }
    let rules = |entries: Vec<Entry>| patterns(text, entries);
    Ok(RepositoryPolicy {
        gates,
        detected: false,
        scope: ScopeRules {
            create: rules(file.scope.create)?,
            modify: rules(file.scope.modify)?,
            delete: rules(file.scope.delete)?,
            never: rules(file.scope.never)?,
        },
    })
}

fn patterns(text: &str, entries: Vec<Entry>) -> Result<Vec<ScopePattern>, PolicyProblem> {
    let mut patterns = Vec::new();
    for entry in entries {
        let at = entry.span().start;
        if patterns.len() == MAXIMUM_PATTERNS {
            let problem = format!("there are more than {MAXIMUM_PATTERNS} patterns in this list");
            return Err(wrong(text, at, &problem));
        }
        let pattern = ScopePattern::try_from(entry.into_inner())
            .map_err(|problem| wrong(text, at, &problem.to_string()))?;
        if patterns.contains(&pattern) {
            return Err(wrong(text, at, "this pattern is there twice"));
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}

fn checked(text: &str, entry: GateEntry) -> Result<QualityGate, PolicyProblem> {
    let name = entry.name.get_ref();
    let plain = !name.trim().is_empty() && !name.chars().any(char::is_control);
    if !plain || name.chars().count() > 60 {
        let problem = "`name` must be one line of 1 to 60 characters";
        return Err(wrong(text, entry.name.span().start, problem));
    }
    if name.trim().eq_ignore_ascii_case(REVIEW) {
        let problem =
            format!("`{REVIEW}` is no name for a gate: in a SPEC it stands for a person who looks");
        return Err(wrong(text, entry.name.span().start, &problem));
    }
    let command = entry.command.get_ref();
    if command.trim().is_empty() || command.len() > 4096 || command.contains('\0') {
        let problem = "`command` must be a shell command of at most 4096 bytes";
        return Err(wrong(text, entry.command.span().start, problem));
    }
    let timeout_seconds = match &entry.timeout_seconds {
        None => DEFAULT_GATE_SECONDS,
        Some(seconds) if (1..=MAXIMUM_GATE_SECONDS).contains(seconds.get_ref()) => {
            *seconds.get_ref()
        }
        Some(seconds) => {
            let problem =
                format!("`timeout_seconds` must be from 1 to {MAXIMUM_GATE_SECONDS} seconds");
            return Err(wrong(text, seconds.span().start, &problem));
        }
    };
    Ok(QualityGate {
        name: name.clone(),
        command: command.clone(),
        required: entry.required,
        allow_red_base: entry.allow_red_base,
        timeout_seconds,
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
    fn rules_on_scope_are_lists_of_patterns() {
        let text = "[scope]\ncreate = ['test/**']\nmodify = ['Cargo.lock']\nnever = ['deploy', '.github']\n";
        let rules = parse(Some(text.as_bytes())).unwrap().scope;
        let texts = |patterns: &[ScopePattern]| {
            patterns.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(texts(&rules.create), ["test/**"]);
        assert_eq!(texts(&rules.modify), ["Cargo.lock"]);
        assert!(rules.delete.is_empty());
        assert_eq!(texts(&rules.never), ["deploy", ".github"]);
        let many: Vec<String> = (0..21).map(|number| format!("'f{number}'")).collect();
        let many = format!("[scope]\ncreate = [{}]\n", many.join(","));
        assert!(problem(&many).contains("more than 20"));
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
            (format!("{gate}[setup]\n"), 4, "setup"),
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
