//! `[setup]`: how what a repository depends on is installed.

use sallyport_workflows::scope::RepositoryPath;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{PolicyProblem, gates::checked_command, wrong};

/// The longest time that a setup may take, in seconds.
pub const MAXIMUM_SETUP_SECONDS: u64 = 1800;

/// The time that it has if the file does not say, in seconds.
const DEFAULT_SETUP_SECONDS: u64 = 600;

/// The most lock files that may be named.
const MAXIMUM_LOCK_FILES: usize = 50;

/// What is run once on the base commit, before agent and QA work without network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// A line of bash, run at the top of the repository.
    pub command: String,
    /// The files that its result depends on; if there are none, those that are known as lock files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lock_files: Vec<RepositoryPath>,
    /// How long it may take, in seconds, up to [`MAXIMUM_SETUP_SECONDS`].
    pub timeout_seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupEntry {
    command: Spanned<String>,
    #[serde(default)]
    lock_files: Vec<Spanned<String>>,
    timeout_seconds: Option<Spanned<u64>>,
}

impl SetupEntry {
    /// The setup, if it is one.
    pub(super) fn checked(self, text: &str) -> Result<Setup, PolicyProblem> {
        let command = checked_command(text, &self.command)?;
        let mut lock_files = Vec::new();
        for entry in self.lock_files {
            let at = entry.span().start;
            if lock_files.len() == MAXIMUM_LOCK_FILES {
                let problem = format!("there are more than {MAXIMUM_LOCK_FILES} `lock_files`");
                return Err(wrong(text, at, &problem));
            }
            let path = RepositoryPath::try_from(entry.into_inner())
                .map_err(|problem| wrong(text, at, &problem.to_string()))?;
            lock_files.push(path);
        }
        let timeout_seconds = match &self.timeout_seconds {
            None => DEFAULT_SETUP_SECONDS,
            Some(seconds) if (1..=MAXIMUM_SETUP_SECONDS).contains(seconds.get_ref()) => {
                *seconds.get_ref()
            }
            Some(seconds) => {
                let problem =
                    format!("`timeout_seconds` must be from 1 to {MAXIMUM_SETUP_SECONDS} seconds");
                return Err(wrong(text, seconds.span().start, &problem));
            }
        };
        Ok(Setup {
            command,
            lock_files,
            timeout_seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::policy_file::parse;

    #[test]
    fn a_setup_is_a_command_and_what_its_result_depends_on() {
        let read = |text: &str| parse(Some(text.as_bytes()));
        let setup = read("[setup]\ncommand = 'npm ci'\n")
            .unwrap()
            .setup
            .unwrap();
        assert_eq!(
            (setup.command.as_str(), setup.timeout_seconds),
            ("npm ci", 600)
        );
        assert!(setup.lock_files.is_empty());
        let text =
            "[setup]\ncommand = 'make deps'\nlock_files = ['deps.txt']\ntimeout_seconds = 60\n";
        let setup = read(text).unwrap().setup.unwrap();
        assert_eq!(setup.lock_files[0].as_str(), "deps.txt");
        assert_eq!(read("").unwrap().setup, None);
        for (text, line, words) in [
            ("[setup]\n", 1, "command"),
            ("[setup]\ncommand = ' '\n", 2, "command"),
            (
                "[setup]\ncommand = 'x'\ntimeout_seconds = 1801\n",
                3,
                "1 to 1800",
            ),
            ("[setup]\ncommand = 'x'\nlock_files = ['../x']\n", 3, "`..`"),
            ("[setup]\ncommand = 'x'\nnetwork = true\n", 3, "network"),
        ] {
            let problem = read(text).unwrap_err().to_string();
            assert!(
                problem.contains(&format!("line {line}")) && problem.contains(words),
                "{problem}"
            );
        }
    }
}
