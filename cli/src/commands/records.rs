//! What people decided and commanded, in one line each.

use sallyport_ledger::decisions::DecisionRow;
use sallyport_workflows::command::CommandOutcome;

use super::{short, time};
use crate::{
    client::WorkflowView,
    terminal::{Painter, Style, line},
};

/// The commands that the workflow has taken in, in order, the refused ones too.
pub fn commands(view: &WorkflowView) -> &[CommandOutcome] {
    view.status
        .as_ref()
        .map_or(&[], |status| status.commands.as_slice())
}

/// A decision with its time.
pub fn decision_row(decision: &DecisionRow, painter: Painter) -> String {
    let text = format!("{}  {}", time(decision.at), decision_text(decision));
    faded_if_refused(text, decision.refused.is_some(), painter)
}

/// A command with its time.
pub fn command_row(outcome: &CommandOutcome, painter: Painter) -> String {
    let record = &outcome.record;
    let text = format!("{}  {}", time(record.at), command_text(outcome));
    faded_if_refused(text, record.refused.is_some(), painter)
}

/// A decision, who made it, and why it did not count.
pub fn decision_text(decision: &DecisionRow) -> String {
    format!(
        "{} {} {} by {}{}{}",
        decision.decision,
        decision.gate,
        short(&line(&decision.revision)),
        line(&decision.by),
        unproven(decision.proven),
        refusal(decision.refused.as_deref())
    )
}

/// A command, who gave it, what it came to, and why it was refused.
pub fn command_text(outcome: &CommandOutcome) -> String {
    let record = &outcome.record;
    let mut text = format!(
        "{} by {}{}",
        record.action,
        line(&record.by),
        unproven(record.proven)
    );
    if let Some(state) = outcome.goes_to {
        text.push_str(&format!(", to {state}"));
    }
    if let Some(deadline) = outcome.deadline {
        text.push_str(&format!(", until {}", time(deadline)));
    }
    if let Some(reason) = &record.reason {
        text.push_str(&format!(" ({})", line(reason)));
    }
    text.push_str(&refusal(record.refused.as_deref()));
    text
}

fn unproven(proven: bool) -> &'static str {
    if proven { "" } else { ", unproven" }
}

fn refusal(refused: Option<&str>) -> String {
    refused.map_or_else(String::new, |reason| format!(": refused, {}", line(reason)))
}

fn faded_if_refused(text: String, is_refused: bool, painter: Painter) -> String {
    if is_refused {
        painter.paint(Style::Dim, text)
    } else {
        text
    }
}
