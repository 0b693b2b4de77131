//! How much is taken in: from whom, and how often.
//!
//! What no source signed is limited by address. What is signed is the source's own, with a limit of its own, and is
//! never held up by what others send from the same address. Each starter counts for itself.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use ipnet::IpNet;

use super::address::counted;

/// After so many refusals, addresses that have been quiet are forgotten.
const TIDY_EVERY: u32 = 1000;

/// The limits of a source's webhooks.
#[derive(Debug)]
pub struct WebhookLimits {
    allowed: Vec<IpNet>,
    unverified: DefaultKeyedRateLimiter<IpAddr>,
    verified: DefaultDirectRateLimiter,
    refusals: AtomicU32,
    clock: DefaultClock,
}

impl WebhookLimits {
    /// `allowed`: the networks that the source sends from, none for all. The others: how many deliveries a minute are taken
    /// from one address without a right signature, and how many with one in all; at least 1.
    pub fn new(allowed: Vec<IpNet>, unverified: u32, verified: u32) -> Self {
        Self {
            allowed,
            unverified: RateLimiter::keyed(per_minute(unverified)),
            verified: RateLimiter::direct(per_minute(verified)),
            refusals: AtomicU32::new(0),
            clock: DefaultClock::default(),
        }
    }

    /// Whether the source sends from there.
    pub fn is_allowed(&self, address: IpAddr) -> bool {
        self.allowed.is_empty()
            || self
                .allowed
                .iter()
                .any(|network| network.contains(&address))
    }

    /// Counts a delivery from `address` that is not signed. Error: how long to wait before the next.
    pub fn count_unverified(&self, address: IpAddr) -> Result<(), Duration> {
        let refused = self.unverified.check_key(&counted(address));
        if refused.is_err()
            && self
                .refusals
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(TIDY_EVERY)
        {
            self.unverified.retain_recent();
        }
        refused.map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Counts a delivery that is signed. Error: how long to wait before the next.
    pub fn count_verified(&self) -> Result<(), Duration> {
        self.verified
            .check()
            .map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

fn per_minute(count: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_count_and_the_source_another() {
        let limits = WebhookLimits::new(Vec::new(), 100, 3);
        for _ in 0..100 {
            limits.count_unverified(address("198.51.100.1")).unwrap();
        }
        let wait = limits
            .count_unverified(address("198.51.100.1"))
            .unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        limits.count_unverified(address("198.51.100.2")).unwrap();
        for _ in 0..3 {
            limits.count_verified().unwrap();
        }
        assert!(limits.count_verified().unwrap_err() <= Duration::from_secs(20));
    }

    #[test]
    fn an_ipv6_network_cannot_multiply_itself() {
        let limits = WebhookLimits::new(Vec::new(), 1, 1);
        limits.count_unverified(address("2001:db8::1")).unwrap();
        assert!(limits.count_unverified(address("2001:db8::2")).is_err());
        limits.count_unverified(address("2001:db8:0:1::1")).unwrap();
    }

    #[test]
    fn the_list_of_networks_is_kept_to() {
        let limits = WebhookLimits::new(vec!["198.51.100.0/24".parse().unwrap()], 1, 1);
        assert!(limits.is_allowed(address("198.51.100.200")));
        assert!(!limits.is_allowed(address("198.51.101.1")));
        assert!(!limits.is_allowed(address("::1")));
        assert!(WebhookLimits::new(Vec::new(), 1, 1).is_allowed(address("::1")));
    }
}
