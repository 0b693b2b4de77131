//! Anthropic's Messages API: `POST /v1/messages`.

use axum::http::{HeaderMap, Uri};
use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, End, Message, Refusal, pieces};
use super::protocol::{Protocol, text_of, words};
use super::schema_rules;

/// Characters in one text delta.
const TEXT_PIECE: usize = 24;
/// Characters in one delta of a tool's arguments.
const JSON_PIECE: usize = 48;

pub(super) struct Anthropic;

impl Protocol for Anthropic {
    fn serves(&self, path: &str) -> bool {
        path == "/v1/messages"
    }

    fn key_header(&self) -> &'static str {
        "x-api-key"
    }

    fn key(&self, headers: &HeaderMap) -> Option<String> {
        headers
            .get(self.key_header())?
            .to_str()
            .ok()
            .map(str::to_owned)
    }

    fn read(&self, _uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Conversation, Refusal> {
        if !headers.contains_key("anthropic-version") {
            return Err(Refusal::bad_request(
                "anthropic-version",
                "header is required",
            ));
        }
        let request: Value = serde_json::from_slice(body).map_err(|error| Refusal::BadRequest {
            parameter: None,
            message: format!("The request body is not valid JSON: {error}"),
        })?;
        let model = text_of(&request, "model")
            .ok_or_else(|| missing("model"))?
            .to_owned();
        match request.get("max_tokens") {
            None => return Err(missing("max_tokens")),
            Some(most) if most.as_u64().is_none_or(|most| most == 0) => {
                return Err(Refusal::bad_request(
                    "max_tokens",
                    "Input should be a whole number greater than or equal to 1",
                ));
            }
            Some(_) => {}
        }
        let output_schema = output_schema(&request)?;
        let mut messages = Vec::new();
        if let Some(system) = request.get("system") {
            messages.push(Message::System(words(system)));
        }
        messages.extend(read_messages(&request)?);
        Ok(Conversation {
            model,
            stream: request.get("stream") == Some(&Value::Bool(true)),
            include_usage: true,
            output_schema,
            offers_tools: request
                .get("tools")
                .and_then(Value::as_array)
                .is_some_and(|tools| !tools.is_empty()),
            messages,
            request_bytes: body.len(),
        })
    }

    fn document(&self, answer: &Answer) -> Value {
        let mut message = head(answer);
        let mut content = Vec::new();
        if !answer.text.is_empty() {
            content.push(json!({ "type": "text", "text": answer.text }));
        }
        for (place, tool) in answer.tools.iter().enumerate() {
            content.push(json!({
                "type": "tool_use", "id": answer.tool_id("toolu_", place),
                "name": tool.name, "input": tool.arguments,
            }));
        }
        message["content"] = Value::Array(content);
        message["stop_reason"] = json!(stop_reason(answer));
        message["usage"]["output_tokens"] = json!(answer.usage.output);
        message
    }

    fn events(&self, answer: &Answer) -> Vec<String> {
        let mut events = vec![
            event(&json!({ "type": "message_start", "message": head(answer) })),
            event(&json!({ "type": "ping" })),
        ];
        let mut block = |start: Value, deltas: Vec<Value>| {
            let index = events
                .iter()
                .filter(|each| each.starts_with("event: content_block_start"))
                .count();
            events.push(event(
                &json!({ "type": "content_block_start", "index": index, "content_block": start }),
            ));
            for delta in deltas {
                events.push(event(
                    &json!({ "type": "content_block_delta", "index": index, "delta": delta }),
                ));
            }
            events.push(event(
                &json!({ "type": "content_block_stop", "index": index }),
            ));
        };
        if !answer.text.is_empty() {
            let deltas = pieces(&answer.text, TEXT_PIECE)
                .into_iter()
                .map(|text| json!({ "type": "text_delta", "text": text }))
                .collect();
            block(json!({ "type": "text", "text": "" }), deltas);
        }
        for (place, tool) in answer.tools.iter().enumerate() {
            // The service sends an empty delta first, then the arguments in pieces that are no JSON by themselves.
            let deltas = std::iter::once(String::new())
                .chain(pieces(&tool.arguments.to_string(), JSON_PIECE))
                .map(|part| json!({ "type": "input_json_delta", "partial_json": part }))
                .collect();
            let id = answer.tool_id("toolu_", place);
            block(
                json!({ "type": "tool_use", "id": id, "name": tool.name, "input": {} }),
                deltas,
            );
        }
        events.push(event(&json!({
            "type": "message_delta",
            "delta": { "stop_reason": stop_reason(answer), "stop_sequence": null },
            "usage": { "output_tokens": answer.usage.output },
        })));
        events.push(event(&json!({ "type": "message_stop" })));
        events
    }

    fn error_event(&self) -> String {
        event(&json!({
            "type": "error",
            "error": { "type": "overloaded_error", "message": "Overloaded" },
        }))
    }

    fn error(&self, refusal: &Refusal) -> (u16, Value) {
        let (status, message) = match refusal {
            Refusal::UnknownPath(path) => (404, format!("Not found: {path}")),
            Refusal::WrongKey(None) => (401, "x-api-key header is required".into()),
            Refusal::WrongKey(Some(_)) => (401, "invalid x-api-key".into()),
            Refusal::BadRequest {
                parameter: Some(parameter),
                message,
            } => (400, format!("{parameter}: {message}")),
            Refusal::BadRequest {
                parameter: None,
                message,
            } => (400, message.clone()),
            Refusal::UnknownModel(model) => (404, format!("model: {model}")),
            Refusal::Scripted { status, .. } => (*status, scripted_message(*status).into()),
        };
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            400..500 => "invalid_request_error",
            _ => "api_error",
        };
        let body = json!({
            "type": "error",
            "error": { "type": kind, "message": message },
            "request_id": request_id(),
        });
        (status, body)
    }
}

/// A fresh id of letters only: Pi tries again whenever an error's text contains a number such as 500, wherever it stands,
/// and a test must not depend on the luck of the id.
fn request_id() -> String {
    let letters = uuid::Uuid::new_v4().into_bytes().into_iter();
    letters.fold("req_".to_owned(), |id, byte| {
        id + char::from(b'a' + byte % 26).encode_utf8(&mut [0; 4])
    })
}

fn scripted_message(status: u16) -> &'static str {
    match status {
        401 => "invalid x-api-key",
        403 => "Your API key does not have permission to use the specified resource",
        429 => "This request would exceed your organization's rate limit. Please try again later.",
        529 => "Overloaded",
        500.. => "Internal server error",
        _ => "The request was refused",
    }
}

fn missing(parameter: &str) -> Refusal {
    Refusal::bad_request(parameter, "Field required")
}

fn output_schema(request: &Value) -> Result<Option<Value>, Refusal> {
    let Some(format) = request
        .pointer("/output_config/format")
        .filter(|format| !format.is_null())
    else {
        return Ok(None);
    };
    if text_of(format, "type") != Some("json_schema") {
        return Err(Refusal::bad_request(
            "output_config.format.type",
            "Input should be 'json_schema'",
        ));
    }
    let schema = format
        .get("schema")
        .filter(|schema| schema.is_object())
        .ok_or_else(|| missing("output_config.format.schema"))?;
    schema_rules::anthropic(schema)
        .map_err(|message| Refusal::bad_request("output_config.format.schema", message))?;
    Ok(Some(schema.clone()))
}

fn read_messages(request: &Value) -> Result<Vec<Message>, Refusal> {
    let list = request
        .get("messages")
        .and_then(Value::as_array)
        .ok_or_else(|| missing("messages"))?;
    if list.is_empty() {
        return Err(Refusal::bad_request(
            "messages",
            "at least one message is required",
        ));
    }
    let mut messages = Vec::new();
    // Calls of the message before, which this one must answer.
    let mut open_calls: Vec<&str> = Vec::new();
    for (index, message) in list.iter().enumerate() {
        let content = message
            .get("content")
            .ok_or_else(|| missing(&format!("messages.{index}.content")))?;
        check_content(index, content)?;
        let results = block_texts(content, "tool_result", "tool_use_id");
        if let Some(call) = open_calls.iter().find(|call| !results.contains(call)) {
            return Err(Refusal::bad_request(
                &format!("messages.{index}"),
                format!(
                    "`tool_use` ids were found without `tool_result` blocks immediately after: {call}. Each \
                     `tool_use` block must have a corresponding `tool_result` block in the next message."
                ),
            ));
        }
        if let Some(result) = results.iter().find(|result| !open_calls.contains(result)) {
            return Err(Refusal::bad_request(
                &format!("messages.{index}.content"),
                format!("unexpected `tool_use_id` found in `tool_result` blocks: {result}"),
            ));
        }
        open_calls.clear();
        match text_of(message, "role") {
            Some("user") => {
                if !results.is_empty() {
                    messages.push(Message::ToolResults);
                }
                let text = words(content);
                if !text.is_empty() {
                    messages.push(Message::Prompt(text));
                }
            }
            Some("assistant") if index == 0 => {
                return Err(Refusal::bad_request(
                    "messages",
                    "first message must use the \"user\" role",
                ));
            }
            Some("assistant") => {
                open_calls = block_texts(content, "tool_use", "id");
                messages.push(Message::Assistant(words(content)));
            }
            _ => {
                return Err(Refusal::bad_request(
                    &format!("messages.{index}.role"),
                    "Input should be 'user' or 'assistant'",
                ));
            }
        }
    }
    if let Some(call) = open_calls.first() {
        return Err(Refusal::bad_request(
            "messages",
            format!(
                "`tool_use` ids were found without `tool_result` blocks immediately after: {call}"
            ),
        ));
    }
    Ok(messages)
}

fn check_content(index: usize, content: &Value) -> Result<(), Refusal> {
    let is_empty = match content {
        Value::String(text) => text.is_empty(),
        Value::Array(blocks) => {
            for (place, block) in blocks.iter().enumerate() {
                let parameter = format!("messages.{index}.content.{place}");
                match (text_of(block, "type"), text_of(block, "text")) {
                    (None, _) => return Err(missing(&format!("{parameter}.type"))),
                    (Some("text"), Some("") | None) => {
                        return Err(Refusal::bad_request(
                            "messages",
                            "text content blocks must be non-empty",
                        ));
                    }
                    _ => {}
                }
            }
            blocks.is_empty()
        }
        _ => {
            return Err(Refusal::bad_request(
                &format!("messages.{index}.content"),
                "Input should be a valid string or list",
            ));
        }
    };
    if is_empty {
        return Err(Refusal::bad_request(
            &format!("messages.{index}"),
            "all messages must have non-empty content except for the optional final assistant message",
        ));
    }
    Ok(())
}

/// The values of `key` in the blocks of a type.
fn block_texts<'a>(content: &'a Value, kind: &str, key: &str) -> Vec<&'a str> {
    content
        .as_array()
        .into_iter()
        .flatten()
        .filter(|block| text_of(block, "type") == Some(kind))
        .filter_map(|block| text_of(block, key))
        .collect()
}

/// The message as it stands before its content.
fn head(answer: &Answer) -> Value {
    json!({
        "id": answer.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {
            "input_tokens": answer.usage.input.saturating_sub(answer.usage.cached),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": answer.usage.cached,
            "output_tokens": 1,
            "service_tier": "standard",
        },
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.end {
        End::Cut => "max_tokens",
        End::Declined => "refusal",
        End::Whole if answer.tools.is_empty() => "end_turn",
        End::Whole => "tool_use",
    }
}

/// A server-sent event, named as its data's `type` says.
fn event(data: &Value) -> String {
    format!(
        "event: {}\ndata: {data}\n\n",
        text_of(data, "type").unwrap_or_default()
    )
}

#[cfg(test)]
#[path = "anthropic_tests.rs"]
mod tests;
