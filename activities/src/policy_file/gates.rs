//! `[[gates]]`: what QA runs.

use std::collections::BTreeSet;

use sallyport_workflows::spec::REVIEW;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{PolicyProblem, wrong};

/// The most gates that a repository may have: as many results as fit into what the workflow keeps.
pub const MAXIMUM_GATES: usize = 12;

/// The longest time that one gate may take, in seconds.
pub const MAXIMUM_GATE_SECONDS: u64 = 3600;

/// The longest time that all gates together may take, in seconds.
pub const MAXIMUM_ALL_GATES_SECONDS: u64 = 3 * 60 * 60 + 30 * 60;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GateEntry {
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

/// The gates, if all are ones.
pub(super) fn checked(
    text: &str,
    entries: Vec<GateEntry>,
) -> Result<Vec<QualityGate>, PolicyProblem> {
    let mut names = BTreeSet::new();
    let mut seconds = 0;
    let mut gates = Vec::new();
    for entry in entries {
        let at = entry.name.span().start;
        if gates.len() == MAXIMUM_GATES {
            let problem = format!("there are more than {MAXIMUM_GATES} `gates`");
            return Err(wrong(text, at, &problem));
        }
        let gate = gate(text, entry)?;
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
    Ok(gates)
}

/// The command, if it is one.
pub(super) fn checked_command(
    text: &str,
    command: &Spanned<String>,
) -> Result<String, PolicyProblem> {
    let line = command.get_ref();
    if line.trim().is_empty() || line.len() > 4096 || line.contains('\0') {
        let problem = "`command` must be a shell command of at most 4096 bytes";
        return Err(wrong(text, command.span().start, problem));
    }
    Ok(line.clone())
}

fn gate(text: &str, entry: GateEntry) -> Result<QualityGate, PolicyProblem> {
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
    let command = checked_command(text, &entry.command)?;
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
        command,
        required: entry.required,
        allow_red_base: entry.allow_red_base,
        timeout_seconds,
    })
}
