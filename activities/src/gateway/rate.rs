//! How fast the vendor is asked: what is too much for now waits.
//!
//! A bucket is refilled all the time, as the vendors' own are: what was not used in the last minute may be used at once. All
//! runs of a worker, and its planner, share it. Each worker counts for itself.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Mutex;

/// What may be asked in a minute; none means as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens of input, as estimated before they are sent.
    pub input_tokens_per_minute: Option<NonZeroU32>,
}

/// Holds back what is too much for now.
#[derive(Debug)]
pub struct Pace {
    requests: Option<DefaultDirectRateLimiter>,
    tokens: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    /// First come, first served: otherwise many small requests would keep a large one waiting for ever.
    queue: Mutex<()>,
}

impl Pace {
    /// One that keeps to `limits`.
    pub fn new(limits: RateLimits) -> Self {
        let bucket = |a_minute| RateLimiter::direct(Quota::per_minute(a_minute));
        Self {
            requests: limits.requests_per_minute.map(bucket),
            tokens: limits
                .input_tokens_per_minute
                .map(|a_minute| (bucket(a_minute), a_minute)),
            queue: Mutex::default(),
        }
    }

    /// Returns when a request of `input_tokens` may be sent, and counts it. One of more than a minute's tokens takes all of
    /// them.
    pub async fn wait(&self, input_tokens: u64) {
        if self.requests.is_none() && self.tokens.is_none() {
            return;
        }
        let _turn = self.queue.lock().await;
        if let Some(requests) = &self.requests {
            requests.until_ready().await;
        }
        if let Some((tokens, most)) = &self.tokens {
            let wanted = u32::try_from(input_tokens)
                .unwrap_or(u32::MAX)
                .min(most.get());
            if let Some(wanted) = NonZeroU32::new(wanted) {
                // It fits: no more is wanted than the bucket holds.
                let _ = tokens.until_n_ready(wanted).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::time::timeout;

    use super::*;

    fn pace(requests: u32, tokens: u32) -> Pace {
        Pace::new(RateLimits {
            requests_per_minute: NonZeroU32::new(requests),
            input_tokens_per_minute: NonZeroU32::new(tokens),
        })
    }

    async fn is_held(pace: &Pace, tokens: u64) -> bool {
        timeout(Duration::from_millis(100), pace.wait(tokens))
            .await
            .is_err()
    }

    #[tokio::test]
    async fn what_is_too_much_for_a_minute_waits() {
        let three = pace(3, 0);
        for _ in 0..3 {
            assert!(!is_held(&three, 1_000_000).await);
        }
        assert!(is_held(&three, 1).await);
        let free = pace(0, 0);
        for _ in 0..1000 {
            assert!(!is_held(&free, u64::MAX).await);
        }
    }

    #[tokio::test]
    async fn tokens_are_counted_and_a_huge_request_takes_a_whole_minutes() {
        // 1000 a second.
        let pace = pace(0, 60_000);
        assert!(!is_held(&pace, u64::MAX).await);
        let start = Instant::now();
        pace.wait(400).await;
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(350), "{waited:?}");
        assert!(waited < Duration::from_secs(20), "{waited:?}");
    }

    #[tokio::test]
    async fn a_large_request_is_not_overtaken_by_small_ones() {
        let pace = pace(0, 60_000);
        pace.wait(60_000).await;
        let order = Mutex::new(Vec::new());
        let ask = async |name: &'static str, tokens| {
            pace.wait(tokens).await;
            order.lock().await.push(name);
        };
        tokio::join!(ask("large", 500), ask("small", 1), ask("small", 1));
        assert_eq!(*order.lock().await, ["large", "small", "small"]);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_up_nobody() {
        let pace = pace(0, 60_000);
        pace.wait(60_000).await;
        assert!(is_held(&pace, 59_000).await);
        assert!(
            timeout(Duration::from_secs(20), pace.wait(100))
                .await
                .is_ok(),
            "the one who gave up took nothing"
        );
    }
}
