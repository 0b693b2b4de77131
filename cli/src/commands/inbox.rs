//! `sallyport inbox`: the events from outside, as operators see and settle them.

use comfy_table::{Cell, Table};
use sallyport_ledger::{
    Database, LedgerError,
    inbox_admin::{self, Changed, EventRow, EventStatus},
};
use sallyport_workflows::text::{shorten, time};

use crate::{
    arguments::{InboxCommand, OperatorArguments},
    commands::{
        print, print_json,
        table::{self, cell, table},
    },
    dev::person,
    exit::{Exit, Problem},
    operator,
    terminal::{Painter, Style, line, lines, tell},
};

/// The longest note in a list, in characters.
const NOTE: usize = 100;

/// Runs one of them.
pub async fn run(command: InboxCommand) -> Result<(), Problem> {
    match command {
        InboxCommand::List(arguments) => {
            let database = open(&arguments.operator).await?;
            let status = arguments.status.map(Into::into);
            let rows = inbox_admin::list(&database, status, arguments.limit)
                .await
                .map_err(problem)?;
            if arguments.json {
                return print_json(&rows);
            }
            if rows.is_empty() {
                tell("nothing waits, and nothing failed");
                return Ok(());
            }
            print(&list(&rows, Painter::stdout(), Table::new().width()))
        }
        InboxCommand::Show(arguments) => {
            let database = open(&arguments.operator).await?;
            let (row, body) = inbox_admin::get(&database, arguments.id)
                .await
                .map_err(problem)?;
            let body = String::from_utf8_lossy(&body);
            if arguments.json {
                return print_json(&serde_json::json!({ "event": row, "body": body }));
            }
            print(&show(&row, &body))
        }
        InboxCommand::Retry(arguments) => {
            let database = open(&arguments.operator).await?;
            let changed = inbox_admin::retry(&database, arguments.id, &person())
                .await
                .map_err(problem)?;
            settled(arguments.id, changed, "is tried again now", "tried again")
        }
        InboxCommand::Drop(arguments) => {
            let database = open(&arguments.operator).await?;
            let (id, by) = (arguments.id, person());
            let changed = inbox_admin::drop_event(&database, id, &by, &arguments.message)
                .await
                .map_err(problem)?;
            settled(id, changed, "is dropped", "dropped")
        }
    }
}

async fn open(arguments: &OperatorArguments) -> Result<Database, Problem> {
    operator::database(&operator::config(arguments)?).await
}

fn problem(error: LedgerError) -> Problem {
    let exit = match &error {
        LedgerError::NotFound { .. } => Exit::NotFound,
        error if error.is_unavailable() => Exit::Unreachable,
        _ => Exit::Failed,
    };
    Problem::new(exit, error.to_string())
        .hint("`sallyport inbox list` shows what waits and what failed")
}

fn settled(id: i64, changed: Changed, done: &str, wanted: &str) -> Result<(), Problem> {
    match changed {
        Changed::Done => {
            tell(&format!("event {id} {done}"));
            Ok(())
        }
        Changed::Not(status) => Err(Problem::new(
            Exit::Conflict,
            format!(
                "event {id} is {}, so it cannot be {wanted}",
                status.as_str()
            ),
        )),
    }
}

fn list(rows: &[EventRow], painter: Painter, width: Option<u16>) -> String {
    let headings = ["EVENT", "STATUS", "WHAT", "TICKET", "CAME", "WHY"];
    let mut table = table(painter, width, &headings);
    for row in rows {
        table.add_row([
            Cell::new(row.id),
            cell(row.status.as_str(), style_of(row.status)),
            Cell::new(line(&row.event)),
            Cell::new(line(row.ticket_id.as_deref().unwrap_or_default())),
            Cell::new(time(row.received_at)),
            Cell::new(line(&shorten(
                row.note.as_deref().unwrap_or_default(),
                NOTE,
            ))),
        ]);
    }
    table::text(table)
}

fn style_of(status: EventStatus) -> Style {
    match status {
        EventStatus::Pending => Style::Yellow,
        EventStatus::Failed => Style::Red,
        EventStatus::Dispatched => Style::Green,
        EventStatus::Ignored | EventStatus::Dropped => Style::Dim,
    }
}

fn show(row: &EventRow, body: &str) -> String {
    let mut text = format!(
        "event {} of {}: {}\nstatus: {}\n",
        row.id,
        row.source,
        lines(&row.event),
        row.status.as_str()
    );
    for (name, value) in [
        ("ticket", row.ticket_id.clone()),
        ("why", row.note.clone()),
        ("workflow", row.workflow_id.clone()),
        ("delivery", Some(row.delivery_id.clone())),
        ("came", Some(time(row.received_at))),
        ("settled", row.finished_at.map(time)),
        (
            "next try",
            (row.status == EventStatus::Pending).then(|| time(row.next_attempt_at)),
        ),
        (
            "tries",
            Some(format!(
                "{} failed, {} postponed",
                row.attempts, row.postponements
            )),
        ),
    ] {
        if let Some(value) = value {
            text.push_str(&format!("{name}: {}\n", lines(&value)));
        }
    }
    format!("{text}\n{}\n", lines(body))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn row(id: i64, status: EventStatus, note: Option<&str>) -> EventRow {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        EventRow {
            id,
            source: "flux-lens".into(),
            delivery_id: "d\u{1b}[31m".into(),
            event: "ticket.created".into(),
            ticket_id: Some("FL-1".into()),
            status,
            note: note.map(str::to_owned),
            workflow_id: None,
            attempts: 3,
            postponements: 0,
            received_at: at,
            next_attempt_at: at,
            finished_at: (status != EventStatus::Pending).then_some(at),
        }
    }

    #[test]
    fn what_waits_and_what_failed_is_listed_plainly() {
        insta::assert_snapshot!(list(
            &[
                row(12, EventStatus::Pending, None),
                row(
                    7,
                    EventStatus::Failed,
                    Some("no repository is configured\u{1b}[31m")
                ),
            ],
            Painter::plain(),
            None
        ));
    }

    #[test]
    fn one_event_is_shown_with_what_it_says() {
        insta::assert_snapshot!(show(
            &row(7, EventStatus::Failed, Some("no repository is configured")),
            "{\"event\":\"ticket.created\"}"
        ));
    }
}
