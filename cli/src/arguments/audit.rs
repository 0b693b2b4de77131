//! The command line of `sallyport audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OperatorArguments;

/// `sallyport audit ...`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that nothing on record was changed, removed or invented
    Verify(AuditVerifyArguments),
    /// Write one ticket's evidence as a file that anybody can check
    Export(AuditExportArguments),
    /// Print the public key that this installation's seals are checked with
    Key(OperatorArguments),
}

/// `sallyport audit verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Checks each ticket's chain of entries, the seals and their copies in object storage, the tables that people read, and
Temporal's histories. A running system may go on meanwhile. Exit code 1 if anything is not as it was written.

With --bundle nothing else is needed: no database, no Temporal, no configuration.")]
pub struct AuditVerifyArguments {
    /// Only this ticket [default: all]
    #[arg(value_name = "ID", conflicts_with = "bundle")]
    pub id: Option<String>,
    /// Check a file that `sallyport audit export` wrote
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// The public key that the seals must be signed with [default: that of the configuration]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Do not compare with Temporal's histories
    #[arg(long)]
    pub no_histories: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub operator: OperatorArguments,
}

/// `sallyport audit export`.
#[derive(Debug, Args)]
pub struct AuditExportArguments {
    /// The ticket: FL-1, a workflow id or a UUID
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where to write it [default: the standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Leave what Temporal's histories say out
    #[arg(long)]
    pub no_histories: bool,
    /// Which installation.
    #[command(flatten)]
    pub operator: OperatorArguments,
}
