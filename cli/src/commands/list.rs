//! `sallyport list`.

use chrono::{DateTime, Utc};
use comfy_table::{ContentArrangement, Table, presets::NOTHING};

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
    print(&render(&list, Utc::now(), Painter::stdout()))?;
    let shown = list.workflows.len() as u64;
    if shown < list.total {
        tell(&format!(
            "{shown} of {} shown; --limit N shows more",
            list.total
        ));
    }
    Ok(())
}

fn render(list: &WorkflowList, now: DateTime<Utc>, painter: Painter) -> String {
    let mut table = Table::new();
    // Wrapped to the terminal's width; not at all where the output goes elsewhere.
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(
            ["TICKET", "STATE", "SINCE", "COST", "TITLE"]
                .map(|heading| painter.paint(Style::Dim, heading)),
        );
    for workflow in &list.workflows {
        let ticket = match workflow.attempt {
            0 | 1 => line(&workflow.ticket_id),
            attempt => format!("{} (attempt {attempt})", line(&workflow.ticket_id)),
        };
        table.add_row([
            ticket,
            painter.paint(style_of(workflow.state), workflow.state.as_str()),
            duration(now - workflow.since),
            money(workflow.usage.cost_micro_usd),
            line(workflow.title.as_deref().unwrap_or("-")),
        ]);
    }
    let mut text = String::new();
    for row in table.lines() {
        text.push_str(row.trim());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    #[test]
    fn a_list_is_plain_and_harmless_without_a_terminal() {
        insta::assert_snapshot!(render(&fixtures::list(), fixtures::now(), Painter::plain()));
    }
}
