//! `sallyport audit`: whether the record is as it was written, and one ticket's evidence for others.

mod export;
mod verify;

use sallyport_ledger::workflows::{self, WorkflowRow};

use crate::{
    arguments::{AuditCommand, OperatorArguments},
    commands::print,
    config::Config,
    exit::{Exit, Problem},
    operator,
};

/// Runs one of them.
pub async fn run(command: AuditCommand) -> Result<(), Problem> {
    match command {
        AuditCommand::Verify(arguments) => verify::run(arguments).await,
        AuditCommand::Export(arguments) => export::run(arguments).await,
        AuditCommand::Key(arguments) => key(&arguments),
    }
}

/// `sallyport audit key`.
fn key(arguments: &OperatorArguments) -> Result<(), Problem> {
    let key = seal_key(&operator::config(arguments)?)?;
    print(&format!("{}\n", key.public()))
}

fn seal_key(config: &Config) -> Result<sallyport_ledger::audit::key::SealKey, Problem> {
    config
        .audit
        .key()
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))
}

/// The workflow that `name` means.
async fn find(database: &sallyport_ledger::Database, name: &str) -> Result<WorkflowRow, Problem> {
    workflows::find(database, name).await.map_err(|error| {
        let exit = match &error {
            sallyport_ledger::LedgerError::NotFound { .. } => Exit::NotFound,
            sallyport_ledger::LedgerError::Ambiguous { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Problem::new(exit, error.to_string())
    })
}

/// Temporal, to read histories from.
async fn temporal(config: &Config) -> Result<temporalio_client::Client, Problem> {
    sallyport_worker::temporal::connect(&config.temporal, "sallyport-audit")
        .await
        .map_err(|error| {
            Problem::new(Exit::Unreachable, format!("{error:#}"))
                .hint("start Temporal, or leave the histories out with --no-histories")
        })
}
