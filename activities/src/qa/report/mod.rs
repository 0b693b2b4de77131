//! The QA report as data: what programs read as JSON, and what the Markdown is made of.
//!
//! `docs/qa-report.schema.json` describes the JSON; it is made from these types, and a test holds the two together.

mod markdown;

use sallyport_workflows::{
    activities::GateEffect,
    spec::{Spec, SpecRef},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::markdown::markdown;
use super::{
    Findings,
    criteria::{CriterionReport, answers},
    gates::{End, GateRun},
    new_tests::Proof,
    rule::{Judged, verdict},
};
use crate::policy_file::RepositoryPolicy;

/// The number of the report's form. It grows when a field changes its meaning or goes; new fields may come without.
pub const VERSION: u32 = 1;

/// Where something is kept in object storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredObject {
    /// `sha256/` and the content's SHA-256 in lower-case hexadecimal.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// All that QA says about a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "QA report")]
pub struct Report {
    /// The form of this report: 1.
    pub version: u32,
    /// The ticket's id.
    pub ticket: String,
    /// The SPEC's revision.
    pub spec_revision: String,
    /// The commit that was checked.
    pub commit: String,
    /// The commit that it was compared with: the one that the SPEC was written against.
    pub base_commit: String,
    /// Whether QA passed.
    pub passed: bool,
    /// Why, in sentences.
    pub reason: String,
    /// Whether the gates were detected, since the repository's `.sallyport.toml` names none.
    pub gates_detected: bool,
    /// The gates, in the order in which they ran.
    pub gates: Vec<GateReport>,
    /// What the tests show that the change brings; nothing if it brings none.
    pub new_tests: Option<NewTestsReport>,
    /// The SPEC's criteria, in its order.
    pub criteria: Vec<CriterionReport>,
    /// What else one should know.
    pub notes: Vec<String>,
}

/// A gate and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateReport {
    /// Its name.
    pub name: String,
    /// What was run, with bash at the top of the repository.
    pub command: String,
    /// Whether a failure fails QA.
    pub required: bool,
    /// Whether the policy lets a failure pass that is the same on the base commit.
    pub allow_red_base: bool,
    /// How long it may take, in seconds.
    pub timeout_seconds: u64,
    /// What the change did to it.
    pub effect: Effect,
    /// Whether QA fails because of it.
    pub fails_qa: bool,
    /// On the commit.
    pub on_commit: GateRun,
    /// On the base commit.
    pub on_base: GateRun,
}

/// What a change did to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It passes, and did before.
    Passes,
    /// It failed before and passes now.
    Repaired,
    /// It passed before and fails now.
    Broken,
    /// It fails as it did before.
    RedBefore,
    /// It fails, but only because the machine's memory ran out.
    Unknown,
}

/// What the tests of a change show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewTestsReport {
    /// The test files that the change adds or changes.
    pub files: Vec<String>,
    /// What they show.
    pub proof: Proof,
    /// The gates that ran on the base commit with these files on top, up to the last one that runs tests.
    pub runs: Vec<NewTestsRun>,
}

/// A gate on the base commit with the change's tests on top.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewTestsRun {
    /// The gate's name.
    pub name: String,
    /// What came of it.
    pub run: GateRun,
}

/// What a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The ticket's id.
    pub ticket_id: &'a str,
    /// The commit.
    pub commit: &'a str,
    /// The SPEC.
    pub spec: &'a Spec,
    /// Its revision and base commit.
    pub reference: &'a SpecRef,
    /// The policy that the gates come from.
    pub policy: &'a RepositoryPolicy,
}

impl Report {
    /// The report on what was found.
    pub fn new(facts: &Facts<'_>, findings: &Findings) -> Self {
        let (passed, reason) = verdict(&findings.gates);
        Self {
            version: VERSION,
            ticket: facts.ticket_id.to_owned(),
            spec_revision: facts.reference.revision.clone(),
            commit: facts.commit.to_owned(),
            base_commit: facts.reference.base_commit.clone(),
            passed,
            reason,
            gates_detected: facts.policy.detected,
            gates: findings.gates.iter().map(gate_report).collect(),
            new_tests: new_tests_report(findings),
            criteria: answers(&facts.spec.criteria, findings),
            notes: notes(facts),
        }
    }
}

fn gate_report(judged: &Judged) -> GateReport {
    let result = judged.result();
    GateReport {
        name: judged.gate.name.clone(),
        command: judged.gate.command.clone(),
        required: judged.gate.required,
        allow_red_base: judged.gate.allow_red_base,
        timeout_seconds: judged.gate.timeout_seconds,
        effect: match result.effect() {
            _ if judged.commit.end == End::OutOfMemory => Effect::Unknown,
            GateEffect::Passes => Effect::Passes,
            GateEffect::Repaired => Effect::Repaired,
            GateEffect::RedBefore => Effect::RedBefore,
            GateEffect::Broken | GateEffect::Fails => Effect::Broken,
        },
        fails_qa: result.fails_qa(),
        on_commit: judged.commit.clone(),
        on_base: judged.base.clone(),
    }
}

fn new_tests_report(findings: &Findings) -> Option<NewTestsReport> {
    let tests = findings.new_tests.as_ref()?;
    let names = findings.gates.iter().map(|judged| &judged.gate.name);
    let runs = names.zip(&tests.runs).map(|(name, run)| NewTestsRun {
        name: name.clone(),
        run: run.clone(),
    });
    Some(NewTestsReport {
        files: tests.files.clone(),
        proof: tests.proof,
        runs: runs.collect(),
    })
}

fn notes(facts: &Facts<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if facts.policy.as_in_spec().list != facts.spec.gates.list {
        notes.push(
            "The gates are not those that the SPEC lists: the base branch has changed them since it was written."
                .to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests;
