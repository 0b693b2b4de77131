//! `sallyport status`: how a ticket stands, what is asked, and what to do next.

use chrono::{DateTime, Utc};
use sallyport_ledger::approvals::ApprovalStatus;
use sallyport_workflows::{State, gate::Gate};
use uuid::Uuid;

use super::{client, count, duration, grouped, money, print, print_json, short, style_of, time};
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

/// What a gate asks, from the workflow itself or, where no worker runs, from the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The request's id.
    pub approval_id: Uuid,
    /// Which gate.
    pub gate: Gate,
    /// Exactly what is asked about.
    pub revision: String,
    /// How many people must approve.
    pub approvals_needed: u32,
    /// How many have approved.
    pub approvals_given: u32,
    /// When silence closes it.
    pub deadline: DateTime<Utc>,
}

/// The gate that is open now.
pub fn question(view: &WorkflowView) -> Option<Question> {
    let recorded = view
        .approvals
        .iter()
        .rev()
        .find(|approval| approval.status == ApprovalStatus::Pending);
    match &view.status {
        Some(status) => status.open_gate.as_ref().map(|open| Question {
            approval_id: open.approval_id,
            gate: open.gate,
            revision: open.revision.clone(),
            approvals_needed: open.approvals_needed,
            approvals_given: recorded
                .filter(|approval| approval.id == open.approval_id)
                .map_or(0, |approval| approval.approvals_given),
            deadline: open.deadline,
        }),
        None => recorded.map(|approval| Question {
            approval_id: approval.id,
            gate: approval.gate,
            revision: approval.revision.clone(),
            approvals_needed: approval.approvals_needed,
            approvals_given: approval.approvals_given,
            deadline: approval.expires_at,
        }),
    }
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
    if let Some(question) = question(view) {
        page.row(
            "Gate",
            &format!(
                "{} asks: {}",
                painter.paint(Style::Yellow, question.gate.as_str()),
                match question.gate {
                    Gate::Spec => "shall this SPEC be carried out?",
                    Gate::Scope => "may the agent change these further files?",
                    Gate::Pr => "shall this pull request be merged?",
                }
            ),
        );
        page.row(
            "",
            &format!(
                "revision {} ({})",
                painter.paint(Style::Bold, short(&line(&question.revision))),
                line(&question.revision)
            ),
        );
        page.row(
            "",
            &format!(
                "{} of {} given, {} left (until {})",
                question.approvals_given,
                count(question.approvals_needed.into(), "approval"),
                duration(question.deadline - now),
                time(question.deadline)
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
    let usage = status.map_or(workflow.usage, |status| status.usage);
    page.row(
        "Cost",
        &format!(
            "{} ({}, {} tokens)",
            money(usage.cost_micro_usd),
            count(usage.requests, "model request"),
            grouped(usage.tokens())
        ),
    );
    if let Some(failure) = &workflow.failure {
        page.row(
            "Failure",
            &painter.paint(
                Style::Red,
                format!("{} in {}", line(&failure.kind), line(&failure.step)),
            ),
        );
        page.row("", &line(&failure.message));
    }
    for (index, note) in status.iter().flat_map(|status| &status.notes).enumerate() {
        page.row(if index == 0 { "Notes" } else { "" }, &line(note));
    }
    if let Some(url) = &view.temporal_url {
        page.row("Temporal", &line(url));
    }
    render_decisions(&mut page, view);
    render_history(&mut page, view);
    page.text.push('\n');
    let next = next_steps(view);
    let width = next
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or(0);
    for (index, (command, why)) in next.iter().enumerate() {
        page.row(
            if index == 0 { "Next" } else { "" },
            &format!(
                "{}  {}",
                painter.paint(Style::Bold, format!("{command:<width$}")),
                painter.paint(Style::Dim, why)
            ),
        );
    }
    page.text
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

fn render_decisions(page: &mut Page, view: &WorkflowView) {
    for (index, decision) in view.decisions.iter().enumerate() {
        let proof = if decision.proven { "" } else { ", unproven" };
        let mut text = format!(
            "{}  {} {} {} by {}{proof}",
            time(decision.at),
            decision.decision,
            decision.gate,
            short(&line(&decision.revision)),
            line(&decision.by)
        );
        if let Some(reason) = &decision.refused {
            text.push_str(&format!(": refused, {}", line(reason)));
            text = page.painter.paint(Style::Dim, text);
        }
        page.row(if index == 0 { "Decisions" } else { "" }, &text);
    }
}

fn render_history(page: &mut Page, view: &WorkflowView) {
    let mut reason_before = None;
    for (index, transition) in view.transitions.iter().enumerate() {
        let mut text = format!(
            "{}  {}",
            time(transition.at),
            page.painter
                .paint(style_of(transition.to), transition.to.as_str())
        );
        // Two steps for one reason say it once.
        let reason = transition.reason.as_ref();
        if let Some(reason) = reason.filter(|reason| reason_before != Some(*reason)) {
            text.push_str(&format!(
                "  {}",
                page.painter.paint(Style::Dim, line(reason))
            ));
        }
        reason_before = reason;
        page.row(if index == 0 { "History" } else { "" }, &text);
    }
}

/// What one would type next, and why.
fn next_steps(view: &WorkflowView) -> Vec<(String, &'static str)> {
    let id = line(&view.workflow.ticket_id);
    let command = |name: &str| format!("sallyport {name} {id}");
    if let Some(question) = question(view) {
        return match question.gate {
            Gate::Spec => vec![
                (command("spec"), "read what would be done"),
                (command("approve"), "let the agent do it"),
                (
                    format!("{} -m 'what to change'", command("revise")),
                    "send it back to the planner",
                ),
                (command("reject"), "end the ticket here"),
            ],
            Gate::Scope => vec![
                (command("approve"), "allow the files"),
                (command("reject"), "go on without them"),
            ],
            Gate::Pr => vec![
                (command("diff"), "read what the agent changed"),
                (command("approve"), "merge it"),
                (
                    format!("{} -m 'what to change'", command("revise")),
                    "send it back to the agent",
                ),
                (command("reject"), "close the pull request"),
            ],
        };
    }
    match state(view) {
        State::Executing => vec![(command("logs -f"), "watch the agent")],
        State::PrClosed => vec![(command("reopen"), "open the pull request again")],
        State::Error | State::QaFailed => vec![
            (command("logs"), "see what the agent did"),
            (command("diff"), "see what it changed"),
        ],
        State::Completed | State::Merged => vec![(command("diff"), "see what was merged")],
        State::SpecRejected | State::Cancelled => vec![(command("spec"), "see what was planned")],
        _ => vec![(command("status"), "look again; nothing is asked of you now")],
    }
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
    fn the_workflow_knows_better_than_the_ledger_that_a_gate_is_closed() {
        let mut view = fixtures::at_gate_1();
        assert!(question(&view).is_some());
        view.status.as_mut().unwrap().open_gate = None;
        assert_eq!(question(&view), None);
        view.status = None;
        assert!(question(&view).is_some());
    }
}
