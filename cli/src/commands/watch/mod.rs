//! `sallyport watch`: a ticket's life as it happens, until it ends.

mod news;
mod screen;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sallyport_ledger::agent_logs::LogRow;
use sallyport_workflows::State;

use super::{client, duration, logs};
use crate::{
    arguments::{Connection, WatchArguments},
    client::{Client, WorkflowView},
    exit::{Exit, Problem},
    terminal::{line, tell},
};
use news::{Event, News};
use screen::Screen;

/// The pause before it is asked again whether there is more.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 1000 });
/// How many of the agent's earlier lines are shown to whoever joins late; `--json` shows all.
const EARLIER_LINES: usize = 10;
/// How a program ends that Ctrl-C stopped, as shells have it.
const INTERRUPTED: i32 = 130;

/// Follows a ticket until it ends.
pub async fn run(arguments: WatchArguments) -> Result<(), Problem> {
    let mut screen = Screen::new(arguments.json);
    if !screen.redraws() {
        // Ctrl-C then ends the program by itself, also while its output is held up.
        return follow(&arguments, &mut screen).await;
    }
    let ended = tokio::select! {
        ended = follow(&arguments, &mut screen) => Some(ended),
        _ = tokio::signal::ctrl_c() => None,
    };
    screen.clear()?;
    ended.unwrap_or_else(|| {
        tell("no longer watched; the ticket goes on");
        std::process::exit(INTERRUPTED)
    })
}

async fn follow(arguments: &WatchArguments, screen: &mut Screen) -> Result<(), Problem> {
    let mut client = client(arguments.connection.clone())?;
    let mut look = look(&client, &arguments.id, 0).await?;
    // From now on by the ledger's id: a later attempt at the ticket is another one.
    let id = look.view.workflow.id.to_string();
    screen.head(&look.view)?;
    if !arguments.json && look.logs.len() > EARLIER_LINES {
        let earlier = look.logs.len() - EARLIER_LINES;
        look.logs.drain(..earlier);
        screen.earlier_lines(earlier, &look.view)?;
    }
    let mut news = News::default();
    loop {
        let now = Utc::now();
        for event in news.of(&look.view, std::mem::take(&mut look.logs)) {
            screen.show(&event, now)?;
            if let Event::End { state, reason, .. } = event {
                return verdict(&look.view, state, reason.as_deref());
            }
        }
        screen.stand(&screen::standing(&look.view, now))?;
        look = look_again(&mut client, &arguments.connection, &id, look.next, screen).await?;
    }
}

/// A ticket, and what the agent wrote since the last look.
struct Look {
    view: WorkflowView,
    logs: Vec<LogRow>,
    /// The last line's id.
    next: u64,
}

async fn look(client: &Client, id: &str, after: u64) -> Result<Look, Problem> {
    // Before the lines: if the ticket has ended, all of them are there.
    let view = client.view(id).await?;
    let (mut logs, mut next) = (Vec::new(), after);
    loop {
        let page = client.logs(id, next, logs::PAGE).await?;
        let is_last = page.logs.len() < logs::PAGE as usize;
        logs.extend(page.logs);
        next = page.next.max(next);
        if is_last {
            return Ok(Look { view, logs, next });
        }
    }
}

/// Looks again after a pause; for as long as it takes where Sallyport does not answer, since it may be restarting.
async fn look_again(
    client: &mut Client,
    connection: &Connection,
    id: &str,
    after: u64,
    screen: &mut Screen,
) -> Result<Look, Problem> {
    let mut lost: Option<DateTime<Utc>> = None;
    loop {
        tokio::time::sleep(PAUSE).await;
        let now = Utc::now();
        match look(client, id, after).await {
            Ok(look) => {
                if lost.is_some() {
                    screen.show(&Event::Reachable, now)?;
                }
                return Ok(look);
            }
            Err(problem) if problem.exit == Exit::Unreachable => {
                if lost.is_none() {
                    let message = problem.message;
                    screen.show(&Event::Unreachable { message }, now)?;
                }
                let since = *lost.get_or_insert(now);
                screen.stand(&format!("no answer for {}", duration(now - since)))?;
                // It may come back in another place.
                if let Ok(found) = super::client(connection.clone()) {
                    *client = found;
                }
            }
            Err(problem) => return Err(problem),
        }
    }
}

/// Success is a ticket that was completed.
fn verdict(view: &WorkflowView, state: State, reason: Option<&str>) -> Result<(), Problem> {
    if state == State::Completed {
        return Ok(());
    }
    let ticket = line(&view.workflow.ticket_id);
    let why = reason.map_or_else(String::new, |reason| format!(": {}", line(reason)));
    Err(Problem::new(
        Exit::Failed,
        format!("{ticket} ended as {state}{why}"),
    ))
}

#[cfg(test)]
mod tests;
