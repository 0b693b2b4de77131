//! The command line of `sallyport inbox`.

use clap::{Args, Subcommand, ValueEnum};
use sallyport_ledger::inbox_admin::EventStatus;

use super::OperatorArguments;

/// `sallyport inbox ...`.
#[derive(Debug, Subcommand)]
pub enum InboxCommand {
    /// List the events that wait or failed, newest first
    List(InboxListArguments),
    /// Show one event and what it says
    Show(InboxEventArguments),
    /// Have an event that failed tried again
    Retry(InboxEventArguments),
    /// Give an event up
    Drop(InboxDropArguments),
}

/// Where an event may stand.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StatusArgument {
    /// It waits for a dispatcher, or for its next try.
    Pending,
    /// Its workflow was started or told.
    Dispatched,
    /// There was nothing to do about it.
    Ignored,
    /// It cannot be worked off as it is.
    Failed,
    /// An operator gave it up.
    Dropped,
}

impl From<StatusArgument> for EventStatus {
    fn from(status: StatusArgument) -> Self {
        match status {
            StatusArgument::Pending => Self::Pending,
            StatusArgument::Dispatched => Self::Dispatched,
            StatusArgument::Ignored => Self::Ignored,
            StatusArgument::Failed => Self::Failed,
            StatusArgument::Dropped => Self::Dropped,
        }
    }
}

/// `sallyport inbox list`.
#[derive(Debug, Args)]
pub struct InboxListArguments {
    /// Only those in this status [default: pending and failed]
    #[arg(long, value_name = "STATUS")]
    pub status: Option<StatusArgument>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub operator: OperatorArguments,
}

/// `sallyport inbox show` and `retry`.
#[derive(Debug, Args)]
pub struct InboxEventArguments {
    /// The event's number
    #[arg(value_name = "EVENT")]
    pub id: i64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub operator: OperatorArguments,
}

/// `sallyport inbox drop`.
#[derive(Debug, Args)]
pub struct InboxDropArguments {
    /// The event's number
    #[arg(value_name = "EVENT")]
    pub id: i64,
    /// Why
    #[arg(short, long, value_name = "TEXT")]
    pub message: String,
    /// Which installation.
    #[command(flatten)]
    pub operator: OperatorArguments,
}
