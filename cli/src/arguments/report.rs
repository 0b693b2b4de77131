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
    /// The ticket: FL-1, a workflow id or a UUID
    #[arg(value_name = "ID", required = true)]
    pub id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which Sallyport.
    #[command(flatten)]
    pub connection: Connection,
}

/// What `sallyport report` is to show.
#[derive(Debug)]
pub enum Report {
    /// How planners do.
    Models(ModelReportArguments),
    /// QA's report on a ticket.
    Ticket(TicketArguments),
}

impl ReportArguments {
    /// Which report it is.
    pub fn report(self) -> Report {
        match self.command {
            Some(ReportCommand::Models(arguments)) => Report::Models(arguments),
            None => Report::Ticket(TicketArguments {
                id: self.id.unwrap_or_default(),
                json: self.json,
                connection: self.connection,
            }),
        }
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn report(arguments: &[&str]) -> Result<Report, String> {
        let all = ["sallyport", "report"].iter().chain(arguments);
        let parsed = Arguments::try_parse_from(all).map_err(|error| error.to_string())?;
        match parsed.command {
            Command::Report(arguments) => Ok(arguments.report()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_report_is_on_a_ticket_or_on_models() {
        let ticket = report(&["FL-1", "--json", "--url", "http://127.0.0.1:9"]).unwrap();
        assert!(matches!(ticket, Report::Ticket(ticket) if ticket.id == "FL-1" && ticket.json));
        let models = report(&["models", "--url", "http://127.0.0.1:9"]).unwrap();
        assert!(matches!(models, Report::Models(models) if models.days == 30 && !models.json));
        let models = report(&["models", "--days", "7", "--json"]).unwrap();
        assert!(matches!(models, Report::Models(models) if models.days == 7 && models.json));
        for wrong in [&[][..], &["models", "--days", "0"], &["FL-1", "models"]] {
            let error = report(wrong).unwrap_err();
            assert!(error.starts_with("error: "), "{wrong:?}: {error}");
        }
    }
}
