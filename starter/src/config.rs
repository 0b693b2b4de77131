//! `[starter]`: where the starter listens, and who may use its API.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use sallyport_ledger::secret::{self, SecretError, SecretString};
use serde::Deserialize;

use crate::api::auth::Role;

/// `[starter]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StarterConfig {
    /// Where to listen; `127.0.0.1:8480` by default.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// How people reach this server, without a slash at the end.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Where Temporal's web UI is, without a slash at the end.
    #[serde(default)]
    pub temporal_ui_url: Option<String>,
    /// The networks of the proxies in front of this server: what they write into `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<IpNet>,
    /// How many webhooks a minute are taken from one address that no source has signed.
    #[serde(default = "default_unverified")]
    pub unverified_per_minute: u32,
    /// How many events of the inbox are worked off at once, from 1. Each takes up to two connections to the database.
    #[serde(default = "default_dispatchers")]
    pub dispatchers: usize,
    /// Who may use the API. Nobody may, without one.
    #[serde(default)]
    pub tokens: Vec<TokenConfig>,
}

/// One of `[[starter.tokens]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Whose token it is: an email address. Decisions made with it are this person's.
    pub person: String,
    /// What this person may do.
    pub role: Role,
    /// The token: at least 16 bytes.
    #[serde(default)]
    pub token: Option<SecretString>,
    /// A file that holds the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

impl TokenConfig {
    /// The token; `place` is the entry's place in the list, from 0.
    pub fn token(&self, place: usize) -> Result<SecretString, SecretError> {
        secret::required(
            &format!("starter.tokens[{place}].token"),
            self.token.as_ref(),
            self.token_file.as_deref(),
        )
    }
}

fn default_unverified() -> u32 {
    100
}

fn default_dispatchers() -> usize {
    4
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8480))
}

impl Default for StarterConfig {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            public_url: None,
            temporal_ui_url: None,
            trusted_proxies: Vec::new(),
            unverified_per_minute: default_unverified(),
            dispatchers: default_dispatchers(),
            tokens: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_written_in_small_letters() {
        let config: TokenConfig =
            serde_json::from_str(r#"{"person":"a@example.com","role":"approver","token":"t"}"#)
                .unwrap();
        assert_eq!(config.role, Role::Approver);
        let wrong =
            serde_json::from_str::<TokenConfig>(r#"{"person":"a","role":"root"}"#).unwrap_err();
        assert!(wrong.to_string().contains("approver"), "{wrong}");
    }

    #[test]
    fn everything_has_a_default_but_the_tokens() {
        let config: StarterConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8480");
        assert!(config.tokens.is_empty());
    }
}
