//! Turns events of the inbox into workflows.
//!
//! | event | what happens |
//! | --- | --- |
//! | a ticket was created, or an admin asks for it | its first attempt starts, unless there is one |
//! | a ticket was reopened, or an admin asks for it | its next attempt starts, if the latest has ended |
//! | a ticket was edited, or reopened while its attempt runs | that attempt is told; edits never re-plan by themselves |
//!
//! Several are worked off at once, each of another ticket. Which attempts exist is decided by the ledger, since Temporal forgets. An event is settled only after Temporal has
//! taken the workflow; whoever takes up an event that another dispatcher left half done repeats what is harmless.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sallyport_ledger::{
    LedgerError,
    config::repository_of,
    flux_lens::{COMMENTED, CREATED, REOPENED, REQUESTED, UPDATED},
    inbox::{self, Claim, InboxEvent},
    json::parse_json,
    workflows::{self, NewWorkflow, WorkflowRow},
};
use sallyport_workflows::ticket::{NewsEvent, Priority, TicketInput, TicketKey, TicketNews};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    state::StarterState,
    temporal::{TicketCard, TicketsError},
    text,
};

/// How often the inbox is looked at when nobody says that there is something in it: for retries, and for what another
/// starter took in and did not get to.
const POLL: Duration = Duration::from_secs(1);

/// What an event says that the dispatcher needs.
#[derive(Debug, Deserialize)]
struct Body {
    ticket: Ticket,
    #[serde(default)]
    occurred_at: Option<DateTime<Utc>>,
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
    /// Tell the workflow of this attempt, which runs.
    Tell(TicketKey, TicketNews),
    /// Nothing, because of this.
    Ignore(String),
    /// It can never be done, because of this.
    Fail(String),
}

/// Works the inbox off until `shutdown`, several events at once. Those at hand are finished first.
pub async fn run(state: StarterState, shutdown: CancellationToken) {
    let dispatchers = state.config.dispatchers.max(1);
    let dispatch = |_| dispatch(state.clone(), shutdown.clone());
    futures::future::join_all((0..dispatchers).map(dispatch)).await;
}

async fn dispatch(state: StarterState, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match dispatch_next(&state).await {
            // Where there was one, there may be another for somebody who sleeps.
            Ok(true) => state.new_event.notify_one(),
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
    match plan(state, claim.event()).await? {
        Plan::Start(input, card) => start(state, claim, *input, &card).await?,
        Plan::Tell(key, news) => tell(state, claim, &key, &news).await?,
        Plan::Ignore(reason) => {
            tracing::info!(
                event = claim.event().id,
                reason,
                "nothing to do about an event"
            );
            claim.ignored(&reason).await?;
        }
        Plan::Fail(reason) => {
            tracing::error!(
                event = claim.event().id,
                reason,
                "an event cannot be worked off"
            );
            claim.failed(&reason).await?;
        }
    }
    Ok(true)
}

async fn tell(
    state: &StarterState,
    claim: Claim,
    key: &TicketKey,
    news: &TicketNews,
) -> Result<(), LedgerError> {
    let workflow_id = key.workflow_id();
    let event = claim.event();
    // Deliveries of two sources may have the same name.
    let delivery = format!("{}/{}", event.source, event.delivery_id);
    match state.tickets.tell(&workflow_id, news, &delivery).await {
        Ok(()) => {
            tracing::info!(event = event.id, workflow = %key, "told a ticket what happened");
            claim.dispatched(&workflow_id).await
        }
        // It has just ended. An edit or a comment matters to nobody any more; a reopening is looked at again when the ledger
        // knows.
        Err(TicketsError::NotRunning(_)) if news.event != NewsEvent::Reopened => {
            claim.ignored(&text::over(key)).await
        }
        Err(error) => not_done(claim, key, error).await,
    }
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
            claim.dispatched(&key.workflow_id()).await
        }
        Err(error) => not_done(claim, &key, error).await,
    }
}

/// Temporal did not do what an event asks for.
async fn not_done(claim: Claim, key: &TicketKey, error: TicketsError) -> Result<(), LedgerError> {
    let event = claim.event().id;
    if let TicketsError::NoAnswer(why) = error {
        tracing::warn!(event, workflow = %key, why, "Temporal is out of reach; the event waits");
        return claim.postponed(&why).await;
    }
    let error = error.to_string();
    tracing::error!(event, workflow = %key, error, "an event could not be worked off");
    claim.attempt_failed(&error).await.map(|_| ())
}

/// Decides what to do about an event, and enters the attempt that it asks for.
async fn plan(state: &StarterState, event: &InboxEvent) -> Result<Plan, LedgerError> {
    let body = match parse_json::<Body>(&event.body) {
        Ok(body) => body,
        Err((field, problem)) => return Ok(Plan::Fail(text::bad_field(&field, &problem))),
    };
    let ticket = &body.ticket;
    let (may_follow, news) = match event.event.as_str() {
        CREATED => (false, None),
        REQUESTED => (true, None),
        REOPENED => (true, Some(NewsEvent::Reopened)),
        UPDATED => (false, Some(NewsEvent::Edited)),
        COMMENTED => (false, Some(NewsEvent::Commented)),
        other => return Ok(Plan::Ignore(text::nothing_about(other))),
    };
    if let Some(news) = news {
        let latest = workflows::latest_attempt(&state.database, &event.source, &ticket.id).await?;
        let running = latest.filter(|row| !row.state.is_end());
        match (running, news) {
            (Some(row), _) => {
                let news = TicketNews {
                    event: news,
                    at: body.occurred_at.unwrap_or_else(Utc::now),
                    title: ticket.title.clone(),
                };
                return Ok(Plan::Tell(row.key(), news));
            }
            (None, NewsEvent::Edited) => {
                return Ok(Plan::Ignore(text::edit_of_nothing(&ticket.id)));
            }
            (None, NewsEvent::Commented) => {
                return Ok(Plan::Ignore(text::comment_on_nothing(&ticket.id)));
            }
            (None, NewsEvent::Reopened) => {}
        }
    }
    start_plan(state, event, body.ticket, may_follow).await
}

/// Enters the attempt that an event asks for.
async fn start_plan(
    state: &StarterState,
    event: &InboxEvent,
    ticket: Ticket,
    may_follow: bool,
) -> Result<Plan, LedgerError> {
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
