//! QA: the repository's gates, run on clean checkouts of the change's commit and of its base.
//!
//! | to find | look in |
//! | --- | --- |
//! | which gates, where the repository names none | [`detect`] |
//! | how a gate runs | [`gates`] |
//! | what a gate's result means, beside its result on the base | [`rule`] |
//! | what is known of the base from earlier runs | [`earlier`] |
//! | whether new tests prove anything | [`new_tests`] |
//! | what shows that a criterion of the SPEC is met | [`criteria`] |
//! | what people and programs read | [`report`] |
//!
//! The tests may be the agent's own work, so each gate runs in an inner room: no network, no gateway, no session. What a
//! gate prints is kept and shown, never acted on.

pub mod criteria;
pub mod detect;
pub mod earlier;
pub mod gates;
pub mod new_tests;
pub mod report;
pub mod rule;

use std::path::PathBuf;

use sallyport_ledger::{
    objects::{ObjectError, Objects},
    qa_results::NewQaResult,
};
use sallyport_workflows::ObjectRef;

use self::{
    earlier::EarlierResults,
    gates::{End, GateRun},
    new_tests::Proof,
    rule::Judged,
};
use crate::{
    git::{Git, GitError},
    leaks::LeakCheck,
    policy_file::QualityGate,
    sandbox::{Sandbox, SandboxError},
    setup::{Installed, SetupError, Setups},
    workspace::{Workspace, WorkspaceError, checkout, diff::readable},
};

/// QA could not be run. A gate that fails is a result and no error.
#[derive(Debug, thiserror::Error)]
pub enum QaError {
    /// A clean checkout could not be made.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// What the repository depends on could not be laid out.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// git could not do its part.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The room could not be made.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The output could not be stored.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The checkout's folder could not be made.
    #[error("making the folder for QA failed: {0}")]
    Folder(#[source] std::io::Error),
}

/// Where and with what QA runs.
#[derive(Clone, Copy, Debug)]
pub struct QaRoom<'a> {
    /// The sandbox.
    pub sandbox: &'a Sandbox,
    /// Where output is stored.
    pub objects: &'a Objects,
    /// The repository's mirror.
    pub git: &'a Git,
    /// The ticket's workspace.
    pub workspace: &'a Workspace,
    /// What is known already.
    pub earlier: &'a EarlierResults,
    /// Takes the installation's own secrets out of what gates print.
    pub leaks: &'a LeakCheck,
    /// What the repository depends on, if it has a setup.
    pub installed: Option<(&'a Setups, &'a Installed)>,
}

/// What QA looks at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The change's commit.
    pub commit: &'a str,
    /// The commit that it is compared with.
    pub base: &'a str,
    /// The gates, in order.
    pub gates: &'a [QualityGate],
}

/// What QA found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Each gate with its results, in order.
    pub gates: Vec<Judged>,
    /// What the change's tests show, if it brings any.
    pub new_tests: Option<NewTests>,
}

/// What the tests of a change show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTests {
    /// The files, readable.
    pub files: Vec<String>,
    /// What they show.
    pub proof: Proof,
    /// The gates that ran on the base with these files on top: all up to the last one that runs tests.
    pub runs: Vec<GateRun>,
}

impl Findings {
    /// How many test files pass without the change.
    pub fn flagged_tests(&self) -> u32 {
        match &self.new_tests {
            Some(tests) if tests.proof == Proof::PassWithout => {
                u32::try_from(tests.files.len()).unwrap_or(u32::MAX)
            }
            _ => 0,
        }
    }

    /// The stored output of every run, on whatever commit.
    pub fn outputs(&self) -> Vec<ObjectRef> {
        let judged = self
            .gates
            .iter()
            .flat_map(|judged| [&judged.commit, &judged.base]);
        let with_tests = self.new_tests.iter().flat_map(|tests| &tests.runs);
        judged
            .chain(with_tests)
            .map(|run| run.stored.clone())
            .collect()
    }

    /// What the ledger keeps of each gate.
    pub fn rows(&self) -> Vec<NewQaResult> {
        let row = |judged: &Judged| {
            let result = judged.result();
            NewQaResult {
                gate_name: judged.gate.name.clone(),
                command: judged.gate.command.clone(),
                required: result.required,
                passed: result.passed,
                base_passed: result.base,
                excused: result.excused,
                exit_code: match judged.commit.end {
                    End::Exited { code } => Some(code),
                    _ => None,
                },
                output: judged.commit.output.clone(),
                stored: judged.commit.stored.clone(),
                duration_ms: result.duration_ms,
            }
        };
        self.gates.iter().map(row).collect()
    }
}

/// Runs all gates on the commit, on its base and, if the commit brings tests, on the base with these; tells `announce` what
/// runs. The checkouts are gone afterwards. Dropped half-way, it leaves no process, and a folder for whoever comes next.
pub async fn examine(
    room: QaRoom<'_>,
    sequence: u64,
    subject: Subject<'_>,
    mut announce: impl FnMut(&str),
) -> Result<Findings, QaError> {
    let folder = room.workspace.qa(sequence);
    checkout::remove(&folder).await?;
    checkout::make_passable(&folder).map_err(QaError::Folder)?;
    let bench = Bench { room, folder };
    let Subject {
        commit,
        base,
        gates,
    } = subject;
    let on_commit = bench.run(commit, gates, &mut announce).await?;
    let mut on_the_base = |gate: &str| announce(&format!("{gate} on the base commit"));
    let on_base = bench
        .find_or_run(base, gates, Some(&on_commit), &mut on_the_base)
        .await?;
    let judged: Vec<Judged> = gates
        .iter()
        .zip(on_commit)
        .zip(on_base)
        .map(|((gate, commit), base)| Judged {
            gate: gate.clone(),
            commit,
            base,
        })
        .collect();
    let mut with_tests =
        |gate: &str| announce(&format!("{gate} on the base commit with the new tests"));
    let new_tests = bench.new_tests(subject, &judged, &mut with_tests).await?;
    checkout::remove(&bench.folder).await?;
    Ok(Findings {
        gates: judged,
        new_tests,
    })
}

/// A folder for checkouts.
struct Bench<'a> {
    room: QaRoom<'a>,
    folder: PathBuf,
}

impl Bench<'_> {
    /// Runs `gates` on a clean checkout of `tree`, a commit or a tree.
    async fn run(
        &self,
        tree: &str,
        gates: &[QualityGate],
        announce: &mut impl FnMut(&str),
    ) -> Result<Vec<GateRun>, QaError> {
        let (index, files) = (self.folder.join("index"), self.folder.join("tree"));
        checkout::check_out(self.room.git, &index, tree, &files).await?;
        if let Some((setups, installed)) = self.room.installed {
            setups.lay_out(installed, &files).await?;
        }
        let runs = gates::run_all(self.room, &files, gates, announce).await?;
        checkout::remove(&files).await?;
        Ok(runs)
    }

    /// The same, unless it is known. If a program was missing then that `now` is there, it is not known.
    async fn find_or_run(
        &self,
        tree: &str,
        gates: &[QualityGate],
        now: Option<&[GateRun]>,
        announce: &mut impl FnMut(&str),
    ) -> Result<Vec<GateRun>, QaError> {
        let QaRoom {
            git,
            objects,
            earlier,
            ..
        } = self.room;
        let tree = git
            .run("rev-parse")
            .arguments(["--verify", "--end-of-options"])
            .argument(format!("{tree}^{{tree}}"))
            .text()
            .await?;
        // What is known of a tree is known of it with what was installed then.
        let known_by = match self.room.installed {
            None => tree.clone(),
            Some((_, installed)) => format!("{tree} {}", installed.key()),
        };
        if let Some(runs) = earlier.find(objects, &known_by, gates).await {
            let missing = |run: &GateRun| matches!(run.end, End::Exited { code: 126 | 127 });
            let mut pairs = runs.iter().zip(now.unwrap_or(&runs));
            if !pairs.any(|(then, now)| missing(then) && !missing(now)) {
                return Ok(runs);
            }
        }
        let runs = self.run(&tree, gates, announce).await?;
        earlier.keep(&known_by, gates, &runs);
        Ok(runs)
    }

    async fn new_tests(
        &self,
        subject: Subject<'_>,
        judged: &[Judged],
        announce: &mut impl FnMut(&str),
    ) -> Result<Option<NewTests>, QaError> {
        let Subject {
            commit,
            base,
            gates,
        } = subject;
        let git = self.room.git;
        let paths = new_tests::changed(git, base, commit).await?;
        if paths.is_empty() {
            return Ok(None);
        }
        let needed = new_tests::needed(judged);
        let mut runs = Vec::new();
        if needed > 0 {
            let index = self.folder.join("index-with-tests");
            let tree = new_tests::on_top_of(git, &index, base, commit, &paths).await?;
            runs = self
                .find_or_run(&tree, &gates[..needed], None, announce)
                .await?;
        }
        let passed: Vec<bool> = runs.iter().map(GateRun::passed).collect();
        Ok(Some(NewTests {
            files: paths.iter().map(|path| readable(path)).collect(),
            proof: new_tests::proof(judged, &passed),
            runs,
        }))
    }
}

#[cfg(test)]
mod tests;
