//! What the Temporal UI shows of a ticket, as Markdown.

use std::fmt::Write;

use crate::{failure::shorten, status::TicketStatus};

/// The ticket's current details. Text that came from outside is shortened and loses what Markdown could act on.
pub(super) fn markdown(status: &TicketStatus) -> String {
    let mut text = format!("**{}** is `{}`", status.ticket.ticket_id, status.state);
    if let Some(summary) = &status.summary {
        let _ = write!(text, ": {}", plain(&summary.title));
    }
    text.push_str("\n\n");
    if let Some(gate) = &status.open_gate {
        let _ = writeln!(
            text,
            "Gate **{}** is open until {}. Revision `{}`.\n\nOpen it with:\n\n```\nsallyport approve {}\n```\n\nor\n\n```\n\
             temporal workflow signal --workflow-id {} --name decide --input '{{\"gate\":\"{}\",\"revision\":\"{}\",\
             \"decision\":\"APPROVE\",\"by\":\"you@example.com\"}}'\n```\n",
            gate.gate,
            gate.deadline.format("%Y-%m-%d %H:%M:%S UTC"),
            gate.revision,
            status.ticket.ticket_id,
            status.ticket.workflow_id(),
            gate.gate,
            gate.revision,
        );
    }
    if let Some(spec) = &status.spec {
        let _ = writeln!(
            text,
            "- SPEC: {} file(s), confidence {} %, against `{}`",
            spec.files,
            spec.confidence_percent,
            shorten(&spec.base_commit, 13),
        );
    }
    for gate in &status.qa {
        let result = if gate.passed { "passed" } else { "failed" };
        let _ = writeln!(text, "- QA {}: {result}", plain(&gate.name));
    }
    if let Some(pull_request) = &status.pull_request {
        let _ = writeln!(
            text,
            "- Pull request #{}: {}",
            pull_request.number,
            plain(&pull_request.url)
        );
    }
    if let Some(failure) = &status.failure {
        let _ = writeln!(
            text,
            "- **{}** in `{}`: {}",
            failure.kind,
            failure.step,
            plain(&failure.message)
        );
    }
    text
}

fn plain(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|letter| match letter {
            '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '!' | '\\' => ' ',
            letter if letter.is_control() => ' ',
            letter => letter,
        })
        .collect();
    shorten(&plain, 200)
}
