//! How long an activity may take, and how often it is tried.

use std::time::Duration;

use temporalio_sdk::ActivityOptions;
use temporalio_workflow::RetryPolicy;

/// The time-outs and the retry policy of one activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Seconds that one try may take.
    pub start_to_close: u64,
    /// Seconds without a heartbeat after which a try counts as dead; nothing where the activity sends none.
    pub heartbeat: Option<u64>,
    /// How many tries; nothing means for ever.
    pub attempts: Option<u32>,
    /// Seconds before the second try; doubled for each further one, up to a minute.
    pub backoff: u64,
}

impl Timing {
    /// Three tries with exponential back-off, each of at most `start_to_close` seconds.
    pub const fn seconds(start_to_close: u64) -> Self {
        Self {
            start_to_close,
            heartbeat: None,
            attempts: Some(3),
            backoff: 1,
        }
    }

    /// Tried until it succeeds: for what must be recorded or cleaned up.
    pub const fn for_ever(self) -> Self {
        Self {
            attempts: None,
            ..self
        }
    }

    /// Another number of tries.
    pub const fn attempts(self, attempts: u32) -> Self {
        Self {
            attempts: Some(attempts),
            ..self
        }
    }

    /// Dead after this many seconds without a heartbeat.
    pub const fn heartbeat(self, seconds: u64) -> Self {
        Self {
            heartbeat: Some(seconds),
            ..self
        }
    }

    /// Temporal's options, with the line that its UI shows.
    pub fn options(self, summary: impl Into<String>) -> ActivityOptions {
        self.options_on(summary, None)
    }

    /// The same on another task queue, such as a host's.
    pub fn options_on(
        self,
        summary: impl Into<String>,
        task_queue: Option<String>,
    ) -> ActivityOptions {
        let retry = RetryPolicy::builder()
            .initial_interval(Duration::from_secs(self.backoff))
            .backoff_coefficient(2.0)
            .maximum_interval(Duration::from_secs(60))
            .maximum_attempts(self.attempts.unwrap_or(0))
            .build();
        ActivityOptions::with_start_to_close_timeout(Duration::from_secs(self.start_to_close))
            .maybe_heartbeat_timeout(self.heartbeat.map(Duration::from_secs))
            .maybe_task_queue(task_queue)
            .retry_policy(retry)
            .summary(summary.into())
            .build()
    }
}
