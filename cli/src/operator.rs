//! What the commands of whoever runs an installation work with: its configuration, and its ledger. They speak to the
//! database, not to the API, so they work while nothing else runs, and whoever may read the configuration may use them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sallyport_ledger::{ConnectError, Database};

use crate::{
    arguments::OperatorArguments,
    config::Config,
    exit::{Exit, Problem},
    instance::{DATA_DIR, running_above},
};

/// The configuration's usual name, in a data folder and anywhere else.
pub const CONFIG_FILE: &str = "sallyport.toml";

/// The configuration that the caller means: the file named, else that of the data folder named or of the running
/// `sallyport dev` around here, else `sallyport.toml` in the current folder.
pub fn config(arguments: &OperatorArguments) -> Result<Config, Problem> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    Ok(Config::load(&config_file(arguments, &here)?)?)
}

/// The ledger of that installation.
pub async fn database(config: &Config) -> Result<Database, Problem> {
    Database::connect(&config.database)
        .await
        .map_err(|error| match error {
            ConnectError::Unreachable { .. } => Problem::new(Exit::Unreachable, error.to_string()),
            error => Problem::new(Exit::Failed, error.to_string()),
        })
}

fn config_file(arguments: &OperatorArguments, here: &Path) -> Result<PathBuf, Problem> {
    if let Some(file) = &arguments.config {
        return Ok(file.clone());
    }
    let folder = arguments.data_dir.clone().or_else(|| running_above(here));
    if let Some(folder) = folder {
        return Ok(folder.join(CONFIG_FILE));
    }
    let usual = here.join(CONFIG_FILE);
    if usual.is_file() {
        return Ok(usual);
    }
    Err(Problem::new(
        Exit::Usage,
        format!(
            "no configuration is known: there is no {CONFIG_FILE} in {here}, and no {DATA_DIR} of a running \
             `sallyport dev` in it or above it",
            here = here.display()
        ),
    )
    .hint("name one with `--config FILE`"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn arguments(config: Option<&str>, data_dir: Option<&str>) -> OperatorArguments {
        OperatorArguments {
            config: config.map(Into::into),
            data_dir: data_dir.map(Into::into),
        }
    }

    #[test]
    fn the_file_named_wins_then_the_data_folder_then_what_is_here() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let problem = config_file(&arguments(None, None), here).unwrap_err();
        assert!(problem.hint.unwrap().contains("--config"));

        fs::write(here.join(CONFIG_FILE), "").unwrap();
        assert_eq!(
            config_file(&arguments(None, None), here).unwrap(),
            here.join(CONFIG_FILE)
        );
        fs::create_dir(here.join(DATA_DIR)).unwrap();
        fs::write(here.join(DATA_DIR).join("run.json"), "{}").unwrap();
        assert_eq!(
            config_file(&arguments(None, None), here).unwrap(),
            here.join(DATA_DIR).join(CONFIG_FILE)
        );
        assert_eq!(
            config_file(&arguments(None, Some("/d")), here).unwrap(),
            Path::new("/d/sallyport.toml")
        );
        assert_eq!(
            config_file(&arguments(Some("/c.toml"), Some("/d")), here).unwrap(),
            Path::new("/c.toml")
        );
    }
}
