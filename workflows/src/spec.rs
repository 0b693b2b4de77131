//! The SPEC: what the planner proposes, what a person approves, and what the agent may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ObjectRef,
    scope::{RepositoryPath, ScopePattern, ScopeRules},
};

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It does not exist yet.
    Create,
    /// It is changed.
    Modify,
    /// It goes away.
    Delete,
}

impl FileChange {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Create, Self::Modify, Self::Delete];

    /// How people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Modify => "modify",
            Self::Delete => "delete",
        }
    }
}

/// A file that the SPEC names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecFile {
    /// Which file.
    pub path: RepositoryPath,
    /// What happens to it.
    pub change: FileChange,
    /// Why.
    pub reason: String,
}

/// Files that the SPEC names by a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecPattern {
    /// Which files.
    pub pattern: ScopePattern,
    /// What happens to them.
    pub change: FileChange,
    /// How many files matched at the SPEC's base commit. Counted, not the planner's word.
    pub matched: u32,
    /// Why they cannot be named one by one.
    pub reason: String,
}

/// What shows whether a criterion is met. As text, the gate's name or [`REVIEW`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Check {
    /// The gate of this name.
    Gate(String),
    /// A person who looks.
    Review,
}

/// What stands for a person who looks where a gate's name could stand. No gate may be called so.
pub const REVIEW: &str = "review";

impl Check {
    /// How people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Gate(name) => name,
            Self::Review => REVIEW,
        }
    }
}

impl From<String> for Check {
    fn from(name: String) -> Self {
        if name == REVIEW {
            Self::Review
        } else {
            Self::Gate(name)
        }
    }
}

impl From<Check> for String {
    fn from(check: Check) -> Self {
        match check {
            Check::Gate(name) => name,
            Check::Review => REVIEW.to_owned(),
        }
    }
}

/// Something that is true once the change is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// What, in one line.
    pub text: String,
    /// What shows it.
    pub check: Check,
}

/// A quality gate as the SPEC's readers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecGate {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub command: String,
    /// Whether a failure fails QA.
    pub required: bool,
}

/// What will judge the change. Comes from the policy and never from the planner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecGates {
    /// Whether they were detected from the repository's files, since its `.sallyport.toml` names none.
    pub detected: bool,
    /// The gates, in their order.
    pub list: Vec<SpecGate>,
}

/// A SPEC as data. Its text (see `activities::planning`) is rendered from this and nothing else, and the text's hash is
/// part of the approved revision; so whoever loads this checks that it still renders to the approved text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// One line.
    pub title: String,
    /// What is wrong or missing, and where.
    pub problem: String,
    /// What will be done about it.
    pub solution: String,
    /// The files to change.
    pub files: Vec<SpecFile>,
    /// Files to change that cannot be named one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<SpecPattern>,
    /// What the repository says of every SPEC's scope. Comes from the policy and never from the planner.
    #[serde(default, skip_serializing_if = "ScopeRules::is_empty")]
    pub scope_rules: ScopeRules,
    /// The steps, in order.
    pub plan: Vec<String>,
    /// Which tests show it.
    pub testing: Vec<String>,
    /// What must be true in the end, and what shows it. People know them by their numbers, from 1.
    pub criteria: Vec<Criterion>,
    /// What will judge the change.
    pub gates: SpecGates,
    /// What may go wrong, and what is done against it.
    pub risks: Vec<String>,
    /// How sure the planner is, from 0 to 1.
    pub confidence: f64,
    /// Why not more and not less; none in SPECs that were written before planners had to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confidence_reasons: Vec<String>,
    /// What the planner could not find out, and what it assumes in its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_questions: Vec<String>,
}

impl Spec {
    /// How many files it is about: those that it names, and those that its patterns matched when it was written.
    pub fn file_count(&self) -> u32 {
        let named = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let matched = self.patterns.iter().map(|pattern| pattern.matched);
        matched.fold(named, u32::saturating_add)
    }
}

/// A stored SPEC, as the workflow keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecRef {
    /// Its revision; see [`crate::revision::spec_revision`].
    pub revision: String,
    /// SPEC.md, as people read and approve it.
    pub text: ObjectRef,
    /// The same as data: a [`Spec`] in JSON.
    pub document: ObjectRef,
    /// The commit that it was planned against.
    pub base_commit: String,
    /// How many files it is about; see [`Spec::file_count`].
    pub files: u32,
    /// How sure the planner is, in per cent.
    pub confidence_percent: u8,
    /// What the planner was shown of the repository and why, and what was left out: Markdown, stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ObjectRef>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_name_and_review_is_none() {
        for (check, name) in [
            (Check::Gate("Unit tests".into()), "\"Unit tests\""),
            (Check::Review, "\"review\""),
        ] {
            assert_eq!(serde_json::to_string(&check).unwrap(), name);
            assert_eq!(serde_json::from_str::<Check>(name).unwrap(), check);
        }
    }
}
