//! PENDING: the ticket is read.

use super::{
    Ctx,
    step::{Halt, Step, call, call_detached, note},
    transition::Move,
};
use crate::{
    State,
    activities::{
        FETCH_TICKET, SET_TICKET_STATUS, SetTicketStatus, TicketActivities, TicketStatusName,
    },
};

/// Reads the ticket.
pub(super) async fn take_in(ctx: &Ctx) -> Step<Move> {
    let key = ctx.state(|ticket| ticket.key());
    let what = format!("read {}", key.ticket_id);
    let fetch = TicketActivities::fetch_ticket;
    let summary = call(ctx, fetch, key, FETCH_TICKET, &what).await?;
    ctx.state_mut(|ticket| ticket.status.summary = Some(summary));
    Ok(Move::on(State::Planning))
}

/// Sets the ticket's status where a wrong one would only be untidy: a failure becomes a note.
pub(super) async fn set_status(ctx: &Ctx, status: TicketStatusName, summary: &str) {
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
