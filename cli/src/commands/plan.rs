//! `sallyport plan`: the planner alone, on a repository in a folder and a ticket in a file.

use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::Context as _;
use sallyport_activities::{
    config::ModelConfig,
    failure::StepError,
    planning::{
        context::DEFAULT_TOKENS,
        planners::{ConfiguredPlanner, DEFAULT, Planners},
        preview::{Preview, PreviewedSpec, Ticket},
        progress::Progress,
        symbols::reader::SymbolReader,
    },
};
use sallyport_workflows::text::{grouped, money};
use serde::Deserialize;
use serde_json::json;

use crate::{
    arguments::PlanArguments,
    config::{Config, Layers, Origin},
    exit::{Exit, Problem},
    terminal,
};

/// The longest ticket, in bytes.
const MAXIMUM_TICKET: u64 = 256 << 10;

/// The one section that planning needs.
#[derive(Deserialize)]
struct ModelOnly {
    model: ModelConfig,
}

/// What it took.
struct Took {
    gather_seconds: f64,
    plan_seconds: f64,
    peak_memory_bytes: Option<u64>,
}

pub(super) async fn run(arguments: PlanArguments) -> Result<(), Problem> {
    let text = read_ticket(&arguments.ticket)?;
    let id = ticket_id(&arguments.ticket);
    let ticket = Ticket {
        id: &id,
        text: &text,
    };
    // What is wrong with the model is said before a large repository is read.
    let model = match arguments.context_only {
        true => None,
        false => Some(model(&arguments)?),
    };
    let name = arguments.planner.as_deref().unwrap_or(DEFAULT);
    let planner = model.map(|model| planner(&model, name)).transpose()?;
    let default = u64::from(DEFAULT_TOKENS);
    let configured = planner
        .as_ref()
        .map_or(default, |planner| planner.context_tokens);
    let budget = arguments.context_tokens.map_or(configured, u64::from);
    let progress = Progress::default();
    let symbols = SymbolReader::this_program();
    let began = Instant::now();
    let gathering = Preview::gather(
        &arguments.repo,
        &arguments.commit,
        ticket,
        budget,
        &symbols,
        &progress,
    );
    let preview = telling(&progress, gathering).await.map_err(failed)?;
    let gather_seconds = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let spec = match &planner {
        Some(planner) => {
            let file = arguments.policy.as_deref().map(std::fs::read).transpose();
            let file = file.context("cannot read the file of --policy")?;
            let policy = preview.policy(file.as_deref()).await.map_err(failed)?;
            let planning = preview.plan(&*planner.model, &policy, ticket, &progress);
            Some(telling(&progress, planning).await.map_err(failed)?)
        }
        None => None,
    };
    let took = Took {
        gather_seconds,
        plan_seconds: began.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory(),
    };
    show(&preview, spec.as_ref(), &took, arguments.json)
}

fn show(
    preview: &Preview,
    spec: Option<&PreviewedSpec>,
    took: &Took,
    as_json: bool,
) -> Result<(), Problem> {
    let mut report = preview.report();
    if let Some(spec) = spec {
        report.looked.clone_from(&spec.looked);
    }
    if as_json {
        let planned = |asks: bool| {
            let spec = spec.filter(|spec| spec.asks == asks);
            spec.map(|spec| &spec.text)
        };
        let all = json!({
            "spec": planned(false),
            "questions": planned(true),
            "usage": spec.map(|spec| spec.usage),
            "context": report,
            "seconds": {"gather": took.gather_seconds, "plan": took.plan_seconds},
            "peak_memory_bytes": took.peak_memory_bytes,
        });
        let text = terminal::json(&all).context("cannot write JSON")?;
        return super::print(&format!("{text}\n"));
    }
    let mut text = String::new();
    if let Some(spec) = spec {
        if spec.asks {
            text.push_str("# The planner asks before it plans\n\n");
        }
        text.push_str(&spec.text);
        text.push('\n');
    }
    text.push_str(&report.markdown());
    text.push_str("\n# What it took\n\n");
    text.push_str(&format!(
        "- reading the repository: {:.1} s\n",
        took.gather_seconds
    ));
    if let Some(bytes) = took.peak_memory_bytes {
        text.push_str(&format!(
            "- memory at its peak: {} MiB\n",
            grouped(bytes >> 20)
        ));
    }
    if let Some(spec) = spec {
        let usage = spec.usage;
        text.push_str(&format!(
            "- the model: {:.1} s, {} requests, {} tokens in, {} tokens out, {}\n",
            took.plan_seconds,
            usage.requests,
            grouped(usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens),
            grouped(usage.output_tokens),
            money(usage.cost_micro_usd),
        ));
    }
    super::print(&terminal::lines(&text))
}

fn read_ticket(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin()
            .take(MAXIMUM_TICKET + 1)
            .read_to_string(&mut text),
        false => std::fs::File::open(path)
            .and_then(|file| file.take(MAXIMUM_TICKET + 1).read_to_string(&mut text)),
    };
    read.map_err(|error| {
        Problem::new(
            Exit::Usage,
            format!("cannot read the ticket {shown}: {error}"),
        )
    })?;
    if text.len() as u64 > MAXIMUM_TICKET {
        let problem = format!("the ticket {shown} has more than {MAXIMUM_TICKET} bytes");
        return Err(Problem::new(Exit::Usage, problem));
    }
    if text.trim().is_empty() {
        let problem = format!("the ticket {shown} is empty");
        return Err(Problem::new(Exit::Usage, problem).hint("write what is wanted into it"));
    }
    Ok(text)
}

/// The file's name without its ending.
fn ticket_id(path: &Path) -> String {
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    stem.filter(|stem| stem != "-")
        .unwrap_or_else(|| "stdin".to_owned())
}

/// `[model]`, as the arguments change it.
fn model(arguments: &PlanArguments) -> Result<ModelConfig, Problem> {
    let default = Path::new("sallyport.toml");
    let mut layers = match &arguments.config {
        Some(file) => Layers::read(file)?,
        None if default.is_file() => Layers::read(default)?,
        None => Layers::parse(default, "")?,
    };
    let environment: Vec<_> = std::env::vars().collect();
    layers.overlay(environment.iter().cloned())?;
    let option = |name: &str| Origin::Option(name.to_owned());
    // Whoever names a model wants to see that one.
    if arguments.vendor.is_some() || arguments.model.is_some() {
        layers.remove(&["model"], "planner_fallbacks");
        layers.remove(&["model"], "planners");
    }
    if let Some(vendor) = &arguments.vendor {
        let configured = layers.get(&["model", "vendor"]);
        if configured.is_some_and(|configured| configured.as_str() != Some(vendor)) {
            // They are the other vendor's, and a key must not reach anybody else.
            for key in ["api_key", "api_key_file", "base_url"] {
                layers.remove(&["model"], key);
            }
        }
        layers.put(
            &["model", "vendor"],
            vendor.as_str().into(),
            option("--vendor"),
        )?;
    }
    if let Some(model) = &arguments.model {
        let configured = layers.get(&["model", "planner_model"]);
        if configured.is_some_and(|configured| configured.as_str() != Some(model)) {
            layers.remove(&["model"], "planner_price");
        }
        layers.put(
            &["model", "planner_model"],
            model.as_str().into(),
            option("--model"),
        )?;
    }
    if let Some(model) = layers.get(&["model", "planner_model"]).cloned() {
        layers.put_default(&["model", "agent_model"], model)?;
    }
    Config::add_vendor_key(&mut layers, environment)?;
    let told = layers.get(&["model", "vendor"]).is_some()
        && layers.get(&["model", "planner_model"]).is_some();
    if !told {
        let problem = "no model is named that could plan";
        return Err(Problem::new(Exit::Usage, problem).hint(
            "name one with --vendor and --model and set its key, such as ANTHROPIC_API_KEY; or name a configuration \
             with --config; or add --context-only, which asks no model",
        ));
    }
    Ok(layers.into_type::<ModelOnly>()?.model)
}

fn planner(model: &ModelConfig, name: &str) -> Result<ConfiguredPlanner, Problem> {
    let wrong = |error: String| Problem::new(Exit::Usage, error);
    let planners =
        Planners::configured(model, &[], None).map_err(|error| wrong(error.to_string()))?;
    let planner = planners.get(name).cloned();
    planner.ok_or_else(|| {
        wrong(format!("the configuration has no planner `{name}`"))
            .hint("see `[[model.planners]]`, or leave --planner away for the installation's own")
    })
}

fn failed(error: StepError) -> Problem {
    Problem::new(Exit::Failed, error.message())
}

/// Does `work` and tells on standard error what is done, if somebody watches.
async fn telling<T>(progress: &Progress, work: impl Future<Output = T>) -> T {
    let mut changes = progress.follow();
    let watched = std::io::stderr().is_terminal();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                if watched {
                    line("");
                }
                return done;
            }
            Ok(()) = changes.changed() => {
                let now = changes.borrow_and_update().clone();
                match watched {
                    true => line(&format!("{now} ...")),
                    false => terminal::tell(&terminal::line(&now)),
                }
            }
        }
    }
}

/// Writes over the last line.
fn line(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // There is nowhere to tell that it failed.
    let _ = write!(stderr, "\r\u{1b}[2K{}", terminal::line(text)).and_then(|()| stderr.flush());
}

/// The most memory that this process had, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_named_by_its_file() {
        assert_eq!(ticket_id(Path::new("/tmp/FL-7.md")), "FL-7");
        assert_eq!(ticket_id(Path::new("-")), "stdin");
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.md");
        std::fs::write(&empty, " \n").unwrap();
        let problem = read_ticket(&empty).unwrap_err();
        assert!(problem.message.contains("is empty") && problem.exit == Exit::Usage);
        assert!(read_ticket(folder.path()).is_err());
        assert!(peak_memory().unwrap() > 1 << 20);
    }
}
