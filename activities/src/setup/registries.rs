//! Which registries a setup may reach.

use std::fmt;

use serde::Deserialize;

/// A registry: everything at one scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Registry {
    is_https: bool,
    host: String,
    port: u16,
}

/// An address that names no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` names no registry: {problem}; write it as `https://registry.example.com`")]
pub struct BadRegistry {
    address: String,
    problem: String,
}

impl TryFrom<String> for Registry {
    type Error = BadRegistry;

    fn try_from(address: String) -> Result<Self, BadRegistry> {
        let bad = |problem: &str| BadRegistry {
            address: address.clone(),
            problem: problem.to_owned(),
        };
        let url = reqwest::Url::parse(&address).map_err(|problem| bad(&problem.to_string()))?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(bad("it is neither https nor http")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "credentials would be shown to everybody who reads the configuration",
            ));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(bad(
                "nobody sees which paths are asked for through TLS, so none may be named",
            ));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(bad("it has no host"));
        };
        Ok(Self {
            is_https,
            host: canonical(host),
            port,
        })
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        let Self { host, port, .. } = self;
        write!(formatter, "{scheme}://{host}:{port}")
    }
}

/// All registries of an installation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Registries(Vec<Registry>);

impl Registries {
    /// Whether a connection to `host` at `port` may be made.
    pub(super) fn has_host(&self, host: &str, port: u16) -> bool {
        let host = canonical(host);
        let mut all = self.0.iter();
        all.any(|registry| registry.host == host && registry.port == port)
    }

    /// Whether a request without TLS to `host` at `port` may be passed on.
    pub(super) fn has_plain(&self, host: &str, port: u16) -> bool {
        let host = canonical(host);
        let mut all = self.0.iter();
        all.any(|registry| !registry.is_https && registry.host == host && registry.port == port)
    }
}

impl FromIterator<Registry> for Registries {
    fn from_iter<I: IntoIterator<Item = Registry>>(registries: I) -> Self {
        Self(registries.into_iter().collect())
    }
}

/// A host in the one form in which hosts are compared.
fn canonical(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(address: &str) -> Result<Registry, BadRegistry> {
        Registry::try_from(address.to_owned())
    }

    #[test]
    fn a_registry_is_a_scheme_a_host_and_a_port() {
        let all: Registries = ["https://Registry.example.com", "http://127.0.0.1:4873/"]
            .map(|address| registry(address).unwrap())
            .into_iter()
            .collect();
        assert!(all.has_host("registry.example.com", 443));
        assert!(all.has_host("REGISTRY.example.com.", 443));
        assert!(all.has_host("127.0.0.1", 4873) && all.has_plain("127.0.0.1", 4873));
        for (host, port) in [
            ("registry.example.com", 80),
            ("evil.registry.example.com", 443),
            ("registry.example.com.evil.example", 443),
            ("example.com", 443),
            ("127.0.0.1", 443),
            ("localhost", 4873),
            ("", 443),
        ] {
            assert!(!all.has_host(host, port), "{host}:{port}");
        }
        assert!(!all.has_plain("registry.example.com", 443));
        let shown = registry("https://registry.example.com")
            .unwrap()
            .to_string();
        assert_eq!(shown, "https://registry.example.com:443");
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        let secret = ["https://user:", "pass", "@registry.example.com"].concat();
        for (address, words) in [
            ("registry.example.com", "names no registry"),
            ("ftp://registry.example.com", "neither"),
            (secret.as_str(), "credentials"),
            ("https://registry.example.com/npm/", "paths"),
            ("https://registry.example.com?x=1", "paths"),
            ("", "names no registry"),
        ] {
            let problem = registry(address).unwrap_err().to_string();
            assert!(problem.contains(words), "{address}: {problem}");
        }
    }
}
