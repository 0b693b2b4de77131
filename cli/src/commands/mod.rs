//! The people's side: commands that speak to a starter, and those that whoever runs an installation gives to its ledger.

mod action;
mod audit;
mod decide;
mod documents;
#[cfg(test)]
mod fixtures;
mod inbox;
mod list;
mod logs;
mod model_report;
mod next_steps;
mod objects;
mod plan;
mod question;
mod records;
mod status;
mod subject;
mod table;
mod tokens;
mod transcript;
mod watch;

use anyhow::Context as _;
use sallyport_workflows::{
    State,
    decision::Verdict,
    text::{count, duration, grouped, money, time},
};

use crate::{
    arguments::{Command, Connection, ObjectsCommand, Report},
    client::Client,
    exit::Problem,
    terminal::{self, Style},
};

/// Runs one of the people's commands; the others are none.
pub async fn run(command: Command) -> Result<(), Problem> {
    match command {
        Command::List(arguments) => list::run(arguments).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::Spec(arguments) => documents::run("spec", arguments).await,
        Command::Diff(arguments) => documents::run("diff", arguments).await,
        Command::Context(arguments) => documents::run("context", arguments).await,
        Command::Report(arguments) => match arguments.report() {
            Report::Models(arguments) => model_report::run(arguments).await,
            Report::Ticket(arguments) => documents::run("qa-report", arguments).await,
        },
        Command::Changes(arguments) => documents::changes(arguments).await,
        Command::Logs(arguments) => logs::run(arguments).await,
        Command::Transcript(arguments) => documents::run("transcript", arguments).await,
        Command::Watch(arguments) => watch::run(arguments).await,
        Command::Approve(arguments) => decide::run(Verdict::Approve, arguments).await,
        Command::Revise(arguments) => decide::run(Verdict::Revise, arguments).await,
        Command::Reject(arguments) => decide::run(Verdict::Reject, arguments).await,
        Command::Retry(arguments) => action::retry(arguments).await,
        Command::Abandon(arguments) => action::abandon(arguments).await,
        Command::Cancel(arguments) => action::cancel(arguments).await,
        Command::Extend(arguments) => action::extend(arguments).await,
        Command::Reopen(arguments) => action::reopen(arguments).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Inbox(command) => inbox::run(command).await,
        Command::Objects(ObjectsCommand::Collect(arguments)) => objects::collect(arguments).await,
        Command::Plan(arguments) => plan::run(arguments).await,
        Command::Token(command) => tokens::run(command).await,
        Command::Config(_)
        | Command::Dev(_)
        | Command::Doctor(_)
        | Command::ParseSymbols
        | Command::Starter(_)
        | Command::Worker(_) => unreachable!("main runs these itself"),
    }
}

fn client(connection: Connection) -> Result<Client, Problem> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    Client::new(connection.wish().find(&here)?)
}

/// Prints data.
fn print(text: &str) -> Result<(), Problem> {
    print_bytes(text.as_bytes())
}

/// Prints data that may be no UTF-8.
fn print_bytes(bytes: &[u8]) -> Result<(), Problem> {
    Ok(terminal::print(bytes).context("cannot write the output")?)
}

/// Prints data as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Problem> {
    let text = terminal::json(value).context("cannot write JSON")?;
    print(&format!("{text}\n"))
}

/// Data as JSON in one line.
fn json_line(value: &impl serde::Serialize) -> Result<String, Problem> {
    let pretty = terminal::json(value).context("cannot write JSON")?;
    // Line breaks inside strings are escaped, so these are only the layout's.
    let compact: Vec<&str> = pretty.lines().map(str::trim).collect();
    Ok(format!("{}\n", compact.join(" ")))
}

/// How a state is shown.
fn style_of(state: State) -> Style {
    match state {
        State::AwaitingSpecApproval | State::AwaitingScopeApproval | State::AwaitingPrApproval => {
            Style::Yellow
        }
        State::Completed | State::Merged => Style::Green,
        State::Error | State::QaFailed | State::SpecRejected => Style::Red,
        State::Cancelled | State::PrClosed => Style::Dim,
        _ => Style::Blue,
    }
}

/// A revision as people compare it: its first characters.
fn short(revision: &str) -> &str {
    revision.get(..8).unwrap_or(revision)
}
