//! The models of Anthropic, OpenAI and Google, and all that speak like them, asked over HTTP by way of genai.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, future::BoxFuture};
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{
        CacheControl, ChatMessage, ChatOptions, ChatRequest, ChatResponseFormat, ChatStreamEvent,
        JsonSpec, StopReason,
    },
    resolver::{AuthData, Endpoint},
};
use sallyport_workflows::{text::grouped, usage::Usage};
use secrecy::ExposeSecret as _;

use super::{
    call::{Asked, CallOutcome},
    model::{Answer, ModelError, Planner, Question, Turn},
    progress::Progress,
    vendor_error,
};
use crate::{
    failure::scrub,
    gateway::{ModelConfig, Pace, Price, Vendor, price_of},
};

/// How many bytes of a conversation are a token, by estimate.
const BYTES_PER_TOKEN: u64 = 3;

/// The longest answer that comes as a stream: far more than any limit in tokens allows.
const MAXIMUM_BYTES: u64 = 4 << 20;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10 * 60);

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

    /// Asks in one piece, or as a stream.
    async fn answer(&self, question: Question<'_>) -> Result<Whole, ModelError> {
        let messages = question.conversation.iter().map(|turn| match turn {
            Turn::System(text) => ChatMessage::system(text),
            Turn::User(text) => ChatMessage::user(text),
            Turn::Assistant(text) => ChatMessage::assistant(text),
        });
        let mut messages: Vec<ChatMessage> = messages.collect();
        // The same words come again with each look and each repair. Others find by themselves what they read before.
        if self.config.vendor == Vendor::Anthropic
            && let Some(last) = messages.pop()
        {
            messages.push(last.with_options(CacheControl::Ephemeral));
        }
        let request = ChatRequest::new(messages);
        let format = JsonSpec::new("spec", question.schema.clone());
        let mut options = ChatOptions::default()
            .with_max_tokens(self.answer_tokens())
            .with_response_format(ChatResponseFormat::JsonSpec(format))
            .with_capture_usage(true);
        if let Some(temperature) = self.config.temperature {
            options = options.with_temperature(temperature);
        }
        let problem = |error| vendor_error::of(&error, &self.config);
        if self.config.stream {
            return self.streamed(request, &options, question.progress).await;
        }
        let target = self.target.clone();
        let response = self.client.exec_chat(target, request, Some(&options)).await;
        let response = response.map_err(problem)?;
        Ok(Whole {
            usage: usage(&response.usage, &self.price),
            stop: response.stop_reason.clone(),
            text: response.into_texts().concat(),
        })
    }

    async fn streamed(
        &self,
        request: ChatRequest,
        options: &ChatOptions,
        progress: &Progress,
    ) -> Result<Whole, ModelError> {
        let problem = |error| vendor_error::of(&error, &self.config);
        let target = self.target.clone();
        let response = self
            .client
            .exec_chat_stream(target, request, Some(options))
            .await;
        let mut events = response.map_err(problem)?.stream;
        let asking = progress.now();
        let (mut text, mut bytes) = (String::new(), 0_u64);
        while let Some(event) = events.next().await {
            match event.map_err(problem)? {
                ChatStreamEvent::Chunk(chunk) => {
                    bytes += chunk.content.len() as u64;
                    text.push_str(&chunk.content);
                }
                ChatStreamEvent::ReasoningChunk(chunk) => bytes += chunk.content.len() as u64,
                ChatStreamEvent::End(end) if end.captured_stop_reason.is_some() => {
                    let counted = end.captured_usage.unwrap_or_default();
                    return Ok(Whole {
                        usage: usage(&counted, &self.price),
                        stop: end.captured_stop_reason,
                        text,
                    });
                }
                // Without a reason it did not stop: it broke off.
                ChatStreamEvent::End(_) => break,
                _ => continue,
            }
            if bytes > MAXIMUM_BYTES {
                return Err(ModelError::Unreachable {
                    reason: format!("the answer is longer than {} bytes", grouped(MAXIMUM_BYTES)),
                });
            }
            let tokens = grouped(bytes / BYTES_PER_TOKEN);
            progress.say(format!("{asking}; about {tokens} tokens of an answer"));
        }
        Err(ModelError::Unreachable {
            reason: "the answer broke off before its end".to_owned(),
        })
    }
}

/// What a vendor answered.
struct Whole {
    text: String,
    stop: Option<StopReason>,
    usage: Usage,
}

impl Planner for GenaiPlanner {
    fn ask<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Answer, ModelError>> {
        Box::pin(async move {
            let turns = question.conversation.iter();
            let bytes: usize = turns.map(|turn| turn.text().len()).sum();
            self.pace.wait(bytes as u64 / BYTES_PER_TOKEN).await;
            let asked = Asked::now();
            let whole = self.answer(question).await;
            let paid = whole.as_ref().map(|whole| whole.usage).unwrap_or_default();
            let answer = whole.and_then(answer);
            let outcome = match &answer {
                Ok(answer) if answer.cut => CallOutcome::Cut,
                Ok(_) => CallOutcome::Answered,
                Err(error) => error.into(),
            };
            let (vendor, model) = (self.config.vendor, &self.config.model);
            question
                .calls
                .add(asked.ended(vendor, model, outcome, paid));
            answer
        })
    }

    fn price(&self) -> Price {
        self.price
    }

    fn answer_tokens(&self) -> u32 {
        u32::try_from(self.config.max_output_tokens).unwrap_or(u32::MAX)
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

/// An answer, unless it is no.
fn answer(whole: Whole) -> Result<Answer, ModelError> {
    match whole.stop {
        Some(StopReason::ContentFilter(reason)) => Err(ModelError::Declined { reason }),
        // OpenAI says no beside the text, where genai does not look.
        Some(StopReason::Completed(_)) if whole.text.trim().is_empty() => {
            let reason = "it answered nothing".to_owned();
            Err(ModelError::Declined { reason })
        }
        stop => Ok(Answer {
            cut: stop.as_ref().is_some_and(StopReason::is_max_tokens),
            usage: whole.usage,
            text: whole.text,
        }),
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
fn usage(counted: &genai::chat::Usage, price: &Price) -> Usage {
    let count = |tokens: Option<i32>| u64::try_from(tokens.unwrap_or(0)).unwrap_or(0);
    let details = counted.prompt_tokens_details.as_ref();
    let read = count(details.and_then(|details| details.cached_tokens));
    let written = count(details.and_then(|details| details.cache_creation_tokens));
    // Of an answer of Google's that was cut while it thought, genai counts the thoughts nowhere else.
    let details = counted.completion_tokens_details.as_ref();
    let thoughts = details.and_then(|details| details.reasoning_tokens);
    let mut usage = Usage {
        requests: 1,
        input_tokens: count(counted.prompt_tokens).saturating_sub(read + written),
        output_tokens: count(counted.completion_tokens.or(thoughts)),
        cache_read_tokens: read,
        cache_write_tokens: written,
        cost_micro_usd: 0,
    };
    usage.cost_micro_usd = price.cost_micro_usd(&usage);
    usage
}

#[cfg(test)]
#[path = "genai_planner_tests.rs"]
mod tests;
