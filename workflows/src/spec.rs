//! The SPEC: what the planner proposes, what a person approves, and what the agent may do.

use serde::{Deserialize, Serialize};

use crate::{
    ObjectRef,
    scope::{RepositoryPath, Scope},
};

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It does not exist yet.
    Create,
    /// It is changed.
    Modify,
    /// It goes away.
    Delete,
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
    /// The files to change: the scope.
    pub files: Vec<SpecFile>,
    /// The steps, in order.
    pub plan: Vec<String>,
    /// Which tests show it.
    pub testing: Vec<String>,
    /// What a reviewer ticks off.
    pub checklist: Vec<String>,
    /// What may go wrong, and what is done against it.
    pub risks: Vec<String>,
    /// How sure the planner is, from 0 to 1.
    pub confidence: f64,
}

impl Spec {
    /// The files that may be changed.
    pub fn scope(&self) -> Scope {
        self.files.iter().map(|file| file.path.clone()).collect()
    }
}

/// A stored SPEC, as the workflow keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecRef {
    /// Its revision; see [`crate::revision::spec_revision`].
    pub revision: String,
    /// SPEC.md, as people read and approve it.
    pub text: ObjectRef,
    /// The same as data: a [`Spec`] in JSON.
    pub document: ObjectRef,
    /// The commit that it was planned against.
    pub base_commit: String,
    /// How many files it names.
    pub files: u32,
    /// How sure the planner is, in per cent.
    pub confidence_percent: u8,
}
