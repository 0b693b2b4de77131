//! The arguments of `sallyport report`.

use clap::{Args, Subcommand};

use super::{Connection, TicketArguments};

/// `sallyport report`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ReportArguments {
    /// A report on all tickets.
    #[command(subcommand)]
    pub command: Option<ReportCommand>,
    /// The ticket.
    #[command(flatten)]
    pub ticket: Option<TicketArguments>,
}

/// The reports on all tickets.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Compare planners: SPECs approved at first reading, revisions, QA, merges, cost; and how fast their models answer
    Models(ModelReportArguments),
}

/// `sallyport report models`.
#[derive(Debug, Args)]
pub struct ModelReportArguments {
    /// Count the tickets that began within so many days
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Print the API's JSON
    #[arg(long)]
    pub json: bool,
    /// Which Sallyport.
    #[command(flatten)]
    pub connection: Connection,
}
