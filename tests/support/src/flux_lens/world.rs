//! The state of the ticket system and what may happen to it. No network here.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::records::{Delivery, DeliveryAttempt};
use super::ticket::{Comment, NewTicket, ShownComment, Status, Ticket, TicketSummary};

/// All tickets, comments and deliveries. It can be written to a file and read back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct World {
    tickets: BTreeMap<String, TicketRecord>,
    comment_count: u64,
    deliveries: Vec<Delivery>,
    /// How many of the deliveries are too old to be listed.
    #[serde(default)]
    forgotten: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TicketRecord {
    number: u64,
    fields: NewTicket,
    status: Status,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    comments: Vec<Comment>,
}

/// The account that the token belongs to.
const TOKENS_ACCOUNT: &str = "sallyport@example.com";
/// How many comments a ticket shows.
const SHOWN_COMMENTS: usize = 100;

/// What became of a comment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommentReceipt {
    pub(super) id: String,
    pub(super) created: bool,
}

/// Why the API refuses a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownTicket,
    FinalStatus(Status),
}

impl World {
    /// Reads the world back from `path`; a missing file is an empty world.
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!("{} does not hold the state of a Flux Lens", path.display())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes the world to `path` in one step: a crash leaves the old file or the new one.
    pub(super) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let fresh = path.with_extension("fresh");
        serde_json::to_vec_pretty(self)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| Ok(std::fs::write(&fresh, bytes)?))
            .and_then(|()| Ok(std::fs::rename(&fresh, path)?))
            .with_context(|| format!("cannot write the state of Flux Lens to {}", path.display()))
    }

    /// Files a ticket and returns its id.
    pub(super) fn add_ticket(&mut self, fields: NewTicket) -> anyhow::Result<String> {
        check_fields(&fields)?;
        let number = self.tickets.len() as u64 + 1;
        let id = format!("FL-{number}");
        let now = now();
        self.tickets.insert(
            id.clone(),
            TicketRecord {
                number,
                fields,
                status: Status::Open,
                created_at: now,
                updated_at: now,
                comments: Vec::new(),
            },
        );
        Ok(id)
    }

    /// Changes what the reporter typed.
    pub(super) fn edit_ticket(
        &mut self,
        id: &str,
        edit: impl FnOnce(&mut NewTicket),
    ) -> anyhow::Result<()> {
        let record = self.record_mut(id)?;
        let mut fields = record.fields.clone();
        edit(&mut fields);
        check_fields(&fields)?;
        record.fields = fields;
        record.updated_at = now();
        Ok(())
    }

    /// A person takes the ticket out of a final status.
    pub(super) fn reopen_ticket(&mut self, id: &str) -> anyhow::Result<()> {
        let record = self.record_mut(id)?;
        ensure!(
            record.status.is_final(),
            "{id} is {:?}; only a Done or Rejected ticket can be reopened",
            record.status
        );
        record.status = Status::Open;
        record.updated_at = now();
        Ok(())
    }

    /// The ticket, with `base_url` before its page.
    pub(super) fn ticket(&self, id: &str, base_url: &str) -> Option<Ticket> {
        let record = self.tickets.get(id)?;
        let fields = record.fields.clone();
        Some(Ticket {
            id: id.to_owned(),
            url: format!("{base_url}/tickets/{id}"),
            title: fields.title,
            description: fields.description,
            status: record.status,
            priority: fields.priority,
            reporter: fields.reporter,
            project: fields.project,
            labels: fields.labels,
            created_at: record.created_at,
            updated_at: record.updated_at,
            comments: record.comments[record.comments.len().saturating_sub(SHOWN_COMMENTS)..]
                .iter()
                .map(|comment| ShownComment {
                    id: comment.id.clone(),
                    author: comment.author.clone(),
                    text: comment.text.clone(),
                    created_at: comment.created_at,
                })
                .collect(),
        })
    }

    /// The ids of all tickets, oldest first.
    pub(super) fn ticket_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self
            .tickets
            .iter()
            .map(|(id, record)| (record.number, id.clone()))
            .collect();
        ids.sort();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// The comments on a ticket, oldest first; none for an unknown one.
    pub(super) fn comments(&self, id: &str) -> Vec<Comment> {
        self.tickets
            .get(id)
            .map(|record| record.comments.clone())
            .unwrap_or_default()
    }

    /// Adds a comment, or finds the one that the key has added before.
    pub(super) fn add_comment(
        &mut self,
        id: &str,
        idempotency_key: &str,
        text: &str,
    ) -> Result<CommentReceipt, Refusal> {
        let record = self.tickets.get_mut(id).ok_or(Refusal::UnknownTicket)?;
        if let Some(known) = record
            .comments
            .iter()
            .find(|comment| comment.idempotency_key == idempotency_key)
        {
            return Ok(CommentReceipt {
                id: known.id.clone(),
                created: false,
            });
        }
        let id = self.push_comment(id, TOKENS_ACCOUNT, idempotency_key, text)?;
        Ok(CommentReceipt { id, created: true })
    }

    /// A person comments.
    pub(super) fn comment_as(&mut self, id: &str, author: &str, text: &str) -> anyhow::Result<()> {
        match self.push_comment(id, author, "", text) {
            Ok(_) => Ok(()),
            Err(_) => bail!("there is no ticket {id}"),
        }
    }

    fn push_comment(
        &mut self,
        id: &str,
        author: &str,
        idempotency_key: &str,
        text: &str,
    ) -> Result<String, Refusal> {
        let record = self.tickets.get_mut(id).ok_or(Refusal::UnknownTicket)?;
        self.comment_count += 1;
        let comment = Comment {
            id: format!("C-{}", self.comment_count),
            idempotency_key: idempotency_key.to_owned(),
            author: author.to_owned(),
            text: text.to_owned(),
            created_at: now(),
        };
        let new = comment.id.clone();
        record.updated_at = comment.created_at;
        record.comments.push(comment);
        Ok(new)
    }

    /// Sets a status through the API.
    pub(super) fn set_status(&mut self, id: &str, status: Status) -> Result<(), Refusal> {
        let record = self.tickets.get_mut(id).ok_or(Refusal::UnknownTicket)?;
        if record.status == status {
            return Ok(());
        }
        if record.status.is_final() {
            return Err(Refusal::FinalStatus(record.status));
        }
        record.status = status;
        record.updated_at = now();
        Ok(())
    }

    /// Writes down a webhook that is to be sent, and returns its delivery id.
    pub(super) fn add_delivery(
        &mut self,
        event: &str,
        ticket_id: Option<&str>,
        base_url: &str,
    ) -> anyhow::Result<String> {
        let id = Uuid::new_v4().to_string();
        let mut body = json!({ "event": event, "delivery_id": id, "occurred_at": now() });
        if let Some(ticket_id) = ticket_id {
            let ticket = self.ticket(ticket_id, base_url).with_context(|| {
                format!("there is no ticket {ticket_id} to send a webhook about")
            })?;
            body["ticket"] = serde_json::to_value(TicketSummary::from(&ticket))?;
        }
        self.deliveries.push(Delivery {
            id: id.clone(),
            event: event.to_owned(),
            ticket_id: ticket_id.map(str::to_owned),
            body: body.to_string(),
            attempts: Vec::new(),
        });
        Ok(id)
    }

    /// All deliveries, oldest first.
    pub(super) fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// At most `limit` deliveries after a place in their list, and the place after them. Nothing for a place that the
    /// list does not have (any more).
    pub(super) fn deliveries_after(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> Option<(&[Delivery], String)> {
        let start = match cursor {
            None => self.forgotten,
            Some(cursor) => cursor.strip_prefix("after-")?.parse().ok()?,
        };
        let end = start.saturating_add(limit).min(self.deliveries.len());
        let page = self.deliveries.get(start..end)?;
        (start >= self.forgotten).then(|| (page, format!("after-{end}")))
    }

    /// Lists the deliveries so far no more, as if they were older than is kept.
    pub(super) fn forget_deliveries(&mut self) {
        self.forgotten = self.deliveries.len();
    }

    /// Writes down how a try to deliver went.
    pub(super) fn add_attempt(&mut self, delivery_id: &str, attempt: DeliveryAttempt) {
        if let Some(delivery) = self
            .deliveries
            .iter_mut()
            .find(|each| each.id == delivery_id)
        {
            delivery.attempts.push(attempt);
        }
    }

    fn record_mut(&mut self, id: &str) -> anyhow::Result<&mut TicketRecord> {
        match self.tickets.get_mut(id) {
            Some(record) => Ok(record),
            None => bail!("there is no ticket {id}"),
        }
    }
}

/// The contract's bounds; a fake that broke them would test nothing.
fn check_fields(fields: &NewTicket) -> anyhow::Result<()> {
    let length = fields.title.chars().count();
    ensure!(
        (1..=255).contains(&length),
        "a title has 1 to 255 characters, this one has {length}"
    );
    ensure!(
        fields.reporter.contains('@'),
        "the reporter is an email address, not {:?}",
        fields.reporter
    );
    ensure!(
        !fields.project.is_empty(),
        "a ticket belongs to a project; its key is empty"
    );
    Ok(())
}

/// Now, to the millisecond: what a JSON API usually tells.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flux_lens::Priority;

    fn world_with_a_ticket() -> World {
        let mut world = World::default();
        let id = world.add_ticket(a_ticket()).unwrap();
        assert_eq!(id, "FL-1");
        world
    }

    fn a_ticket() -> NewTicket {
        NewTicket {
            title: "It is broken".into(),
            description: "Very.".into(),
            priority: Priority::High,
            reporter: "reporter@example.com".into(),
            project: "demo".into(),
            labels: vec!["bug".into()],
        }
    }

    #[test]
    fn the_same_key_adds_one_comment() {
        let mut world = world_with_a_ticket();
        let first = world.add_comment("FL-1", "a", "one").unwrap();
        let again = world.add_comment("FL-1", "a", "two").unwrap();
        let other = world.add_comment("FL-1", "b", "three").unwrap();
        assert_eq!((first.id.as_str(), first.created), ("C-1", true));
        assert_eq!((again.id.as_str(), again.created), ("C-1", false));
        assert_eq!((other.id.as_str(), other.created), ("C-2", true));
        let texts: Vec<_> = world
            .comments("FL-1")
            .into_iter()
            .map(|comment| comment.text)
            .collect();
        assert_eq!(texts, ["one", "three"]);
    }

    #[test]
    fn a_final_status_is_left_by_a_person_only() {
        let mut world = world_with_a_ticket();
        assert!(world.reopen_ticket("FL-1").is_err(), "it is not closed yet");
        world.set_status("FL-1", Status::Done).unwrap();
        world.set_status("FL-1", Status::Done).unwrap();
        assert_eq!(
            world.set_status("FL-1", Status::Open),
            Err(Refusal::FinalStatus(Status::Done))
        );
        world.reopen_ticket("FL-1").unwrap();
        assert_eq!(world.ticket("FL-1", "").unwrap().status, Status::Open);
    }

    #[test]
    fn ids_go_on_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flux-lens.json");
        let mut world = World::load(&path).unwrap();
        world.add_ticket(a_ticket()).unwrap();
        world.add_comment("FL-1", "a", "one").unwrap();
        world
            .add_delivery("ticket.created", Some("FL-1"), "http://x")
            .unwrap();
        world.save(&path).unwrap();

        let mut read_back = World::load(&path).unwrap();
        assert_eq!(read_back, world);
        assert_eq!(read_back.add_ticket(a_ticket()).unwrap(), "FL-2");
        assert_eq!(read_back.add_comment("FL-2", "a", "two").unwrap().id, "C-2");

        std::fs::write(&path, "{").unwrap();
        assert!(
            World::load(&path)
                .unwrap_err()
                .to_string()
                .contains("flux-lens.json")
        );
    }

    #[test]
    fn tickets_are_listed_in_the_order_they_were_filed() {
        let mut world = World::default();
        for _ in 0..11 {
            world.add_ticket(a_ticket()).unwrap();
        }
        assert_eq!(world.ticket_ids()[9..], ["FL-10", "FL-11"]);
    }

    #[test]
    fn a_ticket_outside_the_contract_is_refused() {
        let mut world = World::default();
        for (title, reporter, project) in [
            ("", "a@example.com", "demo"),
            ("x", "nobody", "demo"),
            ("x", "a@example.com", ""),
        ] {
            let fields = NewTicket {
                title: title.into(),
                reporter: reporter.into(),
                project: project.into(),
                ..a_ticket()
            };
            assert!(world.add_ticket(fields).is_err());
        }
        assert!(world.ticket_ids().is_empty());
    }
}
