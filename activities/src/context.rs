//! What all activities share. The worker builds it once from the configuration; nothing is read from the environment
//! later.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use sallyport_ledger::{
    Database, Objects,
    config::{FluxLensConfig, RepositoryConfig},
    garbage,
    objects::Bytes,
    proof::DecisionKey,
    secret::SecretError,
};
use sallyport_workflows::{
    ObjectRef,
    ticket::{FLUX_LENS, TicketKey},
};

use crate::{
    config::ModelConfig,
    failure::StepError,
    forge::Forges,
    gateway::{DayBudget, Gateway, GatewayError},
    leaks::LeakCheck,
    lease::Lease,
    mirror::Mirrors,
    planning::{
        planners::{Planners, PlannersError},
        symbols::reader::SymbolReader,
    },
    sandbox::{EngineConfig, Sandbox, SandboxError},
    setup::{SetupConfig, Setups},
    tickets::{
        TicketSources,
        flux_lens::{FluxLens, FluxLensSetupError},
    },
    tools::Tools,
    workspace::{diff::Signature, lock::WorkspaceLocks},
};

/// What a [`Context`] is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The ledger.
    pub database: Database,
    /// Object storage.
    pub objects: Objects,
    /// The programs that are started.
    pub tools: Tools,
    /// The folder for mirrors, workspaces and the sandbox's kit: an absolute path. As root, everybody must be able to pass
    /// the folders above it.
    pub data_dir: PathBuf,
    /// This host's id, which lives on its disk.
    pub host_id: String,
    /// `[model]`.
    pub model: ModelConfig,
    /// `[flux_lens]`.
    pub flux_lens: FluxLensConfig,
    /// `[[repositories]]`.
    pub repositories: Vec<RepositoryConfig>,
    /// The key that proofs are checked with.
    pub decision_key: DecisionKey,
    /// Who makes commits.
    pub author: Signature,
    /// What is looked for before anything is pushed.
    pub leaks: LeakCheck,
    /// How often a working agent's workspace is copied, for another host to go on from.
    pub checkpoint_every: Duration,
    /// `[worker.setup]`.
    pub setup: SetupConfig,
    /// `[worker.sandbox]`.
    pub engine: EngineConfig,
    /// Who parses files for the planner.
    pub symbols: SymbolReader,
}

/// The parts do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The key for the model's vendor is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The gateway cannot be used.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The planner cannot be used.
    #[error(transparent)]
    Planner(#[from] PlannersError),
    /// The sandbox cannot be used.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Flux Lens cannot be used.
    #[error(transparent)]
    FluxLens(#[from] FluxLensSetupError),
    /// The data folder is named relative to something.
    #[error("the data folder {0} must be an absolute path here")]
    RelativeDataFolder(PathBuf),
    /// The data folder cannot be made.
    #[error("the data folder {path} cannot be made: {source}", path = path.display())]
    DataFolder {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// What all activities share.
#[derive(Debug)]
pub struct Context {
    /// The ledger.
    pub database: Database,
    /// Object storage.
    pub objects: Objects,
    /// Where rooms are made.
    pub sandbox: Sandbox,
    /// The agents' way to their model.
    pub gateway: Gateway,
    /// What the installation may spend on models in a day.
    pub day_budget: DayBudget,
    /// The planners.
    pub planners: Planners,
    /// Who parses files for the planner.
    pub symbols: SymbolReader,
    /// The repositories' mirrors.
    pub mirrors: Mirrors,
    /// The forges.
    pub forges: Forges,
    /// The ticket systems.
    pub sources: TicketSources,
    /// The key that proofs are checked with.
    pub decision_key: DecisionKey,
    /// This host's id.
    pub host_id: String,
    /// Whether this host may still work.
    pub lease: Lease,
    /// How often a working agent's workspace is copied.
    pub checkpoint_every: Duration,
    /// What repositories depend on, installed.
    pub setups: Setups,
    /// Who works in which workspace.
    pub workspace_locks: WorkspaceLocks,
    /// The folder for mirrors and workspaces.
    pub data_dir: PathBuf,
    /// Who makes commits.
    pub author: Signature,
    /// What is looked for before anything is pushed.
    pub leaks: LeakCheck,
    base_branches: BTreeMap<String, String>,
}

impl Context {
    /// Builds all from `parts`. Reaches no other machine.
    pub fn build(parts: Parts) -> Result<Self, ContextError> {
        let data_dir = parts.data_dir;
        if !data_dir.is_absolute() {
            return Err(ContextError::RelativeDataFolder(data_dir));
        }
        crate::workspace::checkout::make_passable(&data_dir.join("workspaces")).map_err(
            |source| ContextError::DataFolder {
                path: data_dir.clone(),
                source,
            },
        )?;
        let flux_lens = Arc::new(FluxLens::new(&parts.flux_lens)?);
        let day_limit = parts.model.day_budget_micro_usd;
        let day_budget = DayBudget::new(parts.database.clone(), day_limit);
        let gateway = Gateway::new(parts.model.agent()?)?.within(day_budget.clone());
        let pace = Some(gateway.pace());
        let planners = Planners::configured(&parts.model, &parts.repositories, pace)?;
        let base_branches = parts
            .repositories
            .into_iter()
            .filter_map(|repository| Some((repository.url, repository.base_branch?)))
            .collect();
        let kit = data_dir.join("room-kit");
        let sandbox = Sandbox::open_with(&parts.tools, &kit, &parts.engine)?;
        let (rooms, leaks) = (sandbox.clone(), parts.leaks.clone());
        Ok(Self {
            setups: Setups::new(data_dir.join("setups"), parts.setup, rooms, leaks),
            sandbox,
            planners,
            symbols: parts.symbols,
            gateway,
            day_budget,
            mirrors: Mirrors::new(data_dir.join("mirrors")),
            forges: Forges::new(parts.database.clone(), parts.author.clone()),
            sources: TicketSources::default().with(FLUX_LENS, flux_lens),
            database: parts.database,
            objects: parts.objects,
            decision_key: parts.decision_key,
            host_id: parts.host_id,
            lease: Lease::default(),
            checkpoint_every: parts.checkpoint_every,
            workspace_locks: WorkspaceLocks::default(),
            author: parts.author,
            leaks: parts.leaks,
            data_dir,
            base_branches,
        })
    }

    /// Stores `content` for a ticket, and puts on record that the ticket refers to it: before anybody can learn of it, so
    /// that it is never taken for forgotten. Everything that is stored for a ticket goes this way.
    pub async fn store(
        &self,
        ticket: &TicketKey,
        content: impl Into<Bytes>,
    ) -> Result<ObjectRef, StepError> {
        let stored = self.objects.put(content).await?;
        garbage::record(&self.database, ticket, std::slice::from_ref(&stored)).await?;
        Ok(stored)
    }

    /// The base branch that the configuration names for the repository at `url`, if it names one.
    pub fn configured_base_branch(&self, url: &str) -> Option<&str> {
        self.base_branches.get(url).map(String::as_str)
    }
}
