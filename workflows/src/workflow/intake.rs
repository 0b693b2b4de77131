//! The ticket is read.

use super::{
    Ctx,
    step::{Step, call, tell},
    transition,
};
use crate::{
    activities::{
        FETCH_TICKET, SET_TICKET_STATUS, SetTicketStatus, TicketActivities, TicketEvent,
        TicketStatusName,
    },
    ticket::TicketSummary,
};

/// Puts the ticket on record, reads it and tells its readers that work begins.
pub(super) async fn take_in(ctx: &Ctx) -> Step<TicketSummary> {
    transition::begin(ctx).await?;
    let key = ctx.state(|ticket| ticket.key());
    let what = format!("read {}", key.ticket_id);
    let summary = call(
        ctx,
        TicketActivities::fetch_ticket,
        key,
        FETCH_TICKET,
        &what,
    )
    .await?;
    ctx.state_mut(|ticket| ticket.status.summary = Some(summary.clone()));
    Ok(summary)
}

/// Sets the ticket's status where a wrong one would only be untidy: a failure becomes a note.
pub(super) async fn set_status(ctx: &Ctx, status: TicketStatusName, summary: &str) {
    use super::step::{Halt, call_detached, note};
    let ticket = ctx.state(|ticket| ticket.key());
    let options = SET_TICKET_STATUS.options(summary);
    let change = SetTicketStatus { ticket, status };
    if let Err(Halt::Park(_, failure)) =
        call_detached(ctx, TicketActivities::set_ticket_status, change, options).await
    {
        note(
            ctx,
            format!("the ticket's status could not be set: {}", failure.message),
        );
    }
}

/// Tells the ticket's readers that work begins.
pub(super) async fn announce(ctx: &Ctx) {
    tell(ctx, TicketEvent::Started, "comment: started").await;
    set_status(ctx, TicketStatusName::InProgress, "set status: In Progress").await;
}
