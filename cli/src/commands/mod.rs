//! The people's side: commands that speak to a starter.

mod action;
mod decide;
mod documents;
#[cfg(test)]
mod fixtures;
mod list;
mod logs;
mod next_steps;
mod question;
mod records;
mod status;
mod subject;
mod watch;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use sallyport_workflows::{State, decision::Verdict};

use crate::{
    arguments::{Command, Connection},
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
        Command::Report(arguments) => documents::run("qa-report", arguments).await,
        Command::Changes(arguments) => documents::changes(arguments).await,
        Command::Logs(arguments) => logs::run(arguments).await,
        Command::Watch(arguments) => watch::run(arguments).await,
        Command::Approve(arguments) => decide::run(Verdict::Approve, arguments).await,
        Command::Revise(arguments) => decide::run(Verdict::Revise, arguments).await,
        Command::Reject(arguments) => decide::run(Verdict::Reject, arguments).await,
        Command::Retry(arguments) => action::retry(arguments).await,
        Command::Abandon(arguments) => action::abandon(arguments).await,
        Command::Cancel(arguments) => action::cancel(arguments).await,
        Command::Extend(arguments) => action::extend(arguments).await,
        Command::Reopen(arguments) => action::reopen(arguments).await,
        Command::Dev(_) | Command::Worker(_) | Command::Starter(_) | Command::Config(_) => {
            unreachable!("main runs these itself")
        }
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

/// A length of time in its two largest units: `23 h 57 min`. Negative lengths are zero.
fn duration(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => two(minutes, "min", seconds % 60, "s"),
        (0, _, _) => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

/// A point in time to the second, in UTC.
fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Money, from millionths of a US dollar. What is spent never shows as nothing.
fn money(micro_usd: u64) -> String {
    match micro_usd {
        0 => "$0.00".to_owned(),
        1..10_000 => "<$0.01".to_owned(),
        _ => format!("${}.{:02}", micro_usd / 1_000_000, micro_usd / 10_000 % 100),
    }
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`.
fn count(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", grouped(number)),
    }
}

/// A revision as people compare it: its first characters.
fn short(revision: &str) -> &str {
    revision.get(..8).unwrap_or(revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_for_people() {
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (86_220, "23 h 57 min"),
            (7 * 86_400, "7 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(TimeDelta::seconds(seconds)), text);
        }
        for (micro, text) in [
            (0, "$0.00"),
            (1, "<$0.01"),
            (10_000, "$0.01"),
            (1_239_999, "$1.23"),
        ] {
            assert_eq!(money(micro), text);
        }
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123), "123");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(2000, "file"), "2,000 files");
    }
}
