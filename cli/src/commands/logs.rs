//! `sallyport logs`.

use std::time::Duration;

use sallyport_ledger::agent_logs::{LogLevel, LogRow};
use sallyport_workflows::text::shorten;

use super::{client, count, json_line, print};
use crate::{
    arguments::LogsArguments,
    client::Client,
    exit::{Exit, Problem},
    terminal::{Painter, Style, line, tell},
};

/// How many lines are asked for at once.
pub const PAGE: u32 = 500;
/// How many characters of a message are shown.
const LONGEST_MESSAGE: usize = 240;
/// The pause before it is asked again whether there is more.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints what the agent did, and with `-f` what it does.
pub async fn run(arguments: LogsArguments) -> Result<(), Problem> {
    let client = client(arguments.connection)?;
    let painter = Painter::stdout();
    let mut after = 0;
    let mut printed = false;
    loop {
        // Asked before the lines are read: if the ticket has ended, all lines are there.
        let ended = !arguments.follow || has_ended(&client, &arguments.id).await?;
        loop {
            let page = match client.logs(&arguments.id, after, PAGE).await {
                Err(problem)
                    if arguments.follow && printed && problem.exit == Exit::Unreachable =>
                {
                    tell(&format!("{problem}; trying again"));
                    break;
                }
                other => other?,
            };
            for row in &page.logs {
                print(&if arguments.json {
                    json_line(row)?
                } else {
                    render(row, painter)
                })?;
                printed = true;
            }
            let is_last = page.logs.len() < PAGE as usize;
            after = page.next.max(after);
            if is_last {
                break;
            }
        }
        if ended {
            if !printed {
                tell("the agent has written nothing yet");
            }
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn has_ended(client: &Client, id: &str) -> Result<bool, Problem> {
    match client.view(id).await {
        Ok(view) => Ok(view.workflow.state.is_end()),
        // Sallyport may be restarting; whoever follows does not mind.
        Err(problem) if problem.exit == Exit::Unreachable => Ok(false),
        Err(problem) => Err(problem),
    }
}

fn render(row: &LogRow, painter: Painter) -> String {
    let time = painter.paint(Style::Dim, row.at.format("%H:%M:%S").to_string());
    format!("{time} {}\n", without_time(row, painter))
}

/// A line without its time and its end.
pub fn without_time(row: &LogRow, painter: Painter) -> String {
    let mut text = match row.level {
        LogLevel::Debug => painter.paint(Style::Dim, "debug"),
        LogLevel::Info => painter.paint(Style::Blue, "info "),
        LogLevel::Warn => painter.paint(Style::Yellow, "warn "),
        LogLevel::Error => painter.paint(Style::Red, "error"),
    };
    let message = brief(&row.message);
    // Most messages about a tool begin with its name.
    for part in [&row.tool, &row.path].into_iter().flatten() {
        if !message.contains(&line(part)) {
            text.push(' ');
            text.push_str(&painter.paint(Style::Bold, line(part)));
        }
    }
    format!("{text} {message}")
}

/// A message in one line of bearable length; `--json` has all of it.
fn brief(message: &str) -> String {
    let mut lines = message.lines().map(line).filter(|text| !text.is_empty());
    let first = shorten(&lines.next().unwrap_or_default(), LONGEST_MESSAGE);
    match lines.count() {
        0 => first,
        more => format!("{first} [+{}]", count(more as u64, "line")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> LogRow {
        LogRow {
            id: 7,
            at: "2026-11-23T19:10:01Z".parse().unwrap(),
            level: LogLevel::Warn,
            message: "wrote\n\u{1b}[2Jtwo lines".into(),
            tool: Some("edit".into()),
            path: Some("src/list.js".into()),
        }
    }

    #[test]
    fn a_line_stays_one_line_and_harmless() {
        assert_eq!(
            render(&row(), Painter::plain()),
            "19:10:01 warn  edit src/list.js wrote [+1 line]\n"
        );
        let named = LogRow {
            message: "edit src/list.js\u{1b}[2J".into(),
            ..row()
        };
        assert_eq!(
            render(&named, Painter::plain()),
            "19:10:01 warn  edit src/list.js[2J\n"
        );
        assert!(brief(&"x".repeat(5000)).chars().count() <= LONGEST_MESSAGE);
    }

    #[test]
    fn json_is_one_line_each() {
        let text = json_line(&row()).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let back: LogRow = serde_json::from_str(&text).unwrap();
        assert_eq!(back, row());
    }
}
