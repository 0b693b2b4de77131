//! Asking a model, behind a trait of one method, so that the planner does not depend on how.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{
        ChatMessage, ChatOptions, ChatRequest, ChatResponse, ChatResponseFormat, JsonSpec,
        StopReason,
    },
    resolver::{AuthData, Endpoint},
    webc,
};
use sallyport_workflows::{text::shorten, usage::Usage};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    failure::{scrub, without_secret},
    gateway::{ModelConfig, Pace, Price, Vendor, pause_asked_for, price_of},
};

/// The most tokens that one answer may have.
pub const MAXIMUM_OUTPUT_TOKENS: u32 = 16_000;

/// How many bytes of the conversation are a token, for the pace.
const BYTES_PER_TOKEN: u64 = 3;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// One message of the conversation with the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// What the planner is for.
    System(String),
    /// Ours.
    User(String),
    /// The planner's.
    Assistant(String),
}

impl Turn {
    /// Who speaks.
    pub fn role(&self) -> &'static str {
        match self {
            Self::System(_) => "system",
            Self::User(_) => "user",
            Self::Assistant(_) => "assistant",
        }
    }

    /// The words.
    pub fn text(&self) -> &str {
        match self {
            Self::System(text) | Self::User(text) | Self::Assistant(text) => text,
        }
    }
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The text: JSON, if the vendor keeps its word.
    pub text: String,
    /// Whether it was cut because it was too long.
    pub cut: bool,
    /// What it cost.
    pub usage: Usage,
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The vendor will refuse the same request again.
    #[error(
        "the model's vendor refused the planner's request ({status}): {reason}; check [model] in sallyport.toml"
    )]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the vendor said, shortened.
        reason: String,
    },
    /// The vendor is busy or in trouble.
    #[error("the model's vendor has no answer now ({status}): {reason}")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// What the vendor said, shortened.
        reason: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// There was no answer, or none that could be read.
    #[error("the model's vendor could not be reached, or its answer could not be read: {reason}")]
    Unreachable {
        /// Why.
        reason: String,
    },
    /// The model has an answer, and it is no.
    #[error(
        "the model declined to plan this ticket: {reason}; say in the ticket what is wanted and why, or configure another model"
    )]
    Declined {
        /// What the vendor says of it.
        reason: String,
        /// What that cost.
        usage: Usage,
    },
    /// The planner cannot be used as it is configured.
    #[error("the planner cannot be set up: {reason}; check [model] in sallyport.toml")]
    Configuration {
        /// Why.
        reason: String,
    },
}

/// A model that plans.
pub trait Planner: Send + Sync + std::fmt::Debug {
    /// The answer to `conversation`, which ends with a user's turn. The answer should satisfy `schema`. Asks once.
    fn ask<'a>(
        &'a self,
        conversation: &'a [Turn],
        schema: &'a Value,
    ) -> BoxFuture<'a, Result<Answer, ModelError>>;

    /// What its tokens cost.
    fn price(&self) -> Price;

    /// Which model it is, and how it is asked.
    fn name(&self) -> String;
}

/// A model that is asked over HTTP.
pub struct GenaiPlanner {
    client: Client,
    config: ModelConfig,
    target: ServiceTarget,
    price: Price,
    pace: Arc<Pace>,
}

impl std::fmt::Debug for GenaiPlanner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client and the target hold the key.
        formatter
            .debug_struct("GenaiPlanner")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl GenaiPlanner {
    /// The planner that `config` names. A model without a price is refused: its cost could not be limited.
    pub fn new(config: ModelConfig) -> Result<Self, ModelError> {
        let configuration = |reason: String| ModelError::Configuration { reason };
        let allowed = 0.0..=2.0;
        if let Some(temperature) = config.temperature.filter(|value| !allowed.contains(value)) {
            let reason = format!("`planner_temperature` is {temperature}, and must be from 0 to 2");
            return Err(configuration(reason));
        }
        let price = config
            .price
            .or_else(|| price_of(&config.model))
            .ok_or_else(|| configuration(format!("no price is known for `{}`", config.model)))?;
        // The key goes to the configured address and nowhere else, and Temporal alone tries again.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(15))
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|error| configuration(error.to_string()))?;
        let client = Client::builder()
            .with_reqwest(http)
            .build()
            .map_err(|error| configuration(error.to_string()))?;
        let adapter = match config.vendor {
            Vendor::Anthropic => AdapterKind::Anthropic,
            Vendor::OpenAi => AdapterKind::OpenAI,
            Vendor::Google => AdapterKind::Gemini,
        };
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(base_url(&config)?),
            auth: AuthData::from_single(config.api_key.expose_secret()),
            model: ModelIden::new(adapter, config.model.clone()),
        };
        Ok(Self {
            client,
            pace: Arc::new(Pace::new(config.rate)),
            config,
            target,
            price,
        })
    }

    /// The same, at a pace that it shares with others who ask the vendor.
    #[must_use]
    pub fn at_pace(self, pace: Arc<Pace>) -> Self {
        Self { pace, ..self }
    }

    fn problem(&self, error: &genai::Error) -> ModelError {
        let clean = |text: &str| shorten(&scrub(&without_secret(text, &self.config.api_key)), 300);
        let Some(status) = error.status() else {
            return ModelError::Unreachable {
                reason: clean(&unreachable_reason(error)),
            };
        };
        let reason = clean(&vendor_words(error));
        let status = status.as_u16();
        let busy = matches!(status, 408 | 409 | 425 | 429) || status >= 500;
        // Nothing is left on the account: waiting does not fill it.
        if !busy || reason.contains("insufficient_quota") {
            return ModelError::Refused { status, reason };
        }
        ModelError::Busy {
            status,
            reason,
            retry_after: error
                .headers()
                .and_then(|headers| pause_asked_for(headers, &vendor_body(error))),
        }
    }
}

impl Planner for GenaiPlanner {
    fn ask<'a>(
        &'a self,
        conversation: &'a [Turn],
        schema: &'a Value,
    ) -> BoxFuture<'a, Result<Answer, ModelError>> {
        Box::pin(async move {
            let messages = conversation.iter().map(|turn| match turn {
                Turn::System(text) => ChatMessage::system(text),
                Turn::User(text) => ChatMessage::user(text),
                Turn::Assistant(text) => ChatMessage::assistant(text),
            });
            let request = ChatRequest::new(messages.collect());
            let format = JsonSpec::new("spec", schema.clone());
            let mut options = ChatOptions::default()
                .with_max_tokens(MAXIMUM_OUTPUT_TOKENS)
                .with_response_format(ChatResponseFormat::JsonSpec(format));
            if let Some(temperature) = self.config.temperature {
                options = options.with_temperature(temperature);
            }
            let bytes: usize = conversation.iter().map(|turn| turn.text().len()).sum();
            self.pace.wait(bytes as u64 / BYTES_PER_TOKEN).await;
            let response = self
                .client
                .exec_chat(self.target.clone(), request, Some(&options))
                .await
                .map_err(|error| self.problem(&error))?;
            let usage = usage(&response, &self.price);
            let stop = response.stop_reason.clone();
            let text = response.into_texts().concat();
            match stop {
                Some(StopReason::ContentFilter(reason)) => {
                    Err(ModelError::Declined { reason, usage })
                }
                // OpenAI says no beside the text, where genai does not look.
                Some(StopReason::Completed(_)) if text.trim().is_empty() => {
                    let reason = "it answered nothing".to_owned();
                    Err(ModelError::Declined { reason, usage })
                }
                stop => Ok(Answer {
                    cut: stop.as_ref().is_some_and(StopReason::is_max_tokens),
                    usage,
                    text,
                }),
            }
        })
    }

    fn price(&self) -> Price {
        self.price
    }

    fn name(&self) -> String {
        let (vendor, url) = (self.config.vendor, scrub(&self.config.base_url));
        let temperature = match self.config.temperature {
            Some(temperature) => format!(" at {temperature}"),
            None => String::new(),
        };
        format!("{vendor:?} {} ({url}){temperature}", self.config.model)
    }
}

/// The vendor's address, as genai wants it: with the version, and with a slash at its end.
fn base_url(config: &ModelConfig) -> Result<String, ModelError> {
    let bad = |reason: String| ModelError::Configuration {
        reason: format!("`{}` is no address: {reason}", scrub(&config.base_url)),
    };
    let mut url = config.vendor.versioned(&config.base_url).map_err(bad)?;
    url.set_path(&format!("{}/", url.path()));
    Ok(url.into())
}

/// genai counts cached input as part of the input, whatever the vendor does.
fn usage(response: &ChatResponse, price: &Price) -> Usage {
    let count = |tokens: Option<i32>| u64::try_from(tokens.unwrap_or(0)).unwrap_or(0);
    let details = response.usage.prompt_tokens_details.as_ref();
    let read = count(details.and_then(|details| details.cached_tokens));
    let written = count(details.and_then(|details| details.cache_creation_tokens));
    // Of an answer of Google's that was cut while it thought, genai counts the thoughts nowhere else.
    let details = response.usage.completion_tokens_details.as_ref();
    let thoughts = details.and_then(|details| details.reasoning_tokens);
    let mut usage = Usage {
        requests: 1,
        input_tokens: count(response.usage.prompt_tokens).saturating_sub(read + written),
        output_tokens: count(response.usage.completion_tokens.or(thoughts)),
        cache_read_tokens: read,
        cache_write_tokens: written,
        cost_micro_usd: 0,
    };
    usage.cost_micro_usd = price.cost_micro_usd(&usage);
    usage
}

/// What the vendor answered instead; null if it was no JSON.
fn vendor_body(error: &genai::Error) -> Value {
    let body = match error {
        genai::Error::HttpError { body, .. } => body,
        genai::Error::WebModelCall { webc_error, .. }
        | genai::Error::WebAdapterCall { webc_error, .. } => match webc_error {
            webc::Error::ResponseFailedStatus { body, .. } => body,
            _ => return Value::Null,
        },
        _ => return Value::Null,
    };
    serde_json::from_str(body).unwrap_or_default()
}

/// What the vendor says about a refusal: `error.message`, and `error.code`, `error.type` or `error.status` of its JSON.
fn vendor_words(error: &genai::Error) -> String {
    let said = &vendor_body(error)["error"];
    let code = ["code", "type", "status"]
        .iter()
        .find_map(|key| said[key].as_str());
    match (said["message"].as_str(), code) {
        (Some(message), Some(code)) => format!("{message} ({code})"),
        (Some(message), None) => message.to_owned(),
        _ => "no reason given".to_owned(),
    }
}

/// genai's own words may hold the whole request; these don't.
fn unreachable_reason(error: &genai::Error) -> String {
    let web = match error {
        genai::Error::WebModelCall { webc_error, .. }
        | genai::Error::WebAdapterCall { webc_error, .. } => webc_error,
        genai::Error::ChatResponseGeneration { cause, .. } => return cause.clone(),
        _ => return "the answer is not what the vendor documents".to_owned(),
    };
    match web {
        webc::Error::Reqwest(error) => {
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(inner) = source {
                reason.push_str(&format!(": {inner}"));
                source = inner.source();
            }
            reason
        }
        webc::Error::ResponseFailedNotJson { content_type, .. } => {
            format!("the answer is `{content_type}` and not JSON")
        }
        webc::Error::ResponseFailedInvalidJson { cause, .. } => {
            format!("the answer is broken JSON: {cause}")
        }
        _ => "the answer is not what the vendor documents".to_owned(),
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
