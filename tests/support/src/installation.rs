//! A whole Sallyport on this machine: `sallyport dev` as a process, with a ticket system and, unless a real one is
//! used, a model beside it. The demo and the end-to-end tests run on this.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::{
    api::Api,
    child::{self, Output, dies_with_us},
    flux_lens::{FluxLens, FluxLensOptions},
    scripted_model::{Scenario, ScriptedModel},
    tools::TestTools,
};

/// How long everything may take to come up; only reached when something does not come up at all.
const START_LIMIT: Duration = Duration::from_secs(300);
/// What the scripted model is said to cost, in millionths of a US dollar per million tokens.
const SCRIPTED_PRICE: &str =
    "{ input = 3000000, output = 15000000, cache_read = 300000, cache_write = 3750000 }";
/// What may be spent on the scripted model in a day: many tests share an installation.
const SCRIPTED_DAY: u64 = 10_000_000_000;
/// How long an orderly stop may take before it is forced.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Which model plans and codes.
#[derive(Debug)]
pub enum Model {
    /// A server that speaks the vendor's protocol and plays a scenario.
    Scripted {
        /// What it plays.
        scenario: Scenario,
        /// `anthropic`, `openai` or `google`: whose protocol.
        vendor: &'static str,
    },
    /// The vendor itself; its key is in the environment.
    Vendor {
        /// `anthropic`, `openai` or `google`.
        vendor: &'static str,
        /// The model that plans and codes.
        model: String,
    },
}

/// What an installation is made of.
#[derive(Debug)]
pub struct InstallationOptions {
    /// Where everything is kept: `data/` is Sallyport's own data folder, which `sallyport dev` makes; beside it stand the
    /// files of the world around it.
    pub folder: PathBuf,
    /// The model.
    pub model: Model,
    /// Each project's key in the ticket system, and the repository that its tickets are about.
    pub repositories: Vec<(String, String)>,
    /// Further lines of the configuration: whole sections.
    pub more_config: String,
    /// Where the output of `sallyport dev` goes.
    pub output: Output,
    /// Further options of `sallyport dev`.
    pub more_options: Vec<String>,
    /// The port through which Sallyport reaches the ticket system, if not its own: a proxy.
    pub flux_lens_via: Option<u16>,
}

impl InstallationOptions {
    fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }
}

/// What `sallyport dev` says in its `run.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// The starter's API.
    pub starter_url: String,
    /// Temporal's frontend, `HOST:PORT`.
    pub temporal_address: String,
    /// Temporal's UI.
    pub temporal_ui_url: String,
    /// The ledger's database, without the password.
    pub database_url: String,
    /// The processes by name.
    pub pids: BTreeMap<String, u32>,
}

/// A running installation. It is stopped when dropped.
#[derive(Debug)]
pub struct Installation {
    /// The ticket system.
    pub flux_lens: FluxLens,
    /// The scripted model, unless a vendor's is used.
    pub model: Option<ScriptedModel>,
    /// The starter's API, with the token of the person who runs it.
    pub api: Api,
    /// What runs where.
    pub run: Run,
    dev: Child,
    options: InstallationOptions,
    config: PathBuf,
}

impl Installation {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// If something does not come up; with what it said.
    pub async fn start(mut options: InstallationOptions) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&options.folder)
            .with_context(|| format!("cannot make {}", options.folder.display()))?;
        options.folder = options.folder.canonicalize()?;
        let mut flux_lens = FluxLensOptions::new("flux-lens-token", "flux-lens-webhook-secret");
        flux_lens.state_file = Some(options.folder.join("flux-lens.json"));
        let flux_lens = FluxLens::start(flux_lens)?;
        let model = match &options.model {
            Model::Scripted { scenario, .. } => Some(ScriptedModel::start(
                scenario.clone(),
                "scripted-model-key",
            )?),
            Model::Vendor { .. } => None,
        };
        let config = options.folder.join("installation.toml");
        std::fs::write(
            &config,
            configuration(&options, &flux_lens, model.as_ref())?,
        )
        .with_context(|| format!("cannot write {}", config.display()))?;
        let mut dev = start_dev(&options, &config)?;
        let run = match until_ready(&options, &mut dev).await {
            Ok(run) => run,
            Err(error) => {
                let _ = dev.kill();
                let _ = dev.wait();
                return Err(error);
            }
        };
        flux_lens.set_webhook_url(format!("{}/webhooks/flux-lens", run.starter_url));
        let token = std::fs::read_to_string(options.data_dir().join("token"))
            .context("`sallyport dev` made no token")?;
        let api = Api::new(&run.starter_url, token.trim())?;
        Ok(Self {
            flux_lens,
            model,
            api,
            run,
            dev,
            options,
            config,
        })
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.options.data_dir()
    }

    /// Where everything is kept, the data folder among it.
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// The `sallyport` command for this installation; add what it shall do.
    ///
    /// # Errors
    /// If the binary is not known.
    pub fn sallyport(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(sallyport_binary()?);
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data_dir());
        Ok(command)
    }

    /// Runs the `sallyport` command and answers what it printed.
    ///
    /// # Errors
    /// If it fails; with what it said.
    pub fn run_sallyport(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.sallyport(arguments)?.output()?;
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        if !output.status.success() {
            bail!(
                "`sallyport {}` ended with {}: {stdout}{stderr}",
                arguments.join(" "),
                output.status
            );
        }
        Ok(stdout)
    }

    /// A connection to the ledger as its owner, who may do what Sallyport itself may not.
    ///
    /// # Errors
    /// If the configuration names no database, or it does not answer.
    pub async fn ledger(&self) -> anyhow::Result<sqlx::PgConnection> {
        let config = std::fs::read_to_string(self.data_dir().join("sallyport.toml"))?;
        let url = config
            .lines()
            .find_map(|line| line.strip_prefix("url = \"postgres://"))
            .map(|rest| format!("postgres://{}", rest.trim_end_matches('"')))
            .context("the configuration names no database")?;
        <sqlx::PgConnection as sqlx::Connection>::connect(&url)
            .await
            .context("cannot reach the ledger")
    }

    /// Runs SQL in the ledger as its owner, past all triggers; answers how many rows it changed.
    ///
    /// # Errors
    /// If the database says so.
    pub async fn change_ledger(&self, sql: &str) -> anyhow::Result<u64> {
        let mut ledger = self.ledger().await?;
        sqlx::raw_sql("SET session_replication_role = replica")
            .execute(&mut ledger)
            .await?;
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&mut ledger)
            .await
            .with_context(|| format!("`{sql}` failed"))?;
        Ok(done.rows_affected())
    }

    /// Ends one of the processes as a crash would, and waits until `sallyport dev` has another in its place.
    ///
    /// # Errors
    /// If there is no such process or it does not come back.
    pub async fn crash(&mut self, name: &str) -> anyhow::Result<()> {
        let pid = *self
            .run
            .pids
            .get(name)
            .with_context(|| format!("no process `{name}`"))?;
        child::signal(pid, "KILL")?;
        let what = format!("`{name}` runs again");
        let run = child::until(START_LIMIT, &what, async || {
            let run = read_run(&self.options.data_dir())?;
            let now = *run.pids.get(name)?;
            (now != pid && child::is_alive(now)).then_some(run)
        });
        self.run = run.await?;
        Ok(())
    }

    /// Stops everything and starts it again on the same data.
    ///
    /// # Errors
    /// If it does not come up again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.dev = start_dev(&self.options, &self.config)?;
        self.run = until_ready(&self.options, &mut self.dev).await?;
        self.flux_lens
            .set_webhook_url(format!("{}/webhooks/flux-lens", self.run.starter_url));
        let token = std::fs::read_to_string(self.options.data_dir().join("token"))?;
        self.api = Api::new(&self.run.starter_url, token.trim())?;
        Ok(())
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// If it cannot be told to stop.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if self.dev.try_wait()?.is_some() {
            return Ok(());
        }
        child::signal(self.dev.id(), "TERM")?;
        let started = std::time::Instant::now();
        while self.dev.try_wait()?.is_none() {
            if started.elapsed() > STOP_LIMIT {
                self.dev.kill()?;
                self.dev.wait()?;
                bail!("`sallyport dev` did not stop within {STOP_LIMIT:?} and was killed");
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error}");
        }
    }
}

/// The `sallyport` binary: named by `SALLYPORT_BIN`, else beside the running program.
///
/// # Errors
/// If it is in neither place.
pub fn sallyport_binary() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("SALLYPORT_BIN") {
        return Ok(named.into());
    }
    let this = std::env::current_exe()?;
    this.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("sallyport"))
        .find(|candidate| candidate.is_file())
        .context("the `sallyport` binary is not built: run `cargo build`, or set SALLYPORT_BIN")
}

fn configuration(
    options: &InstallationOptions,
    flux_lens: &FluxLens,
    model: Option<&ScriptedModel>,
) -> anyhow::Result<String> {
    let tools = TestTools::manifest()?;
    let lens = match options.flux_lens_via {
        Some(port) => format!("http://127.0.0.1:{port}"),
        None => flux_lens.base_url().to_owned(),
    };
    let mut text = format!(
        "[tools]\nmanifest = {tools:?}\n\n[flux_lens]\nbase_url = \"{lens}\"\ntoken = \"flux-lens-token\"\nwebhook_secret = \"flux-lens-webhook-secret\"\n\n"
    );
    for (project, url) in &options.repositories {
        text.push_str(&format!(
            "[[repositories]]\nproject = {project:?}\nurl = {url:?}\n\n"
        ));
    }
    match (&options.model, model) {
        (Model::Scripted { vendor, .. }, Some(model)) => text.push_str(&format!(
            "[model]\nvendor = {vendor:?}\nbase_url = \"{}\"\napi_key = \"scripted-model-key\"\nplanner_model = \
             \"scripted-planner\"\nagent_model = \"scripted-agent\"\nplanner_price = {SCRIPTED_PRICE}\nagent_price \
             = {SCRIPTED_PRICE}\nday_budget_micro_usd = {SCRIPTED_DAY}\n\n",
            model.base_url()
        )),
        (Model::Vendor { vendor, model }, _) => text.push_str(&format!(
            "[model]\nvendor = {vendor:?}\nplanner_model = {model:?}\nagent_model = {model:?}\n\n"
        )),
        (Model::Scripted { .. }, None) => {}
    }
    text.push_str(&options.more_config);
    Ok(text)
}

fn start_dev(options: &InstallationOptions, config: &Path) -> anyhow::Result<Child> {
    let mut command = dies_with_us(sallyport_binary()?);
    command.arg("dev");
    for port in [
        "--starter-port",
        "--temporal-port",
        "--ui-port",
        "--postgres-port",
    ] {
        if !options.more_options.iter().any(|given| given == port) {
            command.args([port, "0"]);
        }
    }
    command
        .arg("--data-dir")
        .arg(options.data_dir())
        .arg("--config")
        .arg(config);
    command.args(&options.more_options);
    child::spawn(command, &options.output)
}

async fn until_ready(options: &InstallationOptions, dev: &mut Child) -> anyhow::Result<Run> {
    let said = || match &options.output {
        Output::Log(log) => child::tail(log),
        Output::Inherit => "see its message above".to_owned(),
    };
    let ready = child::until(START_LIMIT, "everything is up", async || {
        if let Ok(Some(status)) = dev.try_wait() {
            return Some(Err(status));
        }
        read_run(&options.data_dir())
            .filter(|run| run.pids.get("dev") == Some(&dev.id()))
            .map(Ok)
    })
    .await
    .with_context(said)?;
    ready.map_err(|status| anyhow::anyhow!("`sallyport dev` ended with {status}: {}", said()))
}

pub(crate) fn read_run(data_dir: &Path) -> Option<Run> {
    serde_json::from_str(&std::fs::read_to_string(data_dir.join("run.json")).ok()?).ok()
}
