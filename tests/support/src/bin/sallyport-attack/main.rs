//! Plays attacks on an installation of its own, and shows which layer blocked each.

mod walls;

use std::{
    ffi::OsString,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use futures::StreamExt as _;
use sallyport_test_support::attack::{
    canary::{self, VARIABLE},
    case::Case,
    cases::{self, Ground},
    layer::{Layer, WALLS},
    namespace,
    targets::Targets,
    trial::{self, Outcome, World},
};

/// Tickets whose model, repository or text attack. Each must be blocked, by the layer that is meant to.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask attack")]
struct Arguments {
    /// Only the cases whose names begin so
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only say what the cases are
    #[arg(long)]
    list: bool,
    /// Take a wall away, and play the cases that it held: `extension`, `read-only-files`, `inner-room`, `network`,
    /// `system-calls`, `registries`, `diff`, `secret-scan` or `push`
    #[arg(long, value_name = "WALL")]
    without: Option<String>,
    /// Take each wall away, one after the other, and write what holds the cases then as a table in Markdown
    #[arg(long, conflicts_with = "without")]
    walls: bool,
    /// Only on this engine; otherwise on bubblewrap, and on Docker if its engine answers
    #[arg(long, value_name = "ENGINE")]
    engine: Option<Engine>,
    /// Where Docker's engine listens
    #[arg(long, value_name = "PATH", default_value = "/var/run/docker.sock")]
    docker_socket: PathBuf,
    /// How many at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    jobs: usize,
    /// Keep the folder of everything
    #[arg(long)]
    keep: bool,
}

/// What makes the rooms that are attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    Bubblewrap,
    Docker,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Docker => "docker",
        }
    }
}

impl Arguments {
    /// The engines to attack.
    fn engines(&self) -> Vec<Engine> {
        match self.engine {
            Some(engine) => vec![engine],
            None if UnixStream::connect(&self.docker_socket).is_ok() => {
                vec![Engine::Bubblewrap, Engine::Docker]
            }
            None => vec![Engine::Bubblewrap],
        }
    }

    /// What the worker is configured with for `engine`.
    fn configuration(&self, engine: Engine) -> String {
        format!(
            "[worker.sandbox]\nengine = \"{}\"\ndocker_socket = \"{}\"\n",
            engine.name(),
            self.docker_socket.display()
        )
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        list(&arguments);
        return ExitCode::SUCCESS;
    }
    if arguments.walls {
        return walls::all(&arguments);
    }
    if let [_, _, ..] = arguments.engines()[..] {
        return on_each_engine(&arguments);
    }
    if !namespace::is_inside() {
        let error = namespace::enter(&[(VARIABLE, &canary::text("environment"))]);
        eprintln!(
            "error: cannot make a network namespace for the attacks: {error}; `unshare` comes with util-linux"
        );
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Attacks one engine after the other, each in a process with a network namespace of its own.
fn on_each_engine(arguments: &Arguments) -> ExitCode {
    let mut exit = ExitCode::SUCCESS;
    for engine in arguments.engines() {
        let mut options: Vec<OsString> = arguments.names.iter().map(OsString::from).collect();
        options.extend(["--engine", engine.name(), "--jobs"].map(OsString::from));
        options.push(arguments.jobs.to_string().into());
        options.extend([
            "--docker-socket".into(),
            arguments.docker_socket.clone().into(),
        ]);
        options.extend(arguments.keep.then(|| OsString::from("--keep")));
        let played =
            std::env::current_exe().and_then(|this| Command::new(this).args(options).status());
        match played {
            Ok(status) if status.success() => {}
            Ok(_) => exit = ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: cannot start this program again: {error}");
                exit = ExitCode::FAILURE;
            }
        }
    }
    exit
}

fn chosen(arguments: &Arguments, ground: &Ground) -> Vec<Case> {
    let is_named = |case: &Case| {
        arguments.names.is_empty()
            || arguments
                .names
                .iter()
                .any(|name| case.name.starts_with(name))
    };
    cases::all(ground).into_iter().filter(is_named).collect()
}

fn list(arguments: &Arguments) {
    let ground = Ground {
        folder: PathBuf::new(),
        canary: PathBuf::from("CANARY"),
        data: PathBuf::from("DATA"),
        targets: Targets::nobody(),
        as_root: namespace::is_root(),
    };
    for case in chosen(arguments, &ground) {
        println!("{:<26} {}", case.name, case.tries);
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    if let Some(name) = &arguments.without {
        let wall = WALLS.into_iter().find(|(wall, _)| wall == name);
        let wall =
            wall.with_context(|| format!("there is no wall `{name}`; `--help` names them"))?;
        walls::without(arguments, wall).await?;
        return Ok(true);
    }
    println!(
        "{:<27} {:<10} {:<24} {:>5}",
        "CASE", "ENGINE", "BLOCKED BY", "TIME"
    );
    attack(arguments, arguments.engine.unwrap_or(Engine::Bubblewrap)).await
}

/// Plays all chosen cases on `engine`, and answers whether all are as they must be.
async fn attack(arguments: &Arguments, engine: Engine) -> anyhow::Result<bool> {
    let began = Instant::now();
    let ground = make_ground()?;
    let cases = chosen(arguments, &ground);
    let show = |outcome: &Outcome| show(outcome, engine);
    let (outcomes, after) = play(arguments, &ground, &cases, ("", engine), show).await?;
    for wrong in &after {
        println!("after all: {wrong}");
    }
    let blocked = outcomes
        .iter()
        .filter(|outcome| outcome.is_blocked())
        .count();
    let is_good = blocked == outcomes.len() && after.is_empty();
    println!(
        "\n{}: {} attacks, {blocked} blocked, {:.0} s{}\n",
        engine.name(),
        outcomes.len(),
        began.elapsed().as_secs_f32(),
        kept(arguments, &ground.folder, is_good)
    );
    if is_good && !arguments.keep {
        std::fs::remove_dir_all(&ground.folder).ok();
    }
    Ok(is_good)
}

/// Makes a folder for everything, and what must not be reached.
fn make_ground() -> anyhow::Result<Ground> {
    // One that Postgres and the sandbox, which run as users of their own, can pass.
    let folder = tempfile::Builder::new()
        .prefix("sallyport-attack-")
        .tempdir()
        .context("cannot make a folder")?
        .keep();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    let folder = folder.canonicalize()?;
    Ok(Ground {
        targets: trial::prepare(&folder)?,
        canary: trial::canary_folder(&folder),
        data: folder.join("data"),
        as_root: namespace::is_root(),
        folder,
    })
}

/// Plays the cases on an installation of their own, with `more` in the worker's configuration, and stops it. Answers what
/// came of each, and what is wrong after all.
async fn play(
    arguments: &Arguments,
    ground: &Ground,
    cases: &[Case],
    (more, engine): (&str, Engine),
    show: impl Fn(&Outcome),
) -> anyhow::Result<(Vec<Outcome>, Vec<String>)> {
    ensure!(
        !cases.is_empty(),
        "no case has such a name; `--list` shows them"
    );
    let jobs = arguments.jobs.max(1);
    let registry = ground.targets.registry;
    let config = format!(
        "[worker]\nhost_slots = {jobs}\ncheckpoint_seconds = 1\n{more}\n\
         [worker.setup]\nregistries = [\"http://127.0.0.1:{registry}\"]\n\n{}",
        arguments.configuration(engine)
    );
    let kept = || format!("everything is kept in {}", ground.folder.display());
    let world = World::start(&ground.folder, ground.targets.clone(), cases, &config)
        .await
        .with_context(kept)?;
    let outcomes = futures::stream::iter(cases)
        .map(|case| async {
            let outcome = world.play(case).await;
            show(&outcome);
            outcome
        })
        .buffer_unordered(jobs)
        .collect()
        .await;
    let after = world.last_look().with_context(kept)?;
    Ok((outcomes, after))
}

fn show(outcome: &Outcome, engine: Engine) {
    let by: Vec<&str> = outcome
        .held
        .iter()
        .map(|layer: &Layer| layer.name())
        .collect();
    let by = match outcome.is_blocked() {
        true => by.join(", "),
        false => "NOT AS IT MUST BE".to_owned(),
    };
    println!(
        "{:<27} {:<10} {by:<24} {:>4.0}s",
        outcome.name,
        engine.name(),
        outcome.took.as_secs_f32()
    );
    for wrong in outcome.harm.iter().chain(&outcome.wrong) {
        println!("    - {}", wrong.replace('\n', "\n      "));
    }
}

fn kept(arguments: &Arguments, folder: &Path, is_good: bool) -> String {
    match is_good && !arguments.keep {
        true => "; no canary was found anywhere, and the host is as it was".to_owned(),
        false => format!("; everything is kept in {}", folder.display()),
    }
}
