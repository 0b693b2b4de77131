//! What must be on the machine before anything starts.

use std::process::Command;

use anyhow::{Result, bail};

use super::distribution::Distribution;
use super::path_tools;
use super::version::Version;
use crate::command;

/// A program that we need and do not install, the Debian package that has it, and what it is for.
const NEEDED: [(&str, &str, &str); 5] = [
    ("git", "git", "the workspaces and branches"),
    ("python3", "python3", "installing Temporal and Postgres"),
    ("npm", "npm", "installing Node and Pi"),
    (
        "setpriv",
        "util-linux",
        "dropping privileges before the sandbox",
    ),
    ("prlimit", "util-linux", "the sandbox's limits"),
];
/// The first npm that reads our lock files (version 3).
const OLDEST_NPM: Version = Version(7, 0, 0);

/// Says everything that lacks, in one message.
pub fn check() -> Result<()> {
    let missing: Vec<_> = NEEDED
        .into_iter()
        .filter(|(program, ..)| path_tools::first(program).is_none())
        .collect();
    if !missing.is_empty() {
        bail!("{}", message(&missing, &Distribution::here()));
    }
    let npm = command::capture(Command::new("npm").arg("--version"))?;
    match Version::find(&npm) {
        Some(version) if version >= OLDEST_NPM => Ok(()),
        _ => bail!(
            "npm {OLDEST_NPM} or newer is needed, this is {}. Install a newer Node.js, then run this again.",
            npm.trim()
        ),
    }
}

fn message(missing: &[(&str, &str, &str)], distribution: &Distribution) -> String {
    let mut packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    packages.dedup();
    let list: Vec<String> = missing
        .iter()
        .map(|(program, _, purpose)| format!("  {program} (for {purpose})"))
        .collect();
    format!(
        "these programs are not on PATH:\n{}\nTo install them: {}\nThen run this again.",
        list.join("\n"),
        distribution.install_command(&packages)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_names_all_and_one_command() {
        let text = message(
            &NEEDED[2..],
            &Distribution::from_os_release("ID=debian\n", true),
        );
        for program in ["npm", "setpriv", "prlimit"] {
            assert!(text.contains(program), "{text}");
        }
        assert!(
            text.contains("apt-get install -y npm util-linux\n"),
            "{text}"
        );
    }
}
