//! How often steps of sign-ins may be asked for: by one client, and by all together. A step is what costs the component, the
//! provider or Core something: a sign-in that begins, one that comes back, a token that is redeemed. Pages are free.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::client::limited;
use crate::config::{LimitsConfig, Rate};
use crate::metrics::ServiceMetrics;

/// After so many steps the buckets that are full again are forgotten.
const TIDY_AFTER: u32 = 4096;

/// A step over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverLimit {
    /// `client` or `global`.
    pub(super) scope: &'static str,
    /// When one more is possible, in seconds; at least 1.
    pub(super) retry_after_s: u64,
}

type Limiter<K, S, C> = RateLimiter<K, S, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Both limits. Clients share 65536 buckets, by a hash that nobody outside can predict: so memory is bounded whoever asks from
/// wherever, and one bucket has more than one client only where there are very many.
pub(super) struct Rates<C: Clock = DefaultClock> {
    clients: Option<Limiter<u16, HashMapStateStore<u16>, C>>,
    global: Option<Limiter<NotKeyed, InMemoryState, C>>,
    clock: C,
    hasher: RandomState,
    steps: AtomicU32,
    metrics: ServiceMetrics,
}

impl Rates {
    pub(super) fn new(limits: &LimitsConfig, metrics: ServiceMetrics) -> Self {
        Self::with_clock(limits, metrics, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with_clock(limits: &LimitsConfig, metrics: ServiceMetrics, clock: C) -> Self {
        Self {
            clients: quota(limits.client).map(|quota| RateLimiter::hashmap_with_clock(quota, clock.clone())),
            global: quota(limits.global).map(|quota| RateLimiter::direct_with_clock(quota, clock.clone())),
            clock,
            hasher: RandomState::new(),
            steps: AtomicU32::new(0),
            metrics,
        }
    }

    /// Whether this client may take one more step. Steps over its own limit don't count for the others'.
    pub(super) fn step(&self, client: Option<IpAddr>) -> Result<(), OverLimit> {
        if let (Some(clients), Some(client)) = (&self.clients, limited(client)) {
            let checked = clients.check_key(&self.bucket(client));
            if self.steps.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY_AFTER) {
                clients.retain_recent();
            }
            self.metrics.rate_limited_clients(clients.len());
            checked.map_err(|not_until| self.over("client", not_until.wait_time_from(self.clock.now())))?;
        }
        match &self.global {
            Some(global) => {
                global.check().map_err(|not_until| self.over("global", not_until.wait_time_from(self.clock.now())))
            }
            None => Ok(()),
        }
    }

    fn bucket(&self, client: IpAddr) -> u16 {
        let [low, high, ..] = self.hasher.hash_one(client).to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    fn over(&self, scope: &'static str, wait: std::time::Duration) -> OverLimit {
        self.metrics.rate_limited(scope);
        OverLimit { scope, retry_after_s: wait.as_secs().saturating_add(1) }
    }
}

fn quota(rate: Rate) -> Option<Quota> {
    Some(Quota::per_second(NonZeroU32::new(rate.per_second)?).allow_burst(NonZeroU32::new(rate.burst)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rates(client: (u32, u32), global: (u32, u32)) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let rate = |(per_second, burst)| Rate { per_second, burst };
        let limits = LimitsConfig { client: rate(client), global: rate(global), ..LimitsConfig::default() };
        let clock = FakeRelativeClock::default();
        (Rates::with_clock(&limits, ServiceMetrics::default(), clock.clone()), clock)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a client is given")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// How many of `number` steps are let through.
    fn passed(rates: &Rates<FakeRelativeClock>, client: Option<IpAddr>, number: u32) -> usize {
        (0..number).filter(|_| rates.step(client).is_ok()).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let (rates, clock) = rates((2, 10), (0, 1));
        let client = address("192.0.2.1");
        assert_eq!(passed(&rates, client, 100), 10);
        let over = rates.step(client).unwrap_err();
        assert_eq!(over, OverLimit { scope: "client", retry_after_s: 1 });
        assert_eq!(passed(&rates, address("192.0.2.2"), 100), 10, "another client has its own");
        clock.advance(Duration::from_secs(3));
        assert_eq!(passed(&rates, client, 100), 6);
        assert_eq!(passed(&rates, address("127.0.0.1"), 100), 100, "a client that isn't known isn't one client");
        assert_eq!(passed(&rates, None, 100), 100);
    }

    #[test]
    fn everybody_together() {
        let (rates, clock) = rates((1, 5), (10, 20));
        assert_eq!(
            passed(&rates, address("192.0.2.1"), 1000),
            5,
            "steps over its own limit take nothing of the others'"
        );
        let others = (2..100).map(|last| address(&format!("192.0.2.{last}")));
        assert_eq!(others.filter(|client| rates.step(*client).is_ok()).count(), 15);
        assert_eq!(rates.step(address("198.51.100.1")).unwrap_err().scope, "global");
        clock.advance(Duration::from_secs(1));
        assert_eq!(passed(&rates, address("198.51.100.2"), 5), 5);
    }

    #[test]
    fn ten_thousand_people_behind_one_address_on_monday_morning() {
        let limits = LimitsConfig::default();
        let clock = FakeRelativeClock::default();
        let rates = Rates::with_clock(&limits, ServiceMetrics::default(), clock.clone());
        let office = address("192.0.2.1");
        // 10 000 people, two steps each, within five minutes; the first thousand at the stroke of nine.
        assert_eq!(passed(&rates, office, 2000), 2000);
        for second in 0..300 {
            assert_eq!(passed(&rates, office, 60), 60, "second {second}");
            clock.advance(Duration::from_secs(1));
        }
    }

    #[test]
    fn memory_is_bounded_whoever_asks() {
        let (rates, clock) = rates((1, 5), (0, 1));
        for number in 0..300_000_u32 {
            let _ = rates.step(Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes())));
        }
        let clients = rates.clients.as_ref().unwrap();
        assert!(clients.len() <= 1 << 16, "{}", clients.len());
        clock.advance(Duration::from_secs(60));
        for number in 0..TIDY_AFTER {
            let _ = rates.step(Some(IpAddr::from((0x0b00_0000 + number).to_be_bytes())));
        }
        assert!(clients.len() <= TIDY_AFTER as usize + 1, "those that rest are forgotten: {}", clients.len());
    }
}
