//! `sallyport audit verify`: checks the whole record of an installation, or one ticket's bundle.

use std::{fs, io::IsTerminal as _, path::Path};

use anyhow::Context as _;
use chrono::{TimeDelta, Utc};
use sallyport_ledger::{
    Database, Objects,
    audit::{
        bundle::Bundle,
        entry::Entry,
        history::HistoryFacts,
        key::PublicKey,
        read::{self, Audited, WorkflowChecked},
        verify::{Fault, Finding, SealedHeads},
    },
};
use sallyport_workflows::text::{count, count_of, duration, time};
use serde::Serialize;
use temporalio_client::Client;

use super::{
    export::{exported, recorded},
    find, seal_key, temporal,
};
use crate::{
    arguments::AuditVerifyArguments,
    commands::{print, print_json},
    config::Config,
    exit::{Exit, Problem},
    operator,
    terminal::{Painter, Style, tell},
};

/// How many workflows are listed at once.
const PAGE: u32 = 500;
/// Entries that wait longer than this for a seal are worth a word: no starter runs, or sealing fails.
const LONG_UNSEALED: TimeDelta = TimeDelta::minutes(10);

/// What was checked, and what is wrong.
#[derive(Debug, Default, Serialize)]
struct Report {
    workflows: u64,
    entries: u64,
    seals: u64,
    histories: u64,
    /// Workflows of which only exported histories are left.
    exported_histories: u64,
    unsealed_entries: u64,
    seals_not_copied: u64,
    warnings: Vec<String>,
    findings: Vec<Finding>,
}

/// Checks; what is wrong is printed, and is exit code 1.
pub async fn run(arguments: AuditVerifyArguments) -> Result<(), Problem> {
    if let Some(file) = &arguments.bundle {
        return bundle(file, arguments.key.as_deref(), arguments.json);
    }
    let config = operator::config(&arguments.operator)?;
    let database = operator::database(&config).await?;
    let objects = Objects::open(&config.objects).context("cannot open object storage")?;
    let client = match arguments.no_histories {
        true => None,
        false => Some(temporal(&config).await?),
    };
    let checker = Checker {
        database,
        objects,
        client,
        key: expected_key(&config, arguments.key.as_deref())?,
    };
    let report = checker.check(arguments.id.as_deref()).await?;
    show(&report, arguments.json)
}

fn expected_key(config: &Config, named: Option<&str>) -> Result<PublicKey, Problem> {
    match named {
        Some(key) => parse_key(key),
        None => Ok(seal_key(config)?.public()),
    }
}

fn parse_key(key: &str) -> Result<PublicKey, Problem> {
    PublicKey::parse(key).map_err(|error| Problem::new(Exit::Usage, error.to_string()))
}

struct Checker {
    database: Database,
    objects: Objects,
    client: Option<Client>,
    key: PublicKey,
}

impl Checker {
    async fn check(&self, id: Option<&str>) -> Result<Report, Problem> {
        let mut report = Report::default();
        let seals = read::check_seals(&self.database, &self.objects, Some(self.key))
            .await
            .context("cannot check the seals")?;
        report.seals = seals.chain.last();
        report.seals_not_copied = seals.not_copied;
        for fault in seals.chain.found {
            report.findings.push(Finding {
                subject: "seals".to_owned(),
                fault,
            });
        }
        if let Some(id) = id {
            let row = find(&self.database, id).await?;
            let audited = Audited {
                workflow: row.id,
                workflow_id: row.workflow_id,
            };
            self.check_workflow(&audited, &seals.chain.heads, &mut report)
                .await?;
        } else {
            self.check_all(&seals.chain.heads, &mut report).await?;
        }
        self.count_unsealed(&mut report).await?;
        Ok(report)
    }

    async fn check_all(&self, heads: &SealedHeads, report: &mut Report) -> Result<(), Problem> {
        let shows_progress = std::io::stderr().is_terminal();
        let mut after = None;
        loop {
            let page = read::workflows(&self.database, after, PAGE)
                .await
                .context("cannot list the workflows")?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.workflow);
            for audited in &page {
                self.check_workflow(audited, heads, report).await?;
            }
            if shows_progress {
                tell(&format!("checked {}", count(report.workflows, "workflow")));
            }
        }
        // What was sealed of workflows that are no longer there at all.
        for (workflow, sealed) in heads {
            let is_there = read::exists(&self.database, *workflow)
                .await
                .context("cannot look for a workflow")?;
            if let (false, Some((position, _, seal))) = (is_there, sealed.last()) {
                report.findings.push(Finding {
                    subject: workflow.to_string(),
                    fault: Fault::SealedEntryMissing {
                        position: *position,
                        seal: *seal,
                    },
                });
            }
        }
        Ok(())
    }

    async fn check_workflow(
        &self,
        audited: &Audited,
        heads: &SealedHeads,
        report: &mut Report,
    ) -> Result<(), Problem> {
        let sealed = heads.get(&audited.workflow).map_or(&[][..], Vec::as_slice);
        // The history first: what it shows as done is on record by the time that the log is read.
        let before = self.history(audited).await?;
        let WorkflowChecked { entries, mut found } =
            read::check_workflow(&self.database, audited.workflow, sealed)
                .await
                .with_context(|| format!("cannot check {}", audited.workflow_id))?;
        report.workflows += 1;
        report.entries += entries.len() as u64;
        if let History::Facts { live, .. } = before {
            report.histories += u64::from(live);
            report.exported_histories += u64::from(!live);
        }
        let mut faults = before.faults(&entries);
        // Put on record since the history was read?
        if faults.iter().any(may_pass) {
            faults.retain(|fault| !may_pass(fault));
            let later = self.history(audited).await?.faults(&entries);
            faults.extend(later.into_iter().filter(may_pass));
        }
        found.extend(faults);
        for fault in found {
            report.findings.push(Finding {
                subject: audited.workflow_id.clone(),
                fault,
            });
        }
        Ok(())
    }

    async fn history(&self, audited: &Audited) -> Result<History, Problem> {
        let Some(client) = &self.client else {
            return Ok(History::NotAsked);
        };
        let live = recorded(client, &audited.workflow_id).await?;
        let exported = match exported(&self.database, &self.objects, audited.workflow).await {
            Ok(exported) => exported,
            Err(problem) => return Ok(History::Unreadable(problem.to_string())),
        };
        if live.is_empty() && exported.is_empty() {
            return Ok(History::None);
        }
        let mut facts = HistoryFacts::default();
        // What both have is the same fact.
        for activity in exported.iter().chain(&live) {
            facts.take(
                &activity.activity,
                activity.input.as_bytes(),
                activity.completed,
            );
        }
        Ok(History::Facts {
            facts,
            live: !live.is_empty(),
        })
    }

    async fn count_unsealed(&self, report: &mut Report) -> Result<(), Problem> {
        let (entries, since) = read::unsealed(&self.database)
            .await
            .context("cannot count what is not sealed yet")?;
        report.unsealed_entries = entries;
        let Some(since) = since else {
            return Ok(());
        };
        let waits = Utc::now() - since;
        if waits > LONG_UNSEALED {
            report.warnings.push(format!(
                "{} of the log since {} are not sealed, for {}: is a starter running, and what does its log say?",
                count_of(entries, "entry", "entries"),
                time(since),
                duration(waits)
            ));
        }
        Ok(())
    }
}

/// What Temporal and the exports say about a workflow.
enum History {
    NotAsked,
    None,
    /// What was exported of it cannot be read.
    Unreadable(String),
    Facts {
        facts: HistoryFacts,
        /// Whether Temporal still has a run of it.
        live: bool,
    },
}

impl History {
    /// What it and the log have to say of each other.
    fn faults(&self, entries: &[Entry]) -> Vec<Fault> {
        match self {
            Self::NotAsked => Vec::new(),
            // An event asked for the workflow, and Temporal has not started it yet.
            Self::None if entries.is_empty() => Vec::new(),
            Self::None => vec![Fault::NoHistory],
            Self::Unreadable(problem) => vec![Fault::ExportUnreadable(problem.clone())],
            Self::Facts { facts, .. } => facts.compare(entries),
        }
    }
}

/// Whether a history that is read after the log may say otherwise.
fn may_pass(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::NoHistory | Fault::NotInTheHistory(..) | Fault::ExportUnreadable(_)
    )
}

fn show(report: &Report, json: bool) -> Result<(), Problem> {
    if json {
        print_json(report)?;
    } else {
        print(&text(report, &Painter::stdout()))?;
    }
    match report.findings.len() {
        0 => Ok(()),
        n => Err(Problem::new(
            Exit::Failed,
            format!(
                "the record is not as it was written: {}",
                count(n as u64, "finding")
            ),
        )
        .hint("docs/operations.md says what to do; keep the database as it is, it is evidence")),
    }
}

fn text(report: &Report, painter: &Painter) -> String {
    let mut lines = Vec::new();
    for finding in &report.findings {
        lines.push(format!("{} {finding}", painter.paint(Style::Red, "✗")));
    }
    for warning in &report.warnings {
        lines.push(format!("{} {warning}", painter.paint(Style::Yellow, "!")));
    }
    let mark = match report.findings.is_empty() {
        true => painter.paint(Style::Green, "✓"),
        false => painter.paint(Style::Red, "✗"),
    };
    lines.push(format!(
        "{mark} {} of {} in {}; {} compared with Temporal, {} with exports; {} not sealed yet, {} not copied yet",
        count_of(report.entries, "entry", "entries"),
        count(report.workflows, "workflow"),
        count(report.seals, "seal"),
        count_of(report.histories, "history", "histories"),
        report.exported_histories,
        report.unsealed_entries,
        count(report.seals_not_copied, "seal"),
    ));
    lines.join("\n") + "\n"
}

fn bundle(file: &Path, key: Option<&str>, json: bool) -> Result<(), Problem> {
    let key = key.map(parse_key).transpose()?;
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let bundle: Bundle = serde_json::from_str(&text).map_err(|error| {
        Problem::new(
            Exit::Usage,
            format!(
                "{} is no bundle of `sallyport audit export`: {error}",
                file.display()
            ),
        )
    })?;
    let checked = bundle.check(key);
    let keys: Vec<String> = checked.keys.iter().map(ToString::to_string).collect();
    if json {
        print_json(&serde_json::json!({
            "workflow_id": bundle.workflow_id,
            "entries": bundle.entries.len(),
            "sealed": checked.sealed,
            "keys": keys,
            "findings": checked.found,
        }))?;
    } else {
        let painter = Painter::stdout();
        let mut lines: Vec<String> = checked
            .found
            .iter()
            .map(|fault| format!("{} {fault}", painter.paint(Style::Red, "✗")))
            .collect();
        lines.push(format!(
            "{} {} of {}, the first {} sealed; {} named, {} left out",
            match checked.found.is_empty() {
                true => painter.paint(Style::Green, "✓"),
                false => painter.paint(Style::Red, "✗"),
            },
            count_of(bundle.entries.len() as u64, "entry", "entries"),
            bundle.workflow_id,
            checked.sealed,
            count(bundle.objects.len() as u64, "object"),
            bundle.left_out.len(),
        ));
        if key.is_none() {
            lines.push(format!(
                "signed with the key {}: ask the installation for its key by another way (`sallyport audit key`), and \
                 check again with --key",
                keys.join(", ")
            ));
        }
        print(&(lines.join("\n") + "\n"))?;
    }
    match checked.found.len() {
        0 => Ok(()),
        n => Err(Problem::new(
            Exit::Failed,
            format!(
                "the bundle is not what it says: {}",
                count(n as u64, "finding")
            ),
        )),
    }
}
