//! A small, real git repository with a real bug, for the demo and the tests.
//!
//! `plain-duration` reads and writes durations such as `1h 30m`. Since it learnt milliseconds, it can't read what it
//! writes: `250ms` is taken for 250 minutes with an `s` left over. A test on main fails because of it. The files stand in
//! `tests/support/demo-repository`, as they are at the tip of main.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The key of the repository's project in the ticket system.
pub const DEMO_PROJECT: &str = "plain-duration";

/// The repository, written to disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoRepository {
    /// The bare repository; its only branch is `main`.
    pub origin: PathBuf,
    /// The commit at the tip of `main`, 40 hexadecimal digits; the same every time.
    pub head: String,
}

/// One commit: its subject, and the files that it adds or changes.
struct Commit {
    subject: &'static str,
    files: Vec<(&'static str, String)>,
}

/// A file as it is at the tip of main.
macro_rules! tip {
    ($path:literal) => {
        (
            $path,
            include_str!(concat!("../demo-repository/", $path)).to_owned(),
        )
    };
}

/// A file as it was before, made from the file at the tip by leaving out or replacing a text.
macro_rules! earlier {
    ($path:literal, $late:expr => $early:expr) => {{
        let (path, text) = tip!($path);
        (path, text.replacen($late, $early, 1))
    }};
}

fn history() -> Vec<Commit> {
    vec![
        Commit {
            subject: "Read durations such as 1h30m",
            files: vec![
                tip!(".gitignore"),
                tip!(".sallyport.toml"),
                earlier!("package.json", "0.3.0" => "0.1.0"),
                tip!("src/errors.js"),
                earlier!("src/index.js", "export { formatDuration } from \"./format.js\";\n" => ""),
                tip!("src/parse.js"),
                earlier!("src/units.js", "  [\"ms\", 1],\n" => ""),
                tip!("test/parse.test.js"),
            ],
        },
        Commit {
            subject: "Write durations, largest units first",
            files: vec![
                earlier!("package.json", "0.3.0" => "0.2.0"),
                tip!("src/format.js"),
                tip!("src/index.js"),
                earlier!("test/format.test.js", "90_061_001), \"1d 1h 1m 1s 1ms\"" => "90_061_000), \"1d 1h 1m 1s\""),
            ],
        },
        Commit {
            subject: "Add milliseconds, and a README",
            files: vec![
                tip!("README.md"),
                tip!("package.json"),
                tip!("src/units.js"),
                tip!("test/format.test.js"),
            ],
        },
        Commit {
            subject: "Test that what is written can be read again",
            files: vec![tip!("test/round-trip.test.js")],
        },
    ]
}

/// Writes the repository to `folder/origin.git`.
///
/// # Errors
/// If `folder/origin.git` exists already, can't be written, or there is no `git` on PATH.
pub fn write_demo_repository(folder: &Path) -> anyhow::Result<DemoRepository> {
    let origin = folder.join("origin.git");
    ensure!(
        !origin.exists(),
        "{} exists already; the demo repository is written to a fresh place",
        origin.display()
    );
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let origin = folder
        .canonicalize()
        .with_context(|| format!("cannot find {}", folder.display()))?
        .join("origin.git");
    let tree =
        tempfile::tempdir().context("cannot make a folder for the demo repository's files")?;
    let git = Git {
        origin: &origin,
        tree: &tree.path().join("tree"),
        index: &tree.path().join("index"),
    };
    std::fs::create_dir(git.tree)
        .context("cannot make a folder for the demo repository's files")?;
    git.run_outside(&["init", "--quiet", "--bare", "--initial-branch=main"])?;
    for (number, commit) in history().into_iter().enumerate() {
        for (path, text) in commit.files {
            let path = git.tree.join(path);
            let parent = path.parent().unwrap_or(git.tree);
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&path, text))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        git.run(number, &["add", "--all"])?;
        git.run(
            number,
            &[
                "commit",
                "--quiet",
                "--no-verify",
                "--message",
                commit.subject,
            ],
        )?;
    }
    let head = git.run_outside(&["rev-parse", "main"])?;
    Ok(DemoRepository { origin, head })
}

/// Runs git without anything of this machine or this user in its configuration.
struct Git<'a> {
    origin: &'a Path,
    tree: &'a Path,
    index: &'a Path,
}

impl Git<'_> {
    /// Runs a command on the bare repository alone.
    fn run_outside(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output(
            clean_git()
                .arg("--git-dir")
                .arg(self.origin)
                .args(arguments),
        )
    }

    /// Runs a command on the bare repository and the files, at the time of commit `number`.
    fn run(&self, number: usize, arguments: &[&str]) -> anyhow::Result<String> {
        // Fixed times give the same commits every time.
        let time = format!("2026-01-{:02}T09:00:00+00:00", 12 + number);
        output(
            clean_git()
                .env("GIT_DIR", self.origin)
                .env("GIT_WORK_TREE", self.tree)
                .env("GIT_INDEX_FILE", self.index)
                .env("GIT_AUTHOR_DATE", &time)
                .env("GIT_COMMITTER_DATE", &time)
                .args(arguments),
        )
    }
}

pub(crate) fn clean_git() -> Command {
    let mut git = Command::new("git");
    git.env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Demo")
        .env("GIT_AUTHOR_EMAIL", "demo@example.com")
        .env("GIT_COMMITTER_NAME", "Demo")
        .env("GIT_COMMITTER_EMAIL", "demo@example.com")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "init.templateDir="]);
    git
}

pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let done = command
        .output()
        .context("cannot run git; install it and put it on PATH")?;
    ensure!(
        done.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let one = write_demo_repository(&folder.path().join("one")).unwrap();
        let two = write_demo_repository(&folder.path().join("two")).unwrap();
        assert_eq!(one.head, two.head);
        let log = output(clean_git().arg("--git-dir").arg(&one.origin).args([
            "log",
            "--format=%an <%ae> %s",
            "main",
        ]))
        .unwrap();
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines[3],
            "Demo <demo@example.com> Read durations such as 1h30m"
        );

        let error = write_demo_repository(&folder.path().join("one")).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
    }

    /// `earlier!` replaces in silence; a text that is not there any more must not go unnoticed.
    #[test]
    fn earlier_files_differ_from_those_at_the_tip() {
        let commits = history();
        let (_, units) = commits[0]
            .files
            .iter()
            .find(|(path, _)| *path == "src/units.js")
            .unwrap();
        assert!(!units.contains("\"ms\""));
        let (_, index) = commits[0]
            .files
            .iter()
            .find(|(path, _)| *path == "src/index.js")
            .unwrap();
        assert!(!index.contains("format"));
        let (_, test) = commits[1]
            .files
            .iter()
            .find(|(path, _)| *path == "test/format.test.js")
            .unwrap();
        assert!(!test.contains("1ms"));
    }
}
