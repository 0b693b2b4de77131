//! `sallyport dev`: the whole system on this machine, in one data folder.
//!
//! Order of starting: what is needed comes first, and each waits until the one before answers. Postgres, Temporal,
//! starter, worker. They are stopped the other way round. What dies in between is started again; the data stays.

mod data_dir;
mod installation;
mod ports;
mod postgres;
mod preflight;
mod processes;
mod ready;
mod temporal;

use std::{collections::BTreeMap, ffi::OsString, future::Future, time::Duration};

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{
    data_dir::DataDir,
    installation::Addresses,
    ports::Port,
    postgres::Postgres,
    processes::{Event, Kept, Program},
    temporal::Temporal,
};
pub use self::{
    installation::{person, read_users, tools_manifest},
    preflight::engine_config,
};
use crate::{
    arguments::DevArguments,
    config::{Config, Layers},
    exit::{Exit, Problem},
    instance::{DATA_DIR, Run},
    terminal::{Painter, Style, tell},
};

/// How long a program may take until it answers.
const STARTING: Duration = Duration::from_secs(90);
/// How often a server may die while it starts: one that was killed with its `sallyport dev` may not be quite gone.
const SERVER_DEATHS: u32 = 4;

/// Runs until Ctrl-C. Must be called on the main thread, outside any runtime; [`processes`] says why.
pub fn run(arguments: DevArguments) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let plan = Plan::make(&arguments).await?;
        plan.carry_out().await
    })
}

/// Everything that is known before the first program starts.
struct Plan {
    data: DataDir,
    postgres: Postgres,
    temporal: Temporal,
    ports: [Port; 4],
    addresses: Addresses,
    config_file: std::path::PathBuf,
    not_handed_down: Vec<String>,
    person: String,
}

impl Plan {
    /// Checks all that can be checked, and makes what must be there. Nothing runs yet.
    async fn make(arguments: &DevArguments) -> Result<Self, Problem> {
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        let mut layers = installation::read_users(arguments.config.as_deref(), &here)?;
        let not_handed_down = installation::undoing(std::env::vars());
        for name in &not_handed_down {
            tell(&format!(
                "note: {name} is set, but `sallyport dev` decides that itself; it is ignored"
            ));
        }
        let environment = || std::env::vars().filter(|(name, _)| !not_handed_down.contains(name));
        let mut with_environment = layers.clone();
        with_environment.overlay(environment())?;
        Config::add_vendor_key(&mut with_environment, environment())?;
        preflight::require_keys(&with_environment)?;
        preflight::require_setpriv()?;
        let tools_file = installation::tools_manifest(&layers, &here);
        let tools = preflight::load_tools(&tools_file)?;

        let as_root = rustix::process::geteuid().is_root();
        let asked = arguments
            .data_dir
            .clone()
            .unwrap_or_else(|| here.join(DATA_DIR));
        let data = DataDir::open(&asked, as_root)?;
        let take = |port, what, flag| Port::take(port, what, flag, data.after_a_crash());
        let ports = [
            take(arguments.starter_port, "the starter", "--starter-port").await?,
            take(arguments.temporal_port, "Temporal", "--temporal-port").await?,
            take(arguments.ui_port, "Temporal's UI", "--ui-port").await?,
            take(arguments.postgres_port, "Postgres", "--postgres-port").await?,
        ];
        let [starter_port, temporal_port, ui_port, postgres_port] =
            [0, 1, 2, 3].map(|index: usize| ports[index].number());
        preflight::require_sandbox(&tools, &data, &layers).await?;

        let temporal = Temporal {
            program: tools.temporal.clone(),
            port: temporal_port,
            ui_port,
            dynamic_config: arguments.temporal_dynamic_config.clone(),
        };
        let postgres = Postgres::prepare(&tools.postgres_bin_dir, &data, postgres_port, as_root)?;
        let addresses = Addresses {
            starter_port,
            temporal: match arguments.temporal_via {
                Some(port) => format!("127.0.0.1:{port}"),
                None => temporal.address(),
            },
            temporal_ui_url: temporal.ui_url(),
            database_url: postgres.url_at(arguments.postgres_via.unwrap_or(postgres_port)),
        };
        let person = installation::person();
        installation::complete(&mut layers, &data, &addresses, &tools_file, &person)?;
        check(layers.clone(), environment())?;
        let config_file = installation::write(&layers, &data)?;
        Ok(Self {
            data,
            postgres,
            temporal,
            ports,
            addresses,
            config_file,
            not_handed_down,
            person,
        })
    }

    /// Starts everything, keeps it running until it shall stop, and stops it.
    async fn carry_out(mut self) -> Result<(), Problem> {
        let at_once = CancellationToken::new();
        let stop = CancellationToken::new();
        listen_for_signals(stop.clone(), at_once.clone())?;
        let (sender, events) = mpsc::unbounded_channel();
        let mut crew = Crew {
            kept: Vec::new(),
            pids: BTreeMap::from([("dev".to_owned(), std::process::id())]),
            sender,
            events,
            at_once,
        };

        let lived = tokio::select! {
            lived = self.live(&mut crew) => lived,
            () = stop.cancelled() => Ok(()),
        };
        if lived.is_ok() {
            tell("stopping; Ctrl-C once more stops at once");
        }
        // The data folder is useful after this; that the file stays is worth a word, but no failure.
        if let Err(error) = self.data.remove_run() {
            tell(&format!("warning: {error:#}"));
        }
        crew.stop().await;
        if lived.is_ok() {
            tell(&format!(
                "stopped; the data is kept in {}",
                self.data.path().display()
            ));
        }
        lived
    }

    async fn live(&mut self, crew: &mut Crew) -> Result<(), Problem> {
        let [starter_port, temporal_port, ui_port, postgres_port] = &mut self.ports;
        postgres_port.release();
        let server = self.postgres.server(self.data.log_file("postgres")?);
        let postgres = &self.postgres;
        crew.start(server, SERVER_DEATHS, || postgres.is_ready())
            .await?;

        temporal_port.release();
        ui_port.release();
        let server = self
            .temporal
            .server(self.data.path(), self.data.log_file("temporal")?);
        let temporal = &self.temporal;
        crew.start(server, SERVER_DEATHS, || temporal.is_ready())
            .await?;

        starter_port.release();
        let client = reqwest::Client::new();
        let health = format!("{}/health", self.addresses.starter_url());
        let starter = self.ours("starter", Duration::from_secs(15))?;
        crew.start(starter, 0, || is_healthy(&client, &health))
            .await?;
        let worker = self.ours("worker", Duration::from_secs(30))?;
        let temporal = &self.temporal;
        crew.start(worker, 0, || temporal.has_worker()).await?;

        self.data.write_run(&self.what_runs(crew))?;
        ready::print(&self.what_runs(crew), self.data.path(), &self.person)?;
        loop {
            match crew.events.recv().await {
                Some(Event::Started { name, pid }) => {
                    crew.pids.insert(name.to_owned(), pid);
                    self.data.write_run(&self.what_runs(crew))?;
                    tell(&format!("{name} runs again"));
                }
                Some(Event::Died { name, how, pause }) => {
                    tell(&format!(
                        "{name} ended ({how}); it starts again in {:.1} s. Its log: {}",
                        pause.as_secs_f32(),
                        self.data.log_file(name)?.display()
                    ));
                }
                // The crew holds a sender itself, so the channel never ends.
                None => return Ok(()),
            }
        }
    }

    /// One of our own programs: this same executable.
    fn ours(&self, name: &'static str, grace: Duration) -> anyhow::Result<Program> {
        let executable = std::env::current_exe().context("cannot tell where this program is")?;
        let mut command: Vec<OsString> = vec![executable.into(), name.into(), "--config".into()];
        command.push(self.config_file.clone().into());
        Ok(Program {
            name,
            command,
            bare: false,
            environment: self
                .not_handed_down
                .iter()
                .map(|name| (name.clone(), None))
                .collect(),
            account: None,
            log: self.data.log_file(name)?,
            stop_signal: Signal::TERM,
            grace,
        })
    }

    fn what_runs(&self, crew: &Crew) -> Run {
        Run {
            starter_url: self.addresses.starter_url(),
            temporal_address: self.temporal.address(),
            temporal_ui_url: self.temporal.ui_url(),
            database_url: self.postgres.public_url(),
            pids: crew.pids.clone(),
        }
    }
}

/// The programs that run.
struct Crew {
    kept: Vec<Kept>,
    pids: BTreeMap<String, u32>,
    sender: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
    at_once: CancellationToken,
}

impl Crew {
    /// Starts a program and waits until it is ready. It may die `deaths` times before it is given up.
    async fn start<Ready, Answer>(
        &mut self,
        program: Program,
        mut deaths: u32,
        ready: Ready,
    ) -> Result<(), Problem>
    where
        Ready: Fn() -> Answer,
        Answer: Future<Output = anyhow::Result<()>>,
    {
        let painter = Painter::stderr();
        let (name, log) = (program.name, program.log.clone());
        let began = Instant::now();
        let written_before = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        self.kept.push(Kept::start(
            program,
            self.sender.clone(),
            self.at_once.clone(),
        ));
        let give_up = |why: String| {
            let said = ready::tail(&log, written_before);
            Problem::new(Exit::Failed, format!("{name} does not start: {why}{said}"))
                .hint(format!("the whole log is {}", log.display()))
        };
        let mut answer = std::pin::pin!(until_ready(ready));
        loop {
            tokio::select! {
                outcome = &mut answer => match outcome {
                    Ok(()) => break,
                    Err(error) => return Err(give_up(format!(
                        "it runs, but is not ready after {} s: {error:#}", STARTING.as_secs()
                    ))),
                },
                event = self.events.recv() => match event {
                    Some(Event::Started { name, pid }) => {
                        self.pids.insert(name.to_owned(), pid);
                    }
                    Some(Event::Died { name: who, how, .. }) if who == name => {
                        if deaths == 0 {
                            return Err(give_up(how));
                        }
                        deaths -= 1;
                    }
                    Some(Event::Died { name, how, .. }) => tell(&format!("{name} ended ({how}); it starts again")),
                    None => {}
                },
            }
        }
        tell(&format!(
            "{} {name} is ready ({:.1} s)",
            painter.paint(Style::Green, "✓"),
            began.elapsed().as_secs_f32()
        ));
        Ok(())
    }

    /// Stops all of them, the last started first.
    async fn stop(mut self) {
        while let Some(kept) = self.kept.pop() {
            kept.stop().await;
        }
    }
}

/// Asks again and again until the answer is yes, at most for [`STARTING`].
async fn until_ready<Ready, Answer>(ready: Ready) -> anyhow::Result<()>
where
    Ready: Fn() -> Answer,
    Answer: Future<Output = anyhow::Result<()>>,
{
    let deadline = Instant::now() + STARTING;
    loop {
        match ready().await {
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(100)).await,
            Ok(()) => return Ok(()),
        }
    }
}

async fn is_healthy(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    client
        .get(url)
        .timeout(Duration::from_secs(5))
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .with_context(|| format!("{url} does not answer with 200"))?;
    Ok(())
}

/// Reads the configuration as the starter and the worker will, so that what is wrong is said now.
fn check(
    mut layers: Layers,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(), Problem> {
    let environment: Vec<_> = environment.collect();
    layers.overlay(environment.iter().cloned())?;
    Config::from_layers(layers, environment)?.check()?;
    Ok(())
}

/// The first signal stops in order, the second at once.
fn listen_for_signals(stop: CancellationToken, at_once: CancellationToken) -> anyhow::Result<()> {
    let mut signals = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .into_iter()
    .map(signal)
    .collect::<Result<Vec<_>, _>>()
    .context("cannot listen for signals")?;
    tokio::task::spawn_local(async move {
        for token in [stop, at_once] {
            let [interrupt, terminate, hangup] = signals.as_mut_slice() else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(())
}
