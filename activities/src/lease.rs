//! This host's lease, as the host itself sees it.
//!
//! The ledger says until when the host is taken for alive (`sallyport_ledger::hosts`). A host that cannot renew must have
//! stopped its agents by then, since another may go on with their tickets. It counts by its own clock, from the moment
//! before it asked, and ends a tenth earlier.

use std::time::Duration;

use sallyport_ledger::{
    Database,
    hosts::{self, Host},
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};

use crate::failure::StepError;

/// Whether this host may still work. One that was never renewed holds for ever: nobody else is there.
#[derive(Debug, Default)]
pub struct Lease {
    until: watch::Sender<Option<Instant>>,
}

impl Lease {
    /// Takes or renews the lease, for `length` from now.
    pub async fn renew(
        &self,
        database: &Database,
        host: &Host,
        length: Duration,
    ) -> Result<(), StepError> {
        let asked = Instant::now();
        let renewal = hosts::renew_lease(database, host, length);
        timeout(every(length), renewal).await.map_err(|_| {
            StepError::step("the database did not renew the host's lease in time")
        })??;
        self.until.send_replace(Some(asked + length - length / 10));
        Ok(())
    }

    /// Renews the lease all the time.
    pub async fn keep(&self, database: &Database, host: &Host, length: Duration) {
        let mut ticks = interval_at(Instant::now() + every(length), every(length));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(problem) = self.renew(database, host, length).await {
                tracing::warn!(host = host.host_id, %problem, "this host's lease could not be renewed");
            }
        }
    }

    /// Returns when the lease has run out since this was called, also if it was renewed too late.
    pub async fn lost(&self) {
        let mut watched = self.until.subscribe();
        loop {
            let until = *watched.borrow_and_update();
            let run_out = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // What came too late is no renewal: another host may have begun in between.
                biased;
                () = run_out => return,
                changed = watched.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// How often a lease is renewed: three renewals may fail.
fn every(length: Duration) -> Duration {
    length / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn until(seconds: u64) -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_keeps_is_never_lost() {
        let lease = Lease::default();
        assert!(timeout(1000 * MINUTE, lease.lost()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_lost_when_it_runs_out_and_not_when_it_is_renewed() {
        let lease = Lease::default();
        lease.until.send_replace(until(50));
        let lost = lease.lost();
        tokio::pin!(lost);
        assert!(timeout(MINUTE / 2, &mut lost).await.is_err());
        lease.until.send_replace(until(50));
        assert!(timeout(MINUTE / 2, &mut lost).await.is_err());
        assert!(timeout(MINUTE, &mut lost).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_comes_too_late_is_none() {
        let lease = Lease::default();
        lease.until.send_replace(until(10));
        let lost = lease.lost();
        tokio::pin!(lost);
        assert!(timeout(Duration::from_secs(1), &mut lost).await.is_err());
        // As when the whole process stood still.
        tokio::time::advance(MINUTE).await;
        lease.until.send_replace(until(50));
        assert!(timeout(Duration::from_secs(1), &mut lost).await.is_ok());
        assert!(
            timeout(MINUTE / 2, lease.lost()).await.is_err(),
            "a new one holds"
        );
    }
}
