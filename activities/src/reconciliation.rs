//! Asks a ticket system what it told us, and takes in what never came.
//!
//! What is found goes the way of a webhook: the same reading, the same inbox, the same name. So a webhook that comes late is
//! a duplicate, and it does not matter which of the two is first.

use chrono::{DateTime, Utc};
use sallyport_ledger::{Database, inbox, reconciliation};

use crate::{
    failure::StepError,
    tickets::{TicketError, TicketSource},
};

/// What a run found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Events that were looked at.
    pub events: u64,
    /// Events that the inbox did not have.
    pub taken: u64,
    /// Events from before the time that counts.
    pub too_old: u64,
    /// Events that cannot be understood.
    pub unreadable: u64,
    /// How often the list had to be read from its beginning again, since our place in it was gone.
    pub begun_again: u64,
}

impl std::ops::Add for Reconciled {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            taken: self.taken + other.taken,
            too_old: self.too_old + other.too_old,
            unreadable: self.unreadable + other.unreadable,
            begun_again: self.begun_again + other.begun_again,
        }
    }
}

/// Reads the list of `source` from where the last run was, and writes into the inbox what that does not have. What
/// happened before `since` is left out.
///
/// Again, or at the same time elsewhere, adds nothing. The place is remembered after each part of the list, so a run that
/// breaks off is taken up by the next.
pub async fn reconcile(
    database: &Database,
    name: &str,
    source: &dyn TicketSource,
    since: DateTime<Utc>,
) -> Result<Reconciled, StepError> {
    let mut done = Reconciled::default();
    let mut place = reconciliation::cursor(database, name).await?;
    loop {
        let page = match source.events(place.as_deref()).await {
            Err(TicketError::PlaceGone { .. }) if place.is_some() => {
                tracing::warn!(
                    source = name,
                    "our place in the list of events is gone; reading all that is kept"
                );
                done.begun_again += 1;
                place = None;
                continue;
            }
            page => page?,
        };
        for listed in &page.events {
            done.events += 1;
            let read = match &listed.read {
                Ok(read) => read,
                Err(problem) => {
                    // Its webhook is refused with the same words. It must not keep back the events behind it.
                    tracing::error!(
                        source = name,
                        delivery = listed.delivery_id,
                        %problem,
                        "an event of the list cannot be taken in"
                    );
                    done.unreadable += 1;
                    continue;
                }
            };
            if read.occurred_at < since {
                done.too_old += 1;
                continue;
            }
            let accepted = inbox::accept(database, &read.event).await?;
            if !accepted.duplicate {
                tracing::info!(
                    source = name,
                    delivery = listed.delivery_id,
                    event = read.event.event,
                    ticket = read.event.ticket_id,
                    "took in an event whose webhook had not come"
                );
                done.taken += 1;
            }
        }
        if place.as_ref() != Some(&page.next) {
            reconciliation::remember(database, name, &page.next).await?;
        }
        if page.events.is_empty() {
            return Ok(done);
        }
        place = Some(page.next);
    }
}

#[cfg(test)]
#[path = "reconciliation_tests.rs"]
mod tests;
