//! Which planner writes a ticket's SPEC: the installation's own, or another that the configuration names for a share of the
//! tickets, so that two can be compared, or for a repository.

use std::{collections::BTreeMap, sync::Arc};

use sallyport_ledger::{config::RepositoryConfig, secret::SecretError};
use sallyport_workflows::ticket::TicketKey;
use sha2::{Digest as _, Sha256};

use super::{
    fallback::InOrder,
    model::{ModelError, Planner},
};
use crate::{
    config::{ModelConfig, PlannerConfig},
    gateway::{self, Pace},
};

/// What the planner of `[model]` itself is called.
pub const DEFAULT: &str = "default";

/// The longest name of a planner, in bytes.
const MAXIMUM_NAME: usize = 40;

/// The planners cannot be used as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum PlannersError {
    /// A key is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A model cannot be asked.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A name or a share does not fit.
    #[error("{0}")]
    Configuration(String),
}

/// A planner as it is configured.
#[derive(Clone, Debug)]
pub struct ConfiguredPlanner {
    /// Its model, and those that take its place.
    pub model: Arc<dyn Planner>,
    /// How many tokens of a repository it is shown, by estimate.
    pub context_tokens: u64,
}

/// All planners by their names.
#[derive(Debug)]
pub struct Planners {
    all: BTreeMap<String, ConfiguredPlanner>,
    /// Of a hundred tickets, how many which planner gets; the default gets the rest.
    shares: Vec<(String, u32)>,
    of_repositories: BTreeMap<String, String>,
}

impl Planners {
    /// The planners of the configuration. Those with the key of `[model]` keep to `pace`, which the agents keep to as well.
    pub fn configured(
        config: &ModelConfig,
        repositories: &[RepositoryConfig],
        pace: Option<Arc<Pace>>,
    ) -> Result<Self, PlannersError> {
        let planner = |model: gateway::ModelConfig, pace: Option<Arc<Pace>>, tokens: u32| {
            let model = InOrder::configured(model, config.fallbacks()?, pace)?;
            Ok::<_, PlannersError>(ConfiguredPlanner {
                model: Arc::new(model),
                context_tokens: u64::from(tokens),
            })
        };
        check(&config.planners)?;
        let tokens = config.planner_context_tokens;
        let first = planner(config.planner()?, pace.clone(), tokens)?;
        let mut all = BTreeMap::from([(DEFAULT.to_owned(), first)]);
        for (named, model) in config.planners.iter().zip(config.other_planners()?) {
            let pace = pace.clone().filter(|_| !named.has_own_key(config));
            let tokens = named.context_tokens.unwrap_or(tokens);
            all.insert(named.name.clone(), planner(model, pace, tokens)?);
        }
        let mut of_repositories = BTreeMap::new();
        for repository in repositories {
            let Some(name) = &repository.planner else {
                continue;
            };
            if !all.contains_key(name) {
                let known: Vec<_> = all.keys().map(String::as_str).collect();
                return Err(PlannersError::Configuration(format!(
                    "the repository {} names the planner `{name}`, which `[[model.planners]]` does not have; there are: {}",
                    repository.url,
                    known.join(", ")
                )));
            }
            of_repositories.insert(repository.url.clone(), name.clone());
        }
        let shares = config.planners.iter();
        Ok(Self {
            shares: shares
                .map(|planner| (planner.name.clone(), planner.share))
                .collect(),
            all,
            of_repositories,
        })
    }

    /// The name of the planner for `ticket`: the one that its repository names; else the one that planned it `before`, if it
    /// is still there; else the one that its share falls to, which is the same at each attempt.
    pub fn choose(&self, ticket: &TicketKey, repository: &str, before: Option<&str>) -> &str {
        if let Some(name) = self.of_repositories.get(repository) {
            return name;
        }
        if let Some((name, _)) = before.and_then(|name| self.all.get_key_value(name)) {
            return name;
        }
        let mut place = place(ticket);
        for (name, share) in &self.shares {
            match place.checked_sub(*share) {
                Some(rest) => place = rest,
                None => return name,
            }
        }
        DEFAULT
    }

    /// The planner with this name.
    pub fn get(&self, name: &str) -> Option<&ConfiguredPlanner> {
        self.all.get(name)
    }
}

/// A ticket's place among a hundred: a number from 0 to 99 that all tickets together are spread over evenly.
fn place(ticket: &TicketKey) -> u32 {
    let words = format!("planner\n{}\n{}", ticket.source, ticket.ticket_id);
    let hash = Sha256::digest(words);
    let number = hash
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    u32::try_from(number % 100).unwrap_or_default()
}

fn check(planners: &[PlannerConfig]) -> Result<(), PlannersError> {
    let wrong = |reason: String| Err(PlannersError::Configuration(reason));
    for (index, PlannerConfig { name, .. }) in planners.iter().enumerate() {
        let is_name =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || name.len() > MAXIMUM_NAME || !name.chars().all(is_name) {
            return wrong(format!(
                "`model.planners[{index}].name` must be 1 to {MAXIMUM_NAME} small letters, digits and hyphens"
            ));
        }
        if name == DEFAULT || planners.iter().take(index).any(|other| other.name == *name) {
            return wrong(format!(
                "`model.planners[{index}].name` is `{name}`, which is the name of another planner"
            ));
        }
    }
    let all: u64 = planners
        .iter()
        .map(|planner| u64::from(planner.share))
        .sum();
    match all > 100 {
        true => wrong(format!(
            "the shares of `[[model.planners]]` are {all} of 100 tickets together"
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
#[path = "planners_tests.rs"]
mod tests;
