//! Turns events of the inbox into workflows.
//!
//! | event | what happens |
//! | --- | --- |
//! | a ticket was created, or an admin asks for it | its first attempt starts, unless there is one |
//! | a ticket was reopened, or an admin asks for it | its next attempt starts, if the latest has ended |
//! | a ticket was edited | nothing: edits never re-plan by themselves |
//!
//! Which attempts exist is decided by the ledger, since Temporal forgets. An event is settled only after Temporal has
//! taken the workflow; whoever takes up an event that another dispatcher left half done repeats what is harmless.

use std::time::Duration;

use sallyport_ledger::{
    LedgerError,
    config::repository_of,
    inbox::{self, Claim, InboxEvent},
    workflows::{self, NewWorkflow, WorkflowRow},
};
use sallyport_workflows::ticket::{Priority, TicketInput, TicketKey};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    api::error::parse_json,
    state::StarterState,
    temporal::{TicketCard, TicketsError},
    text,
    webhooks::flux_lens::{CREATED, REOPENED, REQUESTED},
};

/// How often the inbox is looked at when nobody says that there is something in it: for retries, and for what another
/// starter took in and did not get to.
const POLL: Duration = Duration::from_secs(1);

/// What an event says that the dispatcher needs.
#[derive(Debug, Deserialize)]
struct Body {
    ticket: Ticket,
}

#[derive(Debug, Deserialize)]
struct Ticket {
    id: String,
    project: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    reporter: Option<String>,
    #[serde(default)]
    priority: Priority,
}

/// What to do about an event.
enum Plan {
    /// Start this attempt.
    Start(Box<TicketInput>, TicketCard),
    /// Nothing, because of this.
    Ignore(String),
    /// It can never be done, because of this.
    Fail(String),
}

/// Works the inbox off until `shutdown`. The event at hand is finished first.
pub async fn run(state: StarterState, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match dispatch_next(&state).await {
            Ok(true) => {}
            Ok(false) => {
                tokio::select! {
                    () = state.new_event.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    () = shutdown.cancelled() => {}
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot work the inbox off; trying again"
                );
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
    }
}

/// Works off one event. Returns whether there was one.
pub async fn dispatch_next(state: &StarterState) -> Result<bool, LedgerError> {
    let Some(claim) = inbox::claim(&state.database).await? else {
        return Ok(false);
    };
    let (input, card) = match plan(state, claim.event()).await? {
        Plan::Start(input, card) => (input, card),
        Plan::Ignore(reason) => {
            tracing::info!(
                event = claim.event().id,
                reason,
                "nothing to do about an event"
            );
            return claim.ignored(&reason).await.map(|()| true);
        }
        Plan::Fail(reason) => {
            tracing::error!(
                event = claim.event().id,
                reason,
                "an event cannot be worked off"
            );
            return claim.failed(&reason).await.map(|()| true);
        }
    };
    start(state, claim, *input, &card).await.map(|()| true)
}

async fn start(
    state: &StarterState,
    claim: Claim,
    input: TicketInput,
    card: &TicketCard,
) -> Result<(), LedgerError> {
    let key = input.key();
    match state.tickets.start(input, card).await {
        Ok(()) => {
            tracing::info!(event = claim.event().id, workflow = %key, "started a ticket");
            claim.dispatched().await
        }
        Err(TicketsError::NoAnswer(why)) => {
            tracing::warn!(event = claim.event().id, workflow = %key, why, "Temporal is out of reach; the event waits");
            claim.postponed(&why).await
        }
        Err(error) => {
            tracing::error!(event = claim.event().id, workflow = %key, error = &error as &dyn std::error::Error, "a ticket could not be started");
            claim.attempt_failed(&error.to_string()).await?;
            Ok(())
        }
    }
}

/// Decides what to do about an event, and enters the attempt that it asks for.
async fn plan(state: &StarterState, event: &InboxEvent) -> Result<Plan, LedgerError> {
    let may_follow = match event.event.as_str() {
        CREATED => false,
        REOPENED | REQUESTED => true,
        _ => {
            return Ok(Plan::Ignore(
                "an edit of a ticket starts nothing by itself".to_owned(),
            ));
        }
    };
    let ticket = match parse_json::<Body>(&event.body) {
        Ok(body) => body.ticket,
        Err((field, problem)) => return Ok(Plan::Fail(text::bad_field(&field, &problem))),
    };
    let Some(repository) = repository_of(&state.repositories, &ticket.project) else {
        return Ok(Plan::Fail(text::unknown_project(&ticket.project)));
    };
    let card = TicketCard {
        title: ticket
            .title
            .clone()
            .unwrap_or_else(|| "(title not read yet)".to_owned()),
        url: ticket.url.clone(),
    };
    // Taken up again after a dispatcher died with it: the same attempt.
    let row = match workflows::of_event(&state.database, event.id).await? {
        Some(row) => row,
        None => {
            let latest =
                workflows::latest_attempt(&state.database, &event.source, &ticket.id).await?;
            let key = match next_attempt(latest.as_ref(), &event.source, &ticket.id, may_follow) {
                Ok(key) => key,
                Err(reason) => return Ok(Plan::Ignore(reason)),
            };
            let new = NewWorkflow {
                ticket: key.clone(),
                inbox_id: Some(event.id),
                title: ticket.title,
                ticket_url: ticket.url,
                reporter: ticket.reporter,
                priority: ticket.priority,
                repository_url: repository.url.clone(),
            };
            workflows::insert(&state.database, &new).await?;
            // Somebody else may have entered this attempt between the two looks; then it is theirs.
            match workflows::of_event(&state.database, event.id).await? {
                Some(row) => row,
                None => return Ok(Plan::Ignore(format!("{key} was started by another event"))),
            }
        }
    };
    Ok(Plan::Start(Box::new(input(state, &row)), card))
}

fn input(state: &StarterState, row: &WorkflowRow) -> TicketInput {
    TicketInput {
        source: row.source.clone(),
        ticket_id: row.ticket_id.clone(),
        attempt: row.attempt,
        repository_url: row.repository_url.clone(),
        priority: row.priority,
        installation_policy: state.policy.clone(),
        carried: None,
    }
}

/// Which attempt an event starts, or why none.
fn next_attempt(
    latest: Option<&WorkflowRow>,
    source: &str,
    ticket_id: &str,
    may_follow: bool,
) -> Result<TicketKey, String> {
    match latest {
        None => Ok(TicketKey::first(source, ticket_id)),
        Some(row) if may_follow && row.state.is_end() => Ok(TicketKey {
            attempt: row.attempt.saturating_add(1),
            ..row.key()
        }),
        Some(row) => Err(text::already_started(&row.key(), row.state)),
    }
}
