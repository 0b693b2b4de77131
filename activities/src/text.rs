//! Every sentence that people read outside a terminal: comments on tickets, pull requests, commit messages.
//!
//! What a ticket, a model or a program said is quoted or brought into one line, so that it cannot pass for ours.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    activities::{GateResult, StepKey, TicketEvent},
    failure::shorten,
    gate::BaseChange,
    pull_request::PullRequest,
    spec::{FileChange, Spec, SpecRef},
    ticket::{TicketKey, TicketSummary},
};
use serde_json::json;

use crate::planning::render::{code, one_line, quoted};

/// The comment on the ticket that tells of `event`.
pub fn ticket_comment(key: &StepKey, event: &TicketEvent) -> String {
    let ticket = &key.ticket.ticket_id;
    let decide = |words: &str| code(&format!("sallyport {words} {ticket}"));
    match event {
        TicketEvent::Started => {
            let attempt = match key.ticket.attempt {
                0 | 1 => String::new(),
                number => format!(" (attempt {number})"),
            };
            format!(
                "Sallyport has started to work on this ticket{attempt}. Next comes a SPEC, and a person decides about it \
                 before any code is written.\n"
            )
        }
        TicketEvent::SpecReady {
            revision,
            deadline,
            base_change,
        } => format!(
            "{}A SPEC is ready and waits for a decision until **{}**. Silence rejects it.\n\n- Read it: {}\n- Decide: {}, {} or \
             {}\n\nRevision {}\n",
            base_change.as_ref().map(changed_base).unwrap_or_default(),
            instant(deadline),
            decide("spec"),
            decide("approve"),
            decide("revise"),
            decide("reject"),
            code(&short(revision)),
        ),
        TicketEvent::SpecRejected { reason } => format!(
            "The SPEC was rejected, so Sallyport stops here. Nothing was changed.\n\nReason: {}\n",
            one_line(reason)
        ),
        TicketEvent::PullRequestReady { url, deadline } => format!(
            "The change is ready: {}. It waits for a review until **{}**. Silence closes it.\n\n- Read it: {}\n- Decide: {}, \
             {} or {}\n",
            one_line(url),
            instant(deadline),
            decide("diff"),
            decide("approve"),
            decide("revise"),
            decide("reject"),
        ),
        TicketEvent::PullRequestClosed { url, reason } => format!(
            "The pull request was closed without a merge: {}\n\nReason: {}\n\nIts branch stays. To take it up again: {}\n",
            one_line(url),
            one_line(reason),
            decide("reopen"),
        ),
        TicketEvent::Done { url, reason } => format!(
            "Done: the change is merged. {}\n\n{}\n",
            one_line(url),
            one_line(reason)
        ),
        TicketEvent::ScopeRequested {
            first,
            count,
            reason,
            deadline,
        } => format!(
            "The agent asks to change {} that the SPEC does not list, such as {}. It waits for a decision until **{}**. \
             Silence refuses it.\n\nIts reason:\n\n{}\n- Decide: {} or {}\n",
            match count {
                1 => "a file".to_owned(),
                count => format!("{count} files"),
            },
            code(first),
            instant(deadline),
            quoted(reason),
            decide("approve"),
            decide("reject"),
        ),
        TicketEvent::GivenUp { reason } => format!(
            "Sallyport has given this ticket up and changes nothing more.\n\nReason: {}\n",
            one_line(reason)
        ),
        TicketEvent::Failed { failure } => format!(
            "Sallyport could not go on: the step {} failed ({}).\n\n{}\nThe ticket is parked until a person takes it up \
             again or gives it up: {}, {} or {}\n",
            code(&failure.step),
            one_line(&failure.kind),
            quoted(&failure.message),
            decide("status"),
            decide("retry"),
            decide("abandon"),
        ),
    }
}

/// Why gate 1 asks again.
pub(crate) fn changed_base(change: &BaseChange) -> String {
    let files = match change.files {
        1 => "A file".to_owned(),
        files => format!("{files} files"),
    };
    format!(
        "{files} in the SPEC's scope changed on the base branch since it was written, such as {}, so the approval no longer \
         holds.\n\n",
        code(&change.first)
    )
}

/// What a pull request tells about a ticket's change.
#[derive(Clone, Debug)]
pub struct PullRequestFacts<'a> {
    /// Which ticket.
    pub ticket: &'a TicketKey,
    /// Its head.
    pub summary: &'a TicketSummary,
    /// The SPEC.
    pub spec: &'a Spec,
    /// Its revision.
    pub reference: &'a SpecRef,
    /// Who approved it.
    pub approved_by: &'a str,
    /// The published commit.
    pub head_commit: &'a str,
    /// The agent's last words.
    pub agent_summary: &'a str,
    /// What QA found.
    pub qa: &'a [GateResult],
}

/// The pull request's title: the ticket's id and the SPEC's title, at most 120 characters.
pub fn pull_request_title(ticket: &TicketKey, spec: &Spec) -> String {
    let title = format!("{}: {}", one_line(&ticket.ticket_id), one_line(&spec.title));
    shorten(&title, 120)
}

/// The pull request's text, Markdown. Ends with a line for machines that people do not see.
pub fn pull_request_body(facts: &PullRequestFacts<'_>) -> String {
    let spec = facts.spec;
    let mut text = format!("{}\n\n{}", one_line(&spec.title), quoted(&spec.problem));
    let link = link(&facts.ticket.ticket_id, &facts.summary.url);
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "\nTicket: {link}, reported by {}.\n",
        one_line(&facts.summary.reporter)
    );
    let _ = write!(text, "\n## Solution\n\n{}", quoted(&spec.solution));
    text.push_str("\n## Planned files\n\n");
    for file in &spec.files {
        let change = match file.change {
            FileChange::Create => "create",
            FileChange::Modify => "modify",
            FileChange::Delete => "delete",
        };
        let _ = writeln!(
            text,
            "- {} ({change}): {}",
            code(file.path.as_str()),
            one_line(&file.reason)
        );
    }
    let summary = match facts.agent_summary.trim() {
        "" => "> (The agent said nothing about it.)\n".to_owned(),
        said => quoted(said),
    };
    let _ = write!(text, "\n## Done, in the agent's words\n\n{summary}");
    let _ = write!(text, "\n## Quality gates\n\n{}", gate_table(facts.qa));
    text.push_str("\n## For the review\n\n");
    for item in &spec.checklist {
        let _ = writeln!(text, "- [ ] {}", one_line(item));
    }
    let risks: Vec<String> = spec
        .risks
        .iter()
        .map(|risk| format!("- {}\n", one_line(risk)))
        .collect();
    if !risks.is_empty() {
        let _ = write!(text, "\n## Risks\n\n{}", risks.concat());
    }
    let _ = write!(
        text,
        "\n---\nGenerated by Sallyport from SPEC {}, which {} approved. A coding agent wrote this change in a sealed room; \
         only the planned files differ from the base branch.\n\n{}\n",
        code(&short(&facts.reference.revision)),
        one_line(facts.approved_by),
        machine_block(facts),
    );
    text
}

/// A link to the ticket; its bare id if the address is none of the web.
fn link(ticket_id: &str, url: &str) -> String {
    let id = one_line(ticket_id).replace(['[', ']'], "");
    if url.starts_with("https://") || url.starts_with("http://") {
        let url = one_line(url).replace([' ', '(', ')', '<', '>'], "");
        format!("[{id}]({url})")
    } else {
        id
    }
}

/// For machines: which workflow, SPEC and commit this is. Two dashes end a comment, so there are none in it.
fn machine_block(facts: &PullRequestFacts<'_>) -> String {
    let block = json!({
        "workflow": facts.ticket.workflow_id(),
        "spec_revision": facts.reference.revision,
        "head_commit": facts.head_commit,
    });
    let block = block
        .to_string()
        .replace("--", "\\u002d\\u002d")
        .replace('>', "\\u003e");
    format!("<!-- sallyport: {block} -->")
}

/// The gates' results as a table.
pub fn gate_table(gates: &[GateResult]) -> String {
    let mut table = "| Gate | Result | Required | Time |\n| --- | --- | --- | --- |\n".to_owned();
    for gate in gates {
        let result = if gate.passed { "passed" } else { "**failed**" };
        let required = if gate.required { "yes" } else { "no" };
        let name = one_line(&gate.name).replace('|', "\\|");
        let _ = writeln!(
            table,
            "| {name} | {result} | {required} | {} |",
            duration(gate.duration_ms)
        );
    }
    table
}

/// The message of the agent's commit, with the trailers that tie it to ticket and SPEC.
pub fn commit_message(
    ticket: &TicketKey,
    spec: &Spec,
    summary: &TicketSummary,
    revision: &str,
) -> String {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let title: String = shorten(
        &format!("{}: {}", line(&ticket.ticket_id), line(&spec.title)),
        72,
    )
    .chars()
    .filter(|letter| !letter.is_control())
    .collect();
    let url: String = summary
        .url
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    format!(
        "{title}\n\nTicket: {} {}\nSpec-Revision: {revision}\n",
        line(&ticket.ticket_id),
        line(&url),
    )
}

/// The message of the commit that merges a pull request.
pub fn merge_message(
    ticket: &TicketKey,
    pull_request: &PullRequest,
    title: &str,
    approved_by: &str,
) -> String {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "Merge pull request #{} from {}\n\n{}\n\nTicket: {}\nApproved-by: {}\n",
        pull_request.number,
        line(&pull_request.branch),
        line(title),
        line(&ticket.ticket_id),
        line(approved_by),
    )
}

/// Milliseconds for people.
pub fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds % 60_000 / 1000
        ),
    }
}

/// An RFC 3339 instant for people.
pub(crate) fn instant(rfc3339: &str) -> String {
    match DateTime::parse_from_rfc3339(rfc3339) {
        Ok(instant) => instant
            .with_timezone(&Utc)
            .format("%Y-%m-%d %H:%M UTC")
            .to_string(),
        Err(_) => one_line(rfc3339),
    }
}

pub(crate) fn short(revision: &str) -> String {
    revision.chars().take(12).collect()
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
