//! Waiting for a condition instead of sleeping.

use std::time::Duration;

use anyhow::bail;
use tokio::sync::watch;

/// Counts the changes of a fake, so that others can wait for the next one.
#[derive(Debug)]
pub(crate) struct Changes(watch::Sender<u64>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Wakes everybody who waits.
    pub(crate) fn announce(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Returns as soon as `holds` is true, asking again after each change.
    pub(crate) async fn until(&self, mut holds: impl FnMut() -> bool) {
        let mut changes = self.0.subscribe();
        loop {
            // Marked as seen before asking: a change during the question wakes us again.
            changes.borrow_and_update();
            if holds() || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Like [`Changes::until`], but gives up after `limit` with an error that says `what` did not happen.
    pub(crate) async fn until_within(
        &self,
        limit: Duration,
        what: &str,
        holds: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        if tokio::time::timeout(limit, self.until(holds))
            .await
            .is_err()
        {
            bail!("waited {limit:?} in vain until {what}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn a_change_wakes_the_one_who_waits() {
        let (changes, done) = (Arc::new(Changes::new()), Arc::new(AtomicBool::new(false)));
        let waiter = tokio::spawn({
            let (changes, done) = (changes.clone(), done.clone());
            async move {
                changes
                    .until_within(Duration::from_secs(10), "it is done", || {
                        done.load(Ordering::SeqCst)
                    })
                    .await
            }
        });
        tokio::task::yield_now().await;
        done.store(true, Ordering::SeqCst);
        changes.announce();
        waiter.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_says_what_did_not_happen() {
        let error = Changes::new()
            .until_within(Duration::from_secs(3), "FL-1 is Done", || false)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "waited 3s in vain until FL-1 is Done");
    }
}
