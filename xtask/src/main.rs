//! Tasks of the repository: set-up, demo, tests, histories, lint.
//!
//! Call them with `cargo xtask TASK`. This program stays light, so that it builds in seconds: it prepares the tools,
//! then runs cargo and the binaries that do the work.

mod cargo;
mod checkout;
mod command;
mod generate;
mod setup;
mod tasks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Tasks of the Sallyport repository."
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Put the pinned tools (Temporal, Postgres, Node, Pi) into `.tools/`. A second run does nothing.
    Setup,
    /// Take one real ticket to a merged pull request on this machine.
    ///
    /// All arguments go to the demo itself; `cargo xtask demo --help` shows them.
    #[command(disable_help_flag = true)]
    Demo {
        /// Arguments of the demo.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run all tests: unit tests, and end-to-end tests on real servers.
    Test {
        /// Names of tests to run (all, if there is none), and other options of the test programs.
        #[arg(last = true)]
        filters: Vec<String>,
    },
    /// Record anew the history of each path of a ticket's life in `tests/histories/`, which every test run replays.
    ///
    /// Only until the first release, and with the reason in the commit: old histories must replay on new code.
    Histories,
    /// Check the format, then run clippy with every warning an error.
    Lint,
    /// Write what is generated and committed: `.sqlx/`, after a change of a query or a migration, and `docs/states.md`.
    Generate {
        /// Only say whether it is fresh.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Setup => setup::run().map(|_| ExitCode::SUCCESS),
        Task::Demo { arguments } => tasks::demo(&arguments),
        Task::Test { filters } => tasks::test(&filters),
        Task::Histories => tasks::histories(),
        Task::Lint => tasks::lint(),
        Task::Generate { check } => generate::run(check),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
