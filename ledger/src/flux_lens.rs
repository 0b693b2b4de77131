//! What an event of Flux Lens says, as `docs/flux-lens.yaml` has it. The webhook and the list of events are read here
//! alike, so that both make the same row in the inbox.

use chrono::{DateTime, Utc};
use sallyport_workflows::ticket::{FLUX_LENS, Priority};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{inbox::NewEvent, json::parse_json};

/// Somebody filed a ticket.
pub const CREATED: &str = "ticket.created";
/// Somebody edited it.
pub const UPDATED: &str = "ticket.updated";
/// Somebody commented on it.
pub const COMMENTED: &str = "ticket.commented";
/// Somebody took it out of a final status.
pub const REOPENED: &str = "ticket.reopened";
/// An admin asked for it through our own API; Flux Lens never sends this.
pub const REQUESTED: &str = "sallyport.start";

/// The longest id of a delivery, in bytes.
const LONGEST_DELIVERY: usize = 255;
/// The longest id of a ticket, in bytes.
const LONGEST_TICKET: usize = 64;

/// What every event has.
#[derive(Debug, Deserialize)]
struct Envelope {
    event: String,
    occurred_at: DateTime<Utc>,
    #[serde(default)]
    delivery_id: Option<String>,
}

/// An event about a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketEvent {
    /// What happened.
    pub event: String,
    /// To which ticket.
    pub ticket: EventTicket,
}

/// What an event says of its ticket. Enough to decide whether it matters; the rest is read over the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTicket {
    /// The ticket's id.
    pub id: String,
    /// The project's key.
    pub project: String,
    /// The title.
    pub title: String,
    /// The ticket's page for people.
    pub url: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Who filed it.
    pub reporter: String,
}

/// An event that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Understood {
    /// When it happened, by Flux Lens's clock.
    pub occurred_at: DateTime<Utc>,
    /// What to write into the inbox.
    pub event: NewEvent,
}

/// Why an event cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventProblem {
    /// The delivery has no id, or one that is too long.
    #[error("the delivery's id is missing or has more than {LONGEST_DELIVERY} characters")]
    Delivery,
    /// The event's name beside the body is not the body's.
    #[error("the event's name is not the one that its body has")]
    OtherEvent,
    /// The delivery's id beside the body is not the body's.
    #[error("the delivery's id is not the one that its body has")]
    OtherDelivery,
    /// A field of the body, or the whole of it where there is no name, is missing or wrong.
    #[error("the field `{field}` of its body is not understood: {problem}")]
    Field {
        /// Which field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl EventProblem {
    fn field(field: &str, problem: &str) -> Self {
        Self::Field {
            field: field.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

/// What a body says. What stands beside it, the delivery's id and the event's name, is not signed: it may repeat what the
/// body says and no more.
pub fn understand(
    delivery: &str,
    named: Option<&[u8]>,
    body: &[u8],
) -> Result<Understood, EventProblem> {
    if delivery.is_empty() || delivery.len() > LONGEST_DELIVERY {
        return Err(EventProblem::Delivery);
    }
    let envelope: Envelope = parse(body)?;
    if named.is_some_and(|named| named != envelope.event.as_bytes()) {
        return Err(EventProblem::OtherEvent);
    }
    if envelope
        .delivery_id
        .as_deref()
        .is_some_and(|id| id != delivery)
    {
        return Err(EventProblem::OtherDelivery);
    }
    let (ticket, ignored) = match envelope.event.as_str() {
        CREATED | UPDATED | COMMENTED | REOPENED => {
            let event: TicketEvent = parse(body)?;
            check(&event.ticket)?;
            (Some(event.ticket), None)
        }
        "ping" => (None, Some("a ping asks for nothing")),
        _ => (
            None,
            Some("Sallyport does nothing about this kind of event"),
        ),
    };
    let event = NewEvent {
        source: FLUX_LENS.to_owned(),
        delivery_id: delivery.to_owned(),
        event: envelope.event,
        priority: ticket
            .as_ref()
            .map_or_else(Priority::default, |ticket| ticket.priority),
        ticket_id: ticket.map(|ticket| ticket.id),
        body: body.to_vec(),
        only_body_signed: envelope.delivery_id.is_none(),
        ignored: ignored.map(str::to_owned),
    };
    Ok(Understood {
        occurred_at: envelope.occurred_at,
        event,
    })
}

fn check(ticket: &EventTicket) -> Result<(), EventProblem> {
    if !is_ticket_id(&ticket.id) {
        return Err(EventProblem::field("ticket.id", "it must be like FL-1"));
    }
    for (field, value) in [
        ("ticket.project", &ticket.project),
        ("ticket.title", &ticket.title),
    ] {
        if value.trim().is_empty() {
            return Err(EventProblem::field(field, "it must not be empty"));
        }
    }
    Ok(())
}

/// Whether `id` is what Flux Lens calls tickets: `^[A-Z][A-Z0-9]*-[1-9][0-9]*$`.
pub fn is_ticket_id(id: &str) -> bool {
    let Some((project, number)) = id.split_once('-') else {
        return false;
    };
    let upper = |byte: u8| byte.is_ascii_uppercase();
    id.len() <= LONGEST_TICKET
        && project.bytes().next().is_some_and(upper)
        && project
            .bytes()
            .all(|byte| upper(byte) || byte.is_ascii_digit())
        && number
            .bytes()
            .next()
            .is_some_and(|byte| (b'1'..=b'9').contains(&byte))
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, EventProblem> {
    parse_json(body).map_err(|(field, problem)| EventProblem::Field { field, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticket_ids_are_those_of_the_contract() {
        for good in ["FL-1", "A-10", "AB2-999"] {
            assert!(is_ticket_id(good), "{good}");
        }
        let long = format!("F-{}", "1".repeat(64));
        for bad in [
            "", "FL", "FL-", "FL-0", "FL-01", "fl-1", "1FL-1", "-1", "FL-1x", "FL-1\n", "F L-1",
            "FL--1", &long,
        ] {
            assert!(!is_ticket_id(bad), "{bad}");
        }
    }
}
