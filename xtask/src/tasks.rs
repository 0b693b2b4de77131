//! The tasks that run what the workspace builds.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow};

use crate::{cargo, checkout, linux_source, setup};

/// The `sallyport` program, as (package, binary).
const SALLYPORT: (&str, &str) = ("sallyport", "sallyport");
/// The feature that lets chaos stop the worker at the boundaries of activities. The tests have it too.
const CHAOS_FEATURE: &str = "sallyport/chaos";
/// The attacks, as (package, binary).
const ATTACK: (&str, &str) = ("sallyport-test-support", "sallyport-attack");
/// Chaos, as (package, binary).
const CHAOS: (&str, &str) = ("sallyport-test-support", "sallyport-chaos");
/// The measurement of planning, as (package, binary).
const BENCH_PLAN: (&str, &str) = ("sallyport-test-support", "sallyport-bench-plan");
/// The demo, as (package, binary).
const DEMO: (&str, &str) = ("sallyport-test-support", "sallyport-demo");

/// Sets up, builds, and becomes the demo, which gets `arguments` as they are.
pub fn demo(arguments: &[String]) -> Result<ExitCode> {
    become_program(DEMO, &[], arguments)
}

/// Sets up, builds, and becomes the program that kills and cuts.
pub fn chaos(arguments: &[String]) -> Result<ExitCode> {
    become_program(CHAOS, &[CHAOS_FEATURE], arguments)
}

/// Sets up, builds, and becomes the program that attacks.
pub fn attack(arguments: &[String]) -> Result<ExitCode> {
    become_program(ATTACK, &[CHAOS_FEATURE], arguments)
}

fn become_program(
    program: (&str, &str),
    features: &[&str],
    arguments: &[String],
) -> Result<ExitCode> {
    let tools = setup::run()?;
    let built = cargo::build(&checkout::root()?, &[SALLYPORT, program], features)?;
    let path = &built[program.1];
    let error = with_tools(Command::new(path), &tools, &built[SALLYPORT.1])
        .args(arguments)
        .exec();
    Err(error).with_context(|| format!("cannot start {}", path.display()))
}

/// Sets up, builds the `sallyport` program that the end-to-end tests start, and runs the tests.
pub fn test(filters: &[String]) -> Result<ExitCode> {
    let tools = setup::run()?;
    let schemathesis = setup::for_tests()?;
    let root = checkout::root()?;
    // The demo beside it has the features that the tests have: so nothing is compiled a second time for them.
    let built = cargo::build(&root, &[SALLYPORT, DEMO, ATTACK], &[CHAOS_FEATURE])?;
    let mut test = with_tools(cargo::command(&root, "test"), &tools, &built[SALLYPORT.1]);
    test.args([
        "--workspace",
        "--no-fail-fast",
        "--features",
        CHAOS_FEATURE,
        "--",
    ])
    .args(filters)
    .env("SALLYPORT_SCHEMATHESIS", schemathesis)
    .env("SALLYPORT_ATTACK", &built[ATTACK.1]);
    pass_on(test)
}

/// Runs the workflow's tests once to record their histories, and once more to see that they replay.
pub fn histories() -> Result<ExitCode> {
    const REPLAY: &str = "histories::the_saved_history_of_every_path_replays";
    let tools = setup::run()?;
    let root = checkout::root()?;
    let run = |arguments: &[&str], folder: Option<PathBuf>| -> Result<ExitCode> {
        let mut test = cargo::command(&root, "test");
        test.env("SALLYPORT_TOOLS", &tools)
            .args(["--package", "sallyport-tests", "--test", "workflow", "--"])
            .args(arguments);
        if let Some(folder) = folder {
            test.env("SALLYPORT_SAVE_HISTORIES", folder);
        }
        pass_on(test)
    };
    let recorded = run(&["--skip", REPLAY], Some(root.join("tests/histories")))?;
    if recorded != ExitCode::SUCCESS {
        return Ok(recorded);
    }
    run(&[REPLAY], None)
}

/// Runs one of the starter's tests that are too long for every day.
pub fn bench_starter(test_name: &str) -> Result<ExitCode> {
    let tools = setup::run()?;
    let schemathesis = setup::for_tests()?;
    let mut test = cargo::command(&checkout::root()?, "test");
    test.env("SALLYPORT_SCHEMATHESIS", schemathesis);
    test.env("SALLYPORT_TOOLS", &tools).args([
        "--package",
        "sallyport-starter",
        "--test",
        "http",
        "--",
        "--ignored",
        "--nocapture",
        test_name,
    ]);
    pass_on(test)
}

/// Fetches a large source tree, and becomes the program that has a ticket on it planned.
pub fn bench_plan(runs: u32) -> Result<ExitCode> {
    // The folder of tools may have to be elsewhere: the set-up knows.
    setup::run()?;
    let repository = linux_source::repository()?;
    become_program(
        BENCH_PLAN,
        &[],
        &[repository.display().to_string(), runs.to_string()],
    )
}

/// Measures rooms or workspaces. Not optimized: what takes time are the programs that are started.
pub fn bench_activities(what: &str, number: u32) -> Result<ExitCode> {
    let tools = setup::run()?;
    let mut bench = cargo::command(&checkout::root()?, "run");
    bench
        .env("SALLYPORT_TOOLS", &tools)
        .args(["--package", "sallyport-activities"])
        .args(["--example", "bench", "--", what])
        .arg(number.to_string());
    pass_on(bench)
}

/// Has the list queries planned and measured on a ledger with so many tickets.
pub fn bench_lists(rows: u32) -> Result<ExitCode> {
    let tools = setup::run()?;
    let root = checkout::root()?;
    let mut bench = cargo::command(&root, "run");
    bench
        .env("SALLYPORT_TOOLS", &tools)
        .args([
            "--package",
            "sallyport-ledger",
            "--example",
            "list_plans",
            "--",
        ])
        .arg(rows.to_string())
        .arg(root.join("docs/list-query-plans.md"));
    pass_on(bench)
}

/// Checks the format and runs clippy. Both run, so that one call shows everything there is to mend.
pub fn lint() -> Result<ExitCode> {
    let root = checkout::root()?;
    let mut format = cargo::command(&root, "fmt");
    format.args(["--all", "--check"]);
    let mut clippy = cargo::command(&root, "clippy");
    clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]);
    let format = pass_on(format)?;
    let clippy = pass_on(clippy)?;
    Ok(if format == ExitCode::SUCCESS {
        clippy
    } else {
        format
    })
}

/// Tells a program where the tools and the `sallyport` binary are.
fn with_tools(mut command: Command, tools: &Path, sallyport: &PathBuf) -> Command {
    command
        .env("SALLYPORT_TOOLS", tools)
        .env("SALLYPORT_BIN", sallyport);
    command
}

/// Runs a program with our terminal and hands back its exit code.
fn pass_on(mut command: Command) -> Result<ExitCode> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .map_err(|error| anyhow!("cannot start {program}: {error}"))?;
    Ok(cargo::exit_code(status))
}
