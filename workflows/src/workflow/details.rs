//! What the Temporal UI shows of a ticket, as Markdown.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::{
    State,
    failure::shorten,
    gate::{Gate, OpenGate},
    status::TicketStatus,
};

/// The ticket's current details. Text that came from outside is shortened and loses what Markdown could act on.
pub(super) fn markdown(status: &TicketStatus) -> String {
    let mut text = format!("**{}** is `{}`", status.ticket.ticket_id, status.state);
    if let Some(summary) = &status.summary {
        let _ = write!(text, ": {}", plain(&summary.title));
    }
    text.push_str("\n\n");
    if let Some(gate) = &status.open_gate {
        question(&mut text, status, gate);
    } else if let Some(deadline) = status.deadline {
        other_wait(&mut text, status, deadline);
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
    if let Some(spec) = &status.spec {
        let _ = writeln!(
            text,
            "- SPEC: {} file(s), confidence {} %, against `{}`",
            spec.files,
            spec.confidence_percent,
            shorten(&spec.base_commit, 13),
        );
    }
    if !status.grants.is_empty() {
        let _ = writeln!(
            text,
            "- More scope was granted {} time(s)",
            status.grants.len()
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
    if status.unapproved {
        text.push_str("- **Merged without the approval that the policy asks for**\n");
    }
    let rounds = &status.rounds;
    let counts = [
        (rounds.revisions, "revision(s)"),
        (rounds.scope_requests, "request(s) for scope"),
        (rounds.repairs, "repair(s)"),
        (rounds.changes, "round(s) of changes"),
        (rounds.retries, "retry(s)"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !counts.is_empty() {
        let _ = writeln!(text, "- So far: {}", counts.join(", "));
    }
    let _ = writeln!(
        text,
        "- Spent: ${}.{:02}, {} tokens, {} min of the agent's time",
        status.usage.cost_micro_usd / 1_000_000,
        status.usage.cost_micro_usd / 10_000 % 100,
        status.usage.tokens(),
        status.agent_seconds.div_ceil(60),
    );
    for note in status.notes.iter().rev().take(3) {
        let _ = writeln!(text, "- Note: {}", plain(note));
    }
    text
}

fn question(text: &mut String, status: &TicketStatus, gate: &OpenGate) {
    let asks = match gate.gate {
        Gate::Spec => "Shall this SPEC be carried out?",
        Gate::Scope => "May the agent change these further files?",
        Gate::Pr => "Shall this pull request be merged?",
    };
    let _ = writeln!(
        text,
        "Gate **{}** is open until {}. {asks} Revision `{}`.\n",
        gate.gate,
        time(gate.deadline),
        gate.revision,
    );
    if let Some(change) = &gate.base_change {
        let _ = writeln!(
            text,
            "It asks again: {} file(s) in scope changed on the base branch since the SPEC was written, such as {}.\n",
            change.files,
            plain(&change.first)
        );
    }
    if !gate.approvers.is_empty() {
        let names: Vec<String> = gate.approvers.iter().map(|name| plain(name)).collect();
        let _ = writeln!(text, "It asks {}.\n", names.join(", "));
    }
    let _ = writeln!(
        text,
        "Open it with:\n\n```\nsallyport approve {}\n```\n\nor\n\n```\n\
         temporal workflow signal --workflow-id {} --name decide --input '{{\"gate\":\"{}\",\"revision\":\"{}\",\
         \"decision\":\"APPROVE\",\"by\":\"you@example.com\"}}'\n```\n",
        status.ticket.ticket_id,
        status.ticket.workflow_id(),
        gate.gate,
        gate.revision,
    );
}

/// A closed pull request or a parked ticket.
fn other_wait(text: &mut String, status: &TicketStatus, deadline: DateTime<Utc>) {
    let id = &status.ticket.ticket_id;
    let what = match status.state {
        State::PrClosed => format!("sallyport reopen {id}"),
        _ => format!("sallyport retry {id}\nsallyport abandon {id}"),
    };
    let _ = writeln!(
        text,
        "It waits until {}, and is then cancelled. Take it up again or give it up with:\n\n```\n{what}\n```\n",
        time(deadline)
    );
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
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
