//! What becomes of Pi's events: progress, log lines, and what is known when it has ended.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::{
    AgentLogLine, AgentProgress, LogLevel,
    log::{redact, shorten},
    rpc::{Event, PROMPT_ID, text},
};

/// The most lines that one run logs.
const MOST_LINES: u64 = 5_000;

/// How long one line may wait to be taken. Then it is lost.
const PATIENCE_WITH_LOG: Duration = Duration::from_secs(10);

/// How much of the agent's last words is kept, in bytes.
const LONGEST_FINAL_TEXT: usize = 16 << 10;

/// Follows one run.
pub(super) struct Follower {
    log: mpsc::Sender<AgentLogLine>,
    progress: watch::Sender<AgentProgress>,
    lines: u64,
    pub(super) tool_calls: u64,
    pub(super) final_text: String,
    /// How the last answer of the model ended.
    pub(super) last_stop: Option<String>,
    pub(super) last_error: Option<String>,
    /// Pi will do nothing more by itself.
    pub(super) settled: bool,
    /// Pi did not take the prompt, for this reason.
    pub(super) rejected: Option<String>,
}

impl Follower {
    pub(super) fn new(
        log: mpsc::Sender<AgentLogLine>,
        progress: watch::Sender<AgentProgress>,
    ) -> Self {
        Self {
            log,
            progress,
            lines: 0,
            tool_calls: 0,
            final_text: String::new(),
            last_stop: None,
            last_error: None,
            settled: false,
            rejected: None,
        }
    }

    /// Takes the next event.
    pub(super) async fn event(&mut self, event: &Event) {
        self.progress.send_modify(|progress| progress.events += 1);
        match event.kind.as_str() {
            "response"
                if event.id.as_deref() == Some(PROMPT_ID) && event.success == Some(false) =>
            {
                let reason = event
                    .error
                    .clone()
                    .unwrap_or_else(|| "Pi did not say why".to_owned());
                self.line(
                    LogLevel::Error,
                    &format!("Pi did not take the prompt: {reason}"),
                    None,
                    None,
                )
                .await;
                self.rejected = Some(reason);
            }
            "agent_start" => self.step("thinking"),
            "tool_execution_start" => self.tool_starts(event).await,
            "tool_execution_end" => self.tool_ends(event).await,
            "message_end" => self.message(event).await,
            "auto_retry_start" => {
                let reason = event
                    .error_message
                    .as_deref()
                    .unwrap_or("the answer broke off");
                self.line(
                    LogLevel::Warn,
                    &format!("asking the model again: {reason}"),
                    None,
                    None,
                )
                .await;
            }
            "compaction_start" => {
                self.line(LogLevel::Info, "shortening the conversation", None, None)
                    .await
            }
            "extension_error" => {
                let reason = event.error.as_deref().unwrap_or("it did not say why");
                self.line(
                    LogLevel::Error,
                    &format!("the policy inside the room failed: {reason}"),
                    None,
                    None,
                )
                .await;
            }
            "agent_settled" => {
                self.settled = true;
                self.step("finished");
            }
            _ => {}
        }
    }

    /// Notes a line. Waits a while if the log cannot keep up, and with it Pi; nobody's heartbeat depends on it.
    pub(super) async fn line(
        &mut self,
        level: LogLevel,
        message: &str,
        tool: Option<&str>,
        path: Option<&str>,
    ) {
        self.lines += 1;
        let line = match self.lines {
            lines if lines < MOST_LINES => AgentLogLine::now(level, message, tool, path),
            MOST_LINES => AgentLogLine::now(
                LogLevel::Warn,
                "the log is full; what follows is not written down",
                None,
                None,
            ),
            _ => return,
        };
        // A log that nobody reads any more is no reason to stop the work.
        let _ = self.log.send_timeout(line, PATIENCE_WITH_LOG).await;
    }

    fn step(&self, step: &str) {
        self.progress.send_modify(|progress| {
            progress.step = shorten(&redact(step), 200);
            progress.tool_calls = self.tool_calls;
        });
    }

    async fn tool_starts(&mut self, event: &Event) {
        self.tool_calls += 1;
        let tool = event.tool_name.as_deref().unwrap_or("unknown");
        let path = event.args["path"].as_str();
        let on = path.or(event.args["command"].as_str()).unwrap_or_default();
        let message = format!("{tool} {on}");
        self.step(message.lines().next().unwrap_or_default());
        self.line(LogLevel::Info, &message, Some(tool), path).await;
    }

    async fn tool_ends(&mut self, event: &Event) {
        self.step("thinking");
        if event.is_error {
            let tool = event.tool_name.as_deref().unwrap_or("unknown");
            let said = text(
                event
                    .result
                    .as_ref()
                    .and_then(|result| result.content.as_ref()),
            );
            self.line(
                LogLevel::Warn,
                &format!("{tool} failed: {said}"),
                Some(tool),
                None,
            )
            .await;
        }
    }

    async fn message(&mut self, event: &Event) {
        let Some(message) = event
            .message
            .as_ref()
            .filter(|message| message.role == "assistant")
        else {
            return;
        };
        self.last_stop.clone_from(&message.stop_reason);
        self.last_error.clone_from(&message.error_message);
        let said = text(message.content.as_ref());
        if !said.trim().is_empty() {
            self.line(LogLevel::Info, &said, None, None).await;
            self.final_text = shorten(&redact(&said), LONGEST_FINAL_TEXT);
        }
        if let Some(error) = &message.error_message {
            self.line(
                LogLevel::Warn,
                &format!("the model did not answer: {error}"),
                None,
                None,
            )
            .await;
        }
    }
}
