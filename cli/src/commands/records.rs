//! What people decided and commanded, in one line each.

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_ledger::{commands::CommandRow, decisions::DecisionRow};
use sallyport_workflows::{State, command::CommandOutcome, policy::BudgetRaise};
use serde::Serialize;

use super::{count, duration, money, short, time};
use crate::{
    client::WorkflowView,
    terminal::{Painter, Style, line},
};

/// A command on record, and what it came to where the workflow tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Given {
    /// The command.
    #[serde(flatten)]
    pub command: CommandRow,
    /// Retry: the state that the ticket went to.
    pub goes_to: Option<State>,
    /// Extend: until when the ticket waited then.
    pub deadline: Option<DateTime<Utc>>,
}

/// The commands on record, in order, the refused ones too.
pub fn commands(view: &WorkflowView) -> Vec<Given> {
    let outcomes = view.status.iter().flat_map(|status| &status.commands);
    let outcomes: Vec<&CommandOutcome> = outcomes.collect();
    let given = |command: &CommandRow| {
        let outcome = outcomes
            .iter()
            .find(|outcome| outcome.record.id == command.id);
        Given {
            goes_to: outcome.and_then(|outcome| outcome.goes_to).or(command.from),
            deadline: command
                .extended_until
                .or_else(|| outcome.and_then(|outcome| outcome.deadline)),
            command: command.clone(),
        }
    };
    view.commands.iter().map(given).collect()
}

/// A decision with its time.
pub fn decision_row(decision: &DecisionRow, painter: Painter) -> String {
    let text = format!("{}  {}", time(decision.at), decision_text(decision));
    faded_if_refused(text, decision.refused.is_some(), painter)
}

/// A command with its time.
pub fn command_row(given: &Given, painter: Painter) -> String {
    let command = &given.command;
    let text = format!("{}  {}", time(command.at), command_text(given));
    faded_if_refused(text, command.refused.is_some(), painter)
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
pub fn command_text(given: &Given) -> String {
    let command = &given.command;
    let mut text = format!(
        "{} by {}{}",
        command.action,
        line(&command.by),
        unproven(command.proven)
    );
    if let Some(state) = given.goes_to {
        text.push_str(&format!(", from {state}"));
    }
    let added = added(&command.raise);
    if !added.is_empty() {
        text.push_str(&format!(", adding {}", added.join(", ")));
    }
    if let Some(deadline) = given.deadline {
        text.push_str(&format!(", until {}", time(deadline)));
    }
    if let Some(reason) = &command.reason {
        text.push_str(&format!(" ({})", line(reason)));
    }
    text.push_str(&refusal(command.refused.as_deref()));
    text
}

/// What is added to a budget, in words.
pub fn added(raise: &BudgetRaise) -> Vec<String> {
    let seconds = i64::try_from(raise.agent_seconds).unwrap_or(i64::MAX / 1000);
    let parts = [
        (raise.cost_micro_usd, money(raise.cost_micro_usd)),
        (raise.tokens, count(raise.tokens, "token")),
        (
            raise.agent_seconds,
            format!("{} for the agent", duration(TimeDelta::seconds(seconds))),
        ),
        (raise.repairs.into(), count(raise.repairs.into(), "repair")),
        (
            raise.revisions.into(),
            format!("{} of the SPEC", count(raise.revisions.into(), "revision")),
        ),
        (
            raise.change_rounds.into(),
            format!("{} of changes", count(raise.change_rounds.into(), "round")),
        ),
        (
            raise.scope_requests.into(),
            format!(
                "{} for files",
                count(raise.scope_requests.into(), "request")
            ),
        ),
    ];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    parts.map(|(_, text)| text).collect()
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
