//! What the configuration says of the check for leaks; above all, every secret in it, which must never be pushed.

use anyhow::Context as _;
use sallyport_activities::leaks::LeakCheck;
use sallyport_ledger::secret::{SecretString, read};

use super::Config;

impl Config {
    /// The check, with all that it looks for.
    pub fn leak_check(&self) -> anyhow::Result<LeakCheck> {
        let largest_file = u64::from(self.worker.largest_file_mib) << 20;
        LeakCheck::new(self.secrets(), largest_file)
            .with_secret_like_files(&self.worker.secret_like_files)
            .context("`worker.secret_like_files` is wrong; write globs such as `test/fixtures/**`")
    }

    /// Every secret that is configured and can be read here. Another host's may be missing: a worker need not have the
    /// starter's.
    fn secrets(&self) -> Vec<SecretString> {
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
        let fallbacks = self.model.planner_fallbacks.iter();
        let fallbacks = fallbacks.filter_map(|fallback| {
            let (key, file) = (fallback.api_key.as_ref(), fallback.api_key_file.as_deref());
            read("model.planner_fallbacks.api_key", key, file).transpose()
        });
        let planners = self.model.planners.iter().filter_map(|planner| {
            let (key, file) = (planner.api_key.as_ref(), planner.api_key_file.as_deref());
            read("model.planners.api_key", key, file).transpose()
        });
        secrets.extend(fallbacks);
        secrets.extend(planners);
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
            "{text}\n[objects.s3]\nbucket = 'b'\naccess_key_id = 'id'\nsecret_access_key = 's3!'\n\
             [[model.planners]]\nname = 'other'\nmodel = 'm'\napi_key = 'planner!'\n\
             [[model.planner_fallbacks]]\nvendor = 'openai'\nmodel = 'm'\napi_key = 'fallback!'\n"
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
        all.extend(["s3!", "planner!", "fallback!"].map(str::to_owned));
        all.sort();
        assert_eq!(load(), all);
        assert_eq!(all.len(), 10);

        // A worker's host lacks what only starters need.
        std::fs::remove_file(place.join("approver-token")).unwrap();
        all.retain(|secret| secret != "approver-token!");
        assert_eq!(load(), all);
    }

    #[test]
    fn a_wrong_glob_is_named() {
        let check = |glob: &str| {
            let text = include_str!("example.toml");
            let text = format!("{text}\n[worker]\nsecret_like_files = ['{glob}']\n");
            let layers = Layers::parse(std::path::Path::new("/x.toml"), &text).unwrap();
            Config::from_layers(layers, Vec::new())
                .unwrap()
                .leak_check()
        };
        check("test/fixtures/**").unwrap();
        let error = format!("{:#}", check("a[").unwrap_err());
        assert!(
            error.contains("worker.secret_like_files") && error.contains("a["),
            "{error}"
        );
    }
}
