//! Lines of an agent's log, as they are kept and shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The longest message of a line, in bytes.
pub const LONGEST_MESSAGE: usize = 4 << 10;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What the agent does.
    Info,
    /// What was refused, or did not work.
    Warn,
    /// What should not happen.
    Error,
}

/// One thing that happened in an agent's run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLogLine {
    /// When we saw it.
    pub at: DateTime<Utc>,
    /// How much it matters.
    pub level: LogLevel,
    /// What happened: at most [`LONGEST_MESSAGE`] bytes, secrets taken out.
    pub message: String,
    /// The tool that was used.
    pub tool: Option<String>,
    /// The file that it was used on.
    pub path: Option<String>,
}

impl AgentLogLine {
    /// A line about what happens now.
    pub(crate) fn now(
        level: LogLevel,
        message: &str,
        tool: Option<&str>,
        path: Option<&str>,
    ) -> Self {
        Self {
            at: Utc::now(),
            level,
            message: shorten(&redact(message), LONGEST_MESSAGE),
            tool: tool.map(|tool| shorten(tool, 64)),
            path: path.map(|path| shorten(&redact(path), 512)),
        }
    }
}

/// `text`, cut to at most `limit` bytes at a character's boundary, with an ellipsis where something is cut.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// How secrets of well-known kinds begin.
const SECRETS_BEGIN_WITH: &[&str] = &[
    "sk-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "npm_",
    "pypi-",
];

/// From this length on, what follows such a beginning is taken for a secret.
const SHORTEST_SECRET: usize = 12;

/// `text` without what looks like a key or a token. An agent sees none of ours; the repository may hold somebody's.
pub fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    // Word by word, where a word is what a token is made of.
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let secret = SECRETS_BEGIN_WITH.iter().any(|start| {
            word.strip_prefix(start)
                .is_some_and(|secret| secret.len() >= SHORTEST_SECRET)
        });
        redacted.push_str(if secret { "[secret]" } else { word });
        let between = after.find(is_token).unwrap_or(after.len());
        redacted.push_str(&after[..between]);
        rest = &after[between..];
    }
    while let Some(start) = redacted.find("-----BEGIN ") {
        let Some(kind_end) = redacted[start..].find("PRIVATE KEY-----") else {
            break;
        };
        let body = start + kind_end + "PRIVATE KEY-----".len();
        let end = redacted[body..]
            .find("PRIVATE KEY-----")
            .map_or(redacted.len(), |end| body + end + "PRIVATE KEY-----".len());
        redacted.replace_range(start..end, "[private key]");
    }
    redacted
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_and_cut_between_characters() {
        let line = AgentLogLine::now(LogLevel::Info, &"ü".repeat(5000), None, None);
        assert!(line.message.len() <= LONGEST_MESSAGE && line.message.ends_with("ü…"));
        assert_eq!(shorten("short", 5), "short");
    }

    #[test]
    fn secrets_are_taken_out() {
        // Put together here, so that no scanner finds one in this file.
        let key = |start: &str| format!("{start}{}", "0123456789abcdefABCDEF");
        for start in SECRETS_BEGIN_WITH {
            assert_eq!(
                redact(&format!("KEY=\"{}\";", key(start))),
                "KEY=\"[secret]\";",
                "{start}"
            );
        }
        let pem = format!(
            "a -----BEGIN RSA {k}-----\nMIIE\n-----END RSA {k}----- b",
            k = "PRIVATE KEY"
        );
        assert_eq!(redact(&pem), "a [private key] b");
        let cut = format!("-----BEGIN {k}-----\nMIIE", k = "PRIVATE KEY");
        assert_eq!(redact(&cut), "[private key]");
        for harmless in [
            "risk-free and task-oriented work",
            "sk-ip",
            "a/b_c-d.rs: ü",
            "-----BEGIN CERTIFICATE-----",
            "",
        ] {
            assert_eq!(redact(harmless), harmless);
        }
    }
}
