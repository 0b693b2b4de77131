//! Which model answers, and where.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{GatewayError, Price, RateLimits};

/// Google's methods: an answer as a stream, and in one piece.
const GOOGLE_STREAM: &str = ":streamGenerateContent";
const GOOGLE_WHOLE: &str = ":generateContent";

/// What makes Google's stream one of server-sent events.
pub(super) const GOOGLE_EVENTS: &str = "alt=sse";

/// Whose protocol the model speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vendor {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's Chat Completions, which many others speak too.
    #[serde(rename = "openai")]
    OpenAi,
    /// Google's Gemini API.
    Google,
}

impl Vendor {
    /// Its name, as the configuration has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Google => "google",
        }
    }

    /// The vendor's own address.
    pub fn default_base_url(self) -> &'static str {
        match self {
            Self::Anthropic => "https://api.anthropic.com",
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Google => "https://generativelanguage.googleapis.com/v1beta",
        }
    }

    /// The version that begins the vendor's paths.
    pub fn version(self) -> &'static str {
        match self {
            Self::Anthropic | Self::OpenAi => "/v1",
            Self::Google => "/v1beta",
        }
    }

    /// The configured address with its version: `/v1` or `/v1beta` is added where there is no path; for Anthropic, whose
    /// clients add it themselves, also where the path does not end with it. No slash at its end.
    pub(crate) fn versioned(self, base_url: &str) -> Result<Url, String> {
        let mut url = Url::parse(base_url).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it must begin with http:// or https://".to_owned());
        }
        let mut path = url.path().trim_end_matches('/').to_owned();
        if path.is_empty() || (self == Self::Anthropic && !path.ends_with(self.version())) {
            path.push_str(self.version());
        }
        url.set_path(&path);
        Ok(url)
    }
}

/// The model that answers an agent.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Whose protocol it speaks.
    pub vendor: Vendor,
    /// Its address. The protocol's version, as `/v1`, is added where there is no path; for Anthropic, also where the path
    /// does not end with it.
    pub base_url: String,
    /// The key. Never in a log, never in a room.
    pub api_key: SecretString,
    /// The one model that may be asked for.
    pub model: String,
    /// The most tokens that one answer may have. A request for more is cut down to this.
    pub max_output_tokens: u64,
    /// How much the model reads at once, in tokens: what Pi shortens its conversation to.
    pub context_tokens: u64,
    /// The model's price, if it differs from the built-in list or is not on it.
    pub price: Option<Price>,
    /// How freely the planner chooses its words, from 0 to 2; as the vendor has it, if it is absent. An agent sets its own.
    pub temperature: Option<f64>,
    /// Whether the planner has its answer come as a stream. An agent always does.
    pub stream: bool,
    /// How often the vendor is asked again when it is busy.
    pub retry: RetryPolicy,
    /// How fast the vendor is asked.
    pub rate: RateLimits,
}

impl ModelConfig {
    /// `model` at its vendor's own address, with the limits that suit today's models.
    pub fn new(vendor: Vendor, model: impl Into<String>, api_key: SecretString) -> Self {
        Self {
            vendor,
            base_url: vendor.default_base_url().to_owned(),
            api_key,
            model: model.into(),
            max_output_tokens: 16_384,
            context_tokens: match vendor {
                Vendor::Anthropic => 200_000,
                Vendor::OpenAi => 128_000,
                // It reads more, but some models cost twice as much from here on.
                Vendor::Google => 200_000,
            },
            price: None,
            temperature: None,
            stream: true,
            retry: RetryPolicy::default(),
            rate: RateLimits::default(),
        }
    }

    /// The paths that the gateway serves.
    pub(super) fn paths(&self) -> Vec<String> {
        let version = self.vendor.version();
        let calls: &[bool] = match self.vendor {
            Vendor::Anthropic | Vendor::OpenAi => &[true],
            Vendor::Google => &[true, false],
        };
        calls
            .iter()
            .map(|streamed| format!("{version}{}", self.call(*streamed)))
            .collect()
    }

    /// Whether an answer comes as a stream, where the path says so and not the body.
    pub(super) fn streamed_by(&self, path: &str) -> Option<bool> {
        (self.vendor == Vendor::Google).then(|| path.ends_with(GOOGLE_STREAM))
    }

    /// The path of the one call, behind the version.
    fn call(&self, streamed: bool) -> String {
        match self.vendor {
            Vendor::Anthropic => "/messages".to_owned(),
            Vendor::OpenAi => "/chat/completions".to_owned(),
            Vendor::Google => {
                let method = if streamed {
                    GOOGLE_STREAM
                } else {
                    GOOGLE_WHOLE
                };
                format!("/models/{}{method}", self.model)
            }
        }
    }

    /// Where requests are sent.
    pub(super) fn endpoint(&self, streamed: bool) -> Result<Url, GatewayError> {
        // The name becomes a part of Google's path, and must not lead elsewhere.
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if self.vendor == Vendor::Google && !self.model.chars().all(fits) {
            return Err(GatewayError::BadModel {
                model: self.model.clone(),
            });
        }
        let mut url =
            self.vendor
                .versioned(&self.base_url)
                .map_err(|reason| GatewayError::BadAddress {
                    url: self.base_url.clone(),
                    reason,
                })?;
        url.set_path(&format!("{}{}", url.path(), self.call(streamed)));
        if self.vendor == Vendor::Google && streamed {
            url.set_query(Some(GOOGLE_EVENTS));
        }
        Ok(url)
    }
}

/// How a busy vendor (429, 5xx) or a broken connection is tried again. Only before the first byte of an answer: what an
/// agent has seen cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included.
    pub attempts: u32,
    /// The first pause; each further one is twice as long.
    pub first_delay: Duration,
    /// The longest pause, also if the vendor asks for more: then the request fails.
    pub longest_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_a_version_are_understood() {
        let endpoint = |vendor, base: &str| {
            let mut config = ModelConfig::new(vendor, "m", "key".into());
            config.base_url = base.to_owned();
            config.endpoint(true).map(|url| url.to_string())
        };
        for base in [
            "https://api.anthropic.com",
            "https://api.anthropic.com/",
            "https://api.anthropic.com/v1/",
        ] {
            assert_eq!(
                endpoint(Vendor::Anthropic, base).unwrap(),
                "https://api.anthropic.com/v1/messages"
            );
        }
        for (base, expected) in [
            (
                "http://127.0.0.1:9",
                "http://127.0.0.1:9/v1/chat/completions",
            ),
            (
                "https://api.openai.com/v1",
                "https://api.openai.com/v1/chat/completions",
            ),
            (
                "https://example.com/v1beta/openai/",
                "https://example.com/v1beta/openai/chat/completions",
            ),
        ] {
            assert_eq!(endpoint(Vendor::OpenAi, base).unwrap(), expected);
        }
        for base in ["http://127.0.0.1:9", "http://127.0.0.1:9/v1beta/"] {
            assert_eq!(
                endpoint(Vendor::Google, base).unwrap(),
                "http://127.0.0.1:9/v1beta/models/m:streamGenerateContent?alt=sse"
            );
        }
        assert!(endpoint(Vendor::OpenAi, "file:///etc/passwd").is_err());
        assert!(endpoint(Vendor::OpenAi, "nowhere").is_err());
    }

    #[test]
    fn a_models_name_leads_nowhere_else_in_googles_path() {
        for name in ["../files", "m:x", "a/b", "a b", "{x}", "tunedModels/m"] {
            let error = ModelConfig::new(Vendor::Google, name, "key".into())
                .endpoint(true)
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && error.contains("without"), "{error}");
        }
        let good = ModelConfig::new(Vendor::Google, "gemini-2.5-flash", "key".into());
        assert_eq!(
            good.endpoint(false).unwrap().as_str(),
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent"
        );
        assert_eq!(
            good.paths(),
            [
                "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
                "/v1beta/models/gemini-2.5-flash:generateContent"
            ]
        );
    }
}
