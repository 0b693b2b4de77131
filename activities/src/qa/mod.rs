//! QA: the repository's gates, run on a clean checkout of a commit.
//!
//! The tests may be the agent's own work, so each gate runs in an inner room: no network, no gateway, no session. What a
//! gate prints is kept and shown, never acted on.

pub mod report;

use std::time::Duration;

use sallyport_ledger::{
    objects::{ObjectError, Objects},
    qa_results::NewQaResult,
};
use sallyport_workflows::{ObjectRef, activities::GateResult, failure::shorten};

use crate::{
    git::Git,
    policy_file::QualityGate,
    sandbox::{CommandResult, Limits, Sandbox, SandboxError, run_command},
    workspace::{Workspace, WorkspaceError, checkout},
};

/// QA could not be run. A gate that fails is a result and no error.
#[derive(Debug, thiserror::Error)]
pub enum QaError {
    /// The clean checkout could not be made.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
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

/// What came of one gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateOutcome {
    /// The gate.
    pub gate: QualityGate,
    /// Its exit code.
    pub exit: i32,
    /// Whether its time was up.
    pub timed_out: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it printed, its beginning and its end.
    pub output: String,
    /// The same, stored.
    pub stored: ObjectRef,
}

impl GateOutcome {
    /// Whether it ended by itself with 0.
    pub fn passed(&self) -> bool {
        self.exit == 0 && !self.timed_out
    }

    /// What the workflow keeps.
    pub fn result(&self) -> GateResult {
        GateResult {
            name: shorten(&self.gate.name, 60),
            required: self.gate.required,
            passed: self.passed(),
            duration_ms: self.duration_ms,
        }
    }

    /// What the ledger keeps.
    pub fn row(&self) -> NewQaResult {
        NewQaResult {
            gate_name: self.gate.name.clone(),
            command: self.gate.command.clone(),
            required: self.gate.required,
            passed: self.passed(),
            exit_code: (!self.timed_out).then_some(self.exit),
            output: self.output.clone(),
            duration_ms: self.duration_ms,
        }
    }
}

/// Whether all required gates passed.
pub fn passed(outcomes: &[GateOutcome]) -> bool {
    outcomes
        .iter()
        .all(|outcome| outcome.passed() || !outcome.gate.required)
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
}

/// Runs all `gates` one after the other on `commit`, also after one has failed, and tells `announce` each one's name. The
/// checkout is gone afterwards.
pub async fn run(
    room: QaRoom<'_>,
    sequence: u64,
    commit: &str,
    gates: &[QualityGate],
    mut announce: impl FnMut(&str),
) -> Result<Vec<GateOutcome>, QaError> {
    let folder = room.workspace.qa(sequence);
    checkout::remove(&folder).await?;
    checkout::make_passable(&folder).map_err(QaError::Folder)?;
    let tree = folder.join("tree");
    checkout::check_out(room.git, &folder.join("index"), commit, &tree).await?;
    let mut outcomes = Vec::new();
    for gate in gates {
        announce(&gate.name);
        let wall = Duration::from_secs(gate.timeout_seconds);
        let limits = Limits {
            wall,
            ..Limits::for_commands()
        };
        let result = run_command(room.sandbox, &tree, &gate.command, limits).await?;
        outcomes.push(outcome(room.objects, gate, result).await?);
    }
    checkout::remove(&folder).await?;
    Ok(outcomes)
}

async fn outcome(
    objects: &Objects,
    gate: &QualityGate,
    result: CommandResult,
) -> Result<GateOutcome, ObjectError> {
    let output = crate::agent::redact(&result.output.text);
    Ok(GateOutcome {
        gate: gate.clone(),
        exit: result.exit,
        timed_out: result.stopped.is_some(),
        duration_ms: u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX),
        stored: objects.put(output.clone()).await?,
        output,
    })
}

#[cfg(test)]
mod tests {
    use sallyport_ledger::config::ObjectsConfig;
    use sallyport_workflows::ticket::TicketKey;

    use super::*;
    use crate::{
        mirror::Mirrors,
        testing::{Origin, reachable_folder, tools},
    };

    fn gate(name: &str, command: &str, required: bool, timeout_seconds: u64) -> QualityGate {
        QualityGate {
            name: name.into(),
            command: command.into(),
            required,
            timeout_seconds,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn gates_run_on_the_commit_and_nothing_else() {
        let origin = Origin::new(&[
            ("value.txt", "committed\n"),
            ("test.mjs", "process.exit(0)"),
        ])
        .await;
        let folder = reachable_folder();
        let sandbox = Sandbox::open(&tools(), &folder.path().join("kit")).unwrap();
        let objects = Objects::open(&ObjectsConfig {
            path: folder.path().join("objects"),
        })
        .unwrap();
        let mirror = Mirrors::new(folder.path().join("m"))
            .fetch(origin.url())
            .await
            .unwrap();
        let commit = mirror.head("main").await.unwrap();
        let workspace = Workspace::of(folder.path(), &TicketKey::first("flux-lens", "FL-1"));
        // What the agent left beside its commit is not there in QA.
        std::fs::create_dir_all(workspace.tree()).unwrap();
        std::fs::write(workspace.tree().join("value.txt"), "not committed\n").unwrap();
        let room = QaRoom {
            sandbox: &sandbox,
            objects: &objects,
            git: mirror.git(),
            workspace: &workspace,
        };
        let gates = [
            gate("Value", "cat value.txt; ls -A", true, 60),
            gate("Node", "node test.mjs && touch made-by-node", true, 60),
            gate(
                "Lint",
                "test -e made-by-node; echo complaint >&2; exit 3",
                false,
                60,
            ),
            gate("Slow", "sleep 100", false, 1),
            gate("Git", "test ! -e .git", true, 60),
        ];
        let mut told = Vec::new();
        let outcomes = run(room, 7, &commit, &gates, |name| told.push(name.to_owned()))
            .await
            .unwrap();
        assert_eq!(told, ["Value", "Node", "Lint", "Slow", "Git"]);
        let verdicts: Vec<_> = outcomes
            .iter()
            .map(|outcome| (outcome.exit, outcome.timed_out))
            .collect();
        assert_eq!(verdicts[..3], [(0, false), (0, false), (3, false)]);
        assert!(outcomes[3].timed_out);
        assert_eq!(verdicts[4], (0, false));
        assert_eq!(outcomes[0].output, "committed\ntest.mjs\nvalue.txt\n");
        assert_eq!(outcomes[2].output, "complaint\n");
        assert_eq!(
            objects.get_text(&outcomes[2].stored).await.unwrap(),
            "complaint\n"
        );
        assert!(passed(&outcomes), "only optional ones failed");
        assert!(!workspace.qa(7).exists());

        let failing = [
            gate("Unit tests", "false", true, 60),
            gate("After", "true", true, 60),
        ];
        let outcomes = run(room, 8, &commit, &failing, |_| ()).await.unwrap();
        assert!(!passed(&outcomes));
        assert!(outcomes[1].passed(), "the next one runs all the same");
    }
}
