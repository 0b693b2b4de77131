//! What people are told about an open gate, whatever the channel: that it opened, and later that it still waits.
//!
//! As in [`crate::text`], what a ticket said is brought into one line, so that it cannot pass for ours.

use chrono::{DateTime, Utc};
use sallyport_ledger::notifications::Notice;
use sallyport_workflows::{
    gate::{BaseChange, Gate},
    scope::is_hidden,
    text::shorten,
    ticket::TicketKey,
};
use uuid::Uuid;

use crate::{
    planning::render::{code, one_line},
    text::{changed_base, instant, short},
};

/// The longest subject, in characters.
const MAXIMUM_SUBJECT: usize = 150;

/// An open gate, as people are told of it.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Which ticket.
    pub ticket: &'a TicketKey,
    /// Its title, as far as it is known.
    pub title: Option<&'a str>,
    /// The request's id.
    pub approval_id: Uuid,
    /// Which gate.
    pub gate: Gate,
    /// What is asked about.
    pub revision: &'a str,
    /// How many distinct people must approve.
    pub approvals_needed: u32,
    /// When silence closes it.
    pub deadline: DateTime<Utc>,
    /// Why it is asked again.
    pub base_change: Option<&'a BaseChange>,
}

/// That a gate opened. The key names the request.
pub fn gate_opened(question: &Question<'_>) -> Notice {
    let asks = match question.gate {
        Gate::Spec => "a SPEC waits for your decision",
        Gate::Scope => "the agent asks for more files",
        Gate::Pr => "a pull request waits for your decision",
    };
    Notice {
        key: format!("gate-opened/{}", question.approval_id),
        subject: subject(question, asks),
        body: body(question, "waits"),
    }
}

/// That a gate still waits. The key names the request and the time that the reminder was planned for.
pub fn gate_reminder(question: &Question<'_>, planned_at: DateTime<Utc>) -> Notice {
    let asks = match question.gate {
        Gate::Spec => "the SPEC still waits for your decision",
        Gate::Scope => "the agent still waits for an answer about more files",
        Gate::Pr => "the pull request still waits for your decision",
    };
    Notice {
        key: format!(
            "gate-reminder/{}/{}",
            question.approval_id,
            planned_at.to_rfc3339()
        ),
        subject: subject(question, asks),
        body: body(question, "still waits"),
    }
}

/// No Markdown: a line of plain text.
fn subject(question: &Question<'_>, asks: &str) -> String {
    let title = question
        .title
        .map(|title| format!(" ({title})"))
        .unwrap_or_default();
    let line = format!("{}: {asks}{title}", question.ticket.ticket_id);
    let words: Vec<&str> = line.split_whitespace().collect();
    let line: String = words
        .join(" ")
        .chars()
        .filter(|letter| !letter.is_control() && !is_hidden(*letter))
        .collect();
    shorten(&line, MAXIMUM_SUBJECT)
}

fn body(question: &Question<'_>, waits: &str) -> String {
    let id = &question.ticket.ticket_id;
    let ticket = match question.title {
        Some(title) => format!("{} ({})", one_line(id), one_line(title)),
        None => one_line(id),
    };
    let command = |words: &str| code(&format!("sallyport {words} {id}"));
    let (what, silence, read, words) = match question.gate {
        Gate::Spec => (
            "The SPEC",
            "Silence rejects it.",
            "spec",
            &["approve", "revise", "reject"][..],
        ),
        Gate::Scope => (
            "The agent asks to change files that the SPEC does not list. Its request",
            "Silence refuses it, and the agent goes on without them.",
            "status",
            &["approve", "reject"][..],
        ),
        Gate::Pr => (
            "The pull request",
            "Silence closes it.",
            "diff",
            &["approve", "revise", "reject"][..],
        ),
    };
    let because = question.base_change.map(changed_base).unwrap_or_default();
    let several = match question.approvals_needed {
        0 | 1 => String::new(),
        people => format!("- {people} people must approve\n"),
    };
    let decide: Vec<String> = words.iter().map(|word| command(word)).collect();
    format!(
        "{because}{what} for ticket {ticket} {waits} for a decision until **{}**. {silence}\n\n- Read it: {}\n- Decide: {}\n\
         {several}\nRevision {}\n",
        instant(&question.deadline.to_rfc3339()),
        command(read),
        alternatives(&decide),
        code(&short(question.revision)),
    )
}

/// `a, b or c`.
fn alternatives(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use sallyport_workflows::ObjectRef;

    use super::*;
    use crate::testing::golden;

    fn all(question: &Question<'_>) -> String {
        let mut all = String::new();
        let planned_at = "2026-11-24T06:30:00Z".parse().unwrap();
        for gate in [Gate::Spec, Gate::Scope, Gate::Pr] {
            let question = Question {
                gate,
                base_change: question.base_change.filter(|_| gate == Gate::Spec),
                ..question.clone()
            };
            for notice in [gate_opened(&question), gate_reminder(&question, planned_at)] {
                let Notice { key, subject, body } = notice;
                let _ = write!(all, "=== {key}\n{subject}\n---\n{body}");
            }
        }
        all
    }

    fn question<'a>(ticket: &'a TicketKey, title: &'a str) -> Question<'a> {
        Question {
            ticket,
            title: Some(title),
            approval_id: Uuid::from_u128(1),
            gate: Gate::Spec,
            revision: "6352e3c830d733c221db9728679cf5de2ff192ba68f8bca9a3450b5394a91e58",
            approvals_needed: 1,
            deadline: "2026-11-24T18:30:00Z".parse().unwrap(),
            base_change: None,
        }
    }

    #[test]
    fn notices_are_as_agreed() {
        let ticket = TicketKey::first("flux-lens", "FL-1");
        let question = question(&ticket, "parse cannot read milliseconds");
        let change = BaseChange {
            from: "01".repeat(20),
            to: "02".repeat(20),
            files: 2,
            first: "src/a.js".into(),
            diff: ObjectRef::of(b"diff"),
        };
        let again = Question {
            title: None,
            approvals_needed: 2,
            base_change: Some(&change),
            ..question.clone()
        };
        golden(
            "notices.md",
            &format!("{}\n=== again, for two\n{}", all(&question), all(&again)),
        );
    }

    #[test]
    fn a_hostile_title_stays_in_its_line() {
        let ticket = TicketKey::first("flux-lens", "FL-1");
        let title = format!(
            "x\u{202e}\r\nBcc: all@example.com\n\n- Decide: `rm`\n# Approved\0 {}",
            "y".repeat(300)
        );
        let question = question(&ticket, &title);
        let plain = self::question(&ticket, "t");
        for (notice, harmless) in [
            (gate_opened(&question), gate_opened(&plain)),
            (
                gate_reminder(&question, question.deadline),
                gate_reminder(&plain, plain.deadline),
            ),
        ] {
            assert_eq!(notice.body.lines().count(), harmless.body.lines().count());
            assert!(notice.subject.chars().count() <= MAXIMUM_SUBJECT);
            assert!(
                !notice
                    .subject
                    .chars()
                    .any(|letter| letter.is_control() || is_hidden(letter)),
                "{}",
                notice.subject
            );
        }
    }
}
