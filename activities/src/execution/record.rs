//! What of a run survives a killed worker and a lost host: what it spent, whether the agent had finished, and what it asked
//! for.

use sallyport_ledger::checkpoints;
use sallyport_workflows::{
    activities::StepKey,
    scope::ScopeRequest,
    usage::{Spent, Usage},
};
use serde::{Deserialize, Serialize};

use crate::{checkpoint::Arrival, context::Context, failure::StepError};

/// A run, as far as it got. Lies in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// Whether Pi was ever started in the workspace as it is.
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

    /// Takes note of how the workspace came here. What was spent stays spent; what an agent did that is not in the workspace
    /// was not done.
    pub(super) fn arrived(&mut self, step: u64, arrival: &Arrival) {
        let (of_this_run, ended) = match arrival {
            Arrival::Here => return,
            Arrival::Restored(checkpoint) => (checkpoint.step == step, checkpoint.ended),
            Arrival::LaidOut => (false, false),
        };
        self.started &= of_this_run;
        if !(of_this_run && ended) {
            self.final_text = None;
            self.request = None;
        }
    }

    /// The record of the run `key`; an empty one if there is none.
    pub(super) async fn load(context: &Context, key: &StepKey) -> Result<Self, StepError> {
        match checkpoints::run(&context.database, key).await? {
            Some(record) => serde_json::from_str(&record).map_err(|problem| {
                StepError::step(format!(
                    "the record of the agent's run cannot be read: {problem}"
                ))
            }),
            None => Ok(Self::default()),
        }
    }

    /// Stores it as that of the run `key`. Nothing is stored, and the answer is false, if another host went on with the ticket.
    pub(super) async fn store(&self, context: &Context, key: &StepKey) -> Result<bool, StepError> {
        let record = serde_json::to_string(self).map_err(StepError::step)?;
        let database = &context.database;
        Ok(checkpoints::record_run(database, key, &context.host_id, &record).await?)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use sallyport_ledger::checkpoints::Checkpoint;
    use sallyport_workflows::ObjectRef;

    use super::*;

    fn restored(step: u64, ended: bool) -> Arrival {
        Arrival::Restored(Checkpoint {
            step,
            ended,
            bundle: ObjectRef::of(b"bundle"),
            taken_at: DateTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn only_what_is_in_the_workspace_was_done() {
        for (arrival, started, ended) in [
            (Arrival::Here, true, true),
            (restored(4, true), true, true),
            (restored(4, false), true, false),
            (restored(3, true), false, false),
            (Arrival::LaidOut, false, false),
        ] {
            let mut record = RunRecord {
                started: true,
                seconds: 7,
                final_text: Some("done".into()),
                ..RunRecord::default()
            };
            record.arrived(4, &arrival);
            assert_eq!(
                (record.started, record.has_ended(), record.seconds),
                (started, ended, 7),
                "{arrival:?}"
            );
        }
    }
}
