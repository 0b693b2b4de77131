//! Google's Gemini API: `POST /v1beta/models/{model}:generateContent`, and `:streamGenerateContent?alt=sse`.
//!
//! Keys that the service does not know are refused, as it does. Each first function call of an answer carries a signature of
//! what the model thought, and must come back with it.

use axum::http::{HeaderMap, Uri};
use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, End, Message, Refusal, pieces};
use super::google_rules::{self, CONTENT_KEYS, GENERATION_KEYS, REQUEST_KEYS, only_known};
use super::protocol::{Protocol, text_of};
use super::schema_rules;

/// Characters in one part of a stream.
const TEXT_PIECE: usize = 24;

const MODELS: &str = "/v1beta/models/";

pub(super) struct Google;

/// The model's name and the method in a path.
fn call(path: &str) -> Option<(&str, &str)> {
    let (model, method) = path.strip_prefix(MODELS)?.split_once(':')?;
    let known = ["generateContent", "streamGenerateContent"].contains(&method);
    (known && !model.is_empty() && !model.contains('/')).then_some((model, method))
}

impl Protocol for Google {
    fn serves(&self, path: &str) -> bool {
        call(path).is_some()
    }

    fn key_header(&self) -> &'static str {
        "x-goog-api-key"
    }

    fn key(&self, headers: &HeaderMap) -> Option<String> {
        let key = headers.get(self.key_header())?;
        key.to_str().ok().map(str::to_owned)
    }

    fn tells_retry_after(&self) -> bool {
        false
    }

    fn read(&self, uri: &Uri, _headers: &HeaderMap, body: &[u8]) -> Result<Conversation, Refusal> {
        let Some((model, method)) = call(uri.path()) else {
            return Err(Refusal::UnknownPath(uri.path().to_owned()));
        };
        let stream = method == "streamGenerateContent";
        if stream && uri.query() != Some("alt=sse") {
            // The service would answer with one long list, which nobody here reads.
            return Err(invalid("streams come as events only: ask with `?alt=sse`"));
        }
        let request: Value = serde_json::from_slice(body)
            .map_err(|error| invalid(format!("Invalid JSON payload received. {error}")))?;
        only_known("", &request, REQUEST_KEYS)?;
        let generation = request.get("generationConfig").unwrap_or(&Value::Null);
        only_known("generation_config", generation, GENERATION_KEYS)?;
        if let Some(most) = generation.get("maxOutputTokens")
            && most.as_u64().is_none_or(|most| most == 0)
        {
            return Err(invalid(
                "* GenerateContentRequest.generation_config.max_output_tokens: must be positive",
            ));
        }
        let mut messages = Vec::new();
        if let Some(system) = request.get("systemInstruction") {
            only_known("system_instruction", system, CONTENT_KEYS)?;
            messages.push(Message::System(words(system)));
        }
        messages.extend(google_rules::messages(&request)?);
        Ok(Conversation {
            model: model.to_owned(),
            stream,
            include_usage: true,
            output_schema: output_schema(generation)?,
            offers_tools: google_rules::offers_tools(&request)?,
            messages,
            request_bytes: body.len(),
        })
    }

    fn document(&self, answer: &Answer) -> Value {
        let mut parts = Vec::new();
        if !answer.text.is_empty() {
            parts.push(json!({ "text": answer.text }));
        }
        parts.extend(calls(answer));
        response(answer, parts, true)
    }

    fn events(&self, answer: &Answer) -> Vec<String> {
        let texts = pieces(&answer.text, TEXT_PIECE)
            .into_iter()
            .map(|text| json!({ "text": text }));
        let mut events: Vec<String> = texts
            .chain(calls(answer))
            .map(|part| event(&response(answer, vec![part], false)))
            .collect();
        // The end says nothing more.
        events.push(event(&response(answer, vec![json!({ "text": "" })], true)));
        events
    }

    fn error_event(&self) -> String {
        let refusal = Refusal::Scripted {
            status: 503,
            retry_after_seconds: None,
        };
        event(&self.error(&refusal).1)
    }

    fn error(&self, refusal: &Refusal) -> (u16, Value) {
        let (code, message) = match refusal {
            Refusal::UnknownPath(path) => (404, format!("Not found: {path}")),
            Refusal::WrongKey(None) => (
                403,
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key \
                 or other form of API consumer identity to call this API."
                    .into(),
            ),
            Refusal::WrongKey(Some(_)) => {
                (400, "API key not valid. Please pass a valid API key.".into())
            }
            Refusal::BadRequest { message, .. } => (400, message.clone()),
            Refusal::UnknownModel(model) => (
                404,
                format!(
                    "models/{model} is not found for API version v1beta, or is not supported for generateContent."
                ),
            ),
            Refusal::Scripted { status, .. } => (*status, scripted_message(*status).into()),
        };
        let status = match code {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            400..500 => "INVALID_ARGUMENT",
            500 => "INTERNAL",
            _ => "UNAVAILABLE",
        };
        let mut error = json!({ "code": code, "message": message, "status": status });
        let detail = match refusal {
            Refusal::WrongKey(Some(_)) => json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID", "domain": "googleapis.com",
            }),
            Refusal::Scripted {
                retry_after_seconds: Some(seconds),
                ..
            } => json!({
                "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s"),
            }),
            _ => return (code, json!({ "error": error })),
        };
        error["details"] = json!([detail]);
        (code, json!({ "error": error }))
    }
}

/// A request that breaks a rule; Google's messages name the parameter themselves.
pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::BadRequest {
        parameter: None,
        message: message.into(),
    }
}

fn scripted_message(status: u16) -> &'static str {
    match status {
        401 => "Request had invalid authentication credentials.",
        403 => "The caller does not have permission",
        429 => "Resource has been exhausted (e.g. check quota).",
        500 => "An internal error has occurred. Please retry.",
        501.. => "The model is overloaded. Please try again later.",
        _ => "Request contains an invalid argument.",
    }
}

/// The words in the parts of a content, thoughts left out.
pub(super) fn words(content: &Value) -> String {
    let texts: Vec<&str> = google_rules::parts(content)
        .filter(|part| part["thought"] != true)
        .filter_map(|part| text_of(part, "text"))
        .collect();
    texts.join("\n")
}

fn output_schema(generation: &Value) -> Result<Option<Value>, Refusal> {
    let Some(schema) = generation.get("responseJsonSchema") else {
        return Ok(None);
    };
    if text_of(generation, "responseMimeType") != Some("application/json") {
        return Err(invalid(
            "* GenerateContentRequest.generation_config.response_json_schema: only allowed with the response mime type \
             application/json",
        ));
    }
    schema_rules::google(schema).map_err(|message| {
        invalid(format!(
            "* GenerateContentRequest.generation_config.response_json_schema: {message}"
        ))
    })?;
    Ok(Some(schema.clone()))
}

/// The parts that call functions.
fn calls(answer: &Answer) -> impl Iterator<Item = Value> + '_ {
    answer.tools.iter().enumerate().map(|(place, tool)| {
        let mut part = json!({ "functionCall": { "name": tool.name, "args": tool.arguments } });
        if place == 0 {
            // Hexadecimal digits, which are base64 too.
            part["thoughtSignature"] = json!(answer.tool_id("", place));
        }
        part
    })
}

fn response(answer: &Answer, parts: Vec<Value>, is_last: bool) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    // Counts of zero are left out; those of the answer grow, and are right at the end.
    let mut usage = json!({
        "promptTokenCount": answer.usage.input,
        "totalTokenCount": answer.usage.input,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": answer.usage.input }],
    });
    if answer.usage.cached > 0 {
        usage["cachedContentTokenCount"] = json!(answer.usage.cached);
    }
    if is_last {
        candidate["finishReason"] = json!(match answer.end {
            End::Whole => "STOP",
            End::Cut => "MAX_TOKENS",
            End::Declined => "SAFETY",
        });
        if answer.end == End::Declined {
            candidate["content"] = json!({});
        }
        usage["candidatesTokenCount"] = json!(answer.usage.output);
        usage["totalTokenCount"] = json!(answer.usage.input + answer.usage.output);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": answer.model,
        "responseId": answer.id(""),
    })
}

/// A server-sent event, with the line ends of this service.
fn event(data: &Value) -> String {
    format!("data: {data}\r\n\r\n")
}

#[cfg(test)]
#[path = "google_tests.rs"]
mod tests;
