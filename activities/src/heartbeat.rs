//! Heartbeats that come from a timer, since what an activity waits for may be silent for minutes.

use std::{future::Future, time::Duration};

use temporalio_common::data_converters::TemporalSerializable;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::time::{MissedTickBehavior, interval};

/// How often a heartbeat is recorded. Well below the shortest heartbeat time-out, 20 seconds.
pub const EVERY: Duration = Duration::from_secs(5);

/// Does `work` and records a heartbeat with `details` from time to time. When the activity is cancelled or the worker
/// shuts down, the work is dropped, and with it every process that it started.
pub async fn beating<T, D>(
    context: &ActivityContext,
    mut details: impl FnMut() -> D,
    work: impl Future<Output = T>,
) -> Result<T, ActivityError>
where
    D: TemporalSerializable + 'static,
{
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = context.cancelled() => return Err(ActivityError::cancelled()),
            _ = ticks.tick() => context.record_heartbeat(details()).await?,
        }
    }
}
