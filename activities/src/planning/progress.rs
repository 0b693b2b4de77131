//! What the planner is doing, for whoever watches.

use tokio::sync::watch;

/// What is done just now, in words.
#[derive(Debug)]
pub struct Progress(watch::Sender<String>);

impl Default for Progress {
    fn default() -> Self {
        Self(watch::Sender::new(String::new()))
    }
}

impl Progress {
    /// Now `what` is done.
    pub fn say(&self, what: impl Into<String>) {
        self.0.send_replace(what.into());
    }

    /// What is done now.
    pub fn now(&self) -> String {
        self.0.borrow().clone()
    }

    /// Whoever wants to be told of each change.
    pub fn follow(&self) -> watch::Receiver<String> {
        self.0.subscribe()
    }
}
