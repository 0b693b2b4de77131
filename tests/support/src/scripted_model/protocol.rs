//! What differs from vendor to vendor.

use axum::http::{HeaderMap, Uri};
use serde_json::Value;

use super::conversation::{Answer, Conversation, Refusal};

/// A vendor's way of speaking.
pub(super) trait Protocol: Send + Sync {
    /// Whether `path` is that of its call.
    fn serves(&self, path: &str) -> bool;

    /// The header, in lower case, in which it looks for the key.
    fn key_header(&self) -> &'static str;

    /// Whether its errors have the header `retry-after`.
    fn tells_retry_after(&self) -> bool {
        true
    }

    /// The key that the request shows.
    fn key(&self, headers: &HeaderMap) -> Option<String>;

    /// Checks a request by the vendor's rules and reads it.
    fn read(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Conversation, Refusal>;

    /// The answer as one JSON document.
    fn document(&self, answer: &Answer) -> Value;

    /// The answer as server-sent events, each with its closing blank line.
    fn events(&self, answer: &Answer) -> Vec<String>;

    /// The event that reports an error in the middle of a stream.
    fn error_event(&self) -> String;

    /// Status and body of an error.
    fn error(&self, refusal: &Refusal) -> (u16, Value);
}

/// Reads a body that must be a JSON object with a model and at least one message.
pub(super) fn text_of<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// The words of a message's content: a string, or the blocks of type `text`.
pub(super) fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<_> = blocks
                .iter()
                .filter(|block| text_of(block, "type") == Some("text"))
                .filter_map(|block| text_of(block, "text"))
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
