//! Every sentence that people read outside a terminal: comments on tickets, pull requests, commit messages.
//!
//! What a ticket, a model or a program said is quoted or brought into one line, so that it cannot pass for ours.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sallyport_workflows::{
    activities::{GateResult, StepKey, TicketEvent},
    gate::BaseChange,
    pull_request::PullRequest,
    scope::ScopeRequest,
    spec::{Spec, SpecRef},
    text::shorten,
    ticket::{TicketKey, TicketSummary},
};
use serde_json::json;

use crate::planning::render::{
    code, criteria, one_line, planned_files, questions_markdown, quoted,
};

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
        TicketEvent::Questions {
            questions,
            deadline,
        } => format!(
            "Before a SPEC can be written, the planner asks the people of this ticket:\n\n{}\nPlease answer here, in a comment \
             or by editing the ticket, until **{}**. Sallyport reads it a little later and goes on by itself. In silence \
             the ticket is parked.\n\n- See how it stands: {}\n",
            questions_markdown(questions),
            instant(deadline),
            decide("status"),
        ),
        TicketEvent::SpecReady {
            revision,
            deadline,
            base_change,
        } => format!(
            "{} until **{}**. Silence rejects it.\n\n- Read it: {}\n- Decide: {}, {} or {}\n\nRevision {}\n",
            match base_change {
                None => "A SPEC is ready and waits for a decision".to_owned(),
                Some(change) => {
                    format!("{}The SPEC waits for a new decision", changed_base(change))
                }
            },
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
            "The agent asks to change {}. It waits for a decision until **{}**. Silence refuses it; either way the agent \
             goes on.\n\nIts reason:\n\n{}\n- Decide: {} or {}\n",
            match count {
                1 => format!("{}, which the SPEC does not list", code(first)),
                count => format!(
                    "{count} files that the SPEC does not list, such as {}",
                    code(first)
                ),
            },
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
             again or gives it up.\n\n- See how it stands: {}\n- Decide: {} or {}\n",
            code(&failure.step),
            one_line(&failure.kind),
            quoted(&failure.message),
            decide("status"),
            decide("retry"),
            decide("abandon"),
        ),
    }
}

/// Why gate 1 asks again, a paragraph of its own.
pub(crate) fn changed_base(change: &BaseChange) -> String {
    let first = code(&change.first);
    let files = match change.files {
        1 => format!("{first}, which is in the SPEC's scope,"),
        files => format!("{files} files in the SPEC's scope, such as {first},"),
    };
    format!(
        "On the base branch {files} changed since the SPEC was written, so its approval no longer holds.\n\n"
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
    /// The agent's requests for more scope that people granted.
    pub grants: &'a [ScopeRequest],
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
    text.push_str(&planned_files(spec));
    text.push_str(&granted_files(facts.grants));
    let summary = match facts.agent_summary.trim() {
        "" => "> (The agent said nothing about it.)\n".to_owned(),
        said => quoted(said),
    };
    let _ = write!(text, "\n## Done, in the agent's words\n\n{summary}");
    let _ = write!(text, "\n## Quality gates\n\n{}", gate_table(facts.qa));
    let _ = write!(text, "\n## Criteria\n\n{}", criteria(&spec.criteria));
    let risks: Vec<String> = spec
        .risks
        .iter()
        .map(|risk| format!("- {}\n", one_line(risk)))
        .collect();
    if !risks.is_empty() {
        let _ = write!(text, "\n## Risks\n\n{}", risks.concat());
    }
    let files = match facts.grants {
        [] => "the planned files differ",
        _ => "the planned and the granted files differ",
    };
    let _ = write!(
        text,
        "\n---\nGenerated by Sallyport from SPEC {}, which {} approved. A coding agent wrote this change in a sealed room; \
         only {files} from the base branch.\n\n{}\n",
        code(&short(&facts.reference.revision)),
        one_line(facts.approved_by),
        machine_block(facts),
    );
    text
}

/// What people granted beyond the SPEC, and why the agent wanted it.
fn granted_files(grants: &[ScopeRequest]) -> String {
    let mut text = String::new();
    if !grants.is_empty() {
        text.push_str("\n## Files granted later, with the agent's reasons\n\n");
    }
    for grant in grants {
        let paths: Vec<String> = grant.paths.iter().map(|path| code(path.as_str())).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "- {}: {}", paths.join(", "), one_line(&grant.reason));
    }
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
    let mut table = "| Gate | Result | Before the change | Required | Time |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for gate in gates {
        let result = match (gate.passed, gate.excused) {
            (true, _) => "passed",
            (false, true) => "failed as before, which the policy allows",
            (false, false) => "**failed**",
        };
        let before = match gate.base {
            Some(true) => "passed",
            Some(false) => "failed",
            None => "not known",
        };
        let required = if gate.required { "yes" } else { "no" };
        let name = one_line(&gate.name).replace('|', "\\|");
        let _ = writeln!(
            table,
            "| {name} | {result} | {before} | {required} | {} |",
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
