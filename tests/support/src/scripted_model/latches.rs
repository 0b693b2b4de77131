//! Named latches that hold answers until a test lets them go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::waiting::Changes;

/// All latches of a model. A latch that was never named before is closed.
#[derive(Debug)]
pub(super) struct Latches {
    state: Mutex<State>,
    changes: Changes,
}

#[derive(Debug, Default)]
struct State {
    released: BTreeSet<String>,
    /// How many answers each latch holds now.
    held: BTreeMap<String, usize>,
}

impl Latches {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changes: Changes::new(),
        })
    }

    /// Lets go all answers that `name` holds or will be asked to hold.
    pub(super) fn release(&self, name: &str) {
        self.lock().released.insert(name.to_owned());
        self.changes.announce();
    }

    /// Waits until `name` is released. A caller that gives up (its client went away) is held no more.
    pub(super) async fn pass(self: &Arc<Self>, name: &str) {
        if self.lock().released.contains(name) {
            return;
        }
        let _held = Held::new(self.clone(), name);
        self.changes
            .until(|| self.lock().released.contains(name))
            .await;
    }

    /// Waits until `name` holds an answer.
    pub(super) async fn until_held(&self, name: &str, limit: Duration) -> anyhow::Result<()> {
        let what = format!("the latch {name:?} holds an answer");
        self.changes
            .until_within(limit, &what, || {
                self.lock().held.get(name).is_some_and(|count| *count > 0)
            })
            .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one held answer for as long as it exists.
struct Held {
    latches: Arc<Latches>,
    name: String,
}

impl Held {
    fn new(latches: Arc<Latches>, name: &str) -> Self {
        *latches.lock().held.entry(name.to_owned()).or_default() += 1;
        latches.changes.announce();
        Self {
            latches,
            name: name.to_owned(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(count) = self.latches.lock().held.get_mut(&self.name) {
            *count -= 1;
        }
        self.latches.changes.announce();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_latch_holds_until_released_and_stays_open() {
        let latches = Latches::new();
        let waiter = tokio::spawn({
            let latches = latches.clone();
            async move { latches.pass("door").await }
        });
        latches.until_held("door", LIMIT).await.unwrap();
        assert!(!waiter.is_finished());
        latches.release("door");
        waiter.await.unwrap();
        latches.pass("door").await;
    }

    #[tokio::test]
    async fn a_client_that_went_away_is_not_held_any_more() {
        let latches = Latches::new();
        let waiter = tokio::spawn({
            let latches = latches.clone();
            async move { latches.pass("door").await }
        });
        latches.until_held("door", LIMIT).await.unwrap();
        waiter.abort();
        waiter.await.unwrap_err();
        assert_eq!(latches.lock().held["door"], 0);
    }
}
