//! What every request handler and the dispatcher work with.

use std::{sync::Arc, time::Duration};

use sallyport_ledger::{
    Database, Objects,
    audit::key::{SealKey, SealKeyError},
    config::{AuditConfig, DecisionsConfig, FluxLensConfig, RepositoryConfig},
    proof::{DecisionKey, DecisionKeyError},
    secret::SecretError,
};
use sallyport_workflows::policy::InstallationPolicy;
use tokio::sync::Notify;

use crate::{
    api::auth::{TokenError, Tokens},
    config::StarterConfig,
    feed::Feed,
    temporal::Tickets,
    webhooks::{limits::WebhookLimits, signature::WebhookKey},
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
    /// `[audit]`.
    pub audit: AuditConfig,
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
    /// There is no key to sign seals with.
    #[error(transparent)]
    SealKey(#[from] SealKeyError),
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
    /// How much of Flux Lens's webhooks is taken in.
    pub flux_lens_limits: WebhookLimits,
    /// Checks webhooks.
    pub webhook_key: WebhookKey,
    /// Signs decisions.
    pub decision_key: DecisionKey,
    /// Signs seals of the audit log.
    pub seal_key: SealKey,
    /// How often there is a look for what is to be sealed.
    pub seal_interval: Duration,
    /// Who may use the API.
    pub tokens: Tokens,
    /// What live streams show.
    pub feed: Arc<Feed>,
    /// Wakes the dispatcher.
    pub new_event: Notify,
}

impl StarterState {
    /// Puts a starter together; all secrets are read here, once.
    pub fn new(parts: StarterParts) -> Result<Self, StarterError> {
        let mut policy = parts.policy;
        policy.accept_unproven_decisions = parts.decisions.accept_unproven;
        Ok(Self(Arc::new(Shared {
            flux_lens_limits: WebhookLimits::new(
                parts.flux_lens.webhook_networks.clone(),
                parts.config.unverified_per_minute,
                parts.flux_lens.webhooks_per_minute,
            ),
            webhook_key: WebhookKey::new(&parts.flux_lens.webhook_secret()?),
            decision_key: parts.decisions.key()?,
            seal_key: parts.audit.key()?,
            seal_interval: Duration::from_secs(parts.audit.seal_seconds.max(1)),
            tokens: Tokens::new(&parts.config.tokens)?,
            config: parts.config,
            repositories: parts.repositories,
            policy,
            database: parts.database,
            objects: parts.objects,
            tickets: parts.tickets,
            feed: Arc::default(),
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
