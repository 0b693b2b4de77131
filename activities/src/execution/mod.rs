//! One run of the agent, as an activity sees it: what was approved becomes a prompt, Pi works in the sealed room, and what
//! it left is judged from outside.
//!
//! A run may be cut off at any point, and is then tried again in the same workspace and with the same conversation, on
//! another host in their latest copy. What it spent until then counts, and an agent that had finished is not started again:
//! `record` remembers both, and what it asked for.

mod copies;
mod log_writer;
mod outcome;
mod prompt;
mod record;
mod refused;
mod task;
mod transcript;

use std::{
    future::pending,
    time::{Duration, Instant},
};

use sallyport_ledger::{agent_logs, hosts::Claim};
use sallyport_workflows::{
    activities::{AgentResult, AgentRun, RunAgent},
    failure::kind,
    text::shorten,
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::{copies::arrival_line, record::RunRecord};
use crate::{
    agent::{AgentLimits, AgentProgress, AgentRunRequest, Stop, run_pi},
    checkpoint::{self, Arrival},
    context::Context,
    failure::StepError,
    gateway::{Exhausted, RunLimits, USED_UP},
    mirror::Mirror,
    scope::granted::{self, Granted},
    setup,
    walls::{Wall, stands},
    workspace::{
        Workspace,
        approved::{self, ApprovedSpec},
        checkout,
        diff::paths_at,
        disk,
    },
};

/// The most requests to the model in one run.
const MAXIMUM_REQUESTS: u64 = 500;

/// How often what was spent is written down.
const RECORD_EVERY: Duration = Duration::from_secs(5);

/// How long a copy may take of the work of an agent that was stopped.
const LAST_COPY: Duration = Duration::from_secs(10);

/// The longest summary that the workflow keeps, in characters.
const MAXIMUM_SUMMARY: usize = 500;

/// What a heartbeat of `run_agent` carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentHeartbeat {
    /// What the agent is doing, in a few words.
    pub step: String,
    /// Tools called by now.
    pub tool_calls: u64,
    /// Tokens spent by now, those of interrupted tries included.
    pub tokens: u64,
    /// Money spent by now, in millionths of a US dollar, that of interrupted tries included.
    pub cost_micro_usd: u64,
    /// How long the run has taken by now, in seconds.
    pub seconds: u64,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It was cancelled. The room is empty; the run can go on later.
    Cancelled,
    /// The step failed.
    Failed(StepError),
}

impl<E: Into<StepError>> From<E> for RunEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs the agent, or goes on with a run that was cut off, and judges what it left. `heartbeat` is kept up to date.
pub async fn run_agent(
    context: &Context,
    input: &RunAgent,
    heartbeat: watch::Sender<AgentHeartbeat>,
    cancel: CancellationToken,
) -> Result<AgentRun, RunEnd> {
    disk::check(&context.data_dir)?;
    let claim = checkpoint::held(context, &input.key.ticket).await?;
    let mut record = RunRecord::load(context, &input.key).await?;
    let result = advance(context, input, &claim, &mut record, heartbeat, cancel);
    match result.await {
        Ok(result) => Ok(AgentRun {
            result,
            usage: record.usage,
            seconds: record.seconds,
            summary: shorten(
                record.final_text.as_deref().unwrap_or_default(),
                MAXIMUM_SUMMARY,
            ),
        }),
        Err(RunEnd::Failed(error)) => Err(RunEnd::Failed(error.spent(record.spent()))),
        Err(RunEnd::Cancelled) => Err(RunEnd::Cancelled),
    }
}

/// Brings the run to its end, from wherever its record says that it is.
async fn advance(
    context: &Context,
    input: &RunAgent,
    claim: &Claim,
    record: &mut RunRecord,
    heartbeat: watch::Sender<AgentHeartbeat>,
    cancel: CancellationToken,
) -> Result<AgentResult, RunEnd> {
    let objects = &context.objects;
    let ticket = &input.key.ticket;
    let approved = approved::load(objects, &ticket.ticket_id, &input.spec, &input.policy).await?;
    let granted = granted::load(objects, &approved, &input.grants).await?;
    let (base, parent) = (&input.spec.base_commit, &input.parent_commit);
    let mirror =
        checkpoint::mirror_with(context, ticket, &input.repository_url, base, parent).await?;
    let workspace = Workspace::of(&context.data_dir, ticket);
    let arrival = checkpoint::arrive(context, claim, ticket, &mirror, (base, parent)).await?;
    if arrival != Arrival::Here {
        if let Some(setup) = &approved.policy.repository.setup {
            let announce = |command: &str| {
                heartbeat.send_modify(|heartbeat| heartbeat.step = setup::in_words(command));
            };
            let subject = setup::Subject::new(&mirror, base, setup);
            let tree = workspace.tree();
            let prepared = context.setups.prepare(subject, &tree, announce);
            match cancel.run_until_cancelled(prepared).await {
                Some(prepared) => prepared.map_err(StepError::from)?,
                None => return Err(RunEnd::Cancelled),
            }
        }
        record.arrived(input.key.sequence, &arrival);
        write_down(record, context, input).await?;
        checkpoint::settle(&workspace, claim)?;
    }
    let run = Run {
        context,
        input,
        approved: &approved,
        granted: &granted,
        workspace: &workspace,
        mirror: &mirror,
    };
    if !record.has_ended() {
        let worked = run.work(record, &arrival, &heartbeat, cancel).await;
        // However it ended, people may want to know what was said. If that cannot be kept, the work counts all the same.
        if let Err(problem) = run.keep_transcript().await {
            tracing::warn!(step = %input.key, %problem, "the agent's transcript could not be kept");
        }
        worked?;
    }
    let result = match &record.request {
        Some(request) => outcome::asked(context, ticket, request).await?,
        None => outcome::judged(&run).await?,
    };
    let head = match &result {
        AgentResult::Committed { commit, .. } => commit,
        _ => parent,
    };
    run.copy(head, true).await?;
    Ok(result)
}

/// Stores the record. An error also if another host went on with the ticket.
async fn write_down(
    record: &RunRecord,
    context: &Context,
    input: &RunAgent,
) -> Result<(), StepError> {
    match record.store(context, &input.key).await? {
        true => Ok(()),
        false => Err(checkpoint::taken_over("that holds it")),
    }
}

struct Run<'a> {
    context: &'a Context,
    input: &'a RunAgent,
    approved: &'a ApprovedSpec,
    granted: &'a Granted,
    workspace: &'a Workspace,
    mirror: &'a Mirror,
}

impl Run<'_> {
    /// Lets Pi work until it has finished or asks for more scope. `record` is stored all the time.
    async fn work(
        &self,
        record: &mut RunRecord,
        arrival: &Arrival,
        heartbeat: &watch::Sender<AgentHeartbeat>,
        cancel: CancellationToken,
    ) -> Result<(), RunEnd> {
        let input = self.input;
        let before = record.clone();
        let wall = Duration::from_secs(input.seconds.saturating_sub(before.seconds));
        if wall.is_zero() {
            return Err(out_of_time(input).into());
        }
        let limits = RunLimits {
            requests: MAXIMUM_REQUESTS.saturating_sub(before.usage.requests),
            tokens: input.tokens_left.saturating_sub(before.usage.tokens()),
            cost_micro_usd: input
                .cost_left_micro_usd
                .saturating_sub(before.usage.cost_micro_usd),
            wall,
        };
        if limits.requests == 0 || limits.tokens == 0 || limits.cost_micro_usd == 0 {
            return Err(out_of_budget().into());
        }
        let prompt = self.prompt(before.started).await?;
        let run_dir = self.workspace.run();
        checkout::remove(&run_dir).await?;
        checkout::make_passable(&run_dir).map_err(StepError::step)?;
        let gateway = self
            .context
            .gateway
            .open(&run_dir, limits)
            .map_err(StepError::step)?;

        record.started = true;
        write_down(record, self.context, input).await?;
        let first_line = agent_logs::next_line(&self.context.database, &input.key).await?;
        let (log, lines) = mpsc::channel(256);
        let writer = log_writer::write(
            self.context.database.clone(),
            self.context.leaks.clone(),
            input.key.clone(),
            first_line,
            lines,
        );
        if let Some(line) = arrival_line(arrival) {
            // There is room: nobody else has written yet.
            let _ = log.send(line).await;
        }
        let (progress, watched) = watch::channel(AgentProgress::default());
        let (mut asked, turns) = (watched.clone(), watched.clone());
        let request = AgentRunRequest {
            workspace: self.workspace.tree(),
            session_dir: self.workspace.session(),
            session_id: self.session_id(),
            run_dir,
            prompt,
            scope: self.granted.scope.clone(),
            home: self
                .approved
                .policy
                .repository
                .setup
                .as_ref()
                .map(|_| setup::home()),
            read_only: self.read_only().await?,
            limits: AgentLimits {
                wall,
                scope_requests: input.scope_requests_left,
                ..AgentLimits::default()
            },
            gateway,
            progress,
            log,
            cancel: cancel.clone(),
        };
        let mut is_taken_over = false;
        let start = Instant::now();
        let remember = async {
            let mut every = tokio::time::interval(RECORD_EVERY);
            loop {
                tokio::select! {
                    _ = every.tick() => {}
                    () = until_asked(&mut asked), if record.request.is_none() => {}
                }
                let now = watched.borrow().clone();
                record.request = now.request;
                record.usage = sum(before.usage, now.usage);
                record.seconds = before.seconds + start.elapsed().as_secs();
                heartbeat.send_replace(AgentHeartbeat {
                    step: shorten(&self.context.leaks.hide_own(&now.step), 200),
                    tool_calls: now.tool_calls,
                    tokens: record.usage.tokens(),
                    cost_micro_usd: record.usage.cost_micro_usd,
                    seconds: record.seconds,
                });
                match record.store(self.context, &input.key).await {
                    Ok(true) => {}
                    Ok(false) => {
                        is_taken_over = true;
                        cancel.cancel();
                    }
                    Err(problem) => {
                        tracing::warn!(%problem, "what a run spent could not be written down");
                    }
                }
            }
        };
        // The log is written as long as there is somebody who writes to it, which `run_pi` ends.
        let work = async { tokio::join!(run_pi(&self.context.sandbox, request), writer) };
        let (report, ()) = tokio::select! {
            done = work => done,
            () = remember => unreachable!("it never ends"),
            () = self.keep_copying(turns) => unreachable!("it never ends"),
        };
        let report = report.map_err(StepError::step)?;
        record.usage = sum(before.usage, report.usage);
        record.seconds = before.seconds + start.elapsed().as_secs();
        let final_text = self.context.leaks.hide_own(&report.final_text);
        match &report.stop {
            Stop::Completed => record.final_text = Some(final_text),
            Stop::ScopeRequested { request } => {
                record.request = Some(request.clone());
                record.final_text = Some(final_text);
            }
            _ => {}
        }
        if is_taken_over {
            return Err(checkpoint::taken_over("that holds it").into());
        }
        match write_down(record, self.context, input).await {
            // Who cancels must not wait for the database.
            Err(problem) if report.stop == Stop::Cancelled => {
                tracing::warn!(%problem, "what a run spent could not be written down");
            }
            other => other?,
        }
        match report.stop {
            Stop::Completed | Stop::ScopeRequested { .. } => Ok(()),
            Stop::BadScopeRequest { problem } => {
                let message = format!(
                    "the agent asked for more files in a way that nobody can be asked about, also after it was told why: \
                     {problem}; read its log, and retry"
                );
                Err(StepError::fatal(kind::SCOPE_REQUEST_INVALID, message).into())
            }
            Stop::Cancelled => {
                // If this host goes away in order, the next one has all of it.
                let copy = self.copy(&input.parent_commit, false);
                if let Ok(Err(problem)) = tokio::time::timeout(LAST_COPY, copy).await {
                    tracing::warn!(step = %input.key, %problem, "no checkpoint could be taken");
                }
                Err(RunEnd::Cancelled)
            }
            Stop::BudgetExhausted { whose } => Err(match whose {
                Exhausted::Run => out_of_budget(),
                Exhausted::Day => StepError::fatal(kind::BUDGET, USED_UP),
            }
            .into()),
            Stop::TimedOut => Err(out_of_time(input).into()),
            Stop::Outgrown { reason } => {
                // The host's disk is not to stay full while the ticket is parked. In one step out of the way first: no try
                // may go on in what is left of a tree. A retry by people lays the workspace out anew.
                let outgrown = self.workspace.root().join("outgrown");
                std::fs::rename(self.workspace.tree(), &outgrown).map_err(StepError::step)?;
                checkout::remove(&outgrown).await?;
                let message = format!(
                    "the agent filled its workspace: {reason}; what this run made is thrown away; read the agent's log, and retry"
                );
                Err(StepError::fatal(kind::AGENT_FAILED, message).into())
            }
            Stop::Failed { reason } => {
                let message = format!("the agent stopped in the middle of its work: {reason}");
                Err(StepError::transient(kind::AGENT_FAILED, message).into())
            }
        }
    }

    /// The base commit's files that may not be changed.
    async fn read_only(&self) -> Result<Vec<Vec<u8>>, StepError> {
        if !stands(Wall::ReadOnlyFiles) {
            return Ok(Vec::new());
        }
        let git = self.mirror.git();
        let mut paths = paths_at(git, &self.input.spec.base_commit).await?;
        paths.retain(|path| !self.granted.scope.may_touch(path));
        Ok(paths)
    }
}

/// Returns when the agent has asked for more scope; never if it does not.
async fn until_asked(progress: &mut watch::Receiver<AgentProgress>) {
    let asked = progress.wait_for(|progress| progress.request.is_some());
    if asked.await.is_err() {
        pending().await
    }
}

fn sum(mut one: Usage, other: Usage) -> Usage {
    one += other;
    one
}

fn out_of_time(input: &RunAgent) -> StepError {
    let message = format!(
        "the agent's {} seconds are used up and it had not finished; raise `agent_seconds`, or make the ticket smaller",
        input.seconds
    );
    StepError::fatal(kind::AGENT_TIMEOUT, message)
}

fn out_of_budget() -> StepError {
    let message =
        "the agent used up what the ticket may spend on models; an admin can raise the budget";
    StepError::fatal(kind::BUDGET, message)
}

#[cfg(test)]
mod tests;
