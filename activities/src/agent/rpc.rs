//! Pi's protocol: JSON objects, one a line, commands in and events out.
//!
//! Pi is young and its events grow. What we do not know is passed over, and no field is required but the type.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The tool of our extension that asks people for more files.
pub(super) const REQUEST_SCOPE: &str = "request_scope";

/// The longest line that is read. Longer ones (a whole conversation, repeated) are skipped.
const LONGEST_LINE: usize = 8 << 20;

/// An event, or an answer to a command.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Event {
    /// Which event; the other fields depend on it.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// `response`: the command that it answers.
    pub(super) id: Option<String>,
    /// `response`: whether the command was accepted.
    pub(super) success: Option<bool>,
    /// `response` and others: what went wrong.
    #[serde(deserialize_with = "lenient")]
    pub(super) error: Option<String>,
    /// `auto_retry_start`: what went wrong.
    #[serde(deserialize_with = "lenient")]
    pub(super) error_message: Option<String>,
    /// `message_end`.
    #[serde(deserialize_with = "lenient")]
    pub(super) message: Option<Message>,
    /// `tool_execution_*`.
    #[serde(deserialize_with = "lenient")]
    pub(super) tool_name: Option<String>,
    /// `tool_execution_start`: what the model asked for.
    pub(super) args: Value,
    /// `tool_execution_end`: what it was answered.
    #[serde(deserialize_with = "lenient")]
    pub(super) result: Option<ToolResult>,
    /// `tool_execution_end`.
    pub(super) is_error: bool,
}

/// A message of the conversation.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) role: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) content: Option<Vec<Part>>,
    pub(super) stop_reason: Option<String>,
    pub(super) error_message: Option<String>,
}

/// What a tool answered.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct ToolResult {
    #[serde(deserialize_with = "lenient")]
    pub(super) content: Option<Vec<Part>>,
    /// What is not for the model.
    pub(super) details: Value,
}

/// A part of a message.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: String,
}

/// The text in `parts`.
pub(super) fn text(parts: Option<&Vec<Part>>) -> String {
    let texts: Vec<&str> = parts
        .into_iter()
        .flatten()
        // Google ends some answers with an empty one.
        .filter(|part| part.kind == "text" && !part.text.is_empty())
        .map(|part| part.text.as_str())
        .collect();
    texts.join("\n")
}

/// A field of another shape than expected is as good as a missing one.
fn lenient<'de, D: serde::Deserializer<'de>, T: serde::de::DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

/// The id of the prompts that we send: one after the other.
pub(super) const PROMPT_ID: &str = "prompt";

/// The line that gives Pi its prompt.
pub(super) fn prompt(text: &str) -> String {
    // Text that began with `/`, `@` or `!` would mean something to Pi.
    let message = format!("Here is your task.\n\n{text}");
    format!(
        "{}\n",
        json!({"id": PROMPT_ID, "type": "prompt", "message": message})
    )
}

/// Reads events from Pi's standard output.
#[derive(Debug)]
pub(super) struct Events<R> {
    from: R,
    buffer: Vec<u8>,
    /// Where to look for the end of the line; what is before has been looked at.
    looked_at: usize,
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Events<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            buffer: Vec::new(),
            looked_at: 0,
            skipping: false,
        }
    }

    /// The next event, or nothing when Pi has closed its output. May be cancelled and called again.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            // Only at \n: JSON may hold other line separators as they are.
            while let Some(at) = self.buffer[self.looked_at..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let end = self.looked_at + at;
                let event = serde_json::from_slice::<Event>(&self.buffer[..end]).ok();
                let event = event.filter(|event| !event.kind.is_empty());
                self.buffer.drain(..=end);
                self.looked_at = 0;
                if !std::mem::take(&mut self.skipping)
                    && let Some(event) = event
                {
                    return Some(event);
                }
            }
            self.looked_at = self.buffer.len();
            if self.buffer.len() > LONGEST_LINE {
                self.skipping = true;
                self.buffer.clear();
                self.looked_at = 0;
            }
            self.buffer.reserve(64 * 1024);
            // What is read is in the buffer before anything can be cancelled.
            match self.from.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(bytes: &[u8]) -> Vec<Event> {
        let mut events = Events::new(bytes);
        let mut all = Vec::new();
        while let Some(event) = events.next().await {
            all.push(event);
        }
        all
    }

    #[tokio::test]
    async fn real_events_are_understood() {
        let lines = concat!(
            r#"{"type":"response","id":"prompt","command":"prompt","success":false,"error":"no"}"#,
            "\n",
            r#"{"type":"tool_execution_start","toolCallId":"c","toolName":"read","args":{"path":"a"}}"#,
            "\n",
            r#"{"type":"tool_execution_end","toolCallId":"c","toolName":"read","result":{"content":[{"type":"text","text":"x"}]},"isError":true}"#,
            "\n",
            r#"{"type":"message_end","message":{"role":"assistant","content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"done"},{"type":"text","text":""}],"stopReason":"stop"}}"#,
            "\n",
            r#"{"type":"agent_settled"}"#,
            "\n",
        );
        let events = all(lines.as_bytes()).await;
        assert_eq!(events.len(), 5);
        assert_eq!(
            (events[0].success, events[0].error.as_deref()),
            (Some(false), Some("no"))
        );
        assert_eq!(
            (events[1].tool_name.as_deref(), &events[1].args["path"]),
            (Some("read"), &json!("a"))
        );
        assert_eq!(
            (
                text(events[2].result.as_ref().unwrap().content.as_ref()).as_str(),
                events[2].is_error
            ),
            ("x", true)
        );
        let message = events[3].message.as_ref().unwrap();
        assert_eq!(
            (
                text(message.content.as_ref()).as_str(),
                message.stop_reason.as_deref()
            ),
            ("done", Some("stop"))
        );
    }

    #[tokio::test]
    async fn the_unknown_and_the_broken_are_passed_over() {
        let lines = "no json\n{\"type\":\"new\",\"message\":7,\"error\":{\"a\":1},\"toolName\":[]}\n[]\n\n{\"type\":\"message_end\",\"message\":{\"role\":\"user\",\"content\":\"text\"}}\n{\"type\":\"cut\"";
        let kinds: Vec<_> = all(lines.as_bytes())
            .await
            .into_iter()
            .map(|event| event.kind)
            .collect();
        assert_eq!(kinds, ["new", "message_end"]);
    }

    #[tokio::test]
    async fn other_separators_and_endless_lines_do_no_harm() {
        let mut lines = format!(
            "{{\"type\":\"a\u{2028}\u{85}\"}}\n{{\"type\":\"{}",
            "x".repeat(2 * LONGEST_LINE)
        );
        lines.push_str("\"}\n{\"type\":\"after\"}\n");
        let kinds: Vec<_> = all(lines.as_bytes())
            .await
            .into_iter()
            .map(|event| event.kind)
            .collect();
        assert_eq!(kinds, ["a\u{2028}\u{85}", "after"]);
    }

    #[test]
    fn a_prompt_never_begins_with_what_pi_gives_a_meaning() {
        for text in ["/quit", "@/etc/passwd", "!ls"] {
            let line = prompt(text);
            let sent: Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
            assert!(
                sent["message"]
                    .as_str()
                    .unwrap()
                    .starts_with("Here is your task.\n\n")
            );
        }
    }
}
