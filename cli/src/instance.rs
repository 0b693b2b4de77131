//! Which Sallyport a command talks to: the one named, or the one that `sallyport dev` runs in a folder around here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Problem};

/// The data folder's usual name.
pub const DATA_DIR: &str = ".sallyport";
/// In the data folder: what runs.
pub const RUN_FILE: &str = "run.json";
/// In the data folder: the token of whoever started `sallyport dev`.
pub const TOKEN_FILE: &str = "token";

/// What runs in a data folder: the content of its `run.json`. It is there while `sallyport dev` is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The starter's API.
    pub starter_url: String,
    /// Temporal's frontend as `HOST:PORT`, as its own CLI takes it.
    pub temporal_address: String,
    /// Temporal's UI.
    pub temporal_ui_url: String,
    /// The ledger's database, without the password.
    pub database_url: String,
    /// The processes by name: `dev`, `temporal`, `postgres`, `starter`, `worker`.
    pub pids: BTreeMap<String, u32>,
}

/// Where Sallyport is and how to speak to it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The starter's API, without a slash at the end.
    pub url: String,
    /// The bearer token.
    pub token: SecretString,
}

/// What the caller said about it.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// `--url` or `SALLYPORT_URL`.
    pub url: Option<String>,
    /// `--token-file` or `SALLYPORT_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// `SALLYPORT_TOKEN`.
    pub token: Option<SecretString>,
    /// `--data-dir` or `SALLYPORT_DATA_DIR`.
    pub data_dir: Option<PathBuf>,
}

impl Wish {
    /// Finds the instance, looking for a data folder from `from` upwards where nothing else is said.
    pub fn find(self, from: &Path) -> Result<Instance, Problem> {
        let folder = self.data_dir.or_else(|| running_above(from));
        let named = self.url.is_some();
        let url = match (self.url, &folder) {
            (Some(url), _) => url,
            (None, Some(folder)) => read_run(folder)?.starter_url,
            (None, None) => {
                return Err(Problem::new(
                    Exit::Unreachable,
                    format!(
                        "no running Sallyport is known: there is no {DATA_DIR}/{RUN_FILE} in {} or above it",
                        from.display()
                    ),
                )
                .hint("start one with `sallyport dev`, or name one with `--url URL --token-file FILE`"));
            }
        };
        let token = match (self.token_file, self.token, &folder) {
            (Some(file), _, _) => read_token(&file)?,
            (None, Some(token), _) => token,
            // A local token is for the local Sallyport only, never for whatever address was named.
            (None, None, Some(folder)) if !named || read_run(folder)?.starter_url == url => {
                read_token(&folder.join(TOKEN_FILE))?
            }
            (None, None, _) => {
                return Err(
                    Problem::new(Exit::Usage, format!("no token for {url} is known"))
                        .hint("name the file that holds it with `--token-file FILE`"),
                );
            }
        };
        Ok(Instance {
            url: url.trim_end_matches('/').to_owned(),
            token,
        })
    }
}

/// The nearest data folder with something running in it, from `from` upwards.
pub fn running_above(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .map(|folder| folder.join(DATA_DIR))
        .find(|folder| folder.join(RUN_FILE).is_file())
}

/// What runs in `folder`.
pub fn read_run(folder: &Path) -> Result<Run, Problem> {
    let path = folder.join(RUN_FILE);
    let text = fs::read_to_string(&path).map_err(|error| {
        Problem::new(
            Exit::Unreachable,
            format!(
                "nothing runs in {}: cannot read {RUN_FILE}: {error}",
                folder.display()
            ),
        )
        .hint(format!(
            "start it with `sallyport dev --data-dir {}`",
            folder.display()
        ))
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Problem::new(
            Exit::Failed,
            format!("{} is damaged: {error}", path.display()),
        )
        .hint("stop `sallyport dev` and start it again")
    })
}

fn read_token(path: &Path) -> Result<SecretString, Problem> {
    let text = fs::read_to_string(path).map_err(|error| {
        Problem::new(
            Exit::Usage,
            format!("cannot read the token file {}: {error}", path.display()),
        )
        .hint("name the file that holds your token with `--token-file FILE`")
    })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(Problem::new(
            Exit::Usage,
            format!("the token file {} is empty", path.display()),
        ));
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn run(url: &str) -> Run {
        Run {
            starter_url: url.into(),
            temporal_address: "127.0.0.1:2".into(),
            temporal_ui_url: "http://127.0.0.1:3".into(),
            database_url: "postgres://sallyport@127.0.0.1:4/sallyport".into(),
            pids: BTreeMap::new(),
        }
    }

    fn installation(folder: &Path, url: &str) {
        let data = folder.join(DATA_DIR);
        fs::create_dir_all(&data).unwrap();
        fs::write(
            data.join(RUN_FILE),
            serde_json::to_string(&run(url)).unwrap(),
        )
        .unwrap();
        fs::write(data.join(TOKEN_FILE), "local\n").unwrap();
    }

    #[test]
    fn the_nearest_running_one_upwards_is_found() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        // A data folder in which nothing runs is passed by.
        fs::create_dir_all(below.join(DATA_DIR)).unwrap();
        installation(root.path(), "http://127.0.0.1:1/");
        let found = Wish::default().find(&below).unwrap();
        assert_eq!(found.url, "http://127.0.0.1:1");
        assert_eq!(found.token.expose_secret(), "local");
        installation(&root.path().join("a"), "http://127.0.0.1:9");
        assert_eq!(
            Wish::default().find(&below).unwrap().url,
            "http://127.0.0.1:9"
        );
    }

    #[test]
    fn what_is_named_wins() {
        let root = tempfile::tempdir().unwrap();
        installation(root.path(), "http://127.0.0.1:1");
        let file = root.path().join("mine");
        fs::write(&file, "mine").unwrap();
        let wish = Wish {
            url: Some("https://sallyport.example.com/".into()),
            token_file: Some(file),
            token: Some("environment".into()),
            data_dir: None,
        };
        let found = wish.find(root.path()).unwrap();
        assert_eq!(found.url, "https://sallyport.example.com");
        assert_eq!(found.token.expose_secret(), "mine");
    }

    #[test]
    fn a_local_token_is_not_sent_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        installation(root.path(), "http://127.0.0.1:1");
        let named = |url: &str| Wish {
            url: Some(url.into()),
            ..Wish::default()
        };
        let problem = named("https://sallyport.example.com")
            .find(root.path())
            .unwrap_err();
        assert_eq!(problem.exit, Exit::Usage);
        named("http://127.0.0.1:1").find(root.path()).unwrap();
    }

    #[test]
    fn nothing_running_is_told_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let problem = Wish::default().find(root.path()).unwrap_err();
        assert_eq!(problem.exit, Exit::Unreachable);
        assert!(problem.hint.unwrap().contains("sallyport dev"));
        let stopped = Wish {
            data_dir: Some(root.path().to_owned()),
            ..Wish::default()
        };
        assert_eq!(
            stopped.find(root.path()).unwrap_err().exit,
            Exit::Unreachable
        );
    }
}
