//! What the Temporal UI shows of a ticket, as Markdown.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::{
    State,
    gate::{Gate, OpenGate},
    questions::OpenQuestions,
    status::TicketStatus,
    text::{count, grouped, money, seconds, shorten, time},
};

/// The ticket's current details. Text that came from outside is shortened and loses what Markdown could act on.
pub(super) fn markdown(status: &TicketStatus) -> String {
    let mut text = format!("**{}** is `{}`", status.ticket.ticket_id, status.state);
    if let Some(summary) = &status.summary {
        let _ = write!(text, ": {}", plain(&summary.title));
    }
    text.push_str("\n\n");
    if let Some(open) = &status.questions {
        questions(&mut text, open, status.deadline);
    } else if let Some(gate) = &status.open_gate {
        question(&mut text, status, gate);
    } else if let Some(deadline) = status.deadline {
        other_wait(&mut text, status, deadline);
    }
    if let Some(edits) = &status.edits {
        let _ = writeln!(
            text,
            "- **The ticket was edited** after it was read, last on {}{}",
            time(edits.at),
            match &edits.title {
                Some(title) => format!("; its title is now: {}", plain(title)),
                None => String::new(),
            }
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
    if let Some(spec) = &status.spec {
        let _ = writeln!(
            text,
            "- SPEC: {}, confidence {} %, against `{}`",
            count(spec.files.into(), "file"),
            spec.confidence_percent,
            shorten(&spec.base_commit, 13),
        );
    }
    if !status.grants.is_empty() {
        let _ = writeln!(
            text,
            "- More scope was granted {}",
            count(status.grants.len() as u64, "time")
        );
    }
    for gate in &status.qa {
        let result = match (gate.passed, gate.fails_qa()) {
            (true, _) => "passed",
            (false, true) => "failed",
            (false, false) if gate.excused => "failed, as before the change",
            (false, false) => "failed, and is optional",
        };
        let _ = writeln!(text, "- QA {}: {result}", plain(&gate.name));
    }
    if let Some(pull_request) = &status.pull_request {
        let _ = writeln!(
            text,
            "- Pull request: {}",
            link(&format!("#{}", pull_request.number), &pull_request.url)
        );
    }
    if status.unapproved {
        text.push_str("- **Merged without the approval that the policy asks for**\n");
    }
    let rounds = status.rounds.lines(status.budget.as_ref());
    if !rounds.is_empty() {
        let _ = writeln!(text, "- So far: {}", rounds.join(", "));
    }
    let _ = writeln!(text, "- Spent: {}", spent(status));
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
            "It asks again: {} in scope changed on the base branch since the SPEC was written, such as {}.\n",
            count(change.files.into(), "file"),
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
         temporal workflow signal --workflow-id {} \\\n  --name decide --input '{{\"gate\":\"{}\",\n\
         \"revision\":\"{}\",\n\"decision\":\"APPROVE\",\"by\":\"you@example.com\"}}'\n```\n",
        status.ticket.ticket_id,
        status.ticket.workflow_id(),
        gate.gate,
        gate.revision,
    );
}

/// What the planner asks.
fn questions(text: &mut String, open: &OpenQuestions, deadline: Option<DateTime<Utc>>) {
    let until = deadline.map_or_else(String::new, |deadline| format!(" until {}", time(deadline)));
    let _ = writeln!(
        text,
        "The planner waits for answers on the ticket{until}; without any it is parked. It asks:\n"
    );
    for (number, question) in (1..).zip(&open.questions) {
        let _ = writeln!(text, "{number}. {}", plain(question));
    }
    text.push('\n');
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

/// Money without the dollar sign, two of which would make a formula of what is between them.
fn dollars(micro_usd: u64) -> String {
    money(micro_usd).replace('$', "")
}

/// Money, tokens and time, with what they may come to.
fn spent(status: &TicketStatus) -> String {
    let of = |limit: Option<String>| limit.map_or(String::new(), |limit| format!(" of {limit}"));
    let budget = status.budget.as_ref();
    format!(
        "{}{} USD, {}{} tokens, {}{} of the agent's time",
        dollars(status.usage.cost_micro_usd),
        of(budget.map(|budget| dollars(budget.cost_micro_usd))),
        grouped(status.usage.tokens()),
        of(budget.map(|budget| grouped(budget.tokens))),
        seconds(status.agent_seconds),
        of(budget.map(|budget| seconds(budget.total_agent_seconds))),
    )
}

/// A link where the UI follows one, and otherwise the address as it is.
fn link(text: &str, url: &str) -> String {
    let is_plain = !url.contains(|letter: char| {
        letter.is_whitespace() || letter.is_control() || "()<>[]`\\".contains(letter)
    });
    match is_plain && (url.starts_with("https://") || url.starts_with("http://")) {
        true => format!("[{text}]({url})"),
        false => format!("{text}, `{}`", url.replace(['`', '\n', '\r'], " ")),
    }
}

fn plain(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|letter| match letter {
            // Between two dollar signs the UI sees a formula.
            '$' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '!' | '\\' => ' ',
            letter if letter.is_control() => ' ',
            letter => letter,
        })
        .collect();
    shorten(&plain, 200)
}

#[cfg(test)]
mod tests;
