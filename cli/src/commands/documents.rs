//! `sallyport spec`, `context`, `diff`, `report`, `changes` and `transcript`: the texts that gates ask about, and what helps to decide.

use std::io::{self, IsTerminal as _};

use sallyport_workflows::gate::Gate;
use serde_json::json;

use super::{client, print, print_bytes, print_json, question::question, short, transcript};
use crate::{
    arguments::TicketArguments,
    client::Document,
    exit::{Exit, Problem},
    terminal::{Painter, Style, line, lines, tell},
};

/// Prints a document: exactly its bytes where the output goes to a file or a program, else as a terminal may see it.
pub async fn run(which: &str, arguments: TicketArguments) -> Result<(), Problem> {
    let document = client(arguments.connection)?
        .document(&arguments.id, which)
        .await?;
    show(which, &document, arguments.json)
}

/// Prints what changed on the base branch since the SPEC was written, where the open gate asks again because of it.
pub async fn changes(arguments: TicketArguments) -> Result<(), Problem> {
    let client = client(arguments.connection)?;
    let view = client.view(&arguments.id).await?;
    let Some(question) = question(&view).filter(|question| question.gate == Gate::Spec) else {
        let ticket = line(&view.workflow.ticket_id);
        return Err(Problem::new(
            Exit::NotFound,
            format!("gate SPEC of {ticket} does not ask now, so there are no changes to read"),
        )
        .hint(format!("`sallyport status {ticket}` shows how it stands")));
    };
    let document = client.changes(question.approval_id).await?;
    show("changes", &document, arguments.json)
}

fn show(which: &str, document: &Document, as_json: bool) -> Result<(), Problem> {
    if as_json {
        return print_json(&json!({ "revision": document.revision, which: document.text() }));
    }
    if !io::stdout().is_terminal() {
        return print_bytes(&document.bytes);
    }
    let (text, painter) = (document.text(), Painter::stdout());
    print(&match which {
        "diff" | "changes" => colour_diff(&lines(&text), painter),
        "transcript" => transcript::readable(&text, painter),
        _ => lines(&text),
    })?;
    if let Some(revision) = &document.revision {
        tell(&format!("revision {} ({revision})", short(revision)));
    }
    Ok(())
}

fn colour_diff(text: &str, painter: Painter) -> String {
    text.lines()
        .map(|text| {
            let style = match text.as_bytes().first() {
                Some(b'+') if !text.starts_with("+++") => Some(Style::Green),
                Some(b'-') if !text.starts_with("---") => Some(Style::Red),
                Some(b'@') => Some(Style::Blue),
                Some(b' ') | None => None,
                Some(_) => Some(Style::Bold),
            };
            match style {
                Some(style) => format!("{}\n", painter.paint(style, text)),
                None => format!("{text}\n"),
            }
        })
        .collect()
}
