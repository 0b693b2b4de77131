//! What every request handler and the dispatcher work with.

use std::sync::Arc;

use sallyport_ledger::{
    Database, Objects,
    config::{DecisionsConfig, FluxLensConfig, RepositoryConfig},
    proof::{DecisionKey, DecisionKeyError},
    secret::SecretError,
};
use sallyport_workflows::policy::InstallationPolicy;
use tokio::sync::Notify;

use crate::{
    api::auth::{TokenError, Tokens},
    config::StarterConfig,
    temporal::Tickets,
    webhooks::signature::WebhookKey,
};

/// What a starter is made of.
#[derive(Debug)]
pub struct StarterParts {
    /// `[starter]`.
    pub config: StarterConfig,
    /// `[flux_lens]`.
    pub flux_lens: FluxLensConfig,
    /// `[[repositories]]`.
    pub repositories: Vec<RepositoryConfig>,
    /// `[decisions]`.
    pub decisions: DecisionsConfig,
    /// `[policy]`: pinned into each ticket's input. Whether unproven decisions count is taken from `[decisions]`.
    pub policy: InstallationPolicy,
    /// The ledger.
    pub database: Database,
    /// The object storage.
    pub objects: Objects,
    /// Temporal.
    pub tickets: Tickets,
}

/// Why a starter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StarterError {
    /// A secret is missing or cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no key to sign decisions with.
    #[error(transparent)]
    DecisionKey(#[from] DecisionKeyError),
    /// A token is unfit.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// The shared state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StarterState(Arc<Shared>);

/// See [`StarterState`].
#[derive(Debug)]
pub struct Shared {
    /// `[starter]`.
    pub config: StarterConfig,
    /// Which repository a project's tickets are about.
    pub repositories: Vec<RepositoryConfig>,
    /// Pinned into each ticket's input.
    pub policy: InstallationPolicy,
    /// The ledger.
    pub database: Database,
    /// The object storage.
    pub objects: Objects,
    /// Temporal.
    pub tickets: Tickets,
    /// Checks webhooks.
    pub webhook_key: WebhookKey,
    /// Signs decisions.
    pub decision_key: DecisionKey,
    /// Who may use the API.
    pub tokens: Tokens,
    /// Wakes the dispatcher.
    pub new_event: Notify,
}

impl StarterState {
    /// Puts a starter together; all secrets are read here, once.
    pub fn new(parts: StarterParts) -> Result<Self, StarterError> {
        let mut policy = parts.policy;
        policy.accept_unproven_decisions = parts.decisions.accept_unproven;
        Ok(Self(Arc::new(Shared {
            webhook_key: WebhookKey::new(&parts.flux_lens.webhook_secret()?),
            decision_key: parts.decisions.key()?,
            tokens: Tokens::new(&parts.config.tokens)?,
            config: parts.config,
            repositories: parts.repositories,
            policy,
            database: parts.database,
            objects: parts.objects,
            tickets: parts.tickets,
            new_event: Notify::new(),
        })))
    }
}

impl std::ops::Deref for StarterState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
