//! The only way from one state to another.

use super::{
    Ctx, TicketWorkflow, details, now,
    step::{Step, call_detached},
};
use crate::{
    State,
    activities::{LedgerActivities, RECORD_TRANSITION, TicketFacts, TransitionRecord},
    failure::{MAXIMUM_MESSAGE, shorten},
    search_attributes,
};

/// Who makes a transition that no person asked for.
pub(super) const SYSTEM: &str = "system";

/// Moves the ticket: checks the table, then state, search attribute, current details and ledger. An illegal move is a
/// mistake in this code; it fails the workflow task, so that the ticket waits for a corrected worker.
pub(super) async fn enter(
    ctx: &Ctx,
    to: State,
    by: &str,
    reason: impl Into<Option<String>>,
) -> Step<()> {
    let from = ctx.state(|ticket| ticket.status.state);
    assert!(from.may_go_to(to), "{from} may not go to {to}");
    record(ctx, Some(from), to, by, reason.into()).await
}

/// Puts the first state on record.
pub(super) async fn begin(ctx: &Ctx) -> Step<()> {
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
    record(ctx, None, State::Pending, SYSTEM, None).await
}

async fn record(
    ctx: &Ctx,
    from: Option<State>,
    to: State,
    by: &str,
    reason: Option<String>,
) -> Step<()> {
    let at = now(ctx);
    let record = ctx.state_mut(|ticket| {
        ticket.status.state = to;
        ticket.status.since = at;
        ticket.status.sequence += 1;
        TransitionRecord {
            ticket: ticket.key(),
            sequence: ticket.status.sequence,
            from,
            to,
            at,
            triggered_by: by.to_owned(),
            reason: reason.map(|reason| shorten(&reason, MAXIMUM_MESSAGE)),
            facts: ticket.facts(),
        }
    });
    ctx.upsert_search_attributes([search_attributes::STATE.value_set(to.as_str().to_owned())]);
    ctx.set_current_details(ctx.state(|ticket| details::markdown(&ticket.status)));
    let options = RECORD_TRANSITION.options(format!("record {to}"));
    call_detached(ctx, LedgerActivities::record_transition, record, options).await
}

impl TicketWorkflow {
    fn facts(&self) -> TicketFacts {
        let status = &self.status;
        TicketFacts {
            repository_url: status.repository_url.clone(),
            summary: status.summary.clone(),
            spec: status.spec.clone(),
            spec_approved_by: self.spec_approved_by.clone(),
            diff: status.diff.clone(),
            head_commit: status.head_commit.clone(),
            qa_report: status.qa_report.clone(),
            qa_passed: self.qa_passed,
            pull_request: status.pull_request.clone(),
            failure: status.failure.clone(),
            usage: status.usage,
        }
    }
}
