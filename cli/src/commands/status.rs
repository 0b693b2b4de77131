//! `sallyport status`: how a ticket stands, what is asked, and what to do next.

use chrono::{DateTime, Utc};
use sallyport_activities::planning::planners::DEFAULT;
use sallyport_ledger::approvals::ApprovalStatus;
use sallyport_workflows::{State, status::TicketStatus, text::seconds};

use super::{
    client, count, duration, grouped, money,
    next_steps::next_steps,
    print, print_json,
    question::{self, question},
    records, short, style_of, time,
};
use crate::{
    arguments::TicketArguments,
    client::WorkflowView,
    exit::Problem,
    terminal::{Painter, Style, line},
};

/// Prints a ticket's status.
pub async fn run(arguments: TicketArguments) -> Result<(), Problem> {
    let view = client(arguments.connection)?.view(&arguments.id).await?;
    if arguments.json {
        return print_json(&view);
    }
    print(&render(&view, Utc::now(), Painter::stdout()))
}

/// The ticket's title, fit for a terminal.
pub fn title(view: &WorkflowView) -> String {
    let live = view
        .status
        .as_ref()
        .and_then(|status| status.summary.as_ref());
    let title = live
        .map(|summary| summary.title.as_str())
        .or(view.workflow.title.as_deref());
    line(title.unwrap_or("(no title yet)"))
}

/// The state, of which the workflow knows best.
pub fn state(view: &WorkflowView) -> State {
    view.status
        .as_ref()
        .map_or(view.workflow.state, |status| status.state)
}

/// Whether it was merged without the approval that the policy asks for.
pub fn is_unapproved(view: &WorkflowView) -> bool {
    let status = view.status.as_ref();
    view.workflow.unapproved || status.is_some_and(|status| status.unapproved)
}

fn render(view: &WorkflowView, now: DateTime<Utc>, painter: Painter) -> String {
    let workflow = &view.workflow;
    let status = view.status.as_ref();
    let state = state(view);
    let since = status.map_or(workflow.since, |status| status.since);
    let mut page = Page {
        text: String::new(),
        painter,
    };

    page.text.push_str(&format!(
        "{}  {}\n",
        painter.paint(Style::Bold, line(&workflow.ticket_id)),
        painter.paint(Style::Bold, title(view))
    ));
    let known = [
        Some(workflow.workflow_id.as_str()),
        workflow.reporter.as_deref(),
        workflow.ticket_url.as_deref(),
    ];
    let known: Vec<String> = known.into_iter().flatten().map(line).collect();
    page.text.push_str(&format!(
        "{}\n\n",
        painter.paint(Style::Dim, known.join(" · "))
    ));

    page.row(
        "State",
        &format!(
            "{}  for {} (since {})",
            painter.paint(style_of(state), state.as_str()),
            duration(now - since),
            time(since)
        ),
    );
    if !view.live && !state.is_end() {
        page.row(
            "",
            &painter.paint(
                Style::Yellow,
                "no worker answers now; this is what was recorded last",
            ),
        );
    }
    if is_unapproved(view) {
        let text = "merged without the approval that the policy asks for";
        page.row("Unapproved", &painter.paint(Style::Red, text));
    }
    if let Some(edits) = status.and_then(|status| status.edits.as_ref()) {
        let text = format!(
            "the ticket was edited after it was read, last on {}; `revise` has it read again",
            time(edits.at)
        );
        page.row("Edited", &painter.paint(Style::Yellow, text));
        if let Some(title) = &edits.title {
            page.row("", &format!("its title is now: {}", line(title)));
        }
    }
    if let Some(open) = status.and_then(|status| status.questions.as_ref()) {
        let deadline = status.and_then(|status| status.deadline);
        page.rows("Asks", question::planner_lines(open, deadline, now));
    } else if let Some(question) = question(view) {
        page.rows("Gate", question::lines(&question, now, painter));
    } else if let Some(deadline) = status.and_then(|status| status.deadline) {
        page.row(
            "Waits",
            &format!(
                "until {} ({} left), and is then cancelled",
                time(deadline),
                duration(deadline - now)
            ),
        );
    }
    if let Some(spec) = status.and_then(|status| status.spec.as_ref()) {
        page.row(
            "SPEC",
            &format!(
                "{}, confidence {} %, planned at {}",
                count(spec.files.into(), "file"),
                spec.confidence_percent,
                short(&line(&spec.base_commit))
            ),
        );
    }
    page.rows("Scope", scope_rows(view));
    render_qa(&mut page, view);
    if let Some(pull_request) = &workflow.pull_request {
        page.row(
            "PR",
            &format!(
                "#{} {} → {}  {}",
                pull_request.number,
                line(&pull_request.branch),
                line(&pull_request.base_branch),
                line(&pull_request.url)
            ),
        );
    }
    render_spent(&mut page, view);
    let failure = status.map_or(&workflow.failure, |status| &status.failure);
    if let Some(failure) = failure {
        page.row(
            "Failure",
            &painter.paint(
                Style::Red,
                format!("{} in {}", line(&failure.kind), line(&failure.step)),
            ),
        );
        page.row("", &line(&failure.message));
    }
    let notes = status.iter().flat_map(|status| &status.notes);
    page.rows("Notes", notes.map(|note| line(note)));
    if let Some(url) = &view.temporal_url {
        page.row("Temporal", &line(url));
    }
    let decisions = view.decisions.iter();
    page.rows(
        "Decisions",
        decisions.map(|row| records::decision_row(row, painter)),
    );
    let commands = records::commands(view);
    let commands = commands.iter();
    page.rows(
        "Commands",
        commands.map(|given| records::command_row(given, painter)),
    );
    page.rows("History", history_rows(view, painter));
    let next = next_steps(view);
    let width = next.iter().map(|step| step.command.len()).max();
    let width = width.unwrap_or(0);
    if !next.is_empty() {
        page.text.push('\n');
    }
    let next = next.iter().map(|step| {
        format!(
            "{}  {}",
            painter.paint(Style::Bold, format!("{:<width$}", step.command)),
            painter.paint(Style::Dim, step.why)
        )
    });
    page.rows("Next", next);
    page.text
}

/// What became of the agent's wishes for more files.
fn scope_rows(view: &WorkflowView) -> Vec<String> {
    let mut rows = Vec::new();
    for asked in &view.scope_requests {
        let mut approvals = view.approvals.iter();
        let Some(approval) = approvals.find(|approval| approval.id == asked.approval_id) else {
            continue;
        };
        let by = line(approval.decided_by.as_deref().unwrap_or("nobody"));
        let granted = |status: &TicketStatus| status.grants.contains(&approval.content);
        let became = match approval.status {
            // The gate's own rows show it.
            ApprovalStatus::Pending => continue,
            ApprovalStatus::Approved if view.status.as_ref().is_none_or(granted) => {
                format!("granted by {by}")
            }
            ApprovalStatus::Approved => format!("granted by {by}, for an earlier SPEC"),
            ApprovalStatus::Rejected | ApprovalStatus::Revised => format!("refused by {by}"),
            ApprovalStatus::Expired => "refused: nobody answered in time".to_owned(),
            ApprovalStatus::Cancelled => "not decided".to_owned(),
        };
        let paths = asked.request.paths.iter().map(|path| line(path.as_str()));
        let paths: Vec<String> = paths.collect();
        rows.push(format!("{}: {became}", paths.join(", ")));
    }
    rows
}

/// Money, tokens, time and rounds, with what they may come to.
fn render_spent(page: &mut Page, view: &WorkflowView) {
    let status = view.status.as_ref();
    let usage = status.map_or(view.workflow.usage, |status| status.usage);
    let budget = status.and_then(|status| status.budget.as_ref());
    let of = |limit: Option<String>| limit.map_or(String::new(), |limit| format!(" of {limit}"));
    let mut cost = format!(
        "{}{} ({}, {}{} tokens)",
        money(usage.cost_micro_usd),
        of(budget.map(|budget| money(budget.cost_micro_usd))),
        count(usage.requests, "model request"),
        grouped(usage.tokens()),
        of(budget.map(|budget| grouped(budget.tokens))),
    );
    let planner = view.workflow.planner.as_deref();
    if let Some(planner) = planner.filter(|planner| *planner != DEFAULT) {
        page.row("Planner", &line(planner));
    }
    let Some(status) = status else {
        return page.row("Cost", &cost);
    };
    if usage.cost_micro_usd > 0 {
        let planning = status.planning_usage.cost_micro_usd;
        cost.push_str(&format!(
            ": planning {}{}, execution {}",
            money(planning),
            of(budget.map(|budget| money(budget.planning_cost_micro_usd))),
            money(usage.cost_micro_usd.saturating_sub(planning))
        ));
    }
    page.row("Cost", &cost);
    if status.agent_seconds > 0 {
        let limit = of(budget.map(|budget| seconds(budget.total_agent_seconds)));
        let used = seconds(status.agent_seconds);
        page.row("Agent time", &format!("{used}{limit}"));
    }
    let rounds = status.rounds.lines(status.budget.as_ref());
    if !rounds.is_empty() {
        page.row("Rounds", &rounds.join(", "));
    }
}

fn render_qa(page: &mut Page, view: &WorkflowView) {
    let last_step = view.qa_results.iter().map(|result| result.step).max();
    let results = view
        .qa_results
        .iter()
        .filter(|result| Some(result.step) == last_step);
    for (index, result) in results.enumerate() {
        let mark = if result.passed {
            page.painter.paint(Style::Green, "✓ passed")
        } else {
            page.painter.paint(Style::Red, "✗ failed")
        };
        page.row(
            if index == 0 { "QA" } else { "" },
            &format!(
                "{mark}  {}{}  ({}.{} s)",
                line(&result.gate_name),
                if result.required { "" } else { ", optional" },
                result.duration_ms / 1000,
                result.duration_ms / 100 % 10
            ),
        );
    }
}

fn history_rows(view: &WorkflowView, painter: Painter) -> Vec<String> {
    let mut reason_before = None;
    let rows = view.transitions.iter().map(|transition| {
        let mut text = format!(
            "{}  {}",
            time(transition.at),
            painter.paint(style_of(transition.to), transition.to.as_str())
        );
        // Two steps for one reason say it once.
        let reason = transition.reason.as_ref();
        if let Some(reason) = reason.filter(|reason| reason_before != Some(*reason)) {
            text.push_str(&format!("  {}", painter.paint(Style::Dim, line(reason))));
        }
        reason_before = reason;
        text
    });
    rows.collect()
}

/// A page of rows with their names on the left.
struct Page {
    text: String,
    painter: Painter,
}

impl Page {
    fn row(&mut self, name: &str, value: &str) {
        let name = self.painter.paint(Style::Dim, format!("{name:<11}"));
        self.text.push_str(format!("{name} {value}").trim_end());
        self.text.push('\n');
    }

    /// Rows of one name, which stands before the first.
    fn rows(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        for (index, value) in values.into_iter().enumerate() {
            self.row(if index == 0 { name } else { "" }, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    fn shown(view: &WorkflowView) -> String {
        render(view, fixtures::now(), Painter::plain())
    }

    #[test]
    fn a_ticket_at_gate_1() {
        insta::assert_snapshot!(shown(&fixtures::at_gate_1()));
    }

    #[test]
    fn a_ticket_at_gate_2_while_no_worker_runs() {
        insta::assert_snapshot!(shown(&fixtures::at_gate_2_without_a_worker()));
    }

    #[test]
    fn a_parked_ticket_with_a_hostile_title() {
        insta::assert_snapshot!(shown(&fixtures::parked()));
    }

    #[test]
    fn a_ticket_whose_planner_asks() {
        insta::assert_snapshot!(shown(&fixtures::asking()));
    }

    #[test]
    fn a_ticket_at_the_scope_gate() {
        insta::assert_snapshot!(shown(&fixtures::at_the_scope_gate()));
    }

    #[test]
    fn a_ticket_that_was_retried_and_merged_by_somebody_else() {
        insta::assert_snapshot!(shown(&fixtures::merged_by_somebody_else()));
    }

    #[test]
    fn a_closed_pull_request() {
        insta::assert_snapshot!(shown(&fixtures::closed()));
    }
}
