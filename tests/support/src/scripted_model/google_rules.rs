//! What Google's service demands of a request's contents and tools.

use serde_json::Value;

use super::conversation::{Message, Refusal};
use super::google::{invalid, words};
use super::protocol::text_of;

pub(super) const REQUEST_KEYS: &[&str] = &[
    "cachedContent",
    "contents",
    "generationConfig",
    "safetySettings",
    "systemInstruction",
    "toolConfig",
    "tools",
];
pub(super) const GENERATION_KEYS: &[&str] = &[
    "candidateCount",
    "frequencyPenalty",
    "maxOutputTokens",
    "presencePenalty",
    "responseJsonSchema",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "seed",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
];
pub(super) const CONTENT_KEYS: &[&str] = &["parts", "role"];
const PART_KEYS: &[&str] = &[
    "fileData",
    "functionCall",
    "functionResponse",
    "inlineData",
    "text",
    "thought",
    "thoughtSignature",
];
const TOOL_KEYS: &[&str] = &[
    "codeExecution",
    "functionDeclarations",
    "googleSearch",
    "urlContext",
];
const FUNCTION_KEYS: &[&str] = &["description", "name", "parameters", "parametersJsonSchema"];

/// Refuses a key that the service does not know, in its words.
pub(super) fn only_known(place: &str, object: &Value, keys: &[&str]) -> Result<(), Refusal> {
    let mut names = object.as_object().into_iter().flat_map(|all| all.keys());
    match names.find(|name| !keys.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let at = match place {
                "" => String::new(),
                _ => format!(" at '{place}'"),
            };
            Err(invalid(format!(
                "Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field."
            )))
        }
    }
}

/// The parts of a content.
pub(super) fn parts(content: &Value) -> impl Iterator<Item = &Value> {
    content["parts"].as_array().into_iter().flatten()
}

/// Whether the request offers tools, which must be well-formed.
pub(super) fn offers_tools(request: &Value) -> Result<bool, Refusal> {
    let mut offered = false;
    for (index, tool) in list(request, "tools").enumerate() {
        only_known(&format!("tools[{index}]"), tool, TOOL_KEYS)?;
        for (place, function) in list(tool, "functionDeclarations").enumerate() {
            let at = format!("tools[{index}].function_declarations[{place}]");
            only_known(&at, function, FUNCTION_KEYS)?;
            if text_of(function, "name").is_none_or(str::is_empty) {
                return Err(invalid(format!(
                    "* GenerateContentRequest.{at}.name: Invalid function name. Must start with a letter or an underscore."
                )));
            }
            offered = true;
        }
    }
    Ok(offered)
}

fn list<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    object[key].as_array().into_iter().flatten()
}

/// Reads the contents, which must answer each call of a function in the content behind it.
pub(super) fn messages(request: &Value) -> Result<Vec<Message>, Refusal> {
    let contents: Vec<&Value> = list(request, "contents").collect();
    if contents.is_empty() {
        return Err(invalid(
            "* GenerateContentRequest.contents: contents is not specified",
        ));
    }
    let mut messages = Vec::new();
    // The names of the functions that the content before called.
    let mut open: Vec<&str> = Vec::new();
    for (index, content) in contents.iter().enumerate() {
        let at = format!("contents[{index}]");
        only_known(&at, content, CONTENT_KEYS)?;
        if parts(content).next().is_none() {
            return Err(invalid(format!(
                "* GenerateContentRequest.{at}.parts: contents.parts must not be empty."
            )));
        }
        for (place, part) in parts(content).enumerate() {
            only_known(&format!("{at}.parts[{place}]"), part, PART_KEYS)?;
        }
        let mut answered = names(content, "functionResponse");
        let mut wanted = std::mem::take(&mut open);
        answered.sort_unstable();
        wanted.sort_unstable();
        if answered != wanted {
            return Err(invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts \
                 of the function call turn.",
            ));
        }
        match text_of(content, "role") {
            Some("user") => {
                if !answered.is_empty() {
                    messages.push(Message::ToolResults);
                }
                let said = words(content);
                if !said.is_empty() {
                    messages.push(Message::Prompt(said));
                }
            }
            Some("model") if index == 0 => {
                return Err(invalid(
                    "Please ensure that function call turn comes immediately after a user turn or after a function \
                     response turn.",
                ));
            }
            Some("model") => {
                open = names(content, "functionCall");
                let mut calls = parts(content).filter(|part| part.get("functionCall").is_some());
                if let Some(first) = calls.next()
                    && first.get("thoughtSignature").is_none()
                {
                    return Err(invalid(format!(
                        "Function call is missing a thought_signature in functionCall parts. This is required for tools \
                         to work correctly. Function call, position {index}."
                    )));
                }
                messages.push(Message::Assistant(words(content)));
            }
            _ => return Err(invalid("Please use a valid role: user, model.")),
        }
    }
    if !open.is_empty() {
        return Err(invalid(
            "Please ensure that single turn requests end with a user role or a function response.",
        ));
    }
    Ok(messages)
}

/// The names of the functions in the parts of one kind.
fn names<'a>(content: &'a Value, kind: &str) -> Vec<&'a str> {
    parts(content)
        .filter_map(|part| part.get(kind))
        .map(|function| text_of(function, "name").unwrap_or_default())
        .collect()
}
