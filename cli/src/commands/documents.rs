//! `sallyport spec` and `sallyport diff`: the texts that gates ask about.

use std::io::{self, IsTerminal as _};

use serde_json::json;

use super::{client, print, print_bytes, print_json, short};
use crate::{
    arguments::TicketArguments,
    exit::Problem,
    terminal::{Painter, Style, lines, tell},
};

/// Prints a document: exactly its bytes where the output goes to a file or a program, else as a terminal may see it.
pub async fn run(which: &str, arguments: TicketArguments) -> Result<(), Problem> {
    let document = client(arguments.connection)?
        .document(&arguments.id, which)
        .await?;
    if arguments.json {
        return print_json(&json!({ "revision": document.revision, which: document.text() }));
    }
    if !io::stdout().is_terminal() {
        return print_bytes(&document.bytes);
    }
    let text = lines(&document.text());
    print(&match which {
        "diff" => colour_diff(&text, Painter::stdout()),
        _ => text,
    })?;
    if let Some(revision) = &document.revision {
        tell(&format!("revision {} ({revision})", short(revision)));
    }
    Ok(())
}

fn colour_diff(text: &str, painter: Painter) -> String {
    text.lines()
        .map(|line| {
            let style = match line.as_bytes().first() {
                Some(b'+') if !line.starts_with("+++") => Some(Style::Green),
                Some(b'-') if !line.starts_with("---") => Some(Style::Red),
                Some(b'@') => Some(Style::Blue),
                Some(b' ') | None => None,
                Some(_) => Some(Style::Bold),
            };
            match style {
                Some(style) => format!("{}\n", painter.paint(style, line)),
                None => format!("{line}\n"),
            }
        })
        .collect()
}
