//! One run of Pi, from the prompt to the empty room.

use std::{io, path::PathBuf, time::Duration};

use sallyport_workflows::{scope::ScopeRequest, usage::Usage};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    AgentLogLine, LogLevel,
    conversation::converse,
    follow::{Asked, Follower},
    log::{redact, shorten},
    setup,
};
use crate::{
    gateway::{Exhausted, GatewayReport, RunGateway, USED_UP},
    sandbox::{
        Capture, FileProblem, InnerRooms, RoomExit, RoomProcess, Sandbox, SandboxError,
        give_to_room, keep_read_only, outgrown,
    },
    scope::Scope,
};

/// How long Pi may take to end after it has settled.
const FAREWELL: Duration = Duration::from_secs(10);

/// How often what was spent is brought into the progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What one run may use, beside what its gateway lets it spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLimits {
    /// Time in all.
    pub wall: Duration,
    /// Tool calls.
    pub tool_calls: u64,
    /// Requests for more scope that people will still look at.
    pub scope_requests: u32,
    /// Time for a shell command, if the model does not ask for more or less.
    pub command: Duration,
    /// Time for a shell command at most.
    pub longest_command: Duration,
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(1800),
            tool_calls: 500,
            scope_requests: 0,
            command: Duration::from_secs(120),
            longest_command: Duration::from_secs(600),
        }
    }
}

/// What an agent is to do, with what, and who is told.
#[derive(Debug)]
pub struct AgentRunRequest {
    /// The repository's files, without git's own. Given to the room's user.
    pub workspace: PathBuf,
    /// Where Pi keeps the conversation. Given to the room's user. What is in it is the agent's word, like the workspace.
    pub session_dir: PathBuf,
    /// The conversation's name: letters, digits, `-`, `_` and `.`. A conversation that exists goes on.
    pub session_id: String,
    /// A folder for this run's own files; one of this run alone. As root, everybody must be able to pass its parents.
    pub run_dir: PathBuf,
    /// What to do.
    pub prompt: String,
    /// The files that may be changed.
    pub scope: Scope,
    /// The home folder of shell commands, if it is not an empty one in memory.
    pub home: Option<String>,
    /// The repository's other files, named from the workspace on: the room cannot change them, if the worker is root.
    pub read_only: Vec<Vec<u8>>,
    /// What may be used.
    pub limits: AgentLimits,
    /// The way to the model, and what may be spent.
    pub gateway: RunGateway,
    /// Told what the agent is doing.
    pub progress: watch::Sender<AgentProgress>,
    /// Told what happened. Must be read: while it is full, the agent waits, and a line that nobody takes within ten
    /// seconds is lost.
    pub log: mpsc::Sender<AgentLogLine>,
    /// Ends the run.
    pub cancel: CancellationToken,
}

/// What the agent is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentProgress {
    /// In a few words.
    pub step: String,
    /// Tools called by now.
    pub tool_calls: u64,
    /// Events seen by now. Grows as long as Pi is alive and not waiting.
    pub events: u64,
    /// Turns that have ended by now: an answer of the model, and what it called.
    pub turns: u64,
    /// Spent by now.
    pub usage: Usage,
    /// What it asks for: from then on nothing more happens in this run.
    pub request: Option<ScopeRequest>,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Pi says that it has finished.
    Completed,
    /// The agent asks for more files, and waits for an answer in the same conversation.
    ScopeRequested {
        /// What it asks for.
        request: ScopeRequest,
    },
    /// The agent asked for more files in a way that is none, also after it was told why.
    BadScopeRequest {
        /// What is wrong with the last request.
        problem: String,
    },
    /// What may be spent on the model is used up.
    BudgetExhausted {
        /// Of the run, or of the day.
        whose: Exhausted,
    },
    /// Its time is up.
    TimedOut,
    /// What it left in the workspace is more than may be there.
    Outgrown {
        /// What is too much.
        reason: String,
    },
    /// The run was cancelled.
    Cancelled,
    /// Something else.
    Failed {
        /// What: one or a few lines, without secrets.
        reason: String,
    },
}

/// What came of a run. The work itself is in the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentReport {
    /// Why it ended.
    pub stop: Stop,
    /// The agent's last words, at most 16 KiB.
    pub final_text: String,
    /// What was spent on the model.
    pub usage: Usage,
    /// Tools called.
    pub tool_calls: u64,
    /// What the gateway saw.
    pub gateway: GatewayReport,
}

/// A run could not be made. What went wrong within a run is in its [`AgentReport`].
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The room failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A folder could not be given to the room.
    #[error(transparent)]
    Files(#[from] FileProblem),
    /// The run's own files could not be written.
    #[error("cannot write the agent's files in {folder}: {source}")]
    Setup {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The conversation's name could be mistaken for something else.
    #[error(
        "`{0}` cannot be the name of a conversation: letters, digits, `-`, `_` and `.` only, at most 128"
    )]
    SessionId(String),
}

/// Runs Pi until it has settled or must stop. When this returns, also with an error, no process of the run is left. If the
/// future is dropped, the processes are killed but not waited for.
pub async fn run_pi(
    sandbox: &Sandbox,
    request: AgentRunRequest,
) -> Result<AgentReport, AgentError> {
    let deadline = Instant::now() + request.limits.wall;
    check_session_id(&request.session_id)?;
    let files = request.run_dir.join("pi");
    let home = request.home.as_deref();
    setup::write_files(
        &files,
        &request.gateway,
        &request.scope,
        home,
        &request.limits,
    )
    .map_err(|source| AgentError::Setup {
        folder: files.clone(),
        source,
    })?;
    let (workspace, session) = (request.workspace.clone(), request.session_dir.clone());
    let read_only = request.read_only;
    // A large repository has many files, and all of them are gone through.
    let handed_over = tokio::task::spawn_blocking(move || -> Result<(), FileProblem> {
        give_to_room(&workspace)?;
        keep_read_only(&workspace, &read_only)?;
        give_to_room(&session)
    });
    let handed_over = handed_over.await.map_err(|error| AgentError::Setup {
        folder: files.clone(),
        source: io::Error::other(error),
    })?;
    handed_over?;

    let room = setup::room(
        sandbox,
        &request.workspace,
        &request.session_dir,
        &files,
        request.gateway.socket_dir(),
        &request.limits,
    );
    let rooms = InnerRooms::open(sandbox, &request.run_dir.join("rooms"), &request.workspace);
    let rooms = rooms.map_err(|source| AgentError::Setup {
        folder: request.run_dir.clone(),
        source,
    })?;
    let room = match &rooms {
        Some(rooms) => rooms.shown_to(room),
        None => room,
    };
    let line = setup::command_line(request.gateway.config(), &request.session_id);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let mut pi = sandbox.spawn(&room, &line).await?;
    let complaints = tokio::spawn(Capture::new(4096, 4096).drain(pi.stderr.take()));

    let mut follower = Follower::new(
        request.log,
        request.progress.clone(),
        request.scope,
        request.limits.scope_requests,
    );
    let conversation = converse(
        &mut pi,
        &request.prompt,
        &mut follower,
        request.limits.tool_calls,
        &request.gateway,
    );
    let interrupted = tokio::select! {
        () = conversation => None,
        () = sleep_until(deadline) => Some(Stop::TimedOut),
        () = request.cancel.cancelled() => Some(Stop::Cancelled),
        reason = outgrown(&request.workspace, room.limits()) => Some(Stop::Outgrown { reason }),
        () = report_spending(&request.progress, &request.gateway) => None,
    };
    // Whatever happened: first the room is emptied, then its end is judged. Only a Pi that has nothing to do any more,
    // or is ending already, is waited for.
    let busy = follower.rejected.is_some()
        || follower.overran
        || follower.tool_calls > request.limits.tool_calls;
    let exit = if interrupted.is_some() || busy {
        pi.kill().await?
    } else {
        farewell(&mut pi).await?
    };
    if let Some(rooms) = rooms {
        rooms.finish().await;
    }
    let complaints = complaints
        .await
        .map(Capture::finish)
        .unwrap_or_default()
        .text;
    let gateway = request.gateway.finish().await;
    request
        .progress
        .send_modify(|progress| progress.usage = gateway.usage);

    let stop = match (follower.request(), interrupted) {
        // It is in the session, so it stands, whatever happened after.
        (Some(asked), None | Some(Stop::TimedOut | Stop::Outgrown { .. })) => {
            Stop::ScopeRequested {
                request: asked.clone(),
            }
        }
        (_, Some(interrupted)) => interrupted,
        (None, None) => judge(&follower, exit, &gateway, &complaints, &request.limits),
    };
    let (level, message) = match &stop {
        Stop::Completed => (LogLevel::Info, "the agent has finished".to_owned()),
        Stop::ScopeRequested { .. } => {
            let message = "the agent waits for an answer to its request for more files";
            (LogLevel::Info, message.to_owned())
        }
        Stop::BadScopeRequest { problem } => {
            let message = format!("the agent's requests for more files are none: {problem}");
            (LogLevel::Error, message)
        }
        Stop::BudgetExhausted { whose } => {
            let message = match whose {
                Exhausted::Run => "the agent's budget is used up",
                Exhausted::Day => USED_UP,
            };
            (LogLevel::Error, message.to_owned())
        }
        Stop::TimedOut => (LogLevel::Error, "the agent's time is up".to_owned()),
        Stop::Outgrown { reason } => (LogLevel::Error, format!("the agent was stopped: {reason}")),
        Stop::Cancelled => (LogLevel::Warn, "the agent's run was cancelled".to_owned()),
        Stop::Failed { reason } => (LogLevel::Error, format!("the agent failed: {reason}")),
    };
    follower.line(level, &message, None, None).await;
    Ok(AgentReport {
        stop,
        final_text: follower.final_text,
        usage: gateway.usage,
        tool_calls: follower.tool_calls,
        gateway,
    })
}

fn check_session_id(id: &str) -> Result<(), AgentError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=128).contains(&id.len()) && id.chars().all(plain) && !id.starts_with(['-', '.']) {
        Ok(())
    } else {
        Err(AgentError::SessionId(id.chars().take(128).collect()))
    }
}

/// Brings what was spent into the progress, as long as it is polled.
async fn report_spending(progress: &watch::Sender<AgentProgress>, gateway: &RunGateway) {
    let mut every = tokio::time::interval(PROGRESS_EVERY);
    loop {
        every.tick().await;
        let usage = gateway.usage();
        progress
            .send_if_modified(|progress| std::mem::replace(&mut progress.usage, usage) != usage);
    }
}

/// Lets Pi end by itself, which it does when its input is closed, and ends it if it does not.
async fn farewell(pi: &mut RoomProcess) -> Result<RoomExit, SandboxError> {
    drop(pi.stdin.take());
    match timeout(FAREWELL, pi.wait()).await {
        Ok(exit) => exit,
        Err(_) => pi.kill().await,
    }
}

fn judge(
    follower: &Follower,
    exit: RoomExit,
    gateway: &GatewayReport,
    complaints: &str,
    limits: &AgentLimits,
) -> Stop {
    let failed = |reason: String| Stop::Failed {
        reason: shorten(&redact(&reason), 2000),
    };
    if let Some(whose) = gateway.exhausted {
        return Stop::BudgetExhausted { whose };
    }
    if let Some(reason) = &follower.rejected {
        return failed(format!("Pi did not take the prompt: {reason}"));
    }
    if follower.tool_calls > limits.tool_calls {
        return failed(format!("it called more than {} tools", limits.tool_calls));
    }
    if !follower.settled {
        let said = complaints.trim();
        let said = if said.is_empty() {
            "it said nothing"
        } else {
            said
        };
        return failed(format!(
            "Pi ended in the middle of its work (exit code {}): {said}",
            exit.code
        ));
    }
    if let Some(Asked::Badly(problem)) = &follower.asked {
        let problem = problem.to_string();
        return Stop::BadScopeRequest { problem };
    }
    match follower.last_stop.as_deref() {
        Some("stop") => Stop::Completed,
        Some("length") => failed("an answer of the model was longer than it may be".to_owned()),
        other => {
            let vendor = gateway.upstream_error.clone();
            let reason = vendor.or_else(|| follower.last_error.clone());
            failed(reason.unwrap_or_else(|| {
                format!(
                    "the model's last answer ended with {}",
                    other.unwrap_or("nothing")
                )
            }))
        }
    }
}
