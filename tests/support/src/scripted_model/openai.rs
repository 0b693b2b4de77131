//! OpenAI's Chat Completions API: `POST /v1/chat/completions`.

use axum::http::{HeaderMap, Uri};
use chrono::Utc;
use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, End, Message, Refusal, pieces};
use super::protocol::{Protocol, text_of, words};
use super::schema_rules;

/// Characters in one delta of text.
const TEXT_PIECE: usize = 24;
/// Characters in one delta of a tool's arguments.
const JSON_PIECE: usize = 48;
/// The longest name of an output schema.
const SCHEMA_NAME_LIMIT: usize = 64;

/// How it says no.
const REFUSAL: &str = "I'm sorry, I can't assist with that request.";

pub(super) struct OpenAi;

impl Protocol for OpenAi {
    fn serves(&self, path: &str) -> bool {
        path == "/v1/chat/completions"
    }

    fn key_header(&self) -> &'static str {
        "authorization"
    }

    fn key(&self, headers: &HeaderMap) -> Option<String> {
        let shown = headers.get(self.key_header())?.to_str().ok()?;
        shown.strip_prefix("Bearer ").map(str::to_owned)
    }

    fn read(&self, _uri: &Uri, _headers: &HeaderMap, body: &[u8]) -> Result<Conversation, Refusal> {
        let request: Value = serde_json::from_slice(body).map_err(|_| Refusal::BadRequest {
            parameter: None,
            message: "We could not parse the JSON body of your request. (HINT: This likely means you aren't using \
                      your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not \
                      valid JSON.)"
                .into(),
        })?;
        let model = text_of(&request, "model")
            .ok_or_else(|| missing("model"))?
            .to_owned();
        let stream = request.get("stream") == Some(&Value::Bool(true));
        let stream_options = request
            .get("stream_options")
            .filter(|options| !options.is_null());
        if stream_options.is_some() && !stream {
            return Err(Refusal::bad_request(
                "stream_options",
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            ));
        }
        let output_schema = output_schema(&request)?;
        Ok(Conversation {
            model,
            stream,
            include_usage: stream_options
                .is_some_and(|options| options.get("include_usage") == Some(&Value::Bool(true))),
            output_schema,
            offers_tools: request
                .get("tools")
                .and_then(Value::as_array)
                .is_some_and(|tools| !tools.is_empty()),
            messages: read_messages(&request)?,
            request_bytes: body.len(),
        })
    }

    fn document(&self, answer: &Answer) -> Value {
        let mut message = json!({
            "role": "assistant",
            "content": if answer.text.is_empty() { Value::Null } else { json!(answer.text) },
            "refusal": null,
            "annotations": [],
        });
        if answer.end == End::Declined {
            message["refusal"] = json!(REFUSAL);
        }
        if !answer.tools.is_empty() {
            message["tool_calls"] = answer
                .tools
                .iter()
                .enumerate()
                .map(|(place, tool)| {
                    json!({
                        "id": answer.tool_id("call_", place), "type": "function",
                        "function": { "name": tool.name, "arguments": tool.arguments.to_string() },
                    })
                })
                .collect();
        }
        json!({
            "id": answer.id("chatcmpl-"),
            "object": "chat.completion",
            "created": Utc::now().timestamp(),
            "model": answer.model,
            "choices": [{
                "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(answer),
            }],
            "usage": usage(answer),
            "service_tier": "default",
        })
    }

    fn events(&self, answer: &Answer) -> Vec<String> {
        let created = Utc::now().timestamp();
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({
                "id": answer.id("chatcmpl-"),
                "object": "chat.completion.chunk",
                "created": created,
                "model": answer.model,
                "service_tier": "default",
                "choices": choices,
            });
            // With the option, every chunk has the field, and only the last one a value.
            if answer.include_usage {
                chunk["usage"] = usage;
            }
            event(&chunk.to_string())
        };
        let delta = |delta: Value, finish_reason: Value| {
            let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason });
            chunk(json!([choice]), Value::Null)
        };

        let mut events = vec![delta(
            json!({ "role": "assistant", "content": "", "refusal": null }),
            Value::Null,
        )];
        for text in pieces(&answer.text, TEXT_PIECE) {
            events.push(delta(json!({ "content": text }), Value::Null));
        }
        for (place, tool) in answer.tools.iter().enumerate() {
            let head = json!({
                "index": place, "id": answer.tool_id("call_", place), "type": "function",
                "function": { "name": tool.name, "arguments": "" },
            });
            events.push(delta(json!({ "tool_calls": [head] }), Value::Null));
            for part in pieces(&tool.arguments.to_string(), JSON_PIECE) {
                let rest = json!({ "index": place, "function": { "arguments": part } });
                events.push(delta(json!({ "tool_calls": [rest] }), Value::Null));
            }
        }
        if answer.end == End::Declined {
            events.push(delta(json!({ "refusal": REFUSAL }), Value::Null));
        }
        events.push(delta(json!({}), json!(finish_reason(answer))));
        if answer.include_usage {
            events.push(chunk(json!([]), usage(answer)));
        }
        events.push(event("[DONE]"));
        events
    }

    fn error_event(&self) -> String {
        event(
            &json!({ "error": {
                "message": "The server had an error while processing your request. Sorry about that!",
                "type": "server_error", "param": null, "code": null,
            } })
            .to_string(),
        )
    }

    fn error(&self, refusal: &Refusal) -> (u16, Value) {
        let (status, kind, parameter, code, message) = match refusal {
            Refusal::UnknownPath(path) => (
                404,
                "invalid_request_error",
                None,
                Some("unknown_url"),
                format!("Unknown request URL: {path}. Please check the URL for typos."),
            ),
            Refusal::WrongKey(None) => (
                401,
                "invalid_request_error",
                None,
                None,
                "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                 Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
                    .into(),
            ),
            Refusal::WrongKey(Some(key)) => (
                401,
                "invalid_request_error",
                None,
                Some("invalid_api_key"),
                format!("Incorrect API key provided: {}.", masked(key)),
            ),
            Refusal::BadRequest { parameter, message } => {
                (400, "invalid_request_error", parameter.clone(), None, message.clone())
            }
            Refusal::UnknownModel(model) => (
                404,
                "invalid_request_error",
                None,
                Some("model_not_found"),
                format!("The model `{model}` does not exist or you do not have access to it."),
            ),
            Refusal::Scripted { status, .. } => {
                let (kind, code, message) = scripted_words(*status);
                (*status, kind, None, code, message.into())
            }
        };
        let error = json!({ "message": message, "type": kind, "param": parameter, "code": code });
        (status, json!({ "error": error }))
    }
}

fn scripted_words(status: u16) -> (&'static str, Option<&'static str>, &'static str) {
    match status {
        401 => (
            "invalid_request_error",
            Some("invalid_api_key"),
            "Incorrect API key provided.",
        ),
        429 => (
            "requests",
            Some("rate_limit_exceeded"),
            "Rate limit reached for requests. Please try again later.",
        ),
        503 => (
            "server_error",
            None,
            "The server is currently overloaded with other requests. Sorry about that! You can retry your request.",
        ),
        500.. => (
            "server_error",
            None,
            "The server had an error while processing your request. Sorry about that!",
        ),
        _ => ("invalid_request_error", None, "The request was refused."),
    }
}

/// A key as the service shows it back: its first and last characters only.
fn masked(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    if characters.len() <= 8 {
        return "*".repeat(characters.len());
    }
    let (head, tail): (String, String) = (
        characters[..3].iter().collect(),
        characters[characters.len() - 4..].iter().collect(),
    );
    format!("{head}{}{tail}", "*".repeat(characters.len() - 7))
}

fn missing(parameter: &str) -> Refusal {
    Refusal::bad_request(
        parameter,
        format!("Missing required parameter: '{parameter}'."),
    )
}

fn output_schema(request: &Value) -> Result<Option<Value>, Refusal> {
    let Some(format) = request
        .get("response_format")
        .filter(|format| !format.is_null())
    else {
        return Ok(None);
    };
    if text_of(format, "type") != Some("json_schema") {
        return Ok(None);
    }
    let described = format
        .get("json_schema")
        .ok_or_else(|| missing("response_format.json_schema"))?;
    let name =
        text_of(described, "name").ok_or_else(|| missing("response_format.json_schema.name"))?;
    let good = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if name.is_empty() || name.len() > SCHEMA_NAME_LIMIT || !name.chars().all(good) {
        return Err(Refusal::bad_request(
            "response_format.json_schema.name",
            "Invalid 'response_format.json_schema.name': string does not match pattern. Expected a string that \
             matches the pattern '^[a-zA-Z0-9_-]+$'.",
        ));
    }
    let schema = described
        .get("schema")
        .ok_or_else(|| missing("response_format.json_schema.schema"))?;
    if described.get("strict") == Some(&Value::Bool(true)) {
        schema_rules::openai_strict(schema).map_err(|message| {
            Refusal::bad_request(
                "response_format",
                format!("Invalid schema for response_format '{name}': {message}."),
            )
        })?;
    }
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
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ));
    }
    let mut messages = Vec::new();
    let mut open_calls: Vec<&str> = Vec::new();
    for (index, message) in list.iter().enumerate() {
        let role = text_of(message, "role").unwrap_or_default();
        let content = message.get("content").unwrap_or(&Value::Null);
        if role == "tool" {
            let call = text_of(message, "tool_call_id").unwrap_or_default();
            let Some(place) = open_calls.iter().position(|open| *open == call) else {
                return Err(Refusal::bad_request(
                    &format!("messages.[{index}].role"),
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with \
                     'tool_calls'.",
                ));
            };
            open_calls.remove(place);
            messages.push(Message::ToolResults);
            continue;
        }
        check_answered(index, &open_calls)?;
        match role {
            "system" | "developer" => messages.push(Message::System(words(content))),
            "user" => messages.push(Message::Prompt(words(content))),
            "assistant" => {
                open_calls = message
                    .get("tool_calls")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|call| text_of(call, "id"))
                    .collect();
                messages.push(Message::Assistant(words(content)));
            }
            other => {
                return Err(Refusal::bad_request(
                    &format!("messages[{index}].role"),
                    format!(
                        "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'tool', and \
                         'developer'."
                    ),
                ));
            }
        }
    }
    check_answered(list.len(), &open_calls)?;
    Ok(messages)
}

fn check_answered(index: usize, open_calls: &[&str]) -> Result<(), Refusal> {
    if open_calls.is_empty() {
        return Ok(());
    }
    Err(Refusal::bad_request(
        &format!("messages.[{index}].role"),
        format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
             'tool_call_id'. The following tool_call_ids did not have response messages: {}",
            open_calls.join(", ")
        ),
    ))
}

fn finish_reason(answer: &Answer) -> &'static str {
    match answer.end {
        End::Cut => "length",
        // The reason stands in `refusal`, and the answer ends like any other.
        End::Declined => "stop",
        End::Whole if answer.tools.is_empty() => "stop",
        End::Whole => "tool_calls",
    }
}

fn usage(answer: &Answer) -> Value {
    json!({
        "prompt_tokens": answer.usage.input,
        "completion_tokens": answer.usage.output,
        "total_tokens": answer.usage.input + answer.usage.output,
        "prompt_tokens_details": { "cached_tokens": answer.usage.cached, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

/// A server-sent event without a name.
fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

#[cfg(test)]
#[path = "openai_tests.rs"]
mod tests;
