//! The only way from one state to another.

use chrono::{DateTime, Utc};
use temporalio_common::search_attributes::{SearchAttributeUpdate, Timestamp};

use super::{Ctx, TicketWorkflow, details, now, step::call_surely};
use crate::{
    State,
    activities::{LedgerActivities, RECORD_TRANSITION, TicketFacts, TransitionRecord},
    failure::MAXIMUM_MESSAGE,
    search_attributes,
    text::shorten,
};

/// Who makes a transition that no person asked for.
pub(super) const SYSTEM: &str = "system";

/// Where a ticket goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) to: State,
    /// A person's email address, or [`SYSTEM`].
    pub(super) by: String,
    /// For people.
    pub(super) reason: Option<String>,
}

impl Move {
    /// The ticket's own next step.
    pub(super) fn on(to: State) -> Self {
        Self {
            to,
            by: SYSTEM.to_owned(),
            reason: None,
        }
    }

    /// The same, for a reason that people should know.
    pub(super) fn because(to: State, by: &str, reason: impl Into<String>) -> Self {
        Self {
            to,
            by: by.to_owned(),
            reason: Some(reason.into()),
        }
    }
}

/// Moves the ticket: checks the table, then state, search attributes, current details and ledger. An illegal move is a
/// mistake in this code; it fails the workflow task, so that the ticket waits for a corrected worker.
pub(super) async fn enter(ctx: &Ctx, next: Move) {
    let from = super::state(ctx);
    assert!(from.may_go_to(next.to), "{from} may not go to {}", next.to);
    record(ctx, Some(from), next).await;
}

/// Puts the first state on record.
pub(super) async fn begin(ctx: &Ctx) {
    let (source, ticket_id, repository) = ctx.state(|ticket| {
        let key = ticket.key();
        (
            key.source,
            key.ticket_id,
            ticket.status.repository_url.clone(),
        )
    });
    ctx.upsert_search_attributes([
        search_attributes::SOURCE.value_set(source),
        search_attributes::TICKET.value_set(ticket_id),
        search_attributes::REPOSITORY.value_set(shorten(&repository, 200)),
    ]);
    record(ctx, None, Move::on(State::Pending)).await;
}

/// Brings what the Temporal UI shows up to date.
pub(super) fn show(ctx: &Ctx) {
    ctx.set_current_details(ctx.state(|ticket| details::markdown(&ticket.shown())));
}

/// Since when the ticket waits for people in a state that does not always; or that it waits no more.
pub(super) fn waits_since(ctx: &Ctx, since: Option<DateTime<Utc>>) {
    let none = || search_attributes::unset(search_attributes::WAITING_SINCE.name());
    ctx.upsert_search_attributes([since.map_or_else(none, waiting_since)]);
}

fn waiting_since(at: DateTime<Utc>) -> SearchAttributeUpdate {
    search_attributes::WAITING_SINCE.value_set(Timestamp::new(at.timestamp(), 0))
}

async fn record(ctx: &Ctx, from: Option<State>, next: Move) {
    let at = now(ctx);
    let to = next.to;
    let (record, asked) = ctx.state_mut(|ticket| {
        let asked = ticket.status.questions.take().is_some();
        ticket.status.state = to;
        ticket.status.since = at;
        ticket.status.deadline = ticket.deadline_in(to, at);
        ticket.status.sequence += 1;
        let record = TransitionRecord {
            ticket: ticket.key(),
            sequence: ticket.status.sequence,
            from,
            to,
            at,
            triggered_by: next.by,
            reason: next.reason.map(|reason| shorten(&reason, MAXIMUM_MESSAGE)),
            facts: ticket.facts(),
        };
        (record, asked)
    });
    let mut attributes = vec![search_attributes::STATE.value_set(to.as_str().to_owned())];
    if to.waits_for_people() {
        attributes.push(waiting_since(at));
    } else if asked || from.is_some_and(State::waits_for_people) {
        attributes.push(search_attributes::unset(
            search_attributes::WAITING_SINCE.name(),
        ));
    }
    ctx.upsert_search_attributes(attributes);
    show(ctx);
    let options = RECORD_TRANSITION.options(format!("record {to}"));
    call_surely(ctx, LedgerActivities::record_transition, record, options).await;
}

impl TicketWorkflow {
    fn facts(&self) -> TicketFacts {
        let status = &self.status;
        TicketFacts {
            repository_url: status.repository_url.clone(),
            summary: status.summary.clone(),
            planner: self.memory.planner.clone(),
            spec: status.spec.clone(),
            spec_approved_by: self.memory.spec_approved_by.clone(),
            diff: status.diff.clone(),
            head_commit: status.head_commit.clone(),
            qa_report: status.qa_report.clone(),
            qa_passed: self.memory.qa.as_ref().map(|qa| qa.passed),
            pull_request: status.pull_request.clone(),
            failure: status.failure.clone(),
            unapproved: status.unapproved,
            retries: status.rounds.retries,
            usage: status.usage,
        }
    }
}
