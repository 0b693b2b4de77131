//! What may be asked of Google: `generateContent`, and the same as a stream.
//!
//! Protocol buffers' JSON knows each key by two names, as `fileData` and `file_data`. Only the first ones are known here, so
//! the second ones cannot slip through: in parts, where they would matter, every other key is refused.

use serde_json::{Map, Value};

use super::{cap, keep, objects};
use crate::gateway::refusal::Refusal;

const KEYS: &[&str] = &[
    "contents",
    "generationConfig",
    "systemInstruction",
    "toolConfig",
    "tools",
];

/// Without `candidateCount`, which multiplies the cost, and without voices and pictures as answers.
const GENERATION_KEYS: &[&str] = &[
    "frequencyPenalty",
    "maxOutputTokens",
    "presencePenalty",
    "responseJsonSchema",
    "responseMimeType",
    "responseSchema",
    "seed",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
];

const FUNCTION_KEYS: &[&str] = &["description", "name", "parameters", "parametersJsonSchema"];

/// What goes with a part's content.
const PART_MARKS: &[&str] = &["thought", "thoughtSignature"];

/// Checks a body, and says how many tokens its answer may have.
pub(super) fn google(body: &mut Map<String, Value>, most: u64) -> Result<u64, Refusal> {
    if body.contains_key("cachedContent") || body.contains_key("cached_content") {
        return Err(Refusal::forbidden(
            "what is stored at the vendor may not be used: `cachedContent`",
        ));
    }
    keep(body, KEYS);
    for tool in objects(body, "tools")? {
        if let Some(other) = tool.keys().find(|key| *key != "functionDeclarations") {
            return Err(Refusal::forbidden(format!(
                "the vendor's own tool `{other}` is not allowed"
            )));
        }
        for function in objects(tool, "functionDeclarations")? {
            keep(function, FUNCTION_KEYS);
        }
    }
    if let Some(choice) = object(body, "toolConfig")? {
        keep(choice, &["functionCallingConfig"]);
    }
    if let Some(system) = object(body, "systemInstruction")? {
        keep(system, &["parts", "role"]);
        for part in objects(system, "parts")? {
            if part.keys().any(|key| key != "text") {
                return Err(Refusal::forbidden("`systemInstruction` may hold only text"));
            }
        }
    }
    for content in objects(body, "contents")? {
        keep(content, &["parts", "role"]);
        for part in objects(content, "parts")? {
            check_part(part)?;
        }
    }
    body.entry("generationConfig")
        .or_insert_with(|| Value::Object(Map::new()));
    let Some(generation) = object(body, "generationConfig")? else {
        return Err(Refusal::malformed("`generationConfig` is null"));
    };
    keep(generation, GENERATION_KEYS);
    cap(generation, "maxOutputTokens", most)
}

/// The object at `key`; none if there is no such key.
fn object<'a>(
    holder: &'a mut Map<String, Value>,
    key: &str,
) -> Result<Option<&'a mut Map<String, Value>>, Refusal> {
    match holder.get_mut(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Refusal::malformed(format!("`{key}` is no object"))),
    }
}

fn check_part(part: &mut Map<String, Value>) -> Result<(), Refusal> {
    let known = ["text", "inlineData", "functionCall", "functionResponse"];
    let is_known = |key: &str| known.contains(&key) || PART_MARKS.contains(&key);
    if let Some(other) = part.keys().find(|key| !is_known(key)) {
        return Err(Refusal::forbidden(format!(
            "content of the kind `{other}` is not allowed"
        )));
    }
    if let Some(call) = object(part, "functionCall")? {
        keep(call, &["args", "id", "name"]);
    }
    if let Some(response) = object(part, "functionResponse")? {
        keep(response, &["id", "name", "parts", "response"]);
        for part in objects(response, "parts")? {
            if part.keys().any(|key| key != "inlineData") {
                return Err(Refusal::forbidden(
                    "a tool's result may hold only text and pictures in the request itself",
                ));
            }
            check_picture(part)?;
        }
    }
    check_picture(part)
}

fn check_picture(part: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(data) = object(part, "inlineData")? else {
        return Ok(());
    };
    keep(data, &["data", "mimeType"]);
    let kind = data.get("mimeType").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind.starts_with("image/")) {
        return Ok(());
    }
    Err(Refusal::forbidden("only pictures may be in the request"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{ModelConfig, check};
    use super::*;
    use crate::gateway::Vendor;

    fn checked(body: &Value) -> Result<Value, String> {
        let mut config = ModelConfig::new(Vendor::Google, "m", "key".into());
        config.max_output_tokens = 1000;
        let request = check(&config, Some(true), body.to_string().as_bytes())
            .map_err(|refusal| refusal.message)?;
        assert!(request.streamed);
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            sent["generationConfig"]["maxOutputTokens"],
            request.output_tokens
        );
        Ok(sent)
    }

    #[test]
    fn what_pi_and_the_planner_send_passes() {
        let body = json!({
            "systemInstruction": {"role": "user", "parts": [{"text": "You"}]},
            "tools": [{"functionDeclarations": [
                {"name": "read", "description": "d", "parametersJsonSchema": {"type": "object", "fileData": 1}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
            "contents": [
                {"role": "user", "parts": [{"text": "go"}, {"inlineData": {"mimeType": "image/png", "data": ""}}]},
                {"role": "model", "parts": [
                    {"text": "hm", "thought": true, "thoughtSignature": "c2ln"},
                    {"functionCall": {"id": "1", "name": "read", "args": {"fileUri": "x"}}, "thoughtSignature": "c2ln"}]},
                {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "read", "response": {"output": "x"},
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}}]},
            ],
            "generationConfig": {"maxOutputTokens": 500, "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object"}, "thinkingConfig": {"thinkingBudget": 0}},
        });
        assert_eq!(checked(&body), Ok(body));
    }

    #[test]
    fn unknown_settings_are_left_out_and_numbers_cut_down() {
        let body = json!({
            "contents": [{"role": "user", "parts": [{"text": "x"}], "more": 1}], "safetySettings": [], "labels": {},
            "system_instruction": {"parts": [{"file_data": {}}]}, "model": "other",
            "toolConfig": {"includeServerSideToolInvocations": true},
            "generationConfig": {"maxOutputTokens": 99_999, "candidateCount": 8, "responseModalities": ["IMAGE"]},
        });
        let expected = json!({
            "contents": [{"role": "user", "parts": [{"text": "x"}]}], "toolConfig": {},
            "generationConfig": {"maxOutputTokens": 1000},
        });
        assert_eq!(checked(&body), Ok(expected));
        let bare = json!({"contents": []});
        let expected = json!({"contents": [], "generationConfig": {"maxOutputTokens": 1000}});
        assert_eq!(checked(&bare), Ok(expected));
    }

    #[test]
    fn what_makes_the_vendor_reach_out_is_refused() {
        let part = |part: Value| json!({"contents": [{"role": "user", "parts": [part]}]});
        let file = json!({"mimeType": "image/png", "fileUri": "https://example.com/x"});
        for body in [
            json!({"contents": [], "tools": [{"googleSearch": {}}]}),
            json!({"contents": [], "tools": [{"google_search": {}}]}),
            json!({"contents": [], "tools": [{"codeExecution": {}}]}),
            json!({"contents": [], "tools": [{"functionDeclarations": [], "urlContext": {}}]}),
            json!({"contents": [], "cachedContent": "cachedContents/1"}),
            json!({"contents": [], "cached_content": "cachedContents/1"}),
            json!({"contents": "text"}),
            json!({"contents": [], "tools": {"googleSearch": {}}}),
            json!({"contents": [], "generationConfig": {"maxOutputTokens": -1}}),
            json!({"contents": [], "generationConfig": null}),
            json!({"contents": [], "systemInstruction": {"parts": [{"fileData": file}]}}),
            part(json!({"fileData": file})),
            part(json!({"file_data": file})),
            part(json!({"text": "x", "executableCode": {}})),
            part(json!({"inlineData": {"mimeType": "application/pdf", "data": ""}})),
            part(json!({"inline_data": {"mime_type": "application/pdf", "data": ""}})),
            part(
                json!({"functionResponse": {"name": "x", "response": {}, "parts": [{"fileData": file}]}}),
            ),
            part(json!({"functionCall": "x"})),
        ] {
            assert!(checked(&body).is_err(), "{body}");
        }
    }
}
