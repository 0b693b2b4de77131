//! What a gate asks, as `status`, `watch` and the deciding commands show it.

use chrono::{DateTime, Utc};
use sallyport_ledger::approvals::ApprovalStatus;
use sallyport_workflows::{
    gate::{BaseChange, Gate},
    questions::OpenQuestions,
    scope::ScopeRequest,
};
use serde::Serialize;
use uuid::Uuid;

use super::{count, duration, short, time};
use crate::{
    client::WorkflowView,
    terminal::{Painter, Style, line},
};

/// How many lines of the agent's reason are shown.
const REASON_LINES: usize = 12;

/// What a gate asks, from the workflow itself or, where no worker runs, from the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// Who is asked; nobody named means everybody who may decide.
    pub approvers: Vec<String>,
    /// Who may not approve.
    pub may_not_approve: Option<String>,
    /// When people are reminded, in order.
    pub reminders: Vec<DateTime<Utc>>,
    /// Why it asks again, if it does.
    pub base_change: Option<BaseChange>,
    /// Gate SCOPE: the files that the agent asks for.
    pub scope_request: Option<ScopeRequest>,
}

/// The gate that is open now.
pub fn question(view: &WorkflowView) -> Option<Question> {
    let recorded = view
        .approvals
        .iter()
        .rev()
        .find(|approval| approval.status == ApprovalStatus::Pending);
    let scope_request = |approval: Uuid| {
        let mut asked = view.scope_requests.iter();
        let asked = asked.find(|asked| asked.approval_id == approval);
        asked.map(|asked| asked.request.clone())
    };
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
            approvers: open.approvers.clone(),
            may_not_approve: open.may_not_approve.clone(),
            reminders: open.reminders.clone(),
            base_change: open.base_change.clone(),
            scope_request: scope_request(open.approval_id),
        }),
        None => recorded.map(|approval| Question {
            approval_id: approval.id,
            gate: approval.gate,
            revision: approval.revision.clone(),
            approvals_needed: approval.approvals_needed,
            approvals_given: approval.approvals_given,
            deadline: approval.expires_at,
            approvers: approval.approvers.clone(),
            may_not_approve: approval.may_not_approve.clone(),
            reminders: approval.reminders.clone(),
            base_change: approval.base_change.clone(),
            scope_request: scope_request(approval.id),
        }),
    }
}

/// The question in lines, the first of which says what is asked.
pub fn lines(question: &Question, now: DateTime<Utc>, painter: Painter) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} asks: {}",
            painter.paint(Style::Yellow, question.gate.as_str()),
            match question.gate {
                Gate::Spec => "shall this SPEC be carried out?",
                Gate::Scope => "may the agent change these further files?",
                Gate::Pr => "shall this pull request be merged?",
            }
        ),
        format!(
            "revision {} ({})",
            painter.paint(Style::Bold, short(&line(&question.revision))),
            line(&question.revision)
        ),
        format!(
            "{} of {} given, {} left (until {})",
            question.approvals_given,
            count(question.approvals_needed.into(), "approval"),
            duration(question.deadline - now),
            time(question.deadline)
        ),
    ];
    lines.extend(who(question));
    lines.extend(reminders(question, now));
    lines.extend(again(question, painter));
    if let Some(request) = &question.scope_request {
        lines.extend(files(request, painter));
    }
    lines
}

/// What the planner asks the people of the ticket, in lines.
pub fn planner_lines(
    open: &OpenQuestions,
    deadline: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Vec<String> {
    let mut lines = vec!["the planner waits for answers on the ticket:".to_owned()];
    let questions = (1..).zip(&open.questions);
    lines.extend(questions.map(|(number, question)| format!("{number}. {}", line(question))));
    if let Some(deadline) = deadline {
        lines.push(format!(
            "in a comment or an edit, {} left (until {}), and is then parked",
            duration(deadline - now),
            time(deadline)
        ));
    }
    lines
}

/// Who is asked, and who may not approve.
pub fn who(question: &Question) -> Vec<String> {
    let mut lines = Vec::new();
    if !question.approvers.is_empty() {
        let names: Vec<String> = question.approvers.iter().map(|name| line(name)).collect();
        lines.push(format!("it asks {}", names.join(", ")));
    }
    if let Some(reporter) = &question.may_not_approve {
        let reporter = line(reporter);
        lines.push(format!(
            "{reporter} filed the ticket and may not approve it"
        ));
    }
    lines
}

fn reminders(question: &Question, now: DateTime<Utc>) -> Option<String> {
    let past = question.reminders.iter().filter(|at| **at <= now).count();
    let next = question.reminders.iter().find(|at| **at > now);
    match (past, next) {
        (0, None) => None,
        (0, Some(next)) => Some(format!("the first reminder goes out at {}", time(*next))),
        (past, None) => Some(format!(
            "{} went out, no more follow",
            count(past as u64, "reminder")
        )),
        (past, Some(next)) => Some(format!(
            "{} went out, the next one at {}",
            count(past as u64, "reminder"),
            time(*next)
        )),
    }
}

/// Why the gate asks again, if it does.
pub fn again(question: &Question, painter: Painter) -> Option<String> {
    question.base_change.as_ref().map(|change| {
        let text = format!(
            "it asks again, because {} in scope changed on the base branch since the SPEC was written ({} to {}), such as {}",
            count(change.files.into(), "file"),
            short(&line(&change.from)),
            short(&line(&change.to)),
            line(&change.first)
        );
        painter.paint(Style::Yellow, text)
    })
}

/// The files that the agent asks for, and its reason.
pub fn files(request: &ScopeRequest, painter: Painter) -> Vec<String> {
    let mut lines = vec![format!(
        "the agent asks for {}:",
        count(request.paths.len() as u64, "file")
    )];
    let paths = request.paths.iter().map(|path| line(path.as_str()));
    lines.extend(paths.map(|path| format!("  {}", painter.paint(Style::Bold, path))));
    lines.push("because, in the agent's words:".to_owned());
    let reason: Vec<String> = request
        .reason
        .lines()
        .map(line)
        .filter(|text| !text.is_empty())
        .collect();
    let shown = reason.iter().take(REASON_LINES);
    // Marked as a quotation: nothing in it can pass for a line of ours.
    lines.extend(shown.map(|text| format!("  > {text}")));
    if reason.len() > REASON_LINES {
        let more = (reason.len() - REASON_LINES) as u64;
        lines.push(format!("  > [+{}]", count(more, "line")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    #[test]
    fn the_workflow_knows_better_than_the_ledger_that_a_gate_is_closed() {
        let mut view = fixtures::at_gate_1();
        assert!(question(&view).is_some());
        view.status.as_mut().unwrap().open_gate = None;
        assert_eq!(question(&view), None);
        view.status = None;
        assert!(question(&view).is_some());
    }

    #[test]
    fn a_long_reason_does_not_flood_the_terminal() {
        let request = ScopeRequest {
            paths: vec!["a.js".to_owned().try_into().unwrap()],
            reason: "\u{1b}[2Jline\n".repeat(50),
        };
        let lines = files(&request, Painter::plain());
        assert_eq!(lines.len(), 1 + 1 + 1 + REASON_LINES + 1);
        assert_eq!(lines[3], "  > [2Jline");
        assert_eq!(lines.last().unwrap(), "  > [+38 lines]");
    }

    #[test]
    fn reminders_are_told_as_past_or_to_come() {
        let mut question = question(&fixtures::at_gate_1()).unwrap();
        let (first, second) = (question.reminders[0], question.reminders[1]);
        let told = |question: &Question, now| reminders(question, now).unwrap();
        assert!(
            told(&question, fixtures::now())
                .contains("the first reminder goes out at 2026-11-24 07")
        );
        assert!(
            told(&question, first).contains("1 reminder went out, the next one at 2026-11-24 16")
        );
        assert_eq!(
            told(&question, second),
            "2 reminders went out, no more follow"
        );
        question.reminders.clear();
        assert_eq!(reminders(&question, first), None);
    }
}
