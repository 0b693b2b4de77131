//! `sallyport audit export`: one ticket's evidence as a file.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sallyport_ledger::{
    Database, Objects,
    audit::{
        bundle::{Bundle, Content, Recorded, VERSION, references},
        entry::Entry,
        read::{entries, seals},
        seal::Seal,
    },
    history_exports,
};
use temporalio_client::Client;
use uuid::Uuid;

use super::{find, temporal};
use crate::{
    arguments::AuditExportArguments, commands::print, exit::Problem, operator, terminal::tell,
};

/// Writes the bundle.
pub async fn run(arguments: AuditExportArguments) -> Result<(), Problem> {
    let config = operator::config(&arguments.operator)?;
    let database = operator::database(&config).await?;
    let objects = Objects::open(&config.objects).context("cannot open object storage")?;
    let workflow = find(&database, &arguments.id).await?;
    let history = if arguments.no_histories {
        Vec::new()
    } else {
        let mut all = exported(&database, &objects, workflow.id).await?;
        let live = recorded(&temporal(&config).await?, &workflow.workflow_id).await?;
        // What Temporal has forgotten comes first; what it still has is there once.
        let new: Vec<Recorded> = live.into_iter().filter(|one| !all.contains(one)).collect();
        all.extend(new);
        all
    };
    let entries = {
        let mut connection = database
            .pool()
            .acquire()
            .await
            .context("cannot reach the ledger")?;
        entries(&mut connection, workflow.id)
            .await
            .context("cannot read the audit log")?
    };
    let (objects, left_out) = contents(&objects, &entries).await;
    let bundle = Bundle {
        version: VERSION,
        workflow: workflow.id,
        workflow_id: workflow.workflow_id.clone(),
        seals: seals_of(&database, workflow.id).await?,
        entries,
        history,
        objects,
        left_out,
    };
    let text = serde_json::to_string_pretty(&bundle).context("cannot write JSON")?;
    match &arguments.output {
        Some(file) => {
            std::fs::write(file, text + "\n")
                .with_context(|| format!("cannot write {}", file.display()))?;
            tell(&format!(
                "wrote {}: {} entries, {} seals, {} objects; check it anywhere with `sallyport audit verify --bundle {}`",
                file.display(),
                bundle.entries.len(),
                bundle.seals.len(),
                bundle.objects.len(),
                file.display()
            ));
            Ok(())
        }
        None => print(&format!("{text}\n")),
    }
}

/// What the activities of all runs were asked to put on record.
pub async fn recorded(client: &Client, workflow_id: &str) -> Result<Vec<Recorded>, Problem> {
    let mut runs = sallyport_worker::histories::fetch_all(client, workflow_id).await?;
    runs.reverse();
    Ok(runs
        .iter()
        .flat_map(|run| sallyport_worker::histories::recorded(&run.history))
        .collect())
}

/// The same of the runs whose histories were exported. One that cannot be read is an error: it is evidence.
pub async fn exported(
    database: &Database,
    objects: &Objects,
    workflow: Uuid,
) -> Result<Vec<Recorded>, Problem> {
    let exports = history_exports::of_workflow(database, workflow)
        .await
        .context("cannot list the exported histories")?;
    let mut all = Vec::new();
    for export in exports {
        let content = objects.get(&export.content).await.with_context(|| {
            format!("cannot read the exported history of run {}", export.run_id)
        })?;
        let history = sallyport_worker::histories::read_exported(&content)?;
        all.extend(sallyport_worker::histories::recorded(&history));
    }
    Ok(all)
}

/// The seals that cover an entry of the workflow.
async fn seals_of(database: &Database, workflow: Uuid) -> Result<Vec<Seal>, Problem> {
    let mut found = Vec::new();
    let mut last = 0;
    loop {
        let page = seals(database, last)
            .await
            .context("cannot read the seals")?;
        let Some(end) = page.last() else {
            return Ok(found);
        };
        last = end.number;
        found.extend(page.into_iter().filter(|seal| {
            seal.document()
                .is_some_and(|document| document.heads.iter().any(|head| head.workflow == workflow))
        }));
    }
}

/// The contents of the objects that the entries name, and why those that are not there are not.
async fn contents(
    objects: &Objects,
    entries: &[Entry],
) -> (BTreeMap<String, Content>, BTreeMap<String, String>) {
    let (mut contents, mut left_out) = (BTreeMap::new(), BTreeMap::new());
    for reference in references(entries) {
        match objects.get(&reference).await {
            Ok(bytes) => {
                contents.insert(reference.key, Content::of(&bytes));
            }
            Err(error) => {
                left_out.insert(reference.key, error.to_string());
            }
        }
    }
    (contents, left_out)
}
