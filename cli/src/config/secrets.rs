//! All secrets of the configuration in one list, for those who look whether one of them got out.

use sallyport_ledger::secret::{SecretString, read};

use super::Config;

impl Config {
    /// Every secret that is configured and can be read here. Another host's may be missing: a worker need not have the
    /// starter's.
    pub fn secrets(&self) -> Vec<SecretString> {
        let (audit, decisions) = (&self.audit, &self.decisions);
        let mut secrets = vec![
            self.database.url(),
            self.database.owner_url(),
            self.flux_lens.token(),
            self.flux_lens.webhook_secret(),
            self.model.agent().map(|model| model.api_key),
        ];
        let optional = [
            read("audit.key", audit.key.as_ref(), audit.key_file.as_deref()),
            read(
                "decisions.key",
                decisions.key.as_ref(),
                decisions.key_file.as_deref(),
            ),
        ];
        secrets.extend(optional.into_iter().filter_map(Result::transpose));
        if let Some(s3) = &self.objects.s3 {
            secrets.push(s3.secret_access_key());
        }
        let tokens = self.starter.tokens.iter().enumerate();
        secrets.extend(tokens.map(|(place, token)| token.token(place)));
        secrets.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use sallyport_ledger::secret::ExposeSecret as _;

    use super::*;
    use crate::config::Layers;

    #[test]
    fn each_secret_that_is_there_is_in_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("secrets");
        std::fs::create_dir(&place).unwrap();
        let text = include_str!("example.toml");
        let files: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once("\"secrets/")?.1.strip_suffix('"'))
            .collect();
        for file in &files {
            std::fs::write(place.join(file), format!("{file}!\n")).unwrap();
        }
        let text = format!(
            "{text}\n[objects.s3]\nbucket = 'b'\naccess_key_id = 'id'\nsecret_access_key = 's3!'\n"
        );
        let load = || {
            let layers = Layers::parse(&folder.path().join("sallyport.toml"), &text).unwrap();
            let config = Config::from_layers(layers, Vec::new()).unwrap();
            let mut secrets: Vec<String> = config
                .secrets()
                .iter()
                .map(|secret| secret.expose_secret().to_owned())
                .collect();
            secrets.sort();
            secrets.dedup();
            secrets
        };
        let mut all: Vec<String> = files.iter().map(|file| format!("{file}!")).collect();
        all.push("s3!".to_owned());
        all.sort();
        assert_eq!(load(), all);
        assert_eq!(all.len(), 8);

        // A worker's host lacks what only starters need.
        std::fs::remove_file(place.join("approver-token")).unwrap();
        all.retain(|secret| secret != "approver-token!");
        assert_eq!(load(), all);
    }
}
