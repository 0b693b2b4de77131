//! A request and an answer, free of any vendor's wording.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::scenario::{ToolCall, Usage};

/// What a valid request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conversation {
    pub(super) model: String,
    /// Whether the answer is to come as a stream of events.
    pub(super) stream: bool,
    /// Whether the stream is to end with the token counts (OpenAI's option; always true for the others).
    pub(super) include_usage: bool,
    /// The JSON schema that the answer must satisfy.
    pub(super) output_schema: Option<Value>,
    /// Whether tools are offered.
    pub(super) offers_tools: bool,
    /// All messages, oldest first.
    pub(super) messages: Vec<Message>,
    /// The size of the request's body in bytes.
    pub(super) request_bytes: usize,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Orders of the program.
    System(String),
    /// Words of the user.
    Prompt(String),
    /// What tools have returned.
    ToolResults,
    /// What the model has said before.
    Assistant(String),
}

impl Conversation {
    /// All words of all messages.
    pub(super) fn text(&self) -> String {
        let texts: Vec<_> = self
            .messages
            .iter()
            .map(|message| match message {
                Message::System(text) | Message::Prompt(text) | Message::Assistant(text) => {
                    text.as_str()
                }
                Message::ToolResults => "",
            })
            .collect();
        texts.join("\n")
    }

    /// A name for the request's words: the same for a request that is sent again.
    pub(super) fn digest(&self) -> String {
        digest(&format!("{:?}", self.messages))
    }
}

/// An answer, ready to be put into a vendor's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// Different for different answers, the same when an answer is given again.
    pub(super) seed: String,
    pub(super) model: String,
    pub(super) text: String,
    pub(super) tools: Vec<ToolCall>,
    pub(super) usage: Usage,
    pub(super) include_usage: bool,
    pub(super) end: End,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With all that was to be said, or with calls of tools.
    Whole,
    /// At its largest length.
    Cut,
    /// Without having begun: the model will not.
    Declined,
}

impl Answer {
    /// The id of the tool call at `place`, with a vendor's `prefix`.
    pub(super) fn tool_id(&self, prefix: &str, place: usize) -> String {
        format!("{prefix}{}", digest(&format!("{} {place}", self.seed)))
    }

    /// The id of the answer, with a vendor's `prefix`.
    pub(super) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{}", digest(&self.seed))
    }
}

/// Why a request gets an error instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such path or method.
    UnknownPath(String),
    /// The key is missing (none) or wrong.
    WrongKey(Option<String>),
    /// The request breaks the vendor's rules; the parameter, if one is to blame, and what is wrong.
    BadRequest {
        parameter: Option<String>,
        message: String,
    },
    /// There is no such model.
    UnknownModel(String),
    /// The scenario wants this status.
    Scripted {
        status: u16,
        retry_after_seconds: Option<u64>,
    },
}

impl Refusal {
    pub(super) fn bad_request(parameter: &str, message: impl Into<String>) -> Self {
        Self::BadRequest {
            parameter: Some(parameter.to_owned()),
            message: message.into(),
        }
    }
}

/// Cuts `text` into pieces of about `size` characters, as a model's tokens come; none for an empty text.
pub(super) fn pieces(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(size)
        .map(|piece| piece.iter().collect())
        .collect()
}

/// 24 hexadecimal digits that stand for `text`.
fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_every_character() {
        let text = "größer als gedacht ✓";
        let cut = pieces(text, 3);
        assert_eq!(cut.concat(), text);
        assert_eq!(cut.len(), 7);
        assert!(pieces("", 3).is_empty());
    }
}
