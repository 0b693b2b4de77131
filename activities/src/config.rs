//! The section `[model]` of `sallyport.toml`.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use sallyport_ledger::secret::{self, SecretError, SecretString};
use serde::Deserialize;

use crate::{
    gateway::{self, Price, RateLimits, Vendor},
    planning::context::DEFAULT_TOKENS,
};

/// `[model]`: which models plan and code, and where they answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Whose protocol they speak: `anthropic`, `openai` or `google`.
    pub vendor: Vendor,
    /// The key for the vendor's API.
    #[serde(default)]
    pub api_key: Option<SecretString>,
    /// A file that holds the key.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// The vendor's address, if it is not its own.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The model that plans.
    pub planner_model: String,
    /// The model that the coding agent uses.
    pub agent_model: String,
    /// The planner's price, if the built-in list does not know it or is wrong.
    #[serde(default)]
    pub planner_price: Option<Price>,
    /// The agent's price, if the built-in list does not know it or is wrong.
    #[serde(default)]
    pub agent_price: Option<Price>,
    /// How freely the planner chooses its words, from 0 to 2; as the vendor has it, if it is absent.
    #[serde(default)]
    pub planner_temperature: Option<f64>,
    /// The models that plan where the first has no answer, in this order.
    #[serde(default)]
    pub planner_fallbacks: Vec<FallbackConfig>,
    /// Planners beside this one, for a share of the tickets or for repositories that name them.
    #[serde(default)]
    pub planners: Vec<PlannerConfig>,
    /// How many tokens of a repository the planner is shown, by estimate. 40,000 by default.
    #[serde(default = "context_tokens")]
    pub planner_context_tokens: u32,
    /// The most tokens that one answer of the planner may have. 16,384 by default.
    #[serde(default)]
    pub planner_answer_tokens: Option<NonZeroU32>,
    /// Whether the planner's answers come as a stream, which shows how far they are. True by default.
    #[serde(default = "streamed")]
    pub planner_stream: bool,
    /// What all workers together may spend in a day, from midnight UTC on, in millionths of a US dollar.
    #[serde(default = "day_budget")]
    pub day_budget_micro_usd: u64,
    /// How many requests a worker sends to the vendor in a minute; more wait. As many as there are, if it is absent.
    #[serde(default)]
    pub requests_per_minute: Option<NonZeroU32>,
    /// How many tokens of input a worker sends to the vendor in a minute; more wait.
    #[serde(default)]
    pub input_tokens_per_minute: Option<NonZeroU32>,
}

/// `[[model.planner_fallbacks]]`: a model that plans where those before it have no answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackConfig {
    /// Whose protocol it speaks.
    pub vendor: Vendor,
    /// Its name.
    pub model: String,
    /// The key; that of `[model]`, if the vendor is the same and neither a key nor an address is given.
    #[serde(default)]
    pub api_key: Option<SecretString>,
    /// A file that holds the key.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// Its address, if it is not the vendor's own; that of `[model]`, if the key is.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Its price, if the built-in list does not know it or is wrong.
    #[serde(default)]
    pub price: Option<Price>,
}

/// `[[model.planners]]`: another planner. What it does not say is as `[model]` has it for its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannerConfig {
    /// What it is called in reports and in `[[repositories]]`: small letters, digits and hyphens.
    pub name: String,
    /// Of a hundred tickets, how many it plans where the repository names no planner. None by default.
    #[serde(default)]
    pub share: u32,
    /// Whose protocol its model speaks.
    #[serde(default)]
    pub vendor: Option<Vendor>,
    /// The model.
    pub model: String,
    /// The key; that of `[model]`, if the vendor is the same and neither a key nor an address is given.
    #[serde(default)]
    pub api_key: Option<SecretString>,
    /// A file that holds the key.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// Its address, if it is not the vendor's own; that of `[model]`, if the key is.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Its price, if the built-in list does not know it or is wrong.
    #[serde(default)]
    pub price: Option<Price>,
    /// How freely it chooses its words, from 0 to 2.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// How many tokens of a repository it is shown, by estimate.
    #[serde(default)]
    pub context_tokens: Option<u32>,
    /// The most tokens that one answer may have.
    #[serde(default)]
    pub answer_tokens: Option<NonZeroU32>,
    /// Whether its answers come as a stream.
    #[serde(default)]
    pub stream: Option<bool>,
}

/// Another model than the first: where it answers, and with which key.
#[derive(Clone, Copy, Debug)]
struct Other<'a> {
    vendor: Vendor,
    model: &'a str,
    api_key: Option<&'a SecretString>,
    api_key_file: Option<&'a Path>,
    base_url: Option<&'a str>,
    price: Option<Price>,
}

impl Other<'_> {
    /// Whether it has a key of its own. A key goes to the address that it was given for, and to no other.
    fn has_own_key(&self, first: &ModelConfig) -> bool {
        self.api_key.is_some()
            || self.api_key_file.is_some()
            || self.base_url.is_some()
            || self.vendor != first.vendor
    }
}

impl FallbackConfig {
    fn other(&self) -> Other<'_> {
        Other {
            vendor: self.vendor,
            model: &self.model,
            api_key: self.api_key.as_ref(),
            api_key_file: self.api_key_file.as_deref(),
            base_url: self.base_url.as_deref(),
            price: self.price,
        }
    }
}

impl PlannerConfig {
    fn other(&self, first: &ModelConfig) -> Other<'_> {
        Other {
            vendor: self.vendor.unwrap_or(first.vendor),
            model: &self.model,
            api_key: self.api_key.as_ref(),
            api_key_file: self.api_key_file.as_deref(),
            base_url: self.base_url.as_deref(),
            price: self.price,
        }
    }

    /// Whether it has a key of its own, and so a pace of its own.
    pub fn has_own_key(&self, first: &ModelConfig) -> bool {
        self.other(first).has_own_key(first)
    }
}

/// 50 US dollars: ten tickets that use up all that they may by default.
fn day_budget() -> u64 {
    50_000_000
}

fn streamed() -> bool {
    true
}

fn context_tokens() -> u32 {
    DEFAULT_TOKENS
}

impl ModelConfig {
    /// The environment variables that hold the key where the configuration has none; the first that is there counts.
    pub fn key_variables(vendor: Vendor) -> &'static [&'static str] {
        match vendor {
            Vendor::Anthropic => &["ANTHROPIC_API_KEY"],
            Vendor::OpenAi => &["OPENAI_API_KEY"],
            Vendor::Google => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        }
    }

    /// Takes the key from the environment, read with `variable`, if the configuration has none.
    #[must_use]
    pub fn with_key_from(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        if self.api_key.is_none() && self.api_key_file.is_none() {
            let variables = Self::key_variables(self.vendor).iter();
            self.api_key = variables
                .filter_map(|name| variable(name))
                .find(|key| !key.is_empty())
                .map(SecretString::from);
        }
        self
    }

    /// The model that plans, as the planner needs it.
    pub fn planner(&self) -> Result<gateway::ModelConfig, SecretError> {
        let planner = self.model(&self.planner_model, self.planner_price)?;
        Ok(self.planning(planner))
    }

    /// The models that plan where the first has no answer.
    pub fn fallbacks(&self) -> Result<Vec<gateway::ModelConfig>, SecretError> {
        let fallbacks = self.planner_fallbacks.iter().enumerate();
        fallbacks
            .map(|(place, fallback)| {
                let key = format!("model.planner_fallbacks[{place}].api_key");
                Ok(self.planning(self.other(&key, fallback.other())?))
            })
            .collect()
    }

    /// The models of [`planners`](Self::planners), in their order.
    pub fn other_planners(&self) -> Result<Vec<gateway::ModelConfig>, SecretError> {
        let planners = self.planners.iter().enumerate();
        planners
            .map(|(place, planner)| {
                let key = format!("model.planners[{place}].api_key");
                let mut config = self.planning(self.other(&key, planner.other(self))?);
                config.temperature = planner.temperature.or(config.temperature);
                config.stream = planner.stream.unwrap_or(config.stream);
                if let Some(tokens) = planner.answer_tokens {
                    config.max_output_tokens = u64::from(tokens.get());
                }
                Ok(config)
            })
            .collect()
    }

    /// `config` as a planner's model is asked, where nothing else is said.
    fn planning(&self, mut config: gateway::ModelConfig) -> gateway::ModelConfig {
        config.temperature = self.planner_temperature;
        config.stream = self.planner_stream;
        if let Some(tokens) = self.planner_answer_tokens {
            config.max_output_tokens = u64::from(tokens.get());
        }
        config
    }

    /// A model beside the first. `key` is the name of its key in the configuration.
    fn other(&self, key: &str, other: Other<'_>) -> Result<gateway::ModelConfig, SecretError> {
        let mut config = if other.has_own_key(self) {
            let key = secret::required(key, other.api_key, other.api_key_file)?;
            let mut config = gateway::ModelConfig::new(other.vendor, other.model, key);
            config.price = other.price;
            config
        } else {
            self.model(other.model, other.price)?
        };
        if let Some(url) = other.base_url {
            url.clone_into(&mut config.base_url);
        }
        Ok(config)
    }

    /// The model that the agent uses, as the gateway needs it.
    pub fn agent(&self) -> Result<gateway::ModelConfig, SecretError> {
        self.model(&self.agent_model, self.agent_price)
    }

    fn model(&self, name: &str, price: Option<Price>) -> Result<gateway::ModelConfig, SecretError> {
        let key = secret::required(
            "model.api_key",
            self.api_key.as_ref(),
            self.api_key_file.as_deref(),
        )?;
        let mut config = gateway::ModelConfig::new(self.vendor, name, key);
        if let Some(url) = &self.base_url {
            config.base_url.clone_from(url);
        }
        config.price = price;
        config.rate = RateLimits {
            requests_per_minute: self.requests_per_minute,
            input_tokens_per_minute: self.input_tokens_per_minute,
        };
        Ok(config)
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
