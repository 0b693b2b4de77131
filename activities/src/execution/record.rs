//! What of a run survives a killed worker: what it spent, whether the agent had finished, and what it asked for.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use sallyport_workflows::{
    scope::ScopeRequest,
    usage::{Spent, Usage},
};
use serde::{Deserialize, Serialize};

use crate::failure::StepError;

/// A run, as far as it got. Lies beside the room, which never sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// Whether Pi was ever started.
    pub(super) started: bool,
    /// What all tries together spent on the model.
    pub(super) usage: Usage,
    /// How long all tries together took, in seconds.
    pub(super) seconds: u64,
    /// The agent's last words, once it has finished.
    pub(super) final_text: Option<String>,
    /// What the agent asked for, once its turn had ended with that.
    pub(super) request: Option<ScopeRequest>,
}

impl RunRecord {
    /// Whether the agent has nothing more to do in this run.
    pub(super) fn has_ended(&self) -> bool {
        self.final_text.is_some() || self.request.is_some()
    }

    /// What all tries together spent.
    pub(super) fn spent(&self) -> Spent {
        Spent {
            usage: self.usage,
            agent_seconds: self.seconds,
        }
    }

    /// The record at `path`; an empty one if there is none.
    pub(super) fn load(path: &Path) -> Result<Self, StepError> {
        let failed = |problem: &dyn std::fmt::Display| {
            StepError::step(format!(
                "the record of the agent's run cannot be read: {problem}"
            ))
        };
        match fs::read(path) {
            Ok(content) => serde_json::from_slice(&content).map_err(|error| failed(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Writes it to `path`; a kill leaves the old one or the new one.
    pub(super) fn store(&self, path: &Path) -> Result<(), StepError> {
        let write = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|error| {
            StepError::step(format!(
                "the record of the agent's run cannot be written: {error}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run-1.json");
        assert_eq!(RunRecord::load(&path).unwrap(), RunRecord::default());
        let record = RunRecord {
            started: true,
            seconds: 7,
            final_text: Some("done".into()),
            ..RunRecord::default()
        };
        record.store(&path).unwrap();
        assert_eq!(RunRecord::load(&path).unwrap(), record);
        fs::write(&path, "{").unwrap();
        assert!(RunRecord::load(&path).is_err());
    }
}
