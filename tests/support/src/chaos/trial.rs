//! One ticket's life under a plan, on an installation of its own.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    boundaries::{Boundaries, Due, Reached},
    evidence,
    plan::{Plan, Strike, Victim},
};
use crate::{
    api::Api,
    child::{self, Output},
    demo_repository::{DEMO_PROJECT, write_demo_repository},
    demo_scenario::{demo_scenario, demo_ticket},
    installation::{Installation, InstallationOptions, Model, read_run},
    proxy::Proxy,
    temporal::free_port,
};

/// How long a ticket may take; only reached when it is lost.
const LIMIT: Duration = Duration::from_secs(600);
/// How often a duplicate of the ticket's webhook is sent.
const DUPLICATES: usize = 3;

/// What a trial came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The plan.
    pub plan: Plan,
    /// Which of its strikes were carried out.
    pub struck: Vec<Strike>,
    /// How often each boundary was reached.
    pub reached: Reached,
    /// How long the ticket took.
    pub took: Duration,
    /// What is lost, doubled or otherwise wrong; nothing, if all is well.
    pub wrong: Vec<String>,
    /// Where everything is kept, if something is wrong.
    pub folder: PathBuf,
}

impl Outcome {
    /// Whether all is well, and all of the plan was carried out.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.wrong.is_empty() && self.struck.len() == self.plan.strikes.len()
    }
}

/// The links that can be cut.
#[derive(Debug)]
struct Links {
    postgres: Proxy,
    temporal: Proxy,
    flux_lens: Proxy,
}

/// Takes the demo's ticket to its merge in `folder` while `plan` happens.
///
/// # Errors
/// If the installation does not start. What happens to the ticket is told in the outcome.
pub async fn run(plan: Plan, folder: &Path) -> anyhow::Result<Outcome> {
    let (boundaries, strikes) = Boundaries::watch(&plan).await?;
    let (postgres, temporal) = (free_port()?, free_port()?);
    let links = Links {
        postgres: Proxy::start(postgres).await?,
        temporal: Proxy::start(temporal).await?,
        flux_lens: Proxy::start(0).await?,
    };
    let repository = write_demo_repository(&folder.join("repositories").join("demo"))?;
    let options = [
        ("--postgres-port", postgres),
        ("--temporal-port", temporal),
        ("--postgres-via", links.postgres.port()),
        ("--temporal-via", links.temporal.port()),
    ];
    let mut installation = Installation::start(InstallationOptions {
        folder: folder.to_owned(),
        model: Model::Scripted {
            scenario: demo_scenario(0),
            vendor: "anthropic",
        },
        repositories: vec![(
            DEMO_PROJECT.to_owned(),
            format!("file://{}", repository.origin.display()),
        )],
        more_config: format!(
            "[worker]\nboundary_hook = \"{}\"\n\n[audit]\nseal_seconds = 1\n",
            boundaries.address
        ),
        output: Output::Log(folder.join("dev.log")),
        more_options: options
            .into_iter()
            .flat_map(|(name, port)| [name.to_owned(), port.to_string()])
            .collect(),
        flux_lens_via: Some(links.flux_lens.port()),
    })
    .await?;
    let lens = installation.flux_lens.base_url();
    let port = lens.rsplit(':').next().unwrap_or_default();
    links
        .flux_lens
        .lead_to(port.parse().context("the ticket system has a port")?);
    let commits = evidence::commits(&repository.origin)?;

    let data_dir = installation.data_dir();
    let mut struck = Vec::new();
    let began = Instant::now();
    let lived = tokio::select! {
        lived = tokio::time::timeout(LIMIT, live(&installation, plan.seed)) => lived,
        () = strike_all(strikes, &data_dir, &links, &mut struck) => unreachable!("it never ends"),
    };
    let took = began.elapsed();

    let mut wrong = match lived {
        Ok(Ok(id)) => evidence::check(&mut installation, &id, &repository.origin, commits).await,
        Ok(Err(error)) => vec![format!("{error:#}")],
        Err(_) => vec![format!(
            "lost: the ticket was not completed within {LIMIT:?}"
        )],
    };
    if plan.seed == 0 {
        wrong.extend(evidence::calm(&boundaries.reached()));
    }
    if let Err(error) = installation.stop() {
        wrong.push(format!("{error:#}"));
    }
    Ok(Outcome {
        plan,
        struck,
        reached: boundaries.reached(),
        took,
        wrong,
        folder: folder.to_owned(),
    })
}

/// Carries out what is due, in the order in which it is.
async fn strike_all(
    mut strikes: mpsc::UnboundedReceiver<Due>,
    data_dir: &Path,
    links: &Links,
    struck: &mut Vec<Strike>,
) {
    loop {
        let Some(Due { strike, go_on }) = strikes.recv().await else {
            return std::future::pending().await;
        };
        let link = match strike.victim {
            Victim::Worker => kill(data_dir, "worker").await,
            Victim::Starter => kill(data_dir, "starter").await,
            Victim::Temporal => kill(data_dir, "temporal").await,
            Victim::Postgres => kill(data_dir, "postgres").await,
            Victim::PostgresLink => Some(&links.postgres),
            Victim::TemporalLink => Some(&links.temporal),
            Victim::FluxLensLink => Some(&links.flux_lens),
        };
        struck.push(strike);
        if let Some(link) = link {
            link.cut();
            // The worker meets the cut at once, and finds the link mended after a while.
            let _ = go_on.send(());
            tokio::time::sleep(Duration::from_millis(strike.cut_ms)).await;
            link.mend();
        } else {
            let _ = go_on.send(());
        }
    }
}

/// Kills the process of that name, as soon as it is there.
async fn kill<'a>(data_dir: &Path, name: &str) -> Option<&'a Proxy> {
    let what = format!("{name} runs");
    let _ = child::until(LIMIT, &what, async || {
        let pid = *read_run(data_dir)?.pids.get(name)?;
        if name == "postgres" {
            // Its children hold the shared memory; the whole group dies, as with the machine.
            for child in children(pid) {
                let _ = child::signal(child, "KILL");
            }
        }
        (child::is_alive(pid) && child::signal(pid, "KILL").is_ok()).then_some(())
    })
    .await;
    None
}

fn children(pid: u32) -> Vec<u32> {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// The people's part: a ticket is filed, its webhook comes several times, and both gates are approved.
async fn live(installation: &Installation, seed: u64) -> anyhow::Result<String> {
    let lens = &installation.flux_lens;
    let id = lens.create_ticket(demo_ticket())?;
    for delivery in lens.deliveries() {
        for _ in 0..DUPLICATES {
            // Nobody may be there to take it just now.
            let _ = lens.redeliver(&delivery.id).await;
        }
    }
    for (gate, number) in [("SPEC", 1), ("PR", 2)] {
        approve(
            &installation.api,
            &id,
            gate,
            Uuid::from_u128((u128::from(seed) << 8) | number),
        )
        .await
        .with_context(|| format!("gate {gate} of {id}"))?;
    }
    child::until(LIMIT, "the ticket is COMPLETED", async || {
        let view = installation.api.ticket(&id).await.ok()?;
        (view["workflow"]["state"] == "COMPLETED").then_some(())
    })
    .await?;
    Ok(id)
}

/// Approves what `gate` asks, as a client does that does not know whether it was heard: again with the same id.
async fn approve(api: &Api, ticket: &str, gate: &str, decision: Uuid) -> anyhow::Result<()> {
    let what = format!("gate {gate} is approved");
    child::until(LIMIT, &what, async || {
        let view = api.ticket(ticket).await.ok()?;
        let approvals = view["approvals"].as_array()?;
        let asked = approvals.iter().find(|row| row["gate"] == gate)?;
        if asked["status"] != "PENDING" {
            return Some(());
        }
        let path = format!("/approvals/{}/decision", asked["id"].as_str()?);
        let body = json!({ "id": decision, "revision": asked["revision"], "decision": "APPROVE" });
        let answer = api.request(Method::POST, &path, Some(body)).await.ok()?;
        let is_taken = answer.status() == StatusCode::OK;
        let _: Option<Value> = answer.json().await.ok();
        is_taken.then_some(())
    })
    .await
}
