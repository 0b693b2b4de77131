//! Every sentence that the API says of its own, so that they can be read, and tested, in one place. Each says what was
//! tried, on what, and what to do.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sallyport_ledger::approvals::{ApprovalRow, ApprovalStatus};
use sallyport_workflows::{State, command::Action, ticket::TicketKey};

use crate::api::{auth::Role, error::ErrorCode};

/// What kind of problem it is, in a few words that never change.
pub const fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BadRequest => "The request cannot be read",
        ErrorCode::BadSignature => "The signature is wrong",
        ErrorCode::Unauthorized => "A token is needed",
        ErrorCode::Forbidden => "Your role does not allow this",
        ErrorCode::NotFound => "There is no such thing",
        ErrorCode::NotThereYet => "There is nothing of the kind yet",
        ErrorCode::MethodNotAllowed => "The path does not take this method",
        ErrorCode::TooSlow => "The body took too long",
        ErrorCode::Ambiguous => "The name means several tickets",
        ErrorCode::Refused => "The ticket does not take this now",
        ErrorCode::TooLarge => "The body is too large",
        ErrorCode::Invalid => "The body cannot be meant",
        ErrorCode::TooMany => "Too many requests",
        ErrorCode::Internal => "Sallyport failed",
        ErrorCode::DatabaseUnavailable => "The database is out of reach",
        ErrorCode::NobodyAnswers => "The ticket's workflow does not answer",
    }
}

/// What is said where nothing more is known than the kind of problem.
pub const fn general(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BadRequest => "the request cannot be read; see the README for the API",
        ErrorCode::BadSignature => BAD_SIGNATURE,
        ErrorCode::Unauthorized => UNAUTHORIZED,
        ErrorCode::Forbidden => "this needs another role; ask an admin of this Sallyport",
        ErrorCode::NotFound | ErrorCode::NotThereYet => NO_SUCH_PATH,
        ErrorCode::MethodNotAllowed => METHOD_NOT_ALLOWED,
        ErrorCode::TooSlow => TOO_SLOW,
        ErrorCode::Ambiguous => "several tickets have this name; say which by its workflow's id",
        ErrorCode::Refused => "this cannot be done to the ticket now; look how it stands",
        ErrorCode::TooLarge => "the body is too large; nothing of this size is expected here",
        ErrorCode::Invalid => "the body cannot be meant; see the README for the API",
        ErrorCode::TooMany => "this is more than is taken from there; send it again later",
        ErrorCode::Internal => INTERNAL,
        ErrorCode::DatabaseUnavailable => DATABASE_DOWN,
        ErrorCode::NobodyAnswers => NOBODY_ANSWERS,
    }
}

/// No token, or one that does not count.
pub const UNAUTHORIZED: &str = "this needs a token that counts here: send `Authorization: Bearer TOKEN`; an operator makes one with `sallyport token create`";
/// A token whose person may not do this.
pub fn forbidden(person: &str, role: Role, needed: Role) -> String {
    format!("{person} has the role {role}, and this needs {needed}; ask an admin of this Sallyport")
}

/// A webhook from an address that its source does not send from.
pub fn not_from_there(address: IpAddr) -> String {
    format!(
        "no webhook is taken from {address}: it is in none of `flux_lens.webhook_networks`; behind a proxy, \
         `starter.trusted_proxies` must name it"
    )
}

/// More than is taken in.
pub fn too_many(seconds: u64) -> String {
    format!("this is more than is taken from there; send it again in {seconds} s")
}

/// The webhook's signature is missing or wrong.
pub const BAD_SIGNATURE: &str = "the header X-FluxLens-Signature is missing or is not the signature of this body; sign \
                                 the raw body with the secret that is `flux_lens.webhook_secret` here";
/// The body is too large.
pub fn too_large(limit: usize) -> String {
    format!("the body is larger than {limit} bytes; nothing of this size is expected here")
}
/// The body did not arrive in time.
pub const TOO_SLOW: &str = "the body did not arrive in time; send it again";
/// The body broke off.
pub const BROKEN_BODY: &str = "the body broke off before its end; send it again";
/// A header is missing or malformed.
pub fn bad_header(name: &str, expected: &str) -> String {
    format!("the header {name} is missing or wrong: it must be {expected}")
}
/// A header says something else than the body.
pub fn contradiction(header: &str, field: &str) -> String {
    format!("the header {header} and the field `{field}` of the body do not agree")
}
/// A field of the body is missing or malformed.
pub fn bad_field(field: &str, problem: &str) -> String {
    if field.is_empty() {
        format!("the body is not understood: {problem}")
    } else {
        format!("the body's field `{field}` is not understood: {problem}")
    }
}

/// The database is out of reach.
pub const DATABASE_DOWN: &str = "the database cannot be reached; nothing was done, send it again";
/// [`DATABASE_DOWN`], for who asks how the starter is.
pub fn unhealthy(temporal: bool) -> String {
    let temporal = if temporal {
        "answers"
    } else {
        "cannot be reached either"
    };
    format!("the database cannot be reached, so no event can be taken in; Temporal {temporal}")
}
/// Something failed that is not the caller's fault.
pub const INTERNAL: &str =
    "this failed inside Sallyport; its log says why, beside the id of this request";
/// The path takes other methods.
pub const METHOD_NOT_ALLOWED: &str = "there is something at this path, but not for this method; the header Allow names those that it takes";
/// The query is none.
pub const UNREADABLE_QUERY: &str =
    "the query is not understood; write it as ?name=value&name=value";
/// A parameter of the query is unknown or malformed.
pub fn bad_query(problem: &str) -> String {
    let problem = problem
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(problem);
    format!("the query is not understood: {problem}")
}
/// Temporal is out of reach, or no worker runs.
pub const NOBODY_ANSWERS: &str = "the ticket's workflow does not answer: Temporal or every worker is down; send it again later with the same id";
/// There is no such route.
pub const NO_SUCH_PATH: &str = "there is nothing at this path; see the README for the API";

/// A cursor that is none.
pub const BROKEN_CURSOR: &str = "`cursor` is not what `next` of an earlier answer of this list said; leave it out to begin anew";
/// What was had last is none of a stream's events.
pub const BROKEN_EVENT_ID: &str =
    "Last-Event-ID is not the id of an event of this stream; leave it out to begin now";
/// A client was away for too long.
pub const STREAM_RESET: &str = "what happened since your last event is not kept any more; read the lists anew, the stream goes on from here";
/// Two places to begin at.
pub const CURSOR_AND_OFFSET: &str =
    "`cursor` and `offset` both say where to begin; send only one of them, and rather `cursor`";
/// An offset that would cost too much.
pub fn offset_too_large(largest: u32) -> String {
    format!(
        "`offset` is larger than {largest}; read on with `cursor`, which is `next` of the answer before"
    )
}
/// No line has such an id.
pub const NO_SUCH_LINE: &str = "`after` is no line's id; send `next` of the answer before";
/// A page that is larger or smaller than pages may be.
pub fn bad_limit(least: u32, most: u32) -> String {
    format!("`limit` must be from {least} to {most}; read on with `next` of the answer")
}
/// Further back than a report goes, or not at all.
pub fn bad_days(most: u32) -> String {
    format!("`days` must be from 1 to {most}")
}
/// A text that cannot be looked for.
pub fn text_length(shortest: usize, longest: usize) -> String {
    format!("`text` must have from {shortest} to {longest} characters")
}

/// What was named is no approval's id.
pub fn no_such_approval(name: &str) -> String {
    format!(
        "there is no request for approval `{name}`; `GET /approvals/pending` lists those that are open"
    )
}

/// What was asked for does not exist yet.
pub fn not_there_yet(what: &str, ticket: &TicketKey, state: State) -> String {
    format!("{ticket} has no {what} yet; its state is {state}")
}

/// A decision came too late.
pub fn gate_closed(approval: &ApprovalRow) -> String {
    let when = approval.decided_at.map(time).unwrap_or_default();
    let by = approval.decided_by.as_deref().unwrap_or("nobody");
    let how = match approval.status {
        ApprovalStatus::Pending => return workflow_over(&approval.workflow_id),
        ApprovalStatus::Approved => format!("was approved by {by}"),
        ApprovalStatus::Revised => format!("was sent back for revision by {by}"),
        ApprovalStatus::Rejected => format!("was rejected by {by}"),
        ApprovalStatus::Expired => "closed because nobody answered in time".to_owned(),
        ApprovalStatus::Cancelled => "closed because the ticket was given up".to_owned(),
    };
    format!(
        "gate {} of {} {how} at {when}",
        approval.gate, approval.workflow_id
    )
}

/// The workflow has ended.
pub fn workflow_over(workflow_id: &str) -> String {
    format!("{workflow_id} does not run any more, so nothing can be decided about it")
}

/// A command to what does not run.
pub fn nothing_to_command(workflow_id: &str, state: State, action: Action) -> String {
    format!("{workflow_id} does not run (its state is {state}), so there is nothing to {action}")
}

/// An id that was sent with something else before.
pub fn id_of_another_command(earlier: Action) -> String {
    format!(
        "this id was sent before, with the command {earlier}; each command needs an id of its own"
    )
}

/// A gate that does not ask again.
pub fn no_base_change(approval: &ApprovalRow) -> String {
    format!(
        "gate {} of {} did not ask because of a change on the base branch, so there are no changes to show",
        approval.gate, approval.workflow_id
    )
}

/// An event of a project that nobody configured.
pub fn unknown_project(project: &str) -> String {
    format!(
        "no `[[repositories]]` entry of the configuration has project = \"{project}\"; add one, restart, and have Flux \
         Lens send the event again"
    )
}

/// An event that asks for what is there.
pub fn already_started(ticket: &TicketKey, state: State) -> String {
    format!("{ticket} exists already; its state is {state}")
}

/// An event of a kind that nothing is done about.
pub fn nothing_about(event: &str) -> String {
    format!("nothing is done about `{event}`")
}

/// An edit of a ticket that nobody works on.
pub fn edit_of_nothing(ticket_id: &str) -> String {
    format!("{ticket_id} was edited, and no attempt at it runs: it is read when one starts")
}

/// The same of a comment.
pub fn comment_on_nothing(ticket_id: &str) -> String {
    format!("{ticket_id} was commented on, and no attempt at it runs: it is read when one starts")
}

/// News of a ticket whose workflow has just ended.
pub fn over(ticket: &TicketKey) -> String {
    format!("{ticket} has ended meanwhile")
}

/// A time as people read it.
fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sallyport_workflows::{ObjectRef, gate::Gate};

    #[test]
    fn golden_sentences() {
        assert_eq!(
            forbidden("v@example.com", Role::Viewer, Role::Approver),
            "v@example.com has the role viewer, and this needs approver; ask an admin of this Sallyport"
        );
        assert_eq!(
            bad_field("ticket.id", "missing"),
            "the body's field `ticket.id` is not understood: missing"
        );
        assert_eq!(
            bad_field("", "no JSON"),
            "the body is not understood: no JSON"
        );
        assert_eq!(
            unknown_project("X"),
            "no `[[repositories]]` entry of the configuration has project = \"X\"; add one, restart, and have Flux Lens \
             send the event again"
        );
        let ticket = TicketKey::first("flux-lens", "FL-1");
        assert_eq!(
            not_there_yet("SPEC", &ticket, State::Planning),
            "ticket:flux-lens:FL-1 has no SPEC yet; its state is PLANNING"
        );
        assert_eq!(
            already_started(&ticket, State::Completed),
            "ticket:flux-lens:FL-1 exists already; its state is COMPLETED"
        );
    }

    #[test]
    fn golden_sentences_about_commands() {
        assert_eq!(
            nothing_to_command("ticket:flux-lens:FL-1", State::Cancelled, Action::Retry),
            "ticket:flux-lens:FL-1 does not run (its state is CANCELLED), so there is nothing to retry"
        );
        assert_eq!(
            id_of_another_command(Action::Cancel),
            "this id was sent before, with the command cancel; each command needs an id of its own"
        );
    }

    #[test]
    fn a_late_decision_is_told_who_was_first() {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let mut approval = ApprovalRow {
            id: uuid::Uuid::nil(),
            workflow: uuid::Uuid::nil(),
            workflow_id: "ticket:flux-lens:FL-1".into(),
            ticket_id: "FL-1".into(),
            title: None,
            gate: Gate::Spec,
            revision: "r".into(),
            content: ObjectRef::of(b""),
            approvals_needed: 1,
            approvals_given: 1,
            approvers: Vec::new(),
            may_not_approve: None,
            status: ApprovalStatus::Approved,
            requested_at: at,
            expires_at: at,
            reminders: Vec::new(),
            base_change: None,
            decided_at: Some(at),
            decided_by: Some("first@example.com".into()),
        };
        assert_eq!(
            gate_closed(&approval),
            "gate SPEC of ticket:flux-lens:FL-1 was approved by first@example.com at 2026-09-21 14:13:20 UTC"
        );
        approval.status = ApprovalStatus::Expired;
        approval.decided_by = None;
        assert_eq!(
            gate_closed(&approval),
            "gate SPEC of ticket:flux-lens:FL-1 closed because nobody answered in time at 2026-09-21 14:13:20 UTC"
        );
    }
}
