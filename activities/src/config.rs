//! The section `[model]` of `sallyport.toml`.

use std::{num::NonZeroU32, path::PathBuf};

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
    /// How many tokens of a repository the planner is shown, by estimate. 40,000 by default.
    #[serde(default = "context_tokens")]
    pub planner_context_tokens: u32,
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

/// 50 US dollars: ten tickets that use up all that they may by default.
fn day_budget() -> u64 {
    50_000_000
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
        let mut planner = self.model(&self.planner_model, self.planner_price)?;
        planner.temperature = self.planner_temperature;
        Ok(planner)
    }

    /// The models that plan where the first has no answer.
    pub fn fallbacks(&self) -> Result<Vec<gateway::ModelConfig>, SecretError> {
        let fallbacks = self.planner_fallbacks.iter().enumerate();
        fallbacks
            .map(|(place, fallback)| self.fallback(place, fallback))
            .collect()
    }

    fn fallback(
        &self,
        place: usize,
        fallback: &FallbackConfig,
    ) -> Result<gateway::ModelConfig, SecretError> {
        // A key goes to the address that it was given for, and to no other.
        let is_own = fallback.api_key.is_some()
            || fallback.api_key_file.is_some()
            || fallback.base_url.is_some();
        let mut config = if !is_own && fallback.vendor == self.vendor {
            self.model(&fallback.model, fallback.price)?
        } else {
            let name = format!("model.planner_fallbacks[{place}].api_key");
            let (key, file) = (fallback.api_key.as_ref(), fallback.api_key_file.as_deref());
            let key = secret::required(&name, key, file)?;
            let mut config = gateway::ModelConfig::new(fallback.vendor, &fallback.model, key);
            config.price = fallback.price;
            config
        };
        if let Some(url) = &fallback.base_url {
            config.base_url.clone_from(url);
        }
        config.temperature = self.planner_temperature;
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
mod tests {
    use super::*;

    #[test]
    fn the_section_is_read_and_a_key_may_come_from_the_environment() {
        let text = "vendor = 'openai'\nplanner_model = 'gpt-5'\nagent_model = 'gpt-5-mini'\nbase_url = 'http://127.0.0.1:9'\n";
        let config: ModelConfig = toml::from_str(text).unwrap();
        assert!(
            config
                .agent()
                .unwrap_err()
                .to_string()
                .contains("model.api_key")
        );
        let config =
            config.with_key_from(|name| (name == "OPENAI_API_KEY").then(|| "hush".to_owned()));
        let (planner, agent) = (config.planner().unwrap(), config.agent().unwrap());
        assert_eq!(
            (planner.model.as_str(), agent.model.as_str()),
            ("gpt-5", "gpt-5-mini")
        );
        assert_eq!(agent.base_url, "http://127.0.0.1:9");
        assert!(!format!("{config:?}").contains("hush"));
        let kept = config.with_key_from(|_| Some("other".to_owned()));
        assert_eq!(
            secret::ExposeSecret::expose_secret(&kept.agent().unwrap().api_key),
            "hush"
        );
    }

    #[test]
    fn fallbacks_have_keys_of_their_own_or_the_same_vendors() {
        let text = "vendor = 'openai'\nplanner_model = 'a'\nagent_model = 'b'\napi_key = 'k'\nbase_url = \
                    'http://127.0.0.1:9'\nplanner_temperature = 0.2\n[[planner_fallbacks]]\nvendor = 'openai'\nmodel \
                    = 'c'\n[[planner_fallbacks]]\nvendor = 'anthropic'\nmodel = 'd'\napi_key = 'own'\n";
        let config: ModelConfig = toml::from_str(text).unwrap();
        let fallbacks = config.fallbacks().unwrap();
        assert_eq!(fallbacks[0].base_url, "http://127.0.0.1:9");
        assert_eq!(fallbacks[1].base_url, "https://api.anthropic.com");
        let key = |place: usize| secret::ExposeSecret::expose_secret(&fallbacks[place].api_key);
        assert_eq!((key(0), key(1)), ("k", "own"));
        assert_eq!(fallbacks[1].temperature, Some(0.2));
        assert_eq!(config.planner().unwrap().temperature, Some(0.2));
        assert_eq!(config.agent().unwrap().temperature, None);
        let elsewhere = text.replace("= 'c'\n", "= 'c'\nbase_url = 'http://127.0.0.1:8'\n");
        let elsewhere: ModelConfig = toml::from_str(&elsewhere).unwrap();
        let error = elsewhere.fallbacks().unwrap_err().to_string();
        assert!(
            error.contains("model.planner_fallbacks[0].api_key"),
            "{error}"
        );
        let keyless: ModelConfig = toml::from_str(&text.replace("api_key = 'own'\n", "")).unwrap();
        let error = keyless.fallbacks().unwrap_err().to_string();
        assert!(
            error.contains("model.planner_fallbacks[1].api_key"),
            "{error}"
        );
    }

    #[test]
    fn limits_a_minute_are_read_and_none_is_no_limit() {
        let read = |more: &str| {
            let text = format!(
                "vendor = 'openai'\nplanner_model = 'a'\nagent_model = 'b'\napi_key = 'k'\n{more}"
            );
            toml::from_str::<ModelConfig>(&text).map(|config| config.agent().unwrap().rate)
        };
        assert_eq!(read("").unwrap(), RateLimits::default());
        let limits = read("requests_per_minute = 50\ninput_tokens_per_minute = 30000").unwrap();
        assert_eq!(limits.requests_per_minute, NonZeroU32::new(50));
        assert_eq!(limits.input_tokens_per_minute, NonZeroU32::new(30_000));
        let error = read("requests_per_minute = 0").unwrap_err().to_string();
        assert!(error.contains("nonzero"), "{error}");
    }

    #[test]
    fn googles_key_has_two_names() {
        let text = "vendor = 'google'\nplanner_model = 'gemini-2.5-flash'\nagent_model = 'gemini-2.5-flash'\n";
        let key = |environment: &[(&str, &str)]| {
            let config: ModelConfig = toml::from_str(text).unwrap();
            let find = |name: &str| environment.iter().find(|(known, _)| *known == name);
            let config = config.with_key_from(|name| find(name).map(|(_, key)| (*key).to_owned()));
            let key = config.agent().ok()?.api_key;
            Some(secret::ExposeSecret::expose_secret(&key).to_owned())
        };
        let both = [("GOOGLE_API_KEY", "second"), ("GEMINI_API_KEY", "first")];
        assert_eq!(key(&both).unwrap(), "first");
        assert_eq!(key(&both[..1]).unwrap(), "second");
        assert_eq!(key(&[("OPENAI_API_KEY", "other")]), None);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let text = "vendor = 'anthropic'\nplanner_model = 'a'\nagent_model = 'b'\nmodel = 'c'\n";
        assert!(
            toml::from_str::<ModelConfig>(text)
                .unwrap_err()
                .to_string()
                .contains("`model`")
        );
    }
}
