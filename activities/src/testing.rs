//! What this crate's unit tests share.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use chrono::DateTime;
use sallyport_ledger::{
    Database, Objects,
    config::{DatabaseConfig, FluxLensConfig, ObjectsConfig},
    hosts::{Host, renew_lease},
    proof::DecisionKey,
    transitions::record_transition,
};
use sallyport_test_support::{
    flux_lens::{FluxLens, FluxLensOptions},
    postgres::Postgres,
    scripted_model::{Scenario, ScriptedModel},
};
use sallyport_workflows::{
    ObjectRef, State,
    activities::{TicketFacts, TransitionRecord},
    policy::InstallationPolicy,
    spec::{Spec, SpecRef},
    ticket::TicketKey,
};

use crate::{
    config::ModelConfig,
    context::{Context, Parts},
    gateway::Vendor,
    git::Git,
    leaks::{LARGEST_FILE, LeakCheck},
    mirror::{Mirror, Mirrors},
    planning::render::spec_markdown,
    policy_file::{Policy, QualityGate, RepositoryPolicy},
    sandbox::EngineConfig,
    setup::SetupConfig,
    tools::Tools,
    workspace::approved::{ApprovedSpec, revision_of},
};

/// A secret of the installation.
pub(crate) const OWN_SECRET: &str = "our-own-secret-for-tests";

/// What a house may spend on models in a day, in millionths of a US dollar.
pub(crate) const DAY_BUDGET: u64 = 50_000_000;

/// All that activities need, on real servers: a ticket system, a model, a database, a repository, a sandbox.
pub(crate) struct House {
    _folder: tempfile::TempDir,
    pub(crate) origin: Origin,
    pub(crate) model: ScriptedModel,
    pub(crate) flux_lens: FluxLens,
    pub(crate) context: Arc<Context>,
    other: Parts,
    pub(crate) ticket: TicketKey,
}

impl House {
    /// A house with a repository that has `files`, and a model that plays `scenario`.
    pub(crate) async fn new(files: &[(&str, &str)], scenario: Scenario) -> Self {
        let origin = Origin::new(files).await;
        let folder = reachable_folder();
        let model = ScriptedModel::start(scenario, "model-key").unwrap();
        let flux_lens = FluxLens::start(FluxLensOptions::new("token", "secret")).unwrap();
        let url = Postgres::shared().database().await.unwrap();
        let objects = ObjectsConfig::folder(folder.path().join("objects"));
        let parts = Parts {
            database: Database::connect(&DatabaseConfig::with_url(url))
                .await
                .unwrap(),
            objects: Objects::open(&objects).unwrap(),
            tools: tools(),
            data_dir: folder.path().to_owned(),
            host_id: "host-1".into(),
            model: ModelConfig {
                vendor: Vendor::Anthropic,
                api_key: Some("model-key".into()),
                api_key_file: None,
                base_url: Some(model.base_url().to_owned()),
                planner_model: "claude-sonnet-4-5".into(),
                agent_model: "claude-sonnet-4-5".into(),
                planner_price: None,
                agent_price: None,
                planner_temperature: None,
                planner_fallbacks: Vec::new(),
                planners: Vec::new(),
                planner_answer_tokens: None,
                planner_stream: true,
                planner_context_tokens: crate::planning::context::DEFAULT_TOKENS,
                day_budget_micro_usd: DAY_BUDGET,
                requests_per_minute: None,
                input_tokens_per_minute: None,
            },
            flux_lens: FluxLensConfig {
                token: Some("token".into()),
                ..FluxLensConfig::at(flux_lens.base_url())
            },
            repositories: Vec::new(),
            decision_key: DecisionKey::new(&"k".repeat(32).into()).unwrap(),
            author: crate::workspace::diff::Signature::default(),
            leaks: LeakCheck::new([OWN_SECRET.into()], LARGEST_FILE),
            checkpoint_every: Duration::from_secs(1),
            setup: SetupConfig::default(),
            engine: EngineConfig::default(),
            symbols: crate::planning::symbols::reader::tests::reader(),
        };
        let ticket = TicketKey::first("flux-lens", "FL-1");
        let other = Parts {
            data_dir: folder.path().join("other"),
            host_id: "host-2".into(),
            ..parts.clone()
        };
        let context = Arc::new(Context::build(parts).unwrap());
        take_lease(&context).await;
        put_on_record(&context.database, &ticket, origin.url()).await;
        Self {
            _folder: folder,
            origin,
            model,
            flux_lens,
            context,
            other,
            ticket,
        }
    }

    /// Another host of the same installation.
    pub(crate) async fn other_host(&self) -> Arc<Context> {
        let context = Arc::new(Context::build(self.other.clone()).unwrap());
        take_lease(&context).await;
        context
    }

    /// Stores `spec` and a policy with one gate as approved against `base_commit`.
    pub(crate) async fn approve(&self, spec: &Spec, base_commit: &str) -> (SpecRef, ObjectRef) {
        let objects = &self.context.objects;
        let policy = objects
            .put(serde_json::to_vec(&policy()).unwrap())
            .await
            .unwrap();
        let text = spec_markdown(&self.ticket.ticket_id, spec);
        let spec = SpecRef {
            revision: revision_of(&text, base_commit, &policy),
            text: objects.put(text).await.unwrap(),
            document: objects
                .put(serde_json::to_vec(spec).unwrap())
                .await
                .unwrap(),
            base_commit: base_commit.to_owned(),
            files: 1,
            confidence_percent: 90,
            context: None,
        };
        (spec, policy)
    }
}

/// Lets the host of `context` be alive for longer than any test.
pub(crate) async fn take_lease(context: &Context) {
    let host = Host {
        host_id: context.host_id.clone(),
        task_queue: format!("queue-{}", context.host_id),
        slots: 2,
    };
    let day = Duration::from_secs(24 * 60 * 60);
    renew_lease(&context.database, &host, day).await.unwrap();
}

/// A SPEC that allows `paths` to be changed.
pub(crate) fn spec_for(paths: &[&str]) -> Spec {
    let files: Vec<_> = paths
        .iter()
        .map(|path| serde_json::json!({"path": path, "change": "modify", "reason": "r"}))
        .collect();
    serde_json::from_value(serde_json::json!({
        "title": "Fix it", "problem": "p", "solution": "s", "files": files, "plan": ["1"],
        "testing": ["t"], "risks": [], "confidence": 0.9,
        "criteria": [{"text": "c", "check": "Unit tests"}],
        "gates": {
            "detected": false,
            "list": [{"name": "Unit tests", "command": "echo looked; test -e src/a.js", "required": true}],
        },
    }))
    .unwrap()
}

/// A policy with one gate.
fn policy() -> Policy {
    let gate = QualityGate {
        name: "Unit tests".into(),
        command: "echo looked; test -e src/a.js".into(),
        required: true,
        allow_red_base: false,
        timeout_seconds: 60,
    };
    Policy {
        effective: InstallationPolicy::default(),
        repository: RepositoryPolicy {
            gates: vec![gate],
            ..RepositoryPolicy::default()
        },
    }
}

/// `spec` as approved with a policy of one gate.
pub(crate) fn approved(spec: Spec) -> ApprovedSpec {
    ApprovedSpec {
        text: spec_markdown("FL-1", &spec),
        policy: policy(),
        spec,
    }
}

/// Records a ticket's first transition, which gives it its row in the ledger.
pub(crate) async fn put_on_record(database: &Database, ticket: &TicketKey, url: &str) {
    let first = TransitionRecord {
        ticket: ticket.clone(),
        sequence: 1,
        from: None,
        to: State::Pending,
        at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        triggered_by: "system".into(),
        reason: None,
        facts: TicketFacts {
            repository_url: url.to_owned(),
            ..TicketFacts::default()
        },
    };
    record_transition(database, &first).await.unwrap();
}

/// The tools that `cargo xtask setup` put into place.
pub(crate) fn tools() -> Tools {
    let list = sallyport_test_support::tools::TestTools::manifest().unwrap();
    Tools::load(&list).unwrap()
}

/// A folder of its own that the room's user can pass.
pub(crate) fn reachable_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A bare repository that a test pushes commits to.
pub(crate) struct Origin {
    _folder: tempfile::TempDir,
    git: Git,
    url: String,
}

impl Origin {
    /// A repository whose branch `main` has one commit with `files`.
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::create_bare(&folder.path().join("origin.git"))
            .await
            .unwrap();
        let url = format!("file://{}", git.directory().display());
        let origin = Self {
            _folder: folder,
            git,
            url,
        };
        origin.commit(files).await;
        origin
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn git(&self) -> &Git {
        &self.git
    }

    pub(crate) async fn head(&self, branch: &str) -> String {
        self.git
            .commit(&format!("refs/heads/{branch}"))
            .await
            .unwrap()
            .unwrap()
    }

    /// A mirror of it in a folder of its own, and the head of `main`.
    pub(crate) async fn mirror(&self) -> (tempfile::TempDir, Mirror, String) {
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirrors::new(folder.path()).fetch(&self.url).await.unwrap();
        let head = mirror.head("main").await.unwrap();
        (folder, mirror, head)
    }

    /// Puts a commit on `main` that writes `files`, as regular files, and answers its id.
    pub(crate) async fn commit(&self, files: &[(&str, &str)]) -> String {
        self.commit_as(files, "a commit").await
    }

    /// The same with a message.
    pub(crate) async fn commit_as(&self, files: &[(&str, &str)], message: &str) -> String {
        let files: Vec<_> = files
            .iter()
            .map(|(path, content)| ("100644", *path, content.as_bytes()))
            .collect();
        self.commit_with(&files, message).await
    }

    /// Puts `branch` on `commit`.
    pub(crate) async fn set(&self, branch: &str, commit: &str) {
        self.git
            .run("update-ref")
            .arguments([&format!("refs/heads/{branch}"), commit])
            .done()
            .await
            .unwrap();
    }

    /// The same with modes.
    pub(crate) async fn commit_entries(&self, entries: &[(&str, &str, &[u8])]) -> String {
        self.commit_with(entries, "a commit").await
    }

    async fn commit_with(&self, entries: &[(&str, &str, &[u8])], message: &str) -> String {
        let index = self.git.directory().join("test-index");
        let parent = self.git.commit("refs/heads/main").await.unwrap();
        for (mode, path, content) in entries {
            let blob = self
                .git
                .run("hash-object")
                .arguments(["-w", "--stdin"])
                .input(content.to_vec())
                .text()
                .await
                .unwrap();
            self.git
                .run("update-index")
                .index(&index)
                .arguments(["--add", "--cacheinfo", &format!("{mode},{blob},{path}")])
                .done()
                .await
                .unwrap();
        }
        let tree = self
            .git
            .run("write-tree")
            .index(&index)
            .text()
            .await
            .unwrap();
        let mut commit = self
            .git
            .run("commit-tree")
            .arguments([&tree, "-m", message]);
        if let Some(parent) = &parent {
            commit = commit.arguments(["-p", parent]);
        }
        for role in ["AUTHOR", "COMMITTER"] {
            commit = commit
                .variable(&format!("GIT_{role}_NAME"), "Tester")
                .variable(&format!("GIT_{role}_EMAIL"), "tester@example.com");
        }
        let commit = commit.text().await.unwrap();
        self.set("main", &commit).await;
        commit
    }
}

/// Compares `text` with the golden file `name`. With `UPDATE_GOLDEN=1` in the environment the file is written instead;
/// then read what changed.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{} differs from what is made now:\n{text}",
        path.display()
    );
}
