//! Reading what an answer cost out of the answer, while it passes by.

use sallyport_workflows::usage::Usage;
use serde::Deserialize;

use super::Vendor;

/// The longest line of a stream that is looked at. Usage is in short lines.
const LONGEST_LINE: usize = 1 << 20;

/// The longest answer in one piece that is looked at.
const LONGEST_BODY: usize = 16 << 20;

/// Looks at one answer.
#[derive(Debug)]
pub(super) struct Meter {
    vendor: Vendor,
    streamed: bool,
    pending: Vec<u8>,
    /// The line is too long to be of interest; skip to its end.
    skipping: bool,
    tokens: Usage,
    google: GoogleCounts,
    complete: bool,
}

/// Google's counts. A part of the stream leaves out those that are zero, and those of later parts replace earlier ones.
#[derive(Debug, Default)]
struct GoogleCounts {
    prompt: u64,
    tools: u64,
    cached: u64,
    answer: u64,
    thoughts: u64,
    counted: bool,
    ended: bool,
}

impl Meter {
    pub(super) fn new(vendor: Vendor, streamed: bool) -> Self {
        Self {
            vendor,
            streamed,
            pending: Vec::new(),
            skipping: false,
            tokens: Usage::default(),
            google: GoogleCounts::default(),
            complete: false,
        }
    }

    /// Takes the next part of the answer's body.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.streamed {
            if self.pending.len() + bytes.len() <= LONGEST_BODY {
                self.pending.extend_from_slice(bytes);
            }
            return;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = part.ends_with(b"\n");
            if !self.skipping {
                self.pending.extend_from_slice(part);
                self.skipping = self.pending.len() > LONGEST_LINE;
            }
            if ends {
                let line = std::mem::take(&mut self.pending);
                if !std::mem::take(&mut self.skipping) {
                    self.line(&line);
                }
            } else if self.skipping {
                self.pending.clear();
            }
        }
    }

    /// The tokens used, if the answer said so completely.
    pub(super) fn finish(mut self) -> Option<Usage> {
        let rest = std::mem::take(&mut self.pending);
        if self.streamed {
            self.line(&rest);
        } else {
            self.object(&rest);
        }
        self.complete.then_some(self.tokens)
    }

    fn line(&mut self, line: &[u8]) {
        if let Some(data) = line.strip_prefix(b"data:") {
            self.object(data);
        }
    }

    fn object(&mut self, json: &[u8]) {
        let Ok(object) = serde_json::from_slice::<Object>(json) else {
            return;
        };
        if self.vendor == Vendor::Google {
            self.google(object);
            return;
        }
        let usage = object
            .usage
            .or(object.message.and_then(|message| message.usage));
        let Some(usage) = usage else { return };
        match self.vendor {
            Vendor::Anthropic => {
                // The counts of later events replace those of earlier ones.
                set(&mut self.tokens.input_tokens, usage.input_tokens);
                set(&mut self.tokens.output_tokens, usage.output_tokens);
                set(
                    &mut self.tokens.cache_read_tokens,
                    usage.cache_read_input_tokens,
                );
                set(
                    &mut self.tokens.cache_write_tokens,
                    usage.cache_creation_input_tokens,
                );
                // A stream begins with the counts of the input, and ends with those of the output.
                let last = if self.streamed {
                    object.kind == "message_delta"
                } else {
                    true
                };
                self.complete |= last && usage.output_tokens.is_some();
            }
            Vendor::OpenAi => {
                let (Some(prompt), Some(completion)) =
                    (usage.prompt_tokens, usage.completion_tokens)
                else {
                    return;
                };
                let cached = usage
                    .prompt_tokens_details
                    .and_then(|details| details.cached_tokens)
                    .unwrap_or(0)
                    .min(prompt);
                self.tokens.input_tokens = prompt - cached;
                self.tokens.cache_read_tokens = cached;
                self.tokens.output_tokens = completion;
                self.complete = true;
            }
            Vendor::Google => {}
        }
    }

    /// Every part of an answer has counts; only those of one that has ended are final.
    fn google(&mut self, object: Object) {
        let counts = &mut self.google;
        if let Some(usage) = object.usage_metadata {
            set(&mut counts.prompt, usage.prompt_token_count);
            set(&mut counts.tools, usage.tool_use_prompt_token_count);
            set(&mut counts.cached, usage.cached_content_token_count);
            set(&mut counts.answer, usage.candidates_token_count);
            set(&mut counts.thoughts, usage.thoughts_token_count);
            counts.counted |= usage.prompt_token_count.is_some();
        }
        let mut candidates = object.candidates.iter();
        counts.ended |= candidates.any(|candidate| candidate.finish_reason.is_some())
            || object
                .prompt_feedback
                .is_some_and(|feedback| feedback.block_reason.is_some());
        // What was cached is part of the prompt; what was thought is no part of the answer, and costs the same.
        let cached = counts.cached.min(counts.prompt);
        self.tokens.input_tokens = (counts.prompt - cached).saturating_add(counts.tools);
        self.tokens.cache_read_tokens = cached;
        self.tokens.output_tokens = counts.answer.saturating_add(counts.thoughts);
        self.complete = counts.counted && counts.ended;
    }
}

fn set(count: &mut u64, value: Option<u64>) {
    if let Some(value) = value {
        *count = value;
    }
}

#[derive(Deserialize)]
struct Object {
    #[serde(default, rename = "type")]
    kind: String,
    usage: Option<Reported>,
    message: Option<Message>,
    #[serde(rename = "usageMetadata")]
    usage_metadata: Option<UsageMetadata>,
    #[serde(default)]
    candidates: Vec<Candidate>,
    #[serde(rename = "promptFeedback")]
    prompt_feedback: Option<PromptFeedback>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    usage: Option<Reported>,
}

#[derive(Deserialize)]
struct Reported {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANTHROPIC: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":700,",
        "\"cache_read_input_tokens\":200,\"cache_creation_input_tokens\":100,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"usage\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":50}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    const OPENAI: &str = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":50,",
        "\"prompt_tokens_details\":{\"cached_tokens\":200}}}\n\n",
        "data: [DONE]\n\n",
    );
    const GOOGLE: &str = concat!(
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"thought\":true,\"text\":\"hm\"}]}}],",
        "\"usageMetadata\":{\"promptTokenCount\":1000,\"cachedContentTokenCount\":200,\"thoughtsTokenCount\":30}}\r\n\r\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]},\"finishReason\":\"STOP\"}],",
        "\"usageMetadata\":{\"promptTokenCount\":1000,\"candidatesTokenCount\":50,\"thoughtsTokenCount\":40}}\r\n\r\n",
    );

    fn read(vendor: Vendor, streamed: bool, text: &str, step: usize) -> Option<[u64; 4]> {
        let mut meter = Meter::new(vendor, streamed);
        for chunk in text.as_bytes().chunks(step) {
            meter.push(chunk);
        }
        let tokens = meter.finish()?;
        Some([
            tokens.input_tokens,
            tokens.output_tokens,
            tokens.cache_read_tokens,
            tokens.cache_write_tokens,
        ])
    }

    #[test]
    fn streams_are_read_however_they_are_cut() {
        for step in [1, 7, 64, 10_000] {
            assert_eq!(
                read(Vendor::Anthropic, true, ANTHROPIC, step),
                Some([700, 50, 200, 100])
            );
            assert_eq!(
                read(Vendor::OpenAi, true, OPENAI, step),
                Some([800, 50, 200, 0])
            );
            assert_eq!(
                read(Vendor::Google, true, GOOGLE, step),
                Some([800, 90, 200, 0]),
                "thoughts cost what an answer costs"
            );
        }
    }

    #[test]
    fn google_charges_for_thoughts_without_an_answer_and_for_prompts_that_it_blocks() {
        let thoughts = r#"{"candidates":[{"finishReason":"MAX_TOKENS"}],
            "usageMetadata":{"promptTokenCount":3,"thoughtsTokenCount":90}}"#;
        assert_eq!(
            read(Vendor::Google, false, thoughts, 9),
            Some([3, 90, 0, 0])
        );
        let blocked =
            r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}"#;
        assert_eq!(read(Vendor::Google, false, blocked, 9), Some([3, 0, 0, 0]));
    }

    #[test]
    fn answers_in_one_piece_are_read() {
        let anthropic =
            r#"{"type":"message","content":[],"usage":{"input_tokens":3,"output_tokens":4}}"#;
        assert_eq!(
            read(Vendor::Anthropic, false, anthropic, 9),
            Some([3, 4, 0, 0])
        );
        let openai = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        assert_eq!(read(Vendor::OpenAi, false, openai, 9), Some([3, 4, 0, 0]));
    }

    #[test]
    fn an_answer_that_was_cut_says_nothing() {
        let cut = ANTHROPIC.find("event: message_delta").unwrap();
        assert_eq!(read(Vendor::Anthropic, true, &ANTHROPIC[..cut], 100), None);
        let cut = OPENAI.find("data: {\"choices\":[],").unwrap();
        assert_eq!(read(Vendor::OpenAi, true, &OPENAI[..cut], 100), None);
        assert_eq!(read(Vendor::OpenAi, false, "{\"usage\":", 100), None);
        let cut = GOOGLE.rfind("data: ").unwrap();
        assert_eq!(read(Vendor::Google, true, &GOOGLE[..cut], 100), None);
    }

    #[test]
    fn endless_lines_are_skipped() {
        let flood = format!("data: \"{}\"\n{OPENAI}", "x".repeat(3 * LONGEST_LINE));
        assert_eq!(
            read(Vendor::OpenAi, true, &flood, 8192),
            Some([800, 50, 200, 0])
        );
    }
}
