//! The sections of `sallyport.toml` that more than one part of Sallyport reads.

use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    audit::key::{SealKey, SealKeyError},
    proof::{DecisionKey, DecisionKeyError},
    secret::{self, SecretError},
};

/// `[database]`: the Postgres that the ledger is in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`.
    #[serde(default)]
    pub url: Option<SecretString>,
    /// A file that holds the URL.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// The same for whoever owns the schema, where that is somebody else: only migrations run as this user.
    #[serde(default)]
    pub owner_url: Option<SecretString>,
    /// A file that holds the owner's URL.
    #[serde(default)]
    pub owner_url_file: Option<PathBuf>,
    /// How many connections one process may hold: at least 2, by default 20.
    #[serde(default)]
    pub max_connections: Option<u32>,
}

impl DatabaseConfig {
    /// The section that only says where the database is.
    pub fn with_url(url: impl Into<String>) -> Self {
        Self {
            url: Some(SecretString::from(url.into())),
            ..Self::default()
        }
    }

    /// Where the database is.
    pub fn url(&self) -> Result<SecretString, SecretError> {
        secret::required("database.url", self.url.as_ref(), self.url_file.as_deref())
    }

    /// Where the database is for migrations.
    pub fn owner_url(&self) -> Result<SecretString, SecretError> {
        if self.owner_url.is_none() && self.owner_url_file.is_none() {
            return self.url();
        }
        secret::required(
            "database.owner_url",
            self.owner_url.as_ref(),
            self.owner_url_file.as_deref(),
        )
    }
}

/// `[audit]`: how the audit log is sealed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// The private key that seals are signed with: 32 random bytes in hexadecimal. Only starters need it.
    #[serde(default)]
    pub key: Option<SecretString>,
    /// A file that holds the key.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Seconds between two looks for what is to be sealed, from 1.
    #[serde(default = "ten")]
    pub seal_seconds: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            key: None,
            key_file: None,
            seal_seconds: ten(),
        }
    }
}

fn ten() -> u64 {
    10
}

impl AuditConfig {
    /// The key.
    pub fn key(&self) -> Result<SealKey, SealKeyError> {
        let key = secret::required("audit.key", self.key.as_ref(), self.key_file.as_deref())?;
        SealKey::new(&key)
    }
}

/// `[objects]`: the object storage, a folder or a bucket.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// The folder; made where it is missing. It must not be shared with anything else.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The bucket.
    #[serde(default)]
    pub s3: Option<S3Config>,
}

impl ObjectsConfig {
    /// The section that names a folder.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
            s3: None,
        }
    }

    /// The section that names a bucket.
    pub fn bucket(s3: S3Config) -> Self {
        Self {
            path: None,
            s3: Some(s3),
        }
    }
}

/// `[objects.s3]`: a bucket of Amazon S3, or of another storage that speaks its protocol.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// Where it is, such as `https://minio.example.com:9000`; by default Amazon's own in the region.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region; storage that has none takes any word.
    #[serde(default = "usual_region")]
    pub region: String,
    /// The bucket, which must be there already.
    pub bucket: String,
    /// The folder in the bucket; by default the whole bucket is ours.
    #[serde(default)]
    pub prefix: Option<String>,
    /// The id of the access key.
    #[serde(default)]
    pub access_key_id: Option<SecretString>,
    /// A file that holds it.
    #[serde(default)]
    pub access_key_id_file: Option<PathBuf>,
    /// The secret of the access key.
    #[serde(default)]
    pub secret_access_key: Option<SecretString>,
    /// A file that holds it.
    #[serde(default)]
    pub secret_access_key_file: Option<PathBuf>,
    /// Whether an endpoint without encryption is taken.
    #[serde(default)]
    pub allow_http: bool,
    /// Whether the bucket stands in the path of an address and not in the host's name; by default at every endpoint but
    /// Amazon's own.
    #[serde(default)]
    pub path_style: Option<bool>,
}

impl S3Config {
    /// The id of the access key.
    pub fn access_key_id(&self) -> Result<SecretString, SecretError> {
        secret::required(
            "objects.s3.access_key_id",
            self.access_key_id.as_ref(),
            self.access_key_id_file.as_deref(),
        )
    }

    /// The secret of the access key.
    pub fn secret_access_key(&self) -> Result<SecretString, SecretError> {
        secret::required(
            "objects.s3.secret_access_key",
            self.secret_access_key.as_ref(),
            self.secret_access_key_file.as_deref(),
        )
    }

    /// Whether the bucket stands in the path.
    pub fn path_style(&self) -> bool {
        self.path_style.unwrap_or(self.endpoint.is_some())
    }
}

fn usual_region() -> String {
    "us-east-1".to_owned()
}

/// `[retention]`: how long things are kept, in days. 0 keeps them for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Lines of agents' logs in the database, from the ticket's end on; then they are in object storage.
    pub agent_logs_days: u32,
    /// What a host may still hold of a ticket's workspace, from the ticket's end on.
    pub workspaces_days: u32,
    /// Events that were worked off.
    pub inbox_days: u32,
    /// What people were told, from the ticket's end on.
    pub notifications_days: u32,
    /// All details of a finished ticket in the database; then they are one document in object storage.
    pub tickets_days: u32,
    /// Objects that nothing refers to.
    pub unreferenced_objects_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            agent_logs_days: 90,
            workspaces_days: 7,
            inbox_days: 90,
            notifications_days: 90,
            tickets_days: 365,
            unreferenced_objects_days: 7,
        }
    }
}

/// `[flux_lens]`: the ticket system.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FluxLensConfig {
    /// Where its API is, such as `https://flux-lens.example.com`, without a path.
    pub base_url: String,
    /// The token for its API.
    #[serde(default)]
    pub token: Option<SecretString>,
    /// A file that holds the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The secret that its webhooks are signed with.
    #[serde(default)]
    pub webhook_secret: Option<SecretString>,
    /// A file that holds that secret.
    #[serde(default)]
    pub webhook_secret_file: Option<PathBuf>,
    /// The networks that its webhooks come from; none for all.
    #[serde(default)]
    pub webhook_networks: Vec<IpNet>,
    /// How many of its webhooks a minute each starter takes.
    #[serde(default = "six_thousand")]
    pub webhooks_per_minute: u32,
}

fn six_thousand() -> u32 {
    6000
}

impl FluxLensConfig {
    /// The section that only says where its API is.
    pub fn at(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            token: None,
            token_file: None,
            webhook_secret: None,
            webhook_secret_file: None,
            webhook_networks: Vec::new(),
            webhooks_per_minute: six_thousand(),
        }
    }

    /// The token for the API.
    pub fn token(&self) -> Result<SecretString, SecretError> {
        secret::required(
            "flux_lens.token",
            self.token.as_ref(),
            self.token_file.as_deref(),
        )
    }

    /// The secret that webhooks are signed with.
    pub fn webhook_secret(&self) -> Result<SecretString, SecretError> {
        secret::required(
            "flux_lens.webhook_secret",
            self.webhook_secret.as_ref(),
            self.webhook_secret_file.as_deref(),
        )
    }
}

/// One of `[[repositories]]`: which repository a project's tickets are about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryConfig {
    /// The project's key in the ticket system.
    pub project: String,
    /// The repository, as git takes it.
    pub url: String,
    /// The branch that pull requests ask to be merged into; by default the repository's own HEAD.
    #[serde(default)]
    pub base_branch: Option<String>,
    /// The planner that writes SPECs for it: `default`, or a name of `[[model.planners]]`. By default the tickets' shares
    /// decide.
    #[serde(default)]
    pub planner: Option<String>,
}

/// The repository of `project`; projects are told apart by case.
pub fn repository_of<'a>(
    repositories: &'a [RepositoryConfig],
    project: &str,
) -> Option<&'a RepositoryConfig> {
    repositories
        .iter()
        .find(|repository| repository.project == project)
}

/// `[decisions]`: who is believed to have decided.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionsConfig {
    /// The key that the starter signs decisions with, and activities check them with: at least 32 bytes.
    #[serde(default)]
    pub key: Option<SecretString>,
    /// A file that holds the key.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Whether a decision counts that carries no proof (the stock `temporal` CLI, the Temporal UI). It has no default:
    /// whoever runs an installation says so.
    pub accept_unproven: bool,
}

impl DecisionsConfig {
    /// The key.
    pub fn key(&self) -> Result<DecisionKey, DecisionKeyError> {
        let key = secret::required("decisions.key", self.key.as_ref(), self.key_file.as_deref())?;
        DecisionKey::new(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let wrong =
            toml::from_str::<FluxLensConfig>("base_url = 'http://x'\ntokn = 'y'").unwrap_err();
        assert!(wrong.to_string().contains("tokn"), "{wrong}");
    }

    #[test]
    fn whether_unproven_decisions_count_must_be_said() {
        let unsaid = toml::from_str::<DecisionsConfig>("key = 'k'").unwrap_err();
        assert!(unsaid.to_string().contains("accept_unproven"), "{unsaid}");
    }

    #[test]
    fn a_short_key_is_refused() {
        let short =
            toml::from_str::<DecisionsConfig>("key = 'k'\naccept_unproven = false").unwrap();
        assert!(short.key().unwrap_err().to_string().contains("32"));
    }

    #[test]
    fn printed_configuration_shows_no_secret() {
        let config: FluxLensConfig =
            toml::from_str("base_url = 'http://x'\ntoken = 'hidden'\nwebhook_secret = 'hidden'")
                .unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn a_project_finds_its_repository() {
        let repository = |project: &str| RepositoryConfig {
            project: project.into(),
            url: format!("file:///{project}.git"),
            base_branch: None,
            planner: None,
        };
        let all = [repository("A"), repository("B")];
        assert_eq!(repository_of(&all, "B"), Some(&all[1]));
        assert_eq!(repository_of(&all, "b"), None);
    }
}
