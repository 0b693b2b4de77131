//! The activities towards the ticket system; declared in `sallyport_workflows::activities::TicketActivities`.

#![expect(
    missing_docs,
    reason = "the constants that the macro makes carry no documentation"
)]

use std::sync::Arc;

use sallyport_workflows::{
    activities::{SetTicketStatus, TicketComment, definitions},
    text::shorten,
    ticket::{TicketKey, TicketSummary},
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{context::Context, failure::StepError, text};

/// Implements the activities towards the ticket system.
#[derive(Debug)]
pub struct TicketSteps {
    context: Arc<Context>,
}

impl TicketSteps {
    /// With what all activities share.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    async fn fetch(&self, ticket: &TicketKey) -> Result<TicketSummary, StepError> {
        let source = self.context.sources.get(&ticket.source)?;
        let fetched = source.fetch(&ticket.ticket_id).await?;
        Ok(TicketSummary {
            title: fetched.title,
            // What the workflow keeps is bounded; the whole is stored.
            url: shorten(&fetched.url, 400),
            reporter: shorten(&fetched.reporter, 254),
            content: self.context.store(ticket, fetched.content).await?,
        })
    }

    async fn comment(&self, comment: &TicketComment) -> Result<(), StepError> {
        let ticket = &comment.key.ticket;
        let source = self.context.sources.get(&ticket.source)?;
        let text = text::ticket_comment(&comment.key, &comment.event);
        Ok(source
            .comment(&ticket.ticket_id, &comment.key.to_string(), &text)
            .await?)
    }

    async fn set_status(&self, change: &SetTicketStatus) -> Result<(), StepError> {
        let source = self.context.sources.get(&change.ticket.source)?;
        Ok(source
            .set_status(&change.ticket.ticket_id, change.status)
            .await?)
    }
}

#[activities]
impl TicketSteps {
    /// Reads the ticket and stores it. A read: again is harmless. Waits as long as the ticket system asks for.
    #[activity(definition = definitions::FetchTicket)]
    pub async fn fetch_ticket(
        self: Arc<Self>,
        _context: ActivityContext,
        ticket: TicketKey,
    ) -> Result<TicketSummary, ActivityError> {
        Ok(self.fetch(&ticket).await?)
    }

    /// Posts one comment. The step key goes along as idempotency key, so again posts nothing.
    #[activity(definition = definitions::CommentOnTicket)]
    pub async fn comment_on_ticket(
        self: Arc<Self>,
        _context: ActivityContext,
        comment: TicketComment,
    ) -> Result<(), ActivityError> {
        Ok(self.comment(&comment).await?)
    }

    /// Sets the status. Already there is success.
    #[activity(definition = definitions::SetTicketStatus)]
    pub async fn set_ticket_status(
        self: Arc<Self>,
        _context: ActivityContext,
        change: SetTicketStatus,
    ) -> Result<(), ActivityError> {
        Ok(self.set_status(&change).await?)
    }
}

#[cfg(test)]
#[path = "ticket_activities_tests.rs"]
mod tests;
