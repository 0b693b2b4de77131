//! Takes tickets to their merge while processes are killed and connections cut, and shows what was lost or doubled.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Context;
use clap::Parser;
use futures::StreamExt as _;
use sallyport_test_support::chaos::{
    plan::Plan,
    trial::{self, Outcome},
};

/// Whole tickets under kills and cuts. Each seed is one ticket on an installation of its own, and always the same plan.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask chaos")]
struct Arguments {
    /// How many seeds, from 1 on
    #[arg(long, value_name = "N", default_value_t = 50)]
    seeds: u64,
    /// One seed only; 0 disturbs nothing
    #[arg(long, value_name = "SEED", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// How many at once
    #[arg(long, value_name = "N", default_value_t = 3)]
    jobs: usize,
    /// Only show what the seeds would do
    #[arg(long)]
    plan: bool,
    /// Keep the folders of all trials, and not only of those that went wrong
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let seeds: Vec<u64> = match arguments.seed {
        Some(seed) => vec![seed],
        None => (1..=arguments.seeds).collect(),
    };
    if arguments.plan {
        for seed in seeds {
            println!("{seed:>4}  {}", Plan::of(seed));
        }
        return Ok(true);
    }
    let began = Instant::now();
    let mut trials = futures::stream::iter(seeds)
        .map(attempt)
        .buffer_unordered(arguments.jobs.max(1));
    println!("SEED   TIME  STRUCK  RESULT  PLAN");
    let mut outcomes = Vec::new();
    while let Some(outcome) = trials.next().await {
        let outcome = outcome?;
        show(&outcome);
        if outcome.is_good() && !arguments.keep {
            std::fs::remove_dir_all(&outcome.folder).ok();
        }
        outcomes.push(outcome);
    }
    Ok(summary(&outcomes, began))
}

async fn attempt(seed: u64) -> anyhow::Result<Outcome> {
    let folder = folder(seed)?;
    trial::run(Plan::of(seed), &folder)
        .await
        .with_context(|| format!("seed {seed}; its logs are in {}", folder.display()))
}

/// A folder that Postgres and the sandbox, which run as users of their own, can pass.
fn folder(seed: u64) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new()
        .prefix(&format!("sallyport-chaos-{seed}-"))
        .tempdir()
        .context("cannot make a folder")?
        .keep();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn show(outcome: &Outcome) {
    let result = if outcome.is_good() { "good" } else { "WRONG" };
    println!(
        "{:>4}  {:>4.0}s  {:>2} of {}  {result:<6}  {}",
        outcome.plan.seed,
        outcome.took.as_secs_f32(),
        outcome.struck.len(),
        outcome.plan.strikes.len(),
        outcome.plan
    );
    for wrong in &outcome.wrong {
        println!("      - {wrong}");
    }
    if !outcome.is_good() {
        println!("      logs: {}", outcome.folder.display());
    }
}

fn summary(outcomes: &[Outcome], began: Instant) -> bool {
    let bad: Vec<String> = outcomes
        .iter()
        .filter(|outcome| !outcome.is_good())
        .map(|outcome| outcome.plan.seed.to_string())
        .collect();
    let struck: usize = outcomes.iter().map(|outcome| outcome.struck.len()).sum();
    println!(
        "\n{} tickets, {struck} kills and cuts, {:.0} s: {}",
        outcomes.len(),
        began.elapsed().as_secs_f32(),
        match bad.is_empty() {
            true => "nothing lost, nothing doubled".to_owned(),
            false => format!(
                "wrong under the seeds {}; `--seed N` does it again",
                bad.join(", ")
            ),
        }
    );
    bad.is_empty()
}
