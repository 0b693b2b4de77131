//! What gates did on files that they ran on before.
//!
//! The base commit is the same in each round of repairs, and often for many tickets. Its results are kept on this host,
//! since they depend on what is installed here. The key is all that they depend on beside that: the files (their git
//! tree), each gate's command and time-out in order (one may need what the one before it left), and the room's limits.

use std::{fs, io::Write as _, path::PathBuf, time::SystemTime};

use sallyport_ledger::objects::Objects;
use sallyport_workflows::revision::sha256_hex;
use serde_json::json;

use super::gates::{End, GateRun};
use crate::{policy_file::QualityGate, sandbox::Limits};

/// How many results are kept. The oldest go first.
const MAXIMUM_KEPT: usize = 1000;

/// Changes when a stored result would mean something else.
const VERSION: u32 = 1;

/// The results that are kept in a folder.
#[derive(Clone, Debug)]
pub struct EarlierResults {
    folder: PathBuf,
}

impl EarlierResults {
    /// Those in `folder`, which is made on demand. Nobody but the worker may write there.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn file(&self, tree: &str, gates: &[QualityGate]) -> PathBuf {
        let limits = Limits::for_commands();
        let commands: Vec<_> = gates
            .iter()
            .map(|gate| json!([gate.command, gate.timeout_seconds]))
            .collect();
        let key = json!([VERSION, tree, commands, format!("{limits:?}")]).to_string();
        self.folder
            .join(format!("{}.json", sha256_hex(key.as_bytes())))
    }

    /// What `gates` did on `tree`, if it is known and its output still stored. A file that cannot be read is as good as
    /// none.
    pub(super) async fn find(
        &self,
        objects: &Objects,
        tree: &str,
        gates: &[QualityGate],
    ) -> Option<Vec<GateRun>> {
        let text = fs::read(self.file(tree, gates)).ok()?;
        let mut runs: Vec<GateRun> = serde_json::from_slice(&text).ok()?;
        if runs.len() != gates.len() {
            return None;
        }
        for run in &mut runs {
            // Stored again, so that it counts as young until this ticket's reference to it is on record.
            let output = objects.get(&run.stored).await.ok()?;
            objects.put(output).await.ok()?;
            run.earlier = true;
        }
        Some(runs)
    }

    /// Keeps what `gates` did on `tree`, unless memory ran out: that may be different the next time. What cannot be kept
    /// is run again, so that is no error.
    pub(super) fn keep(&self, tree: &str, gates: &[QualityGate], runs: &[GateRun]) {
        if runs.iter().any(|run| run.end == End::OutOfMemory) {
            return;
        }
        if let Err(problem) = self.write(tree, gates, runs) {
            tracing::warn!(folder = %self.folder.display(), %problem, "results of the base commit are not kept");
        }
    }

    fn write(&self, tree: &str, gates: &[QualityGate], runs: &[GateRun]) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(runs)?)?;
        file.persist(self.file(tree, gates))
            .map_err(|error| error.error)?;
        self.forget_the_oldest()
    }

    fn forget_the_oldest(&self) -> std::io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let surplus = files.len().saturating_sub(MAXIMUM_KEPT);
        for (_, path) in files.into_iter().take(surplus) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sallyport_ledger::config::ObjectsConfig;

    use super::*;
    use crate::qa::rule::tests::{exited, gate, run};

    #[tokio::test]
    async fn a_result_is_known_for_the_same_files_and_gates_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("objects");
        let objects = Objects::open(&ObjectsConfig::folder(path.clone())).unwrap();
        objects.put("").await.unwrap();
        let earlier = EarlierResults::in_folder(folder.path().join("results"));
        let gates = [gate("Build", true), gate("Tests", true)];
        let runs = [exited(0), exited(1)];
        assert_eq!(earlier.find(&objects, "t1", &gates).await, None);
        earlier.keep("t1", &gates, &runs);

        let found = earlier.find(&objects, "t1", &gates).await.unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[0].passed() && !found[1].passed());
        assert!(found.iter().all(|run| run.earlier));
        assert_eq!(earlier.find(&objects, "t2", &gates).await, None);
        assert_eq!(earlier.find(&objects, "t1", &gates[..1]).await, None);
        let mut other = gates.clone();
        other[0].command = "make".into();
        assert_eq!(earlier.find(&objects, "t1", &other).await, None);
        other = gates.clone();
        other[1].timeout_seconds += 1;
        assert_eq!(earlier.find(&objects, "t1", &other).await, None);
        // What does not change a result does not change the key.
        other = gates.clone();
        other[1].required = false;
        assert!(earlier.find(&objects, "t1", &other).await.is_some());

        earlier.keep("t3", &gates, &[exited(0), run(End::OutOfMemory, "")]);
        assert_eq!(earlier.find(&objects, "t3", &gates).await, None);
        fs::write(earlier.file("t1", &gates), "[").unwrap();
        assert_eq!(earlier.find(&objects, "t1", &gates).await, None);
        earlier.keep("t1", &gates, &runs);
        fs::remove_dir_all(path).unwrap();
        assert_eq!(
            earlier.find(&objects, "t1", &gates).await,
            None,
            "its output is gone"
        );
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let earlier = EarlierResults::in_folder(folder.path());
        for number in 0..MAXIMUM_KEPT {
            let path = folder.path().join(number.to_string());
            let file = fs::File::create(path).unwrap();
            let age = std::time::Duration::from_secs(number as u64);
            file.set_modified(SystemTime::UNIX_EPOCH + age).unwrap();
        }
        let gates = [gate("Tests", true)];
        earlier.keep("t", &gates, &[exited(0)]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), MAXIMUM_KEPT);
        assert!(!folder.path().join("0").exists());
        assert!(folder.path().join("1").exists() && earlier.file("t", &gates).exists());
    }
}
