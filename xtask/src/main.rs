//! Tasks of the repository: set-up, demo, tests, histories, benches, lint.
//!
//! Call them with `cargo xtask TASK`. This program stays light, so that it builds in seconds: it prepares the tools,
//! then runs cargo and the binaries that do the work.

mod cargo;
mod checkout;
mod command;
mod generate;
mod linux_source;
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
    /// Take tickets to their merge while processes are killed and connections cut; show what was lost or doubled.
    ///
    /// All arguments go to the program itself; `cargo xtask chaos --help` shows them.
    #[command(disable_help_flag = true)]
    Chaos {
        /// Arguments of the program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Let tickets whose model, repository or text attack loose on an installation; show which layer blocked each.
    ///
    /// All arguments go to the program itself; `cargo xtask attack --help` shows them.
    #[command(disable_help_flag = true)]
    Attack {
        /// Arguments of the program.
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
    /// Measure what tests do not: slow, and by hand.
    #[command(subcommand)]
    Bench(Bench),
    /// Check the format, then run clippy with every warning an error.
    Lint,
    /// Write what is generated and committed: `.sqlx/`, after a change of a query or a migration, `docs/states.md`, and
    /// `docs/openapi.json`.
    Generate {
        /// Only say whether it is fresh.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// Race 1,000 pairs of contradictory decisions over every pair of channels.
    Races,
    /// Send 30,000 deliveries for 500 tickets, with Temporal out of reach for a while: none may be lost or doubled.
    Storm,
    /// Try the API out against its own description, some thousands of requests.
    Schemathesis,
    /// Measure how long a sealed room takes to start.
    Rooms {
        /// How often each kind is started.
        #[arg(long, default_value_t = 50)]
        runs: u32,
    },
    /// Measure how soon a large repository can be worked on, against a fresh clone, and how long a copy for another host takes.
    Workspace {
        /// How many files it has.
        #[arg(long, default_value_t = 50_000)]
        files: u32,
    },
    /// Measure how long planning takes on Linux, which apt fetches as Debian's source package: seconds, tokens, memory.
    Plan {
        /// How many times.
        #[arg(long, default_value_t = 3)]
        runs: u32,
    },
    /// Fill a ledger, show the plan and the time of each list query, and write `docs/list-query-plans.md`.
    Lists {
        /// How many tickets.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u32,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Setup => setup::run().map(|_| ExitCode::SUCCESS),
        Task::Demo { arguments } => tasks::demo(&arguments),
        Task::Chaos { arguments } => tasks::chaos(&arguments),
        Task::Attack { arguments } => tasks::attack(&arguments),
        Task::Test { filters } => tasks::test(&filters),
        Task::Histories => tasks::histories(),
        Task::Bench(Bench::Races) => tasks::bench_starter("races::bench"),
        Task::Bench(Bench::Schemathesis) => tasks::bench_starter("schemathesis::bench"),
        Task::Bench(Bench::Storm) => tasks::bench_starter("storm::bench"),
        Task::Bench(Bench::Rooms { runs }) => tasks::bench_activities("rooms", runs),
        Task::Bench(Bench::Workspace { files }) => tasks::bench_activities("workspace", files),
        Task::Bench(Bench::Plan { runs }) => tasks::bench_plan(runs),
        Task::Bench(Bench::Lists { rows }) => tasks::bench_lists(rows),
        Task::Lint => tasks::lint(),
        Task::Generate { check } => generate::run(check),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
