//! Measures `sallyport plan` on a large repository: a real source tree, the real program, and a scripted model behind a
//! vendor's real protocol. Prints the SPEC and the context report of the first run, and a table of all runs.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};
use sallyport_test_support::{
    installation::sallyport_binary,
    scripted_model::{PlanAnswer, Scenario, ScriptedModel},
};
use serde_json::Value;

/// A ticket on Linux, and a SPEC for it as a model may write it.
const TICKET: &str = include_str!("ticket.md");
const SPEC: &str = include_str!("spec.json");
/// Linux has no gate that is detected.
const POLICY: &str =
    "[[gates]]\nname = \"Build\"\ncommand = \"make M=drivers/net/ethernet/intel/e1000e\"\n";

/// Usage: `sallyport-bench-plan REPOSITORY RUNS`. The repository is Linux.
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, runs] = arguments.as_slice() else {
        bail!("usage: sallyport-bench-plan REPOSITORY RUNS");
    };
    let runs: u32 = runs.parse().context("RUNS is a number")?;
    let answer = PlanAnswer::spec(serde_json::from_str(SPEC).context("spec.json")?);
    let model = ScriptedModel::start(Scenario::new().plan([answer]), "bench-key")?;
    let folder = tempfile::tempdir()?;
    let files = Files::write(folder.path(), model.base_url())?;
    let status = git_status(repository)?;
    let mut table = String::new();
    for run in 1..=runs {
        if run == 1 {
            let text = files.plan(repository, &[])?;
            std::io::stdout().write_all(text.as_bytes())?;
        }
        let json: Value = serde_json::from_str(&files.plan(repository, &["--json"])?)?;
        let context = &json["context"];
        let parts = context["parts"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let shown = parts
            .iter()
            .filter_map(|part| part["shown"].as_array())
            .flatten();
        let tokens: u64 = shown.filter_map(|shown| shown["tokens"].as_u64()).sum();
        table.push_str(&format!(
            "{run:>3}  {:>7}  {tokens:>6}  {:>12.1}  {:>10.1}  {:>11}\n",
            context["files"],
            json["seconds"]["gather"].as_f64().unwrap_or_default(),
            json["seconds"]["plan"].as_f64().unwrap_or_default(),
            json["peak_memory_bytes"].as_u64().unwrap_or_default() >> 20,
        ));
    }
    ensure!(
        status == git_status(repository)?,
        "planning changed the repository"
    );
    let head = "run    files  tokens  s to read it  s to plan  MiB at peak";
    writeln!(std::io::stdout(), "\n{head}\n{table}")?;
    Ok(())
}

struct Files {
    config: PathBuf,
    ticket: PathBuf,
    policy: PathBuf,
}

impl Files {
    fn write(folder: &Path, base_url: &str) -> anyhow::Result<Self> {
        let files = Self {
            config: folder.join("sallyport.toml"),
            ticket: folder.join("LK-1.md"),
            policy: folder.join("policy.toml"),
        };
        let config = format!(
            "[model]\nvendor = \"anthropic\"\nbase_url = {base_url:?}\napi_key = \"bench-key\"\nplanner_model = \
             \"claude-sonnet-4-5\"\n"
        );
        for (path, text) in [
            (&files.config, config.as_str()),
            (&files.ticket, TICKET),
            (&files.policy, POLICY),
        ] {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(files)
    }

    fn plan(&self, repository: &str, more: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(sallyport_binary()?);
        command
            .args(["plan", "--repo", repository])
            .arg("--ticket")
            .arg(&self.ticket);
        command
            .arg("--config")
            .arg(&self.config)
            .arg("--policy")
            .arg(&self.policy)
            .args(more);
        let output = command.stderr(Stdio::inherit()).output()?;
        ensure!(
            output.status.success(),
            "`sallyport plan` ended with {}",
            output.status
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// What git sees of the work tree, and what lies in its git directory.
fn git_status(repository: &str) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args([
            "-C",
            repository,
            "--no-optional-locks",
            "status",
            "--porcelain",
        ])
        .output()?;
    ensure!(output.status.success(), "{repository} is no git work tree");
    let mut names: Vec<String> = fs::read_dir(Path::new(repository).join(".git"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    Ok(format!(
        "{}{}",
        String::from_utf8(output.stdout)?,
        names.join(" ")
    ))
}
