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
    read(ctx).await?;
    Ok(Move::on(State::Planning))
}

/// Reads the ticket as it is now.
pub(super) async fn read(ctx: &Ctx) -> Step<()> {
    let known = ctx.state(|ticket| ticket.status.edits.clone());
    let key = ctx.state(|ticket| ticket.key());
    let what = format!("read {}", key.ticket_id);
    let fetch = TicketActivities::fetch_ticket;
    let summary = call(ctx, fetch, key, FETCH_TICKET, &what).await?;
    ctx.state_mut(|ticket| {
        let status = &mut ticket.status;
        status.summary = Some(summary);
        ticket.memory.reread = false;
        // An edit that was told of while it was read may not be in what was read.
        if status.edits == known {
            status.edits = None;
        }
    });
    Ok(())
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
