//! Copies of the workspace while the agent works, and what its log says when another host goes on from one.

use std::{future::pending, time::Instant};

use tokio::sync::watch;

use super::Run;
use crate::{
    agent::{AgentLogLine, AgentProgress, LogLevel},
    checkpoint::{self, Arrival, Moment},
    failure::StepError,
    workspace::snapshot::Source,
};

impl Run<'_> {
    /// Takes a checkpoint of the workspace, with `head` as the latest commit.
    pub(super) async fn copy(&self, head: &str, ended: bool) -> Result<(), StepError> {
        let Self {
            context,
            input,
            workspace,
            mirror,
            ..
        } = *self;
        let source = Source {
            mirror,
            workspace,
            leaks: &context.leaks,
            base: &input.spec.base_commit,
            head,
        };
        let moment = Moment {
            step: input.key.sequence,
            ended,
        };
        checkpoint::take(
            context,
            &input.key.ticket,
            moment,
            source,
            &self.granted.scope,
        )
        .await
    }

    /// Takes a checkpoint from time to time, each after a turn of the agent. Never ends.
    pub(super) async fn keep_copying(&self, mut progress: watch::Receiver<AgentProgress>) {
        let every = self.context.checkpoint_every;
        let (mut pause, mut turns) = (every, 0);
        loop {
            tokio::time::sleep(pause).await;
            let grown = progress.wait_for(|progress| progress.turns > turns).await;
            let Ok(now) = grown.map(|progress| progress.turns) else {
                return pending().await;
            };
            let begun = Instant::now();
            match self.copy(&self.input.parent_commit, false).await {
                Ok(()) => turns = now,
                Err(problem) => {
                    tracing::warn!(step = %self.input.key, %problem, "no checkpoint could be taken");
                }
            }
            // Most of the time is for the work.
            pause = every.max(10 * begun.elapsed());
        }
    }
}

/// What the agent's log says when another host goes on.
pub(super) fn arrival_line(arrival: &Arrival) -> Option<AgentLogLine> {
    let message = match arrival {
        Arrival::Here => return None,
        Arrival::Restored(checkpoint) => format!(
            "another host goes on, from the copy of {}",
            checkpoint.taken_at.format("%Y-%m-%d %H:%M:%S UTC")
        ),
        Arrival::LaidOut => "another host begins anew: there was no copy yet".to_owned(),
    };
    Some(AgentLogLine::now(LogLevel::Warn, &message, None, None))
}
