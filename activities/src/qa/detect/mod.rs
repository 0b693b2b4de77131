//! The gates of a repository whose `.sallyport.toml` names none, as far as its files tell.
//!
//! Only what lies at the top of the repository is looked at; a project in a sub-folder needs a `.sallyport.toml`. It is
//! read from the mirror at the base commit, nothing is checked out and nothing is run. What is found there is a
//! stranger's: no word of it ever becomes part of a command. Commands are made of words of ours, and a file only decides
//! which. A file that is too large, malformed, a link or a folder counts as missing.
//!
//! | file | gates, in this order | |
//! | --- | --- | --- |
//! | `Cargo.toml` | `cargo fmt`, `cargo clippy`; `cargo build`, `cargo test` | `cargo.rs` |
//! | `package.json` | its scripts `lint`, `typecheck`, `build`; `test`; with npm, pnpm or yarn | `node.rs` |
//! | `pyproject.toml`, `tox.ini`, ..., a folder of tests | `ruff`, `mypy`; pytest, unittest, tox or nox | `python.rs` |
//! | `go.mod` | `go vet`; `go build`, `go test` | `go.rs` |
//! | `pom.xml`, `build.gradle` | the tests, by the wrapper if it is committed | `java.rs` |
//! | `Makefile` | `make test` or `make check` | `make.rs` |
//!
//! Formatting, lint and types are optional, and so is the build of a `package.json`; the rest is required. `make` is
//! optional where something else is required, since it usually runs the same again. No gate has a network, so
//! each command is of the kind that does not ask for one.

mod cargo;
mod go;
mod java;
mod make;
mod node;
mod python;
mod root;

use sallyport_workflows::failure::kind;

use self::root::Root;
use crate::{
    failure::StepError,
    mirror::{Mirror, MirrorError},
    policy_file::{
        MAXIMUM_ALL_GATES_SECONDS, MAXIMUM_GATES, PolicyProblem, QualityGate, RepositoryPolicy,
    },
};

/// The longest time of a detected gate, in seconds. Nobody has said how long it may take, so it is generous.
const LONGEST_SECONDS: u64 = 1800;

/// A gate that a file speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proposal {
    name: String,
    command: String,
    required: bool,
}

impl Proposal {
    fn required(name: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            command: command.into(),
            required: true,
        }
    }

    fn optional(name: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            required: false,
            ..Self::required(name, command)
        }
    }
}

/// The policy with gates: its own, or those that are detected at `commit`. None that could fail a change is a final
/// failure, [`kind::POLICY_INVALID`], which says what to write.
pub async fn complete(
    mirror: &Mirror,
    commit: &str,
    mut policy: RepositoryPolicy,
) -> Result<RepositoryPolicy, StepError> {
    if !policy.gates.is_empty() {
        return Ok(policy);
    }
    let (gates, seen) = detect(mirror, commit).await?;
    if !gates.iter().any(|gate| gate.required) {
        let problem = PolicyProblem::NoGates { seen };
        return Err(StepError::fatal(kind::POLICY_INVALID, problem));
    }
    policy.gates = gates;
    policy.detected = true;
    Ok(policy)
}

/// The gates at `commit`, at most [`MAXIMUM_GATES`], and what was seen that explains why there are no more.
async fn detect(
    mirror: &Mirror,
    commit: &str,
) -> Result<(Vec<QualityGate>, Vec<String>), MirrorError> {
    let mut root = Root::open(mirror, commit).await?;
    let mut proposals = cargo::gates(&mut root).await?;
    proposals.extend(node::gates(&mut root).await?);
    proposals.extend(python::gates(&mut root).await?);
    proposals.extend(go::gates(&mut root).await?);
    proposals.extend(java::gates(&mut root).await?);
    let covered = proposals.iter().any(|gate| gate.required);
    proposals.extend(make::gates(&mut root, covered).await?);
    let gates = bounded(proposals);
    let mut seen = root.notes();
    if !gates.is_empty() {
        let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
        seen.push(format!("only optional checks: {}", names.join(", ")));
    }
    Ok((gates, seen))
}

/// As many as are allowed, the required ones before the others, each with its part of the time that all may take.
fn bounded(mut proposals: Vec<Proposal>) -> Vec<QualityGate> {
    while proposals.len() > MAXIMUM_GATES {
        let least = proposals.iter().rposition(|gate| !gate.required);
        proposals.remove(least.unwrap_or(proposals.len() - 1));
    }
    let count = proposals.len().max(1) as u64;
    let timeout_seconds = LONGEST_SECONDS.min(MAXIMUM_ALL_GATES_SECONDS / count);
    let gates = proposals.into_iter().map(|proposal| QualityGate {
        name: proposal.name,
        command: proposal.command,
        required: proposal.required,
        allow_red_base: false,
        timeout_seconds,
    });
    gates.collect()
}

#[cfg(test)]
mod tests;
