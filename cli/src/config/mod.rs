//! `sallyport.toml`: the whole configuration, read once and passed down. Nothing reads the environment later.
//!
//! The types of the sections live in the crates that use them; this puts them together. [`Layers`] says how the file,
//! the environment and `sallyport dev` are laid over each other.

mod error;
mod layers;
#[cfg(test)]
mod layers_tests;
mod leak_check;
mod overlay;
mod places;

use std::path::{Path, PathBuf};

use sallyport_activities::{
    config::ModelConfig, gateway::Gateway, planning::planners::Planners, policy_check,
};
use sallyport_ledger::{
    Objects,
    config::{
        AuditConfig, DatabaseConfig, DecisionsConfig, FluxLensConfig, ObjectsConfig,
        RepositoryConfig, RetentionConfig,
    },
    garbage,
};
use sallyport_starter::{api::auth::Tokens, config::StarterConfig};
use sallyport_worker::config::{MaintenanceConfig, TemporalConfig, WorkerConfig};
use sallyport_workflows::policy::InstallationPolicy;
use serde::Deserialize;

pub use error::ConfigError;
pub use layers::Layers;
pub use overlay::PREFIX;
pub use places::Origin;

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of this installation's files on this host: mirrors, workspaces, the host's id.
    pub data_dir: PathBuf,
    /// Where the pinned programs are.
    pub tools: ToolsConfig,
    /// Where Temporal is.
    #[serde(default)]
    pub temporal: TemporalConfig,
    /// The ledger's Postgres.
    pub database: DatabaseConfig,
    /// The object storage.
    pub objects: ObjectsConfig,
    /// Webhooks, API, and who may use it.
    pub starter: StarterConfig,
    /// The ticket system.
    pub flux_lens: FluxLensConfig,
    /// Which repository a project's tickets are about.
    pub repositories: Vec<RepositoryConfig>,
    /// The model that plans, and the one that the agent works with.
    pub model: ModelConfig,
    /// Who is believed to have decided.
    pub decisions: DecisionsConfig,
    /// How the audit log is sealed.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Limits and deadlines of tickets.
    #[serde(default)]
    pub policy: InstallationPolicy,
    /// What this host takes on.
    #[serde(default)]
    pub worker: WorkerConfig,
    /// How often the installation is looked after.
    #[serde(default)]
    pub maintenance: MaintenanceConfig,
    /// How long things are kept.
    #[serde(default)]
    pub retention: RetentionConfig,
}

/// `[tools]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolsConfig {
    /// The list of tools that `cargo xtask setup` wrote.
    pub manifest: PathBuf,
}

impl Config {
    /// Reads the configuration at `file`, with the environment laid over it.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let environment: Vec<_> = std::env::vars().collect();
        let mut layers = Layers::read(file)?;
        layers.overlay(environment.iter().cloned())?;
        Self::from_layers(layers, environment)
    }

    /// Reads what was put together, with defaults where nothing is said.
    pub fn from_layers(
        mut layers: Layers,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        layers.put_default(&["data_dir"], ".sallyport".into())?;
        layers.put_default(&["tools", "manifest"], ".tools/tools.json".into())?;
        let data_dir = layers.get(&["data_dir"]).and_then(toml::Value::as_str);
        let objects = Path::new(data_dir.unwrap_or_default()).join("objects");
        if layers.get(&["objects", "s3"]).is_none() {
            layers.put_default(
                &["objects", "path"],
                objects.to_string_lossy().into_owned().into(),
            )?;
        }
        Self::add_vendor_key(&mut layers, environment)?;
        let usual = InstallationPolicy::default();
        for (gate, policy) in [
            ("spec_gate", usual.spec_gate),
            ("scope_gate", usual.scope_gate),
            ("pr_gate", usual.pr_gate),
        ] {
            // Each gate has a usual time-out of its own, which its type alone cannot know.
            if layers
                .get(&["policy", gate])
                .is_some_and(toml::Value::is_table)
            {
                let seconds = i64::try_from(policy.timeout_seconds).unwrap_or(i64::MAX);
                layers.put_default(&["policy", gate, "timeout_seconds"], seconds.into())?;
            }
        }
        let unproven = ["policy", "accept_unproven_decisions"];
        if layers.get(&unproven).is_some() {
            return Err(layers.error(&unproven, "set `decisions.accept_unproven` instead"));
        }
        let places = layers.clone();
        let mut config: Self = layers.into_type()?;
        let kept = i64::from(config.retention.unreferenced_objects_days);
        let least = garbage::MINIMUM_SAFE_AGE.num_days();
        if kept != 0 && kept < least {
            let problem = format!(
                "it is {kept}; at least {least} days must lie between storing an object and removing it, or 0 for never"
            );
            return Err(places.error(&["retention", "unreferenced_objects_days"], &problem));
        }
        config.policy.accept_unproven_decisions = config.decisions.accept_unproven;
        policy_check::check(&config.policy).map_err(|error| {
            // A place in a list is part of the list's key.
            let below = error.key.split(['.', '[']).filter(|part| !part.is_empty());
            let key: Vec<&str> = ["policy"].into_iter().chain(below).collect();
            places.error(&key, &error.problem.to_string())
        })?;
        Ok(config)
    }

    /// Takes the model's key from the vendor's own variable where the configuration names none, and the vendor from the
    /// variable that is there.
    pub fn add_vendor_key(
        layers: &mut Layers,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        if layers.get(&["model", "api_key"]).is_some()
            || layers.get(&["model", "api_key_file"]).is_some()
        {
            return Ok(());
        }
        let environment: Vec<_> = environment.into_iter().collect();
        let vendor = layers.get(&["model", "vendor"]).cloned();
        for (name, variable) in [
            ("anthropic", "ANTHROPIC_API_KEY"),
            ("openai", "OPENAI_API_KEY"),
            ("google", "GEMINI_API_KEY"),
            ("google", "GOOGLE_API_KEY"),
        ] {
            let is_asked = vendor
                .as_ref()
                .is_none_or(|vendor| vendor.as_str() == Some(name));
            let key = environment
                .iter()
                .find(|(known, value)| known == variable && !value.is_empty());
            if let (true, Some((_, key))) = (is_asked, key) {
                let origin = || Origin::Variable(variable.to_owned());
                layers.put(&["model", "vendor"], name.into(), origin())?;
                layers.put(&["model", "api_key"], key.as_str().into(), origin())?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads each secret once, and looks at the models, so that what is wrong is said before anything starts.
    pub fn check(&self) -> anyhow::Result<()> {
        self.database.url()?;
        self.flux_lens.token()?;
        self.flux_lens.webhook_secret()?;
        self.decisions.key()?;
        self.audit.key()?;
        Planners::configured(&self.model, &self.repositories, None)?;
        Gateway::new(self.model.agent()?)?;
        Tokens::new(&self.starter.tokens)?;
        self.leak_check()?;
        if self.objects.s3.is_some() {
            Objects::open(&self.objects)?;
        }
        Ok(())
    }

    /// Asks the object storage itself where it is a bucket; a folder may be on another host.
    pub async fn check_bucket(&self) -> anyhow::Result<()> {
        if self.objects.s3.is_some() {
            Objects::open(&self.objects)?.check().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sallyport_workflows::policy::{Budget, GatePolicy};

    use super::*;

    const WHOLE: &str = include_str!("example.toml");

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut layers = Layers::parse(Path::new("/srv/sallyport.toml"), text)
            .map_err(|error| error.to_string())?;
        layers
            .overlay(environment.iter().cloned())
            .map_err(|error| error.to_string())?;
        Config::from_layers(layers, environment).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_is_a_whole_configuration() {
        let config = load(WHOLE, &[]).unwrap();
        assert_eq!(config.data_dir, Path::new("/srv/.sallyport"));
        let objects = config.objects.path.unwrap();
        assert_eq!(objects, Path::new("/srv/.sallyport/objects"));
        assert_eq!(config.tools.manifest, Path::new("/srv/.tools/tools.json"));
        assert!(!config.policy.accept_unproven_decisions);
    }

    #[tokio::test]
    async fn a_bucket_is_asked_whether_it_can_be_used() {
        use sallyport_test_support::s3::{ACCESS_KEY_ID, S3Server, SECRET_ACCESS_KEY};

        let server = S3Server::start("tickets").unwrap();
        let check = async |bucket: &str, secret: &str| {
            let section = format!(
                "[objects.s3]\nendpoint = '{}'\nallow_http = true\nbucket = '{bucket}'\n\
                 access_key_id = '{ACCESS_KEY_ID}'\nsecret_access_key = '{secret}'\n",
                server.endpoint()
            );
            let config = load(&format!("{WHOLE}\n{section}"), &[]).unwrap();
            assert!(!format!("{config:?}").contains(secret));
            let checked = config.check_bucket().await;
            checked.map_err(|error| error.to_string())
        };
        check("tickets", SECRET_ACCESS_KEY).await.unwrap();
        let missing = check("other", SECRET_ACCESS_KEY).await.unwrap_err();
        assert!(missing.contains("objects.s3.bucket"), "{missing}");
        let refused = check("tickets", "not-the-secret").await.unwrap_err();
        assert!(
            refused.contains("objects.s3.secret_access_key"),
            "{refused}"
        );
        assert!(!refused.contains("not-the-secret"), "{refused}");
    }

    #[test]
    fn what_is_kept_too_short_is_refused_with_its_line() {
        let load = |days: u32| {
            let section = format!("[retention]\nunreferenced_objects_days = {days}\n");
            load(&format!("{WHOLE}\n{section}"), &[])
        };
        let error = load(2).unwrap_err();
        assert!(
            error.contains("key `retention.unreferenced_objects_days`") && error.contains("line "),
            "{error}"
        );
        let never = load(0).unwrap().retention;
        assert_eq!(never.unreferenced_objects_days, 0);
        assert_eq!(never.agent_logs_days, 90);
    }

    #[test]
    fn a_bucket_takes_the_place_of_the_folder() {
        let bucket = "[objects.s3]\nbucket = 'tickets'\nsecret_access_key_file = 'secrets/s3'\n";
        let objects = load(&format!("{WHOLE}\n{bucket}"), &[]).unwrap().objects;
        assert_eq!(objects.path, None);
        let s3 = objects.s3.unwrap();
        assert_eq!(
            s3.secret_access_key_file.as_deref(),
            Some(Path::new("/srv/secrets/s3"))
        );
        assert!(!s3.path_style());
        let variable = [("SALLYPORT__OBJECTS__S3__BUCKET", "other")];
        let objects = load(WHOLE, &variable).unwrap().objects;
        assert_eq!(objects.s3.unwrap().bucket, "other");

        let shown = format!("{WHOLE}\n[objects.s3]\nbucket = 'b'\nsecret_access_key = [1]\n");
        let error = load(&shown, &[]).unwrap_err();
        assert!(error.contains("objects.s3.secret_access_key"), "{error}");
    }

    #[test]
    fn whether_unproven_decisions_count_must_be_said() {
        let silent: String = WHOLE
            .lines()
            .filter(|line| !line.starts_with("accept_unproven"))
            .map(|line| format!("{line}\n"))
            .collect();
        let error = load(&silent, &[]).unwrap_err();
        assert!(
            error.contains("key `decisions.accept_unproven`: it is required and missing"),
            "{error}"
        );
        let said = [("SALLYPORT__DECISIONS__ACCEPT_UNPROVEN", "true")];
        assert!(
            load(&silent, &said)
                .unwrap()
                .policy
                .accept_unproven_decisions
        );
    }

    #[test]
    fn there_is_one_place_to_say_it() {
        let text = format!("{WHOLE}\n[policy]\naccept_unproven_decisions = true\n");
        let error = load(&text, &[]).unwrap_err();
        assert!(
            error.contains("`policy.accept_unproven_decisions`"),
            "{error}"
        );
        assert!(error.contains("decisions.accept_unproven"), "{error}");
    }

    #[test]
    fn a_policy_that_cannot_be_kept_is_refused_with_its_line() {
        let text = format!(
            "{WHOLE}\n[policy.spec_gate]\napprovals = 2\napprovers = ['ann@example.com']\n"
        );
        let error = load(&text, &[]).unwrap_err().to_string();
        assert!(
            error.contains("policy.spec_gate") && error.contains("line "),
            "{error}"
        );
    }

    #[test]
    fn a_part_of_the_policy_is_enough() {
        let text = format!(
            "{WHOLE}\n[policy.spec_gate]\napprovals = 2\napprovers = ['ann@example.com', 'bob@example.com']\n\
             [policy.pr_gate.calendar]\ntime_zone = 'Europe/Berlin'\n[policy.budget]\nrepairs = 7\n"
        );
        let policy = load(&text, &[]).unwrap().policy;
        let usual = InstallationPolicy::default();
        let spec_gate = GatePolicy {
            approvals: 2,
            approvers: vec!["ann@example.com".into(), "bob@example.com".into()],
            ..usual.spec_gate.clone()
        };
        assert_eq!(policy.spec_gate, spec_gate);
        assert_eq!(
            policy.pr_gate.timeout_seconds,
            usual.pr_gate.timeout_seconds
        );
        assert_eq!(
            policy.pr_gate.calendar.unwrap().from.to_string(),
            "09:00:00"
        );
        assert_eq!(policy.scope_gate, usual.scope_gate);
        let budget = Budget {
            repairs: 7,
            ..usual.budget
        };
        assert_eq!(policy.budget, budget);
        let variable = [(
            "SALLYPORT__POLICY__SPEC_GATE__REPORTER_MAY_APPROVE",
            "false",
        )];
        let policy = load(WHOLE, &variable).unwrap().policy;
        assert!(!policy.spec_gate.reporter_may_approve);
        assert_eq!(
            policy.spec_gate.timeout_seconds,
            usual.spec_gate.timeout_seconds
        );
    }

    #[test]
    fn a_wrong_key_of_the_policy_is_told_with_its_line() {
        let line = WHOLE.lines().count() + 2;
        for (section, key, value, word) in [
            ("policy", "gate", "1", "unknown field"),
            (
                "policy.spec_gate",
                "approvers",
                "'ann@example.com'",
                "a sequence",
            ),
            ("policy.scope_gate", "aprovals", "2", "approvals"),
            ("policy.pr_gate", "timeout_seconds", "'long'", "u64"),
            ("policy.pr_gate.calendar", "zone", "'UTC'", "time_zone"),
            ("policy.budget", "cost", "5", "cost_micro_usd"),
            ("policy.budget", "repairs", "-1", "u32"),
        ] {
            let text = format!("{WHOLE}[{section}]\n{key} = {value}\n");
            let error = load(&text, &[]).unwrap_err();
            let place = format!("line {line}, key `{section}.{key}`");
            assert!(error.contains(&place), "{error}");
            assert!(error.contains(word), "{error}");
        }
        let text = format!("{WHOLE}\n[policy]\nspec_gate = 24\n");
        let error = load(&text, &[]).unwrap_err();
        assert!(error.contains("key `policy.spec_gate`"), "{error}");
    }

    #[test]
    fn the_vendors_own_variable_is_the_last_resort() {
        let keyless: String = WHOLE
            .lines()
            .filter(|line| !line.starts_with("api_key"))
            .map(|line| format!("{line}\n"))
            .collect();
        let both = [("OPENAI_API_KEY", "o"), ("ANTHROPIC_API_KEY", "a")];
        let mut layers = Layers::parse(Path::new("/x.toml"), &keyless).unwrap();
        let environment = both.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Config::add_vendor_key(&mut layers, environment.clone()).unwrap();
        assert_eq!(layers.get(&["model", "api_key"]), Some(&"a".into()));

        let mut named =
            Layers::parse(Path::new("/x.toml"), "[model]\nvendor = 'openai'\n").unwrap();
        Config::add_vendor_key(&mut named, environment.clone()).unwrap();
        assert_eq!(named.get(&["model", "api_key"]), Some(&"o".into()));

        let google = [("GOOGLE_API_KEY", "g")].map(|(name, key)| (name.to_owned(), key.to_owned()));
        let mut alone = Layers::parse(Path::new("/x.toml"), "").unwrap();
        Config::add_vendor_key(&mut alone, google).unwrap();
        assert_eq!(alone.get(&["model", "vendor"]), Some(&"google".into()));
        assert_eq!(alone.get(&["model", "api_key"]), Some(&"g".into()));

        let mut own =
            Layers::parse(Path::new("/x.toml"), "[model]\napi_key_file = 'mine'\n").unwrap();
        Config::add_vendor_key(&mut own, environment).unwrap();
        assert_eq!(own.get(&["model", "api_key"]), None);
    }
}
