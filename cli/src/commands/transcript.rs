//! A transcript as people read it: who said what, in order. It comes as JSON Lines, as Pi writes its sessions.

use serde_json::Value;

use crate::terminal::{Painter, Style, line, lines};

/// The conversation. What is not part of it, such as changes of the model, is left out; a line that cannot be read is shown as
/// it is.
pub fn readable(transcript: &str, painter: Painter) -> String {
    let mut shown = String::new();
    for entry in transcript.lines() {
        match serde_json::from_str::<Value>(entry) {
            Ok(entry) if entry["type"] == "message" => message(&mut shown, &entry, painter),
            Ok(entry) if entry["type"] == "session" => {
                let at = entry["timestamp"].as_str().unwrap_or_default();
                part(&mut shown, &format!("a new conversation  {at}"), painter);
            }
            Ok(entry) if entry["type"] == "compaction" => {
                part(&mut shown, "the conversation was shortened to", painter);
                said(&mut shown, entry["summary"].as_str().unwrap_or_default());
            }
            Ok(_) => {}
            Err(_) => said(&mut shown, entry),
        }
    }
    shown
}

fn message(shown: &mut String, entry: &Value, painter: Painter) {
    let message = &entry["message"];
    let at = entry["timestamp"].as_str().unwrap_or_default();
    let who = match message["role"].as_str().unwrap_or_default() {
        // The instructions: the same each time.
        "system" => return,
        "toolResult" => {
            let tool = message["toolName"].as_str().unwrap_or_default();
            let failed = message["isError"] == true;
            let end = if failed { " failed" } else { "" };
            format!("tool {tool}{end}")
        }
        other => other.to_owned(),
    };
    part(shown, &format!("{who}  {at}"), painter);
    match &message["content"] {
        Value::String(text) => said(shown, text),
        Value::Array(blocks) => blocks
            .iter()
            .for_each(|block| block_of(shown, block, painter)),
        _ => {}
    }
    if let Some(problem) = message["errorMessage"].as_str() {
        said(shown, &format!("no answer: {problem}"));
    }
}

fn block_of(shown: &mut String, block: &Value, painter: Painter) {
    match block["type"].as_str().unwrap_or_default() {
        "text" => said(shown, block["text"].as_str().unwrap_or_default()),
        "thinking" => said(shown, block["thinking"].as_str().unwrap_or_default()),
        "toolCall" => {
            let name = line(block["name"].as_str().unwrap_or_default());
            shown.push_str(&painter.paint(Style::Blue, format!("{name} ")));
            // A command as one types it, not as JSON.
            match block["arguments"].as_object() {
                Some(fields) if fields.len() == 1 => {
                    let value = fields.values().next().and_then(Value::as_str);
                    let all = block["arguments"].to_string();
                    said(shown, value.unwrap_or(&all));
                }
                _ => said(shown, &block["arguments"].to_string()),
            }
        }
        other => said(shown, &format!("[{other}]")),
    }
}

fn part(shown: &mut String, head: &str, painter: Painter) {
    if !shown.is_empty() {
        shown.push('\n');
    }
    shown.push_str(&painter.paint(Style::Bold, line(head)));
    shown.push('\n');
}

fn said(shown: &mut String, text: &str) {
    shown.push_str(lines(text).trim_end());
    shown.push('\n');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_conversation_is_shown_in_order_and_cannot_steer_the_terminal() {
        let message = |at: &str, message: Value| json!({"type": "message", "timestamp": at, "message": message});
        let lines = [
            json!({"type": "session", "version": 3, "timestamp": "t0"}),
            message("t0", json!({"role": "system", "content": "Be good."})),
            message("t1", json!({"role": "user", "content": "Do it."})),
            message(
                "t2",
                json!({"role": "assistant", "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "toolCall", "name": "bash", "arguments": {"command": "cat a\necho b"}},
                    {"type": "toolCall", "name": "edit", "arguments": {"path": "a", "newText": "b"}},
                ]}),
            ),
            message(
                "t3",
                json!({"role": "toolResult", "toolName": "bash", "isError": true, "content": [
                    {"type": "text", "text": "a\u{1b}[2Jb"},
                    {"type": "image", "data": "x"},
                ]}),
            ),
            message(
                "t4",
                json!({"role": "assistant", "content": [], "errorMessage": "out of budget"}),
            ),
            json!({"type": "compaction", "summary": "A lot."}),
        ];
        let mut transcript: String = lines.iter().map(|line| format!("{line}\n")).collect();
        transcript.push_str("{\"half\n");
        let shown = readable(&transcript, Painter::plain());
        insta::assert_snapshot!(shown);
    }
}
