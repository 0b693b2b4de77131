//! A ticket system on a real socket that speaks `docs/flux-lens.yaml`, the whole of it.
//!
//! Tests act on the model, as people do on a ticket system ([`FluxLens::create_ticket`], [`FluxLens::reopen_ticket`]);
//! the model sends signed webhooks and answers the API. It can be told to misbehave ([`FluxLens::fail_next`]),
//! and remembers all traffic for assertions.

mod api;
mod records;
mod ticket;
mod webhook;
mod world;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;

pub use records::{Delivery, DeliveryAttempt, Fault, Operation, RecordedRequest};
pub use ticket::{Comment, NewTicket, Priority, ShownComment, Status, Ticket, TicketSummary};
pub use webhook::signature;

use crate::local_server::{BoundSocket, LocalServer};
use crate::waiting::Changes;
use world::World;

/// How to start a [`FluxLens`].
#[derive(Debug, Clone)]
pub struct FluxLensOptions {
    /// The token that API callers must show.
    pub token: String,
    /// The secret under which webhooks are signed.
    pub webhook_secret: String,
    /// Where webhooks go. They wait until it is known: see [`FluxLens::set_webhook_url`].
    pub webhook_url: Option<String>,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// A file that keeps the state from one start to the next; none keeps it in memory only.
    pub state_file: Option<PathBuf>,
    /// How webhooks are retried.
    pub retry: DeliveryRetry,
}

impl FluxLensOptions {
    /// A fake on a free port, in memory, with the usual retries and no address for its webhooks yet.
    #[must_use]
    pub fn new(token: impl Into<String>, webhook_secret: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            webhook_secret: webhook_secret.into(),
            webhook_url: None,
            port: 0,
            state_file: None,
            retry: DeliveryRetry::default(),
        }
    }
}

/// How often and how fast a webhook is sent again until it is answered with 2xx.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryRetry {
    /// The most tries that one delivery gets, at least 1.
    pub attempts: u32,
    /// The pause after the first try; it doubles with each.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for DeliveryRetry {
    /// About four minutes of trying.
    fn default() -> Self {
        Self {
            attempts: 60,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(4),
        }
    }
}

/// A running ticket system. Dropping it stops it and cuts its connections.
#[derive(Debug)]
pub struct FluxLens {
    server: LocalServer,
    shared: Arc<Shared>,
}

/// What the API, the deliveries and the handle share.
#[derive(Debug)]
struct Shared {
    token: String,
    webhook_secret: String,
    retry: DeliveryRetry,
    state_file: Option<PathBuf>,
    base_url: String,
    inner: Mutex<Inner>,
    changes: Changes,
}

#[derive(Debug)]
struct Inner {
    world: World,
    webhook_url: Option<String>,
    withholding: bool,
    faults: VecDeque<(Operation, Fault)>,
    requests: Vec<RecordedRequest>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves whole values behind, and its test has failed already.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world, writes it to its file, and wakes those who wait.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> anyhow::Result<T> {
        let result = {
            let mut inner = self.lock();
            let result = change(&mut inner.world);
            if let Some(path) = &self.state_file {
                inner.world.save(path)?;
            }
            result
        };
        self.changes.announce();
        Ok(result)
    }
}

impl FluxLens {
    /// Starts the ticket system. Deliveries that a state file holds as undone are taken up again.
    ///
    /// # Errors
    /// If the port is taken or the state file can't be read.
    pub fn start(options: FluxLensOptions) -> anyhow::Result<Self> {
        let world = match &options.state_file {
            Some(path) => World::load(path)?,
            None => World::default(),
        };
        let undone: Vec<_> = world
            .deliveries()
            .iter()
            .filter(|delivery| !delivery.is_done())
            .map(|delivery| delivery.id.clone())
            .collect();
        let socket = BoundSocket::bind(options.port)?;
        let shared = Arc::new(Shared {
            token: options.token,
            webhook_secret: options.webhook_secret,
            retry: options.retry,
            state_file: options.state_file,
            base_url: socket.base_url(),
            inner: Mutex::new(Inner {
                world,
                webhook_url: options.webhook_url,
                withholding: false,
                faults: VecDeque::new(),
                requests: Vec::new(),
            }),
            changes: Changes::new(),
        });
        let server = LocalServer::start("flux-lens", socket, api::router(shared.clone()))?;
        let lens = Self { server, shared };
        for delivery in undone {
            lens.deliver_in_background(delivery);
        }
        Ok(lens)
    }

    /// Where the API is, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.server.base_url()
    }

    /// Sets where webhooks go from now on; those that wait are sent at once.
    pub fn set_webhook_url(&self, url: impl Into<String>) {
        self.shared.lock().webhook_url = Some(url.into());
        self.shared.changes.announce();
    }

    /// A person files a ticket. The webhook `ticket.created` goes out in the background.
    ///
    /// # Errors
    /// If the ticket breaks the contract (empty title, reporter without `@`) or the state file can't be written.
    pub fn create_ticket(&self, ticket: NewTicket) -> anyhow::Result<String> {
        let id = self.shared.change(|world| world.add_ticket(ticket))??;
        self.send_event("ticket.created", Some(&id))?;
        Ok(id)
    }

    /// A person edits a ticket. The webhook `ticket.updated` goes out in the background.
    ///
    /// # Errors
    /// If there is no such ticket, or it would break the contract after the edit.
    pub fn edit_ticket(&self, id: &str, edit: impl FnOnce(&mut NewTicket)) -> anyhow::Result<()> {
        self.shared.change(|world| world.edit_ticket(id, edit))??;
        self.send_event("ticket.updated", Some(id)).map(drop)
    }

    /// A person comments on a ticket. The webhook `ticket.commented` goes out in the background.
    ///
    /// # Errors
    /// If there is no such ticket.
    pub fn comment_as(&self, id: &str, author: &str, text: &str) -> anyhow::Result<()> {
        self.shared
            .change(|world| world.comment_as(id, author, text))??;
        self.send_event("ticket.commented", Some(id)).map(drop)
    }

    /// A person takes a ticket out of a final status. The webhook `ticket.reopened` goes out in the background.
    ///
    /// # Errors
    /// If there is no such ticket or its status is not final.
    pub fn reopen_ticket(&self, id: &str) -> anyhow::Result<()> {
        self.shared.change(|world| world.reopen_ticket(id))??;
        self.send_event("ticket.reopened", Some(id)).map(drop)
    }

    /// Sends a `ping` in the background and returns its delivery id.
    ///
    /// # Errors
    /// If the state file can't be written.
    pub fn ping(&self) -> anyhow::Result<String> {
        self.send_event("ping", None)
    }

    /// A person asks for an old delivery to be sent again: once, now, with its old id and its old bytes.
    /// Returns the status that the receiver answered.
    ///
    /// # Errors
    /// If there is no such delivery, no webhook address yet, or the receiver can't be reached.
    pub async fn redeliver(&self, delivery_id: &str) -> anyhow::Result<u16> {
        let attempt = webhook::attempt(&self.shared, delivery_id).await?;
        attempt.status.with_context(|| {
            format!(
                "the webhook {delivery_id} was not answered: {}",
                attempt.error.unwrap_or_default()
            )
        })
    }

    /// From now on webhooks of new events are never sent, or are again. The events are listed all the same.
    pub fn withhold_deliveries(&self, withholding: bool) {
        self.shared.lock().withholding = withholding;
    }

    /// Lists the events so far no more, as if they were older than is kept; cursors among them are gone.
    ///
    /// # Errors
    /// If the state file can't be written.
    pub fn forget_events(&self) -> anyhow::Result<()> {
        self.shared.change(World::forget_deliveries)
    }

    /// Makes the next `times` requests of a kind fail; switches add up, the first set is used first.
    pub fn fail_next(&self, operation: Operation, times: usize, fault: Fault) {
        let faults = std::iter::repeat_n((operation, fault), times);
        self.shared.lock().faults.extend(faults);
    }

    /// A ticket as it is now.
    #[must_use]
    pub fn ticket(&self, id: &str) -> Option<Ticket> {
        self.shared.lock().world.ticket(id, self.base_url())
    }

    /// The ids of all tickets, oldest first.
    #[must_use]
    pub fn ticket_ids(&self) -> Vec<String> {
        self.shared.lock().world.ticket_ids()
    }

    /// Where a ticket stands; none for an unknown one.
    #[must_use]
    pub fn status(&self, id: &str) -> Option<Status> {
        self.ticket(id).map(|ticket| ticket.status)
    }

    /// The comments on a ticket, oldest first.
    #[must_use]
    pub fn comments(&self, id: &str) -> Vec<Comment> {
        self.shared.lock().world.comments(id)
    }

    /// All requests that the API has answered, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.clone()
    }

    /// All webhooks, oldest first, with their tries.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.lock().world.deliveries().to_vec()
    }

    /// Waits until `holds` says so, asking again after each request, delivery or change.
    /// `what` completes the sentence "waited ... in vain until".
    ///
    /// # Errors
    /// If it does not happen within `limit`.
    pub async fn wait_until(
        &self,
        limit: Duration,
        what: &str,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        self.shared
            .changes
            .until_within(limit, what, || holds(self))
            .await
    }

    fn send_event(&self, event: &str, ticket_id: Option<&str>) -> anyhow::Result<String> {
        let base_url = self.base_url();
        let delivery = self
            .shared
            .change(|world| world.add_delivery(event, ticket_id, base_url))??;
        if !self.shared.lock().withholding {
            self.deliver_in_background(delivery.clone());
        }
        Ok(delivery)
    }

    fn deliver_in_background(&self, delivery_id: String) {
        let shared = self.shared.clone();
        self.server
            .spawn(async move { webhook::deliver(&shared, &delivery_id).await });
    }
}
