//! The sections of `sallyport.toml` that more than one part of Sallyport reads.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use crate::{
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
    /// How many connections one process may hold: at least 2, by default 10.
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
}

/// `[objects]`: the object storage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// The folder; made where it is missing. It must not be shared with anything else.
    pub path: PathBuf,
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
}

impl FluxLensConfig {
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
        };
        let all = [repository("A"), repository("B")];
        assert_eq!(repository_of(&all, "B"), Some(&all[1]));
        assert_eq!(repository_of(&all, "b"), None);
    }
}
