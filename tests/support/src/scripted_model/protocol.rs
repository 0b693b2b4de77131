//! What differs from vendor to vendor.

use axum::http::HeaderMap;
use serde_json::Value;

use super::conversation::{Answer, Conversation, Refusal};

/// A vendor's way of speaking.
pub(super) trait Protocol: Send + Sync {
    /// The path of its one call.
    fn path(&self) -> &'static str;

    /// The key that the request shows, where this vendor looks for it.
    fn key(&self, headers: &HeaderMap) -> Option<String>;

    /// Checks a request by the vendor's rules and reads it.
    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Conversation, Refusal>;

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
