//! What may be asked of the vendor: text and pictures to one model, with tools that run in the room.
//!
//! A body is not passed on but written anew from what is known. Unknown settings are left out. What would make the
//! vendor itself reach out (its own tools, addresses to fetch, stored files) is refused, so that it shows.

mod google;

use serde_json::{Map, Value};

use super::{ModelConfig, Vendor, refusal::Refusal};

/// The largest body that is taken, in bytes.
pub(super) const LARGEST_BODY: usize = 16 << 20;

/// How many bytes of a body are a token, at the least.
const BYTES_PER_TOKEN: u64 = 3;

const ANTHROPIC_KEYS: &[&str] = &[
    "cache_control",
    "max_tokens",
    "messages",
    "model",
    "output_config",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];
const ANTHROPIC_TOOL_KEYS: &[&str] = &[
    "cache_control",
    "description",
    "input_schema",
    "name",
    "strict",
    "type",
];

const OPENAI_KEYS: &[&str] = &[
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "model",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "store",
    "stream",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "verbosity",
];

/// A request that may be passed on.
#[derive(Debug)]
pub(super) struct Request {
    /// The body, as it is sent.
    pub(super) body: Vec<u8>,
    /// Whether the answer comes as a stream.
    pub(super) streamed: bool,
    /// The most tokens that the body can have.
    pub(super) input_tokens: u64,
    /// The most tokens that the answer can have.
    pub(super) output_tokens: u64,
}

/// Reads a request, and writes it anew. `streamed_by_path` says whether the answer is a stream, where the body does not say
/// it: then the path has also named the model.
pub(super) fn check(
    config: &ModelConfig,
    streamed_by_path: Option<bool>,
    body: &[u8],
) -> Result<Request, Refusal> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::malformed(format!("the body is not JSON: {error}")))?;
    let Value::Object(mut body) = body else {
        return Err(Refusal::malformed("the body is no JSON object"));
    };
    let streamed = match streamed_by_path {
        Some(streamed) => streamed,
        None => named_and_streamed(config, &body)?,
    };
    let output_tokens = match config.vendor {
        Vendor::Anthropic => anthropic(&mut body, config.max_output_tokens)?,
        Vendor::OpenAi => openai(&mut body, config.max_output_tokens, streamed)?,
        Vendor::Google => google::google(&mut body, config.max_output_tokens)?,
    };
    let body = Value::Object(body).to_string().into_bytes();
    let input_tokens = (body.len() as u64).div_ceil(BYTES_PER_TOKEN);
    Ok(Request {
        body,
        streamed,
        input_tokens,
        output_tokens,
    })
}

/// Whether a body that asks the one model wants a stream.
fn named_and_streamed(config: &ModelConfig, body: &Map<String, Value>) -> Result<bool, Refusal> {
    let model = body.get("model").and_then(Value::as_str);
    if model != Some(&config.model) {
        return Err(Refusal::forbidden(format!(
            "only the model `{}` may be asked",
            config.model
        )));
    }
    match body.get("stream") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(streamed)) => Ok(*streamed),
        Some(_) => Err(Refusal::malformed("`stream` is neither true nor false")),
    }
}

fn keep(object: &mut Map<String, Value>, keys: &[&str]) {
    object.retain(|key, _| keys.contains(&key.as_str()));
}

/// Cuts the number at `key` down to `cap`, which also stands for a missing one.
fn cap(body: &mut Map<String, Value>, key: &str, cap: u64) -> Result<u64, Refusal> {
    let asked = match body.get(key) {
        None | Some(Value::Null) => cap,
        Some(value) => value
            .as_u64()
            .filter(|number| *number > 0)
            .ok_or_else(|| Refusal::malformed(format!("`{key}` is no positive number")))?,
    };
    let granted = asked.min(cap);
    body.insert(key.to_owned(), granted.into());
    Ok(granted)
}

/// The objects of the list at `key`; none if there is no such key.
fn objects<'a>(
    holder: &'a mut Map<String, Value>,
    key: &str,
) -> Result<Vec<&'a mut Map<String, Value>>, Refusal> {
    let wrong = || Refusal::malformed(format!("`{key}` is no list of objects"));
    match holder.get_mut(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter_mut()
            .map(|item| item.as_object_mut().ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// As [`objects`], where a plain text may stand for the list.
fn parts<'a>(
    holder: &'a mut Map<String, Value>,
    key: &str,
) -> Result<Vec<&'a mut Map<String, Value>>, Refusal> {
    if holder.get(key).is_some_and(Value::is_string) {
        Ok(Vec::new())
    } else {
        objects(holder, key)
    }
}

fn kind(object: &Map<String, Value>) -> &str {
    object
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn anthropic(body: &mut Map<String, Value>, most: u64) -> Result<u64, Refusal> {
    keep(body, ANTHROPIC_KEYS);
    for tool in objects(body, "tools")? {
        if !matches!(kind(tool), "" | "custom") {
            return Err(Refusal::forbidden(format!(
                "the vendor's own tool `{}` is not allowed",
                kind(tool)
            )));
        }
        keep(tool, ANTHROPIC_TOOL_KEYS);
    }
    for part in parts(body, "system")? {
        if kind(part) != "text" {
            return Err(Refusal::forbidden("`system` may hold only text"));
        }
    }
    for message in objects(body, "messages")? {
        for part in parts(message, "content")? {
            anthropic_part(part, true)?;
        }
    }
    cap(body, "max_tokens", most)
}

fn anthropic_part(part: &mut Map<String, Value>, may_nest: bool) -> Result<(), Refusal> {
    match kind(part) {
        "text" | "thinking" | "redacted_thinking" | "tool_use" => Ok(()),
        "image" => match part.get("source").and_then(Value::as_object).map(kind) {
            Some("base64") => Ok(()),
            _ => Err(Refusal::forbidden(
                "a picture must be in the request itself, not at an address",
            )),
        },
        "tool_result" if may_nest => parts(part, "content")?
            .into_iter()
            .try_for_each(|part| anthropic_part(part, false)),
        other => Err(Refusal::forbidden(format!(
            "content of the type `{other}` is not allowed"
        ))),
    }
}

fn openai(body: &mut Map<String, Value>, most: u64, streamed: bool) -> Result<u64, Refusal> {
    keep(body, OPENAI_KEYS);
    for tool in objects(body, "tools")? {
        if kind(tool) != "function" {
            return Err(Refusal::forbidden(format!(
                "the vendor's own tool `{}` is not allowed",
                kind(tool)
            )));
        }
    }
    for message in objects(body, "messages")? {
        for part in parts(message, "content")? {
            openai_part(part)?;
        }
    }
    if body.contains_key("store") {
        body.insert("store".to_owned(), false.into());
    }
    if streamed {
        // Without this there is no usage in a stream.
        body.insert(
            "stream_options".to_owned(),
            serde_json::json!({"include_usage": true}),
        );
    }
    // Older servers know only the first name, newer models take only the second: keep the one that was used.
    let key = if body.contains_key("max_tokens") {
        "max_tokens"
    } else {
        "max_completion_tokens"
    };
    if key == "max_tokens" {
        body.remove("max_completion_tokens");
    }
    cap(body, key, most)
}

fn openai_part(part: &Map<String, Value>) -> Result<(), Refusal> {
    match kind(part) {
        "text" | "refusal" => Ok(()),
        "image_url" => {
            let url = part
                .get("image_url")
                .and_then(|image| image.get("url"))
                .and_then(Value::as_str);
            if url.is_some_and(|url| url.starts_with("data:")) {
                Ok(())
            } else {
                Err(Refusal::forbidden(
                    "a picture must be in the request itself, not at an address",
                ))
            }
        }
        other => Err(Refusal::forbidden(format!(
            "content of the type `{other}` is not allowed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(vendor: Vendor) -> ModelConfig {
        let mut config = ModelConfig::new(vendor, "m", "key".into());
        config.max_output_tokens = 1000;
        config
    }

    fn checked(vendor: Vendor, body: Value) -> Result<Value, String> {
        let request = check(&config(vendor), None, body.to_string().as_bytes())
            .map_err(|refusal| refusal.message)?;
        Ok(serde_json::from_slice(&request.body).unwrap())
    }

    #[test]
    fn what_pi_sends_to_anthropic_passes() {
        let body = json!({
            "model": "m", "max_tokens": 500, "stream": true,
            "system": [{"type": "text", "text": "You", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "read", "description": "d", "input_schema": {"type": "object"}}],
            "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "t", "signature": "s"},
                    {"type": "tool_use", "id": "1", "name": "read", "input": {"type": "url", "path": "x"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}]}]},
            ],
        });
        assert_eq!(checked(Vendor::Anthropic, body.clone()), Ok(body));
    }

    #[test]
    fn what_pi_sends_to_openai_passes_and_asks_for_usage() {
        let body = json!({
            "model": "m", "stream": true, "store": false, "max_completion_tokens": 500,
            "tools": [{"type": "function", "function": {"name": "read", "parameters": {}}}],
            "messages": [
                {"role": "system", "content": "You"},
                {"role": "user", "content": [{"type": "text", "text": "go"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "read", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "1", "content": "x"},
            ],
        });
        let mut expected = body.clone();
        expected["stream_options"] = json!({"include_usage": true});
        assert_eq!(checked(Vendor::OpenAi, body), Ok(expected));
    }

    #[test]
    fn unknown_settings_are_left_out_and_numbers_cut_down() {
        let body = json!({"model": "m", "max_tokens": 99_999, "messages": [], "metadata": {"user_id": "x"}, "mcp_servers": [],
            "container": "c", "service_tier": "priority"});
        let expected = json!({"model": "m", "max_tokens": 1000, "messages": []});
        assert_eq!(checked(Vendor::Anthropic, body), Ok(expected));

        let body = json!({"model": "m", "messages": [], "n": 50, "user": "x", "store": true, "web_search_options": {},
            "service_tier": "priority", "stream_options": {"include_usage": false}});
        let expected =
            json!({"model": "m", "max_completion_tokens": 1000, "messages": [], "store": false});
        assert_eq!(checked(Vendor::OpenAi, body), Ok(expected));

        let both = json!({"model": "m", "max_tokens": 10, "max_completion_tokens": 99_999, "messages": []});
        assert_eq!(
            checked(Vendor::OpenAi, both),
            Ok(json!({"model": "m", "max_tokens": 10, "messages": []}))
        );
    }

    #[test]
    fn what_makes_the_vendor_reach_out_is_refused() {
        let anthropic = |message: Value| json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [message]}]});
        let picture = json!({"type": "image", "source": {"type": "url", "url": "http://x/"}});
        for body in [
            json!({"model": "other", "max_tokens": 1, "messages": []}),
            json!({"max_tokens": 1, "messages": []}),
            json!({"model": "m", "max_tokens": -1, "messages": []}),
            json!({"model": "m", "max_tokens": 1, "messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            json!({"model": "m", "max_tokens": 1, "messages": [], "tools": [{"type": "code_execution_20250825", "name": "x"}]}),
            json!({"model": "m", "max_tokens": 1, "messages": "text"}),
            json!({"model": "m", "max_tokens": 1, "stream": "yes", "messages": []}),
            anthropic(picture.clone()),
            anthropic(json!({"type": "tool_result", "tool_use_id": "1", "content": [picture]})),
            anthropic(json!({"type": "document", "source": {"type": "url", "url": "http://x/"}})),
            anthropic(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
            anthropic(json!({"type": "container_upload", "file_id": "f"})),
        ] {
            assert!(checked(Vendor::Anthropic, body.clone()).is_err(), "{body}");
        }
        for body in [
            json!({"model": "m", "messages": [], "tools": [{"type": "web_search"}]}),
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}]}),
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
            json!([]),
        ] {
            assert!(checked(Vendor::OpenAi, body.clone()).is_err(), "{body}");
        }
    }
}
