//! `sallyport list`.

use chrono::{DateTime, Utc};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets::NOTHING};

use super::{client, duration, money, print, print_json, style_of};
use crate::{
    arguments::ListArguments,
    client::WorkflowList,
    exit::Problem,
    terminal::{Painter, Style, line, tell},
};

/// Prints the tickets.
pub async fn run(arguments: ListArguments) -> Result<(), Problem> {
    let list = client(arguments.connection)?
        .list(arguments.state, arguments.limit, 0)
        .await?;
    if arguments.json {
        return print_json(&list);
    }
    if list.workflows.is_empty() {
        tell(&match arguments.state {
            Some(state) => format!("no ticket is in state {state}"),
            None => "no tickets yet; one begins with a webhook of the ticket system".to_owned(),
        });
        return Ok(());
    }
    let width = Table::new().width();
    print(&render(&list, Utc::now(), Painter::stdout(), width))?;
    let shown = list.workflows.len() as u64;
    if shown < list.total {
        tell(&format!(
            "{shown} of {} shown; --limit N shows more",
            list.total
        ));
    }
    Ok(())
}

/// The table, with titles wrapped to `width` columns; not at all where the output goes elsewhere than to a terminal.
fn render(list: &WorkflowList, now: DateTime<Utc>, painter: Painter, width: Option<u16>) -> String {
    let mut table = Table::new();
    // What a terminal is like is said here, and not found out once more by the table.
    table.force_no_tty();
    if painter.has_colour() {
        table.enforce_styling();
    }
    if let Some(width) = width {
        table.set_width(width);
    }
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(
            ["TICKET", "STATE", "SINCE", "COST", "TITLE"].map(|heading| cell(heading, Style::Dim)),
        );
    for workflow in &list.workflows {
        let ticket = match workflow.attempt {
            0 | 1 => line(&workflow.ticket_id),
            attempt => format!("{} (attempt {attempt})", line(&workflow.ticket_id)),
        };
        let state = match workflow.unapproved {
            true => cell(&format!("{}, unapproved", workflow.state), Style::Red),
            false => cell(workflow.state.as_str(), style_of(workflow.state)),
        };
        table.add_row([
            Cell::new(ticket),
            state,
            Cell::new(duration(now - workflow.since)),
            Cell::new(money(workflow.usage.cost_micro_usd)),
            Cell::new(line(workflow.title.as_deref().unwrap_or("-"))),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for row in table.lines() {
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn cell(text: &str, style: Style) -> Cell {
    let cell = Cell::new(text);
    match style {
        Style::Bold => cell.add_attribute(Attribute::Bold),
        Style::Dim => cell.add_attribute(Attribute::Dim),
        Style::Green => cell.fg(Color::DarkGreen),
        Style::Yellow => cell.fg(Color::DarkYellow),
        Style::Red => cell.fg(Color::DarkRed),
        Style::Blue => cell.fg(Color::DarkBlue),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    #[test]
    fn a_list_is_plain_and_harmless_without_a_terminal() {
        insta::assert_snapshot!(render(
            &fixtures::list(),
            fixtures::now(),
            Painter::plain(),
            None
        ));
    }

    #[test]
    fn a_narrow_terminal_wraps_the_titles() {
        let text = render(
            &fixtures::list(),
            fixtures::now(),
            Painter::plain(),
            Some(70),
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 70),
            "{text}"
        );
    }
}
