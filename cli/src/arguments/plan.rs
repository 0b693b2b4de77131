//! The arguments of `sallyport plan`.

use std::path::PathBuf;

use clap::Args;
use sallyport_activities::planning::context::DEFAULT_TOKENS;

/// `sallyport plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sallyport plan --repo . --ticket bug.md --context-only   what a planner would be shown, and why; asks no model
  sallyport plan --repo . --ticket bug.md                  the SPEC too

The ticket is text; `-` reads it from standard input. The model is that of [model] in the configuration. Without one, name
it with --vendor and --model, and set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY. The repository is read in place,
and nothing is written to it, to a ticket or to an installation.")]
pub struct PlanArguments {
    /// The repository: a work tree or a git directory
    #[arg(long, value_name = "PATH")]
    pub repo: PathBuf,
    /// The ticket: a file with its title and description
    #[arg(long, value_name = "FILE")]
    pub ticket: PathBuf,
    /// The commit to plan on
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    pub commit: String,
    /// The planner, by its name in the configuration [default: the installation's own]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "vendor"])]
    pub planner: Option<String>,
    /// The model that plans [default: model.planner_model of the configuration]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Whose model it is [default: model.vendor of the configuration]
    #[arg(long, value_name = "NAME", value_parser = ["anthropic", "openai", "google"])]
    pub vendor: Option<String>,
    /// The configuration [default: sallyport.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How many tokens of the repository the planner is shown
    #[arg(long, value_name = "N", help = format!("How many tokens of the repository the planner is shown [default: as configured, else {DEFAULT_TOKENS}]"))]
    pub context_tokens: Option<u32>,
    /// Take this file for the repository's `.sallyport.toml`
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Only show what the planner would be shown; ask no model
    #[arg(long)]
    pub context_only: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
