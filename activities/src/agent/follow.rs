//! What becomes of Pi's events: progress, log lines, and what is known when it has ended.

use std::time::Duration;

use sallyport_workflows::{
    scope::{MAXIMUM_REQUESTED_FILES, ScopeRequest},
    usage::Usage,
};
use tokio::sync::{mpsc, watch};

use super::{
    AgentLogLine, AgentProgress, LogLevel,
    log::{redact, shorten},
    rpc::{Event, PROMPT_ID, REQUEST_SCOPE, text},
};
use crate::scope::{
    Scope,
    request::{self, BadRequest},
};

/// The most lines that one run logs.
const MOST_LINES: u64 = 5_000;

/// How long one line may wait to be taken. Then it is lost.
const PATIENCE_WITH_LOG: Duration = Duration::from_secs(10);

/// How much of the agent's last words is kept, in bytes.
const LONGEST_FINAL_TEXT: usize = 16 << 10;

/// How far a request for more scope has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The tool has answered; others that were called beside it may still be at work.
    During(ScopeRequest),
    /// The turn has ended with it, and all of it is in the session.
    Done(ScopeRequest),
    /// It is none, and the agent does not know yet.
    Badly(BadRequest),
}

/// Follows one run.
pub(super) struct Follower {
    log: mpsc::Sender<AgentLogLine>,
    progress: watch::Sender<AgentProgress>,
    lines: u64,
    scope: Scope,
    /// How many requests for more scope people will look at.
    scope_requests: u32,
    /// The agent's request for more scope.
    pub(super) asked: Option<Asked>,
    /// The model was asked again although the turn had ended with a request.
    pub(super) overran: bool,
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
        scope: Scope,
        scope_requests: u32,
    ) -> Self {
        Self {
            log,
            progress,
            lines: 0,
            scope,
            scope_requests,
            asked: None,
            overran: false,
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
            // After a request there is at most a message that says that Pi broke off.
            "message_end" if self.request().is_none() => self.message(event).await,
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
            "turn_end" => {
                self.progress.send_modify(|progress| progress.turns += 1);
                self.asked = match self.asked.take() {
                    Some(Asked::During(request)) => Some(Asked::Done(request)),
                    other => other,
                };
            }
            "message_start" => self.overran |= self.request().is_some() && answers(event),
            "agent_settled" => {
                self.settled = true;
                self.step("finished");
            }
            _ => {}
        }
    }

    /// What the agent asks for, once its turn has ended with it.
    pub(super) fn request(&self) -> Option<&ScopeRequest> {
        match &self.asked {
            Some(Asked::Done(request)) => Some(request),
            _ => None,
        }
    }

    /// Brings a request into the progress, together with what was spent until then: whoever sees it may write both down
    /// and never ask again.
    pub(super) fn announce_request(&self, spent: impl FnOnce() -> Usage) {
        if let Some(request) = self.request() {
            self.progress.send_if_modified(|progress| {
                let is_new = progress.request.is_none();
                if is_new {
                    progress.usage = spent();
                    progress.request = Some(request.clone());
                }
                is_new
            });
        }
    }

    /// Takes note that a new prompt was given.
    pub(super) fn prompted_again(&mut self) {
        self.asked = None;
        self.settled = false;
        self.last_stop = None;
        self.last_error = None;
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
        let on = match path.or(event.args["command"].as_str()) {
            Some(on) => on.to_owned(),
            None => asked_for(&event.args),
        };
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
        } else if event.tool_name.as_deref() == Some(REQUEST_SCOPE) && self.asked.is_none() {
            self.scope_asked(event).await;
        }
    }

    /// The tool inside took the request; here it is judged.
    async fn scope_asked(&mut self, event: &Event) {
        let details = event.result.as_ref().map(|result| &result.details);
        let parsed = match details {
            _ if self.scope_requests == 0 => Err(BadRequest::NoneLeft),
            Some(details) => request::parse(details, &self.scope),
            None => Err(BadRequest::Form),
        };
        self.asked = Some(match parsed {
            Ok(request) => Asked::During(request),
            Err(problem) => {
                let message = format!("the request for more files is none: {problem}");
                self.line(LogLevel::Warn, &message, Some(REQUEST_SCOPE), None)
                    .await;
                Asked::Badly(problem)
            }
        });
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

/// Whether a message of the model begins. One that Pi broke off before it began is none.
fn answers(event: &Event) -> bool {
    event.message.as_ref().is_some_and(|message| {
        let broken_off = matches!(message.stop_reason.as_deref(), Some("error" | "aborted"));
        message.role == "assistant" && !broken_off
    })
}

/// What a call of [`REQUEST_SCOPE`] asks for, for the log.
fn asked_for(arguments: &serde_json::Value) -> String {
    let Some(paths) = arguments["paths"].as_array() else {
        return String::new();
    };
    let paths: Vec<&str> = paths
        .iter()
        .filter_map(serde_json::Value::as_str)
        .take(MAXIMUM_REQUESTED_FILES)
        .collect();
    let reason = arguments["reason"].as_str().unwrap_or_default();
    format!("{}\n{reason}", paths.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn follower_after(events: &[serde_json::Value]) -> Follower {
        with_requests_left(1, events).await
    }

    async fn with_requests_left(left: u32, events: &[serde_json::Value]) -> Follower {
        let (log, _lines) = mpsc::channel(100);
        let (progress, _) = watch::channel(AgentProgress::default());
        let mut follower = Follower::new(log, progress, Scope::default(), left);
        for event in events {
            let event = serde_json::from_value(event.clone()).unwrap();
            follower.event(&event).await;
        }
        follower
    }

    fn end_of(tool: &str, is_error: bool) -> serde_json::Value {
        let details = json!({"paths": ["b"], "reason": "r"});
        json!({"type": "tool_execution_end", "toolName": tool, "isError": is_error, "result": {"details": details}})
    }

    fn begins(stop_reason: &str) -> serde_json::Value {
        json!({"type": "message_start", "message": {"role": "assistant", "stopReason": stop_reason}})
    }

    #[tokio::test]
    async fn only_the_tool_asks_and_only_when_its_turn_has_ended() {
        let turn_end = json!({"type": "turn_end"});
        let asked = follower_after(&[end_of(REQUEST_SCOPE, false), turn_end.clone()]).await;
        assert_eq!(asked.request().unwrap().reason, "r");
        assert!(!asked.overran);
        for events in [
            vec![end_of(REQUEST_SCOPE, false)],
            vec![end_of(REQUEST_SCOPE, true), turn_end.clone()],
            vec![end_of("bash", false), turn_end.clone()],
            vec![
                json!({"type": "tool_execution_end", "toolName": REQUEST_SCOPE}),
                turn_end,
            ],
        ] {
            let follower = follower_after(&events).await;
            assert_eq!(follower.request(), None, "{events:?}");
        }
    }

    #[tokio::test]
    async fn no_request_gets_past_the_last_one() {
        let events = [end_of(REQUEST_SCOPE, false), json!({"type": "turn_end"})];
        let follower = with_requests_left(0, &events).await;
        assert_eq!(follower.asked, Some(Asked::Badly(BadRequest::NoneLeft)));
        assert_eq!(follower.request(), None);
    }

    #[tokio::test]
    async fn a_model_that_is_asked_again_after_a_request_is_noticed() {
        let asked = [end_of(REQUEST_SCOPE, false), json!({"type": "turn_end"})];
        for (stop_reason, overran) in [("pending", true), ("error", false), ("aborted", false)] {
            let events = [asked.as_slice(), &[begins(stop_reason)]].concat();
            assert_eq!(
                follower_after(&events).await.overran,
                overran,
                "{stop_reason}"
            );
        }
        assert!(!follower_after(&[begins("pending")]).await.overran);
    }
}
