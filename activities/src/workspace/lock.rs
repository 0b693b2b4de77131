//! One step at a time in a workspace.
//!
//! When a worker loses Temporal for longer than the heartbeat time-out, the server starts the step's next try while this
//! one still works, since it hears of its end only later. The next try waits here until the workspace is free.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The locks of this host's workspaces, by the workspace's name. They live as long as the process: a worker that dies takes
/// its rooms with it.
#[derive(Debug, Default)]
pub struct WorkspaceLocks(Mutex<BTreeMap<String, Arc<AsyncMutex<()>>>>);

impl WorkspaceLocks {
    /// Waits until nobody else works in the workspace, and keeps it until the guard is dropped.
    pub async fn hold(&self, name: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever holds or awaits a lock has a handle of its own.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(name.to_owned()).or_default().clone()
        };
        lock.lock_owned().await
    }

    /// How many wait for a workspace that somebody holds.
    #[cfg(test)]
    pub(crate) fn waiting(&self, name: &str) -> usize {
        let locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One handle is the map's, one the holder's.
        locks
            .get(name)
            .map_or(0, |lock| Arc::strong_count(lock).saturating_sub(2))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_others_do_not() {
        let locks = WorkspaceLocks::default();
        let first = locks.hold("FL-1").await;
        let mut second = Box::pin(locks.hold("FL-1"));
        assert!((&mut second).now_or_never().is_none());
        assert!(locks.hold("FL-2").now_or_never().is_some());
        drop(first);
        assert!(second.now_or_never().is_some());
        assert_eq!(locks.0.lock().unwrap().len(), 2);
        drop(locks.hold("FL-3").await);
        assert_eq!(
            locks.0.lock().unwrap().len(),
            1,
            "what nobody holds is forgotten"
        );
    }
}
