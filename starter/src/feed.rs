//! The live streams' source: one reader of the database's feed for all clients of this process.
//!
//! A client that keeps up gets what the reader hands out; one that has just come, or fell behind, reads pages of its own
//! until it has caught up. What it has not taken yet waits in the database and not here.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sallyport_ledger::{
    Database, LedgerError,
    feed::{self, Bell, FeedEvent, Place},
    tokens,
};
use tokio::{
    sync::{Semaphore, broadcast, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How many events may wait here for clients that are slower than the reader; beyond, they read for themselves.
const WAITING: usize = 1024;
/// How many events are read at once.
const PAGE: u32 = 500;
/// How many clients read for themselves at a time: the others wait for them, and other requests have connections left.
const READING: usize = 3;
/// How often the reader looks where no bell rings.
const POLL: Duration = Duration::from_secs(2);
/// How soon it looks again for events that must wait for a transaction that still runs, or after a failure.
const AGAIN: Duration = Duration::from_millis(50);
/// How often it is asked whether the tokens of open streams still count.
const TOKENS: Duration = Duration::from_secs(15);
/// How often what is old is forgotten.
const PRUNE: Duration = Duration::from_secs(60 * 60);

/// What the clients of one process share.
#[derive(Debug)]
pub struct Feed {
    events: broadcast::Sender<Arc<FeedEvent>>,
    /// The tokens with open streams, and how many each has.
    tokens: Mutex<BTreeMap<Uuid, usize>>,
    /// Who may read for themselves.
    reading: Semaphore,
    /// Up to where the reader has handed out; nothing before it has begun. What happens behind it, it will hand out.
    handed_out: watch::Sender<Option<Place>>,
    /// Those of them that count no more.
    ended: watch::Sender<BTreeSet<Uuid>>,
    /// Ends all streams.
    closed: CancellationToken,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            events: broadcast::Sender::new(WAITING),
            tokens: Mutex::default(),
            reading: Semaphore::new(READING),
            handed_out: watch::Sender::new(None),
            ended: watch::Sender::new(BTreeSet::new()),
            closed: CancellationToken::new(),
        }
    }
}

impl Feed {
    /// Reads and hands out until `shutdown`, then ends all streams.
    pub async fn run(&self, database: &Database, shutdown: CancellationToken) {
        let mut tokens = interval(TOKENS);
        let mut prune = interval(PRUNE);
        for timer in [&mut tokens, &mut prune] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let (mut bell, mut next) = (None, Instant::now());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = rings(&mut bell) => {}
                () = sleep_until(next) => {}
                _ = tokens.tick() => {
                    log(self.check_tokens(database).await);
                    continue;
                }
                _ = prune.tick() => {
                    log(feed::prune(database).await);
                    continue;
                }
            }
            if bell.is_none() {
                bell = log(Bell::new(database).await);
            }
            let is_held_back = log(self.read(database).await);
            let is_quiet = is_held_back == Some(false);
            next = Instant::now() + if is_quiet { POLL } else { AGAIN };
        }
        self.closed.cancel();
    }

    /// Hands out all that is new; returns whether there is more that must wait.
    async fn read(&self, database: &Database) -> Result<bool, LedgerError> {
        let handed_out = *self.handed_out.borrow();
        let mut from = match handed_out {
            Some(place) => place,
            None => {
                let end = feed::end(database).await?;
                self.handed_out.send_replace(Some(end));
                end
            }
        };
        loop {
            let page = feed::after(database, from, PAGE).await?;
            let Some(last) = page.last() else {
                return feed::is_held_back(database).await;
            };
            from = last.place;
            for event in page {
                // The place first: who subscribes between the two and begins at it gets the event and drops it. The
                // other way round it would be missed.
                self.handed_out.send_replace(Some(event.place));
                // Nobody may be listening.
                let _ = self.events.send(Arc::new(event));
            }
        }
    }

    /// Ends the streams of tokens that count no more.
    pub async fn check_tokens(&self, database: &Database) -> Result<(), LedgerError> {
        let open: Vec<Uuid> = self.tokens().keys().copied().collect();
        if !open.is_empty() {
            let ended = tokens::ended(database, &open).await?;
            self.ended.send_replace(ended.into_iter().collect());
        }
        Ok(())
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, BTreeMap<Uuid, usize>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn rings(bell: &mut Option<Bell>) {
    match bell {
        None => std::future::pending().await,
        Some(listening) => {
            if log(listening.rings().await).is_none() {
                *bell = None;
                sleep(AGAIN).await;
            }
        }
    }
}

/// What was had, or nothing and a line in the log.
fn log<T>(outcome: Result<T, LedgerError>) -> Option<T> {
    outcome
        .inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "cannot serve live streams now; trying again");
        })
        .ok()
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The stream begins here: what is read from now on by other routes is not older.
    Ready(Place),
    /// What the client had is too old to go on from: it must read the lists anew. The stream goes on from here.
    Reset(Place),
    /// Something happened.
    Event(Arc<FeedEvent>),
}

/// One client's stream.
#[derive(Debug)]
pub struct Subscription {
    feed: Arc<Feed>,
    database: Database,
    /// Whose it is.
    token: Option<Uuid>,
    live: broadcast::Receiver<Arc<FeedEvent>>,
    ended: watch::Receiver<BTreeSet<Uuid>>,
    /// What was handed to the client last.
    place: Place,
    /// What was read for this client alone.
    backlog: VecDeque<Arc<FeedEvent>>,
    /// Whether all that the reader had handed out before is read.
    is_caught_up: bool,
    /// Where the stream is to begin, until the client was told where it does.
    beginning: Option<Beginning>,
}

/// Where a client's stream is to begin.
#[derive(Clone, Copy, Debug)]
enum Beginning {
    /// With what happens next.
    Now,
    /// Behind what the client had last.
    After(Place),
}

impl Subscription {
    /// A stream from behind `last` on, or else from now on. The database is only asked when the first news is: while it
    /// is busy or down the client waits, and is not turned away.
    pub fn new(
        feed: Arc<Feed>,
        database: Database,
        token: Option<Uuid>,
        last: Option<Place>,
    ) -> Self {
        if let Some(token) = token {
            *feed.tokens().entry(token).or_default() += 1;
        }
        Self {
            // Before anything is read, so that nothing is missed between the two.
            live: feed.events.subscribe(),
            ended: feed.ended.subscribe(),
            feed,
            database,
            token,
            place: Place::default(),
            backlog: VecDeque::new(),
            is_caught_up: false,
            beginning: Some(last.map_or(Beginning::Now, Beginning::After)),
        }
    }

    /// What comes next; nothing when the stream ends. It may be given up while it waits, and nothing is lost.
    pub async fn next(&mut self) -> Option<News> {
        let feed = Arc::clone(&self.feed);
        let mut ended = self.ended.clone();
        let token = self.token;
        let is_over = async {
            match token {
                // Only when the sender is gone is there an error, and then the stream is over as well.
                Some(token) => drop(ended.wait_for(|ended| ended.contains(&token)).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = feed.closed.cancelled() => None,
            () = is_over => None,
            news = self.news() => news,
        }
    }

    async fn news(&mut self) -> Option<News> {
        match self.beginning {
            None => self.event().await.map(News::Event),
            Some(beginning) => self.begin(beginning).await,
        }
    }

    /// Finds out where the stream begins.
    async fn begin(&mut self, beginning: Beginning) -> Option<News> {
        let handed_out = self.handed_out().await?;
        let last = match beginning {
            // The subscription is older than the look at the place: whatever is behind that comes by it.
            Beginning::Now => {
                self.is_caught_up = true;
                return Some(self.begun(News::Ready, handed_out));
            }
            Beginning::After(last) => last,
        };
        loop {
            let reading = self.feed.reading.acquire().await;
            let reaches = log(feed::reaches(&self.database, last).await);
            drop(reading);
            match reaches {
                Some(true) => return Some(self.begun(News::Ready, last)),
                // What the reader hands out is read by the database's snapshot, so it is a place of this database.
                Some(false) => return Some(self.begun(News::Reset, handed_out)),
                None => sleep(POLL).await,
            }
        }
    }

    fn begun(&mut self, news: fn(Place) -> News, place: Place) -> News {
        self.place = place;
        self.beginning = None;
        news(place)
    }

    /// Up to where the reader has handed out, as soon as it has begun.
    async fn handed_out(&self) -> Option<Place> {
        let mut handed_out = self.feed.handed_out.subscribe();
        *handed_out.wait_for(Option::is_some).await.ok()?
    }

    async fn event(&mut self) -> Option<Arc<FeedEvent>> {
        loop {
            if let Some(event) = self.backlog.pop_front() {
                self.place = event.place;
                return Some(event);
            }
            if !self.is_caught_up {
                let reading = self.feed.reading.acquire().await;
                let page = feed::after(&self.database, self.place, PAGE).await;
                drop(reading);
                match log(page) {
                    None => sleep(POLL).await,
                    Some(page) => {
                        self.is_caught_up = page.is_empty();
                        self.backlog = page.into_iter().map(Arc::new).collect();
                    }
                }
                continue;
            }
            match self.live.recv().await {
                Ok(event) if event.place <= self.place => {}
                Ok(event) => {
                    self.place = event.place;
                    return Some(event);
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.is_caught_up = false,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(token) = self.token else { return };
        let mut tokens = self.feed.tokens();
        let is_last = tokens.get_mut(&token).is_some_and(|count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
        if is_last {
            tokens.remove(&token);
        }
    }
}
