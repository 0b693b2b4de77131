//! `sallyport retry`, `abandon`, `cancel`, `extend` and `reopen`: commands to one ticket.

mod words;

use chrono::Utc;
use sallyport_workflows::{
    State, command::Action, decision::MAXIMUM_COMMENT_BYTES, policy::BudgetRaise,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    client, print, print_json,
    records::{self, Given},
    status::state,
    time,
};
use crate::{
    arguments::{ActionArguments, EndArguments, ExtendArguments, ReopenArguments, RetryArguments},
    client::{CommandRequest, Sent, WorkflowView},
    exit::{Exit, Problem},
    terminal::{self, Painter, line, tell},
};
use words::{done, what_is_done, word};

/// What shall be done, and how.
struct Wish {
    action: Action,
    from: Option<State>,
    raise: BudgetRaise,
    seconds: Option<u64>,
    /// Whether somebody is shown what it does and asked before.
    asks: bool,
    arguments: ActionArguments,
}

impl Wish {
    fn new(action: Action, arguments: ActionArguments) -> Self {
        Self {
            action,
            from: None,
            raise: BudgetRaise::default(),
            seconds: None,
            asks: false,
            arguments,
        }
    }
}

/// Takes a parked ticket up again.
pub async fn retry(arguments: RetryArguments) -> Result<(), Problem> {
    let wish = Wish {
        from: arguments.from,
        raise: arguments.raise(),
        asks: !arguments.yes,
        ..Wish::new(Action::Retry, arguments.action)
    };
    give(wish).await
}

/// Gives a parked ticket up.
pub async fn abandon(arguments: EndArguments) -> Result<(), Problem> {
    let wish = Wish {
        asks: !arguments.yes,
        ..Wish::new(Action::Abandon, arguments.action)
    };
    give(wish).await
}

/// Stops a ticket and gives it up.
pub async fn cancel(arguments: EndArguments) -> Result<(), Problem> {
    let wish = Wish {
        asks: !arguments.yes,
        ..Wish::new(Action::Cancel, arguments.action)
    };
    give(wish).await
}

/// Gives a waiting ticket more time.
pub async fn extend(arguments: ExtendArguments) -> Result<(), Problem> {
    let wish = Wish {
        seconds: Some(arguments.by),
        ..Wish::new(Action::Extend, arguments.action)
    };
    give(wish).await
}

/// Opens a closed pull request again.
pub async fn reopen(arguments: ReopenArguments) -> Result<(), Problem> {
    give(Wish::new(Action::Reopen, arguments.action)).await
}

async fn give(wish: Wish) -> Result<(), Problem> {
    check_message(wish.arguments.message.as_deref())?;
    let as_json = wish.arguments.json;
    let client = client(wish.arguments.connection.clone())?;
    let view = client.view(&wish.arguments.id).await?;
    if let Some(earlier) = earlier(&view, &wish) {
        return report_earlier(&earlier, as_json);
    }
    if is_fit(wish.action, state(&view)) {
        tell(&what_is_done(&view, &wish, Painter::stderr()));
        if wish.asks && terminal::is_interactive() {
            let sure = terminal::confirm(&format!("{} this ticket?", word(wish.action)))
                .map_err(|error| Problem::new(Exit::Failed, format!("cannot ask: {error}")))?;
            if !sure {
                return Err(Problem::new(Exit::Failed, "nothing was done"));
            }
        }
    }
    let command = CommandRequest {
        id: Uuid::new_v4(),
        action: wish.action,
        from: wish.from,
        raise: wish.raise,
        seconds: wish.seconds,
        reason: wish.arguments.message.clone(),
    };
    let ticket = line(&view.workflow.ticket_id);
    // By the ledger's id: what was shown is what is meant, whatever attempt begins meanwhile.
    let id = view.workflow.id.to_string();
    match client.command(&id, &command).await {
        Ok(Sent::Judged(outcome)) if as_json => print_json(&*outcome),
        Ok(Sent::Judged(outcome)) => print(&done(&outcome, &ticket, Utc::now())),
        Ok(Sent::Pending) => {
            if as_json {
                print_json(&json!({ "pending": true, "id": command.id }))?;
            }
            tell(&format!(
                "no worker answers now. The command is with Temporal and is judged as soon as one runs; see `sallyport \
                 status {ticket}`"
            ));
            Ok(())
        }
        Err(problem) if problem.exit == Exit::Conflict => {
            // Somebody may have been faster with the same.
            let now = client.view(&id).await.ok();
            match now.as_ref().and_then(|view| earlier(view, &wish)) {
                Some(earlier) => report_earlier(&earlier, as_json),
                None => {
                    Err(problem.hint(format!("`sallyport status {ticket}` shows how it stands")))
                }
            }
        }
        Err(problem) => Err(problem),
    }
}

/// Whether there is something to be shown and asked before. Where the ticket's state does not fit, the workflow says so.
fn is_fit(action: Action, state: State) -> bool {
    match action {
        Action::Retry | Action::Abandon => state.is_parked(),
        Action::Cancel => !state.is_end() && state != State::Merged,
        Action::Extend | Action::Reopen => false,
    }
}

fn check_message(message: Option<&str>) -> Result<(), Problem> {
    let bytes = message.map_or(0, str::len);
    if bytes > MAXIMUM_COMMENT_BYTES {
        return Err(Problem::new(
            Exit::Usage,
            format!("the message has {bytes} bytes; at most {MAXIMUM_COMMENT_BYTES} are taken"),
        ));
    }
    Ok(())
}

/// The same command, if it was accepted before and is surely meant again: a repeat is told what came of the first. Each
/// extension and each raise is one of its own.
fn earlier(view: &WorkflowView, wish: &Wish) -> Option<Given> {
    let mut accepted = records::commands(view).into_iter().rev();
    let last = accepted.find(|given| given.command.refused.is_none())?;
    if last.command.action != wish.action || !wish.raise.is_nothing() {
        return None;
    }
    let (state, since) = match &view.status {
        Some(status) => (status.state, status.since),
        None => (view.workflow.state, view.workflow.since),
    };
    // Given in this very state: it is being carried out.
    let is_under_way = last.command.at >= since;
    let is_repeat = match wish.action {
        Action::Abandon | Action::Cancel => true,
        Action::Retry => {
            let is_same = wish.from.is_none() || wish.from == last.goes_to;
            let was_done = !state.is_parked() && !state.is_end();
            is_same && (is_under_way || was_done)
        }
        Action::Reopen => is_under_way || (state != State::PrClosed && !state.is_end()),
        Action::Extend => false,
    };
    is_repeat.then_some(last)
}

fn report_earlier(earlier: &Given, as_json: bool) -> Result<(), Problem> {
    if as_json {
        return print_json(&json!({ "earlier": earlier }));
    }
    print(&format!(
        "done already: {} at {}\n",
        records::command_text(earlier),
        time(earlier.command.at)
    ))
}

#[cfg(test)]
mod tests;
