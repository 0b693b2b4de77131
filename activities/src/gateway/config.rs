//! Which model answers, and where.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{GatewayError, Price};

/// Whose protocol the model speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vendor {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's Chat Completions, which many others speak too.
    #[serde(rename = "openai")]
    OpenAi,
}

impl Vendor {
    /// The vendor's own address.
    pub fn default_base_url(self) -> &'static str {
        match self {
            Self::Anthropic => "https://api.anthropic.com",
            Self::OpenAi => "https://api.openai.com/v1",
        }
    }

    /// The one path that the gateway serves.
    pub fn path(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::OpenAi => "/v1/chat/completions",
        }
    }
}

/// The model that answers an agent.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Whose protocol it speaks.
    pub vendor: Vendor,
    /// Its address. `/v1` is added where there is no path; for Anthropic, also where the path does not end with it.
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
    /// How often the vendor is asked again when it is busy.
    pub retry: RetryPolicy,
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
            },
            price: None,
            retry: RetryPolicy::default(),
        }
    }

    /// Where requests are sent.
    pub(super) fn endpoint(&self) -> Result<Url, GatewayError> {
        let bad = |reason: String| GatewayError::BadAddress {
            url: self.base_url.clone(),
            reason,
        };
        let mut url = Url::parse(&self.base_url).map_err(|error| bad(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it must begin with http:// or https://".to_owned()));
        }
        let mut path = url.path().trim_end_matches('/').to_owned();
        if path.is_empty() || (self.vendor == Vendor::Anthropic && !path.ends_with("/v1")) {
            path.push_str("/v1");
        }
        path.push_str(match self.vendor {
            Vendor::Anthropic => "/messages",
            Vendor::OpenAi => "/chat/completions",
        });
        url.set_path(&path);
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
            config.endpoint().map(|url| url.to_string())
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
        assert!(endpoint(Vendor::OpenAi, "file:///etc/passwd").is_err());
        assert!(endpoint(Vendor::OpenAi, "nowhere").is_err());
    }
}
