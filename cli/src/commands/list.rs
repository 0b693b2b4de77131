//! `sallyport list`.

use chrono::{DateTime, Utc};
use comfy_table::{Cell, Table};

use super::{
    client, duration, money, print, print_json, style_of,
    table::{self, cell, table},
};
use crate::{
    arguments::ListArguments,
    client::WorkflowList,
    exit::Problem,
    terminal::{Painter, Style, line, tell},
};

/// Prints the tickets.
pub async fn run(arguments: ListArguments) -> Result<(), Problem> {
    let filters = filters(&arguments);
    let list = client(arguments.connection)?
        .list(&filters, arguments.limit)
        .await?;
    if arguments.json {
        return print_json(&list);
    }
    if list.workflows.is_empty() {
        tell(&match (arguments.state, filters.len()) {
            (Some(state), 1) => format!("no ticket is in state {state}"),
            (_, 0) => "no tickets yet; one begins with a webhook of the ticket system".to_owned(),
            _ => "no ticket is like this".to_owned(),
        });
        return Ok(());
    }
    let width = Table::new().width();
    print(&render(&list, Utc::now(), Painter::stdout(), width))?;
    let shown = list.workflows.len() as u64;
    if list.next.is_some() {
        let more = if list.total_is_capped {
            "more than "
        } else {
            ""
        };
        tell(&format!(
            "{shown} of {more}{} shown; --limit N shows more",
            list.total
        ));
    }
    Ok(())
}

/// What is asked for, as the API's parameters.
fn filters(arguments: &ListArguments) -> Vec<(&'static str, String)> {
    let given = [
        ("state", arguments.state.map(|state| state.to_string())),
        ("repository", arguments.repository.clone()),
        ("source", arguments.source.clone()),
        ("assignee", arguments.assignee.clone()),
        ("text", arguments.text.clone()),
    ];
    let given = given.into_iter();
    given
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The table, with titles wrapped to `width` columns; not at all where the output goes elsewhere than to a terminal.
fn render(list: &WorkflowList, now: DateTime<Utc>, painter: Painter, width: Option<u16>) -> String {
    let mut table = table(
        painter,
        width,
        &["TICKET", "STATE", "SINCE", "COST", "TITLE"],
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
    table::text(table)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::{super::fixtures, *};
    use crate::{
        arguments::{Arguments, Command},
        client::{Client, test_server::TestServer},
        instance::Instance,
    };

    #[tokio::test]
    async fn a_long_list_is_read_page_by_page_with_the_same_filters() {
        let Command::List(arguments) = Arguments::parse_from([
            "sallyport",
            "list",
            "--state",
            "completed",
            "--text",
            "a&b c",
            "--limit",
            "502",
        ])
        .command
        else {
            panic!("it is a list");
        };
        let row = json!(fixtures::list().workflows[0]);
        let page = |count: usize, next: Option<&str>| {
            let rows = vec![row.clone(); count];
            (
                200,
                json!({ "workflows": rows, "total": 10_000, "total_is_capped": true, "next": next }),
            )
        };
        let server = TestServer::start(vec![page(500, Some("abc")), page(2, Some("def"))]);
        let client = Client::new(Instance {
            url: server.url.clone(),
            token: "t".into(),
        });
        let (client, filters) = (client.unwrap(), filters(&arguments));
        let list = client.list(&filters, arguments.limit).await.unwrap();
        assert_eq!(
            (list.workflows.len(), list.next.as_deref()),
            (502, Some("def"))
        );
        let asked: Vec<String> = server.asked().into_iter().map(|(what, _)| what).collect();
        assert_eq!(
            asked,
            [
                "GET /workflows?state=COMPLETED&text=a%26b+c&limit=500",
                "GET /workflows?state=COMPLETED&text=a%26b+c&limit=2&cursor=abc"
            ]
        );
    }

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
