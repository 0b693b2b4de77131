//! What a command does, said before, and what came of it, said after.

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    State,
    command::{Action, CommandOutcome},
};

use super::Wish;
use crate::{
    client::WorkflowView,
    commands::{
        duration, grouped, money, records,
        status::{state, title},
        time,
    },
    terminal::{Painter, Style, line},
};

/// The command as a question begins.
pub fn word(action: Action) -> &'static str {
    match action {
        Action::Retry => "Retry",
        Action::Abandon => "Abandon",
        Action::Cancel => "Cancel",
        Action::Extend => "Extend",
        Action::Reopen => "Reopen",
    }
}

pub fn what_is_done(view: &WorkflowView, wish: &Wish, painter: Painter) -> String {
    let does = match (wish.action, wish.from) {
        (Action::Retry, Some(from)) => format!("take this ticket up again, from {from}"),
        (Action::Retry, None) => "take this ticket up again, from the step that failed".to_owned(),
        (Action::Abandon, _) => "give this ticket up".to_owned(),
        _ => "stop this ticket and give it up".to_owned(),
    };
    let mut text = format!(
        "{}  {}\n\n  You {}.\n  Its state is {}.\n",
        painter.paint(Style::Bold, line(&view.workflow.ticket_id)),
        painter.paint(Style::Bold, title(view)),
        painter.paint(Style::Yellow, does),
        state(view)
    );
    if wish.action == Action::Retry {
        text.push_str(&why_and_what_more(view, wish));
        return text;
    }
    let has_pull_request = view.workflow.pull_request.is_some();
    text.push_str("  It ends as CANCELLED for good; only a new attempt begins it anew.\n");
    if has_pull_request {
        text.push_str("  Its pull request is closed; the branch stays.\n");
    }
    text
}

/// Why the ticket is parked, what it has spent, and what is added.
fn why_and_what_more(view: &WorkflowView, wish: &Wish) -> String {
    let mut text = String::new();
    let status = view.status.as_ref();
    let failure = status.map_or(&view.workflow.failure, |status| &status.failure);
    if let Some(failure) = failure {
        text.push_str(&format!(
            "  Failed in {}: {}\n",
            line(&failure.step),
            line(&failure.message)
        ));
    }
    let usage = status.map_or(view.workflow.usage, |status| status.usage);
    text.push_str(&format!(
        "  Spent so far: {}, {} tokens\n",
        money(usage.cost_micro_usd),
        grouped(usage.tokens())
    ));
    let added = records::added(&wish.raise);
    if !added.is_empty() {
        text.push_str(&format!("  Added to its budget: {}\n", added.join(", ")));
    }
    text
}

/// What came of an accepted command.
pub fn done(outcome: &CommandOutcome, ticket: &str, now: DateTime<Utc>) -> String {
    let by = line(&outcome.record.by);
    match outcome.record.action {
        Action::Retry => {
            let to = outcome.goes_to.map_or("work", State::as_str);
            format!(
                "retried: {ticket} goes back to {to}, by {by}; follow it with `sallyport watch {ticket}`\n"
            )
        }
        Action::Abandon => format!("abandoned: {ticket} ends as CANCELLED, by {by}\n"),
        Action::Cancel => format!("cancelled: {ticket} stops and ends as CANCELLED, by {by}\n"),
        Action::Extend => match outcome.deadline {
            Some(deadline) => format!(
                "extended: {ticket} waits until {} ({} left), by {by}\n",
                time(deadline),
                duration(deadline - now)
            ),
            None => format!("extended: {ticket} waits longer, by {by}\n"),
        },
        Action::Reopen => format!(
            "reopened: the pull request of {ticket} is opened again, by {by}; decide with `sallyport approve {ticket}` once \
             the gate asks\n"
        ),
    }
}
