//! The command line.

mod actions;
mod audit;
mod inbox;
mod plan;
mod report;
mod tokens;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sallyport_workflows::State;
use secrecy::SecretString;

use crate::instance::Wish;
pub use actions::{
    ActionArguments, EndArguments, ExtendArguments, ReopenArguments, RetryArguments,
};
pub use audit::{AuditCommand, AuditExportArguments, AuditVerifyArguments};
pub use inbox::InboxCommand;
pub use plan::PlanArguments;
pub use report::{ModelReportArguments, Report, ReportArguments};
pub use tokens::{CreateTokenArguments, ListTokensArguments, RevokeTokenArguments, TokenCommand};

const EXAMPLES: &str = "\
Examples:
  sallyport dev                         start everything on this machine
  sallyport list                        every ticket, newest first
  sallyport status FL-1                 how a ticket stands, and what is asked of you
  sallyport spec FL-1                   what would be done
  sallyport approve FL-1                open the gate that is asking
  sallyport revise FL-1 -m 'Also test the empty list'
  sallyport diff FL-1 | less            what the agent changed
  sallyport watch FL-1                  follow a ticket until it ends
  sallyport retry FL-1 --add-cost 2     take a parked ticket up again, with 2 US dollars more";

const TEMPLATE: &str = "{about}.\n\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

const AFTER: &str = "\
A ticket is named by its own id (FL-1) where that is unique, by its workflow's id (ticket:flux-lens:FL-1), or by its UUID.
Commands talk to the Sallyport that `sallyport dev` runs in this folder or one above it; --url names another.

Exit codes:
  0  done            3  no such ticket, or nothing of the kind yet
  1  failed          4  decided already, or refused
  2  wrong usage     5  Sallyport does not answer";

/// Sallyport takes a ticket to a merged pull request. Two gates on the way open only by a person's decision.
#[derive(Debug, Parser)]
#[command(name = "sallyport", version, before_help = EXAMPLES, after_help = AFTER, help_template = TEMPLATE)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List tickets, newest first
    List(ListArguments),
    /// Show how a ticket stands, what is asked, and who decided what
    Status(TicketArguments),
    /// Show a ticket's SPEC: what gate 1 asks about
    Spec(TicketArguments),
    /// Show the agent's changes: what gate 2 asks about
    Diff(TicketArguments),
    /// Show what the planner was shown when it wrote the SPEC, and why
    Context(TicketArguments),
    /// Show QA's report; or with `models`, how planners and their models do
    Report(ReportArguments),
    /// Show what changed on the base branch, where gate 1 asks again because of it
    Changes(TicketArguments),
    /// Show what the agent did
    Logs(LogsArguments),
    /// Show what was said between the agent and its model, without secrets
    Transcript(TicketArguments),
    /// Follow a ticket until it ends: each step, the agent, and what is asked of you
    Watch(WatchArguments),
    /// Approve what the open gate asks; at gate SCOPE, allow the agent the files
    Approve(DecideArguments),
    /// Send it back with comments: to the planner at gate 1, to the agent at gate 2
    Revise(DecideArguments),
    /// Reject it: ends the ticket at gate 1, refuses the files at gate SCOPE, closes the pull request at gate 2
    Reject(DecideArguments),
    /// Take a parked ticket up again
    Retry(RetryArguments),
    /// Give a parked ticket up
    Abandon(EndArguments),
    /// Stop a ticket wherever it is, and give it up
    Cancel(EndArguments),
    /// Give a waiting ticket more time
    Extend(ExtendArguments),
    /// Open a closed pull request again
    Reopen(ReopenArguments),
    /// Write a SPEC for a ticket in a file, and say what of the repository it is made from; touches nothing
    Plan(PlanArguments),
    /// Parse files that come on standard input: a worker's own child
    #[command(hide = true)]
    ParseSymbols,
    /// Make, list and revoke tokens for the API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Run the whole system on this machine
    Dev(DevArguments),
    /// Run a worker: workflows and activities
    Worker(ServiceArguments),
    /// Run a starter: webhooks and the API
    Starter(ServiceArguments),
    /// Look at the events from outside, and settle those that failed
    #[command(subcommand)]
    Inbox(InboxCommand),
    /// Check the record of what happened, or take one ticket's evidence out
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Say what this machine can do, and what is missing
    Doctor(DoctorArguments),
    /// Look after the object storage
    #[command(subcommand)]
    Objects(ObjectsCommand),
}

/// Which Sallyport, and how it is spoken to.
#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// Where Sallyport's API is [default: the running `sallyport dev`]
    #[arg(
        long,
        env = "SALLYPORT_URL",
        value_name = "URL",
        help_heading = "Connection"
    )]
    url: Option<String>,
    /// A file that holds your token [default: that of the running `sallyport dev`; or SALLYPORT_TOKEN]
    #[arg(
        long,
        env = "SALLYPORT_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Connection"
    )]
    token_file: Option<PathBuf>,
    /// The data folder of a running `sallyport dev` [default: .sallyport here or above]
    #[arg(
        long,
        env = "SALLYPORT_DATA_DIR",
        value_name = "DIR",
        help_heading = "Connection"
    )]
    data_dir: Option<PathBuf>,
}

impl Connection {
    /// The same with the token from the environment, which is no option: options are seen by everybody on the machine.
    pub fn wish(self) -> Wish {
        Wish {
            url: self.url,
            token_file: self.token_file,
            token: std::env::var("SALLYPORT_TOKEN")
                .ok()
                .filter(|token| !token.is_empty())
                .map(SecretString::from),
            data_dir: self.data_dir,
        }
    }
}

/// `sallyport list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only tickets in this state, such as AWAITING_SPEC_APPROVAL
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub state: Option<State>,
    /// Only tickets about this repository: its URL, or its project in the configuration
    #[arg(long, value_name = "URL")]
    pub repository: Option<String>,
    /// Only tickets of this system, such as flux-lens
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only tickets with an open gate that this person may decide
    #[arg(long, value_name = "EMAIL")]
    pub assignee: Option<String>,
    /// Only tickets whose id or title holds this, in any case: at least 3 characters
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Print the API's JSON
    #[arg(long)]
    pub json: bool,
    /// Which Sallyport.
    #[command(flatten)]
    pub connection: Connection,
}

/// Commands that need only a ticket.
#[derive(Debug, Args)]
pub struct TicketArguments {
    /// The ticket: FL-1, a workflow id or a UUID
    #[arg(value_name = "ID")]
    pub id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which Sallyport.
    #[command(flatten)]
    pub connection: Connection,
}

/// `sallyport logs`.
#[derive(Debug, Args)]
pub struct LogsArguments {
    /// The ticket: FL-1, a workflow id or a UUID
    #[arg(value_name = "ID")]
    pub id: String,
    /// Go on as more is written, until the ticket ends
    #[arg(short, long)]
    pub follow: bool,
    /// Print each line as JSON
    #[arg(long)]
    pub json: bool,
    /// Which Sallyport.
    #[command(flatten)]
    pub connection: Connection,
}

/// `sallyport approve`, `revise` and `reject`.
#[derive(Debug, Args)]
pub struct DecideArguments {
    /// The ticket: FL-1, a workflow id or a UUID
    #[arg(value_name = "ID")]
    pub id: String,
    /// Why; `revise` needs it, to say what to change
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Decide only if this is what the gate asks about: the revision, or its first 8 characters or more
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Do not ask for confirmation; without a terminal nobody is asked
    #[arg(short, long)]
    pub yes: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
    /// Which Sallyport.
    #[command(flatten)]
    pub connection: Connection,
}

/// `sallyport watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends with the ticket: exit code 0 if it was completed, 1 if it ended otherwise. Ctrl-C ends the watching, not the ticket.")]
pub struct WatchArguments {
    /// The ticket: FL-1, a workflow id or a UUID
    #[arg(value_name = "ID")]
    pub id: String,
    /// Print each event as a line of JSON
    #[arg(long)]
    pub json: bool,
    /// Which Sallyport.
    #[command(flatten)]
    pub connection: Connection,
}

/// What commands need that work on an installation's database instead of its API.
#[derive(Clone, Debug, Args)]
pub struct OperatorArguments {
    /// The configuration [default: that of the running `sallyport dev`, else sallyport.toml]
    #[arg(long, value_name = "FILE", help_heading = "Installation")]
    pub config: Option<PathBuf>,
    /// The data folder of a `sallyport dev` [default: .sallyport here or above]
    #[arg(
        long,
        env = "SALLYPORT_DATA_DIR",
        value_name = "DIR",
        help_heading = "Installation"
    )]
    pub data_dir: Option<PathBuf>,
}

/// `sallyport worker` and `sallyport starter`.
#[derive(Debug, Args)]
pub struct ServiceArguments {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "sallyport.toml")]
    pub config: PathBuf,
}

/// `sallyport doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs nothing that runs, and no configuration. Exit code 0 if the configured engine can make a sealed room here, else 1.")]
pub struct DoctorArguments {
    /// The configuration [default: sallyport.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the data is, or will be [default: as configured, else .sallyport]
    #[arg(long, env = "SALLYPORT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sallyport config ...`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration: prints `ok`, or what is wrong with key, line and reason
    Check(ServiceArguments),
}

/// `sallyport objects ...`.
#[derive(Debug, Subcommand)]
pub enum ObjectsCommand {
    /// Remove objects that nothing refers to: into the trash first, from there after as many days again
    Collect(CollectArguments),
}

/// `sallyport objects collect`.
#[derive(Debug, Args)]
pub struct CollectArguments {
    /// Remove nothing; only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub installation: OperatorArguments,
}

/// `sallyport dev`.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts Postgres, Temporal with its UI, the starter and a worker, restarts what dies, and stops all of it on Ctrl-C.
The data folder keeps everything: the next start goes on where this one was.

Your sallyport.toml says which ticket system, repositories and model to use; `sallyport dev` adds the rest.")]
pub struct DevArguments {
    /// Where the data is kept [default: .sallyport]
    #[arg(long, env = "SALLYPORT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Your configuration [default: sallyport.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The starter's port; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 8480)]
    pub starter_port: u16,
    /// Temporal's port; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 7233)]
    pub temporal_port: u16,
    /// The port of Temporal's UI; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 8233)]
    pub ui_port: u16,
    /// Postgres's port; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 5480)]
    pub postgres_port: u16,
    /// A value of Temporal's dynamic configuration; tests skip time with it
    #[arg(long, value_name = "KEY=VALUE", hide = true)]
    pub temporal_dynamic_config: Vec<String>,
    /// Where starter and worker reach Postgres: a proxy that tests cut
    #[arg(long, value_name = "PORT", hide = true)]
    pub postgres_via: Option<u16>,
    /// Where starter and worker reach Temporal: a proxy that tests cut
    #[arg(long, value_name = "PORT", hide = true)]
    pub temporal_via: Option<u16>,
}

/// Takes a state's name in any case, with `-` for `_`.
fn state(text: &str) -> Result<State, String> {
    text.to_ascii_uppercase()
        .replace('-', "_")
        .parse()
        .map_err(|error: sallyport_workflows::state::UnknownState| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn states_are_taken_as_people_type_them() {
        assert_eq!(
            state("awaiting-spec-approval"),
            Ok(State::AwaitingSpecApproval)
        );
        assert!(
            state("waiting")
                .unwrap_err()
                .contains("AWAITING_SPEC_APPROVAL")
        );
    }
}
