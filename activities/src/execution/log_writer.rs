//! The agent's log on its way into the ledger.

use std::time::Duration;

use sallyport_ledger::{
    Database,
    agent_logs::{self, LogLevel, NewLogLine},
};
use sallyport_workflows::activities::StepKey;
use tokio::{sync::mpsc, time::sleep};

use crate::{
    agent::{self, AgentLogLine},
    leaks::LeakCheck,
};

/// The most lines that are written at once.
const BATCH: usize = 200;

/// How long to wait before a database that is out of reach is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes `lines` down, numbered from `first`, until nobody sends any more. While the database is out of reach the agent
/// has to wait: its log is not dropped.
pub(super) async fn write(
    database: Database,
    leaks: LeakCheck,
    step: StepKey,
    first: u64,
    mut lines: mpsc::Receiver<AgentLogLine>,
) {
    let mut next = first;
    let mut batch = Vec::new();
    while lines.recv_many(&mut batch, BATCH).await > 0 {
        let rows: Vec<NewLogLine> = (next..)
            .zip(batch.drain(..))
            .map(|(number, line)| row(&leaks, number, line))
            .collect();
        next += rows.len() as u64;
        loop {
            match agent_logs::insert(&database, &step, &rows).await {
                Ok(_) => break,
                Err(problem) if problem.is_unavailable() => {
                    tracing::warn!(%step, %problem, "the agent's log waits for the database");
                    sleep(PAUSE).await;
                }
                Err(problem) => {
                    tracing::error!(%step, %problem, lines = rows.len(), "lines of the agent's log are lost");
                    break;
                }
            }
        }
    }
}

fn row(leaks: &LeakCheck, line: u64, from: AgentLogLine) -> NewLogLine {
    NewLogLine {
        line,
        at: from.at,
        level: match from.level {
            agent::LogLevel::Info => LogLevel::Info,
            agent::LogLevel::Warn => LogLevel::Warn,
            agent::LogLevel::Error => LogLevel::Error,
        },
        message: leaks.hide_own(&from.message),
        tool: from.tool,
        path: from.path.map(|path| leaks.hide_own(&path)),
    }
}
