//! Rate limits (AUT-06): creation of sign-ins and sign-ups 5 per 10 s and address, answers and sent
//! codes 3 per 10 s and address, mails 5 per 10 minutes and recipient. JWKS is never limited.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock as _, middleware::NoOpMiddleware, nanos::Nanos,
    state::keyed::DefaultKeyedStateStore,
};
use sojourn_core::email::Email;

use crate::clock::Clock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {retry_after_seconds} s")]
pub struct RateLimited {
    pub retry_after_seconds: u64,
}

/// The rate limits of an instance; disabled in test servers.
#[derive(Debug)]
pub struct RateLimits(Option<Counters>);

type Counter = RateLimiter<String, DefaultKeyedStateStore<String>, Wall, NoOpMiddleware<Nanos>>;

#[derive(Debug)]
struct Counters {
    creations: Counter,
    attempts: Counter,
    mails: Counter,
    backend: Counter,
}

/// The wall clock of the instance, so that tests of the limits need no real time.
#[derive(Clone)]
struct Wall(Arc<dyn Clock>);

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wall")
    }
}

impl governor::clock::Clock for Wall {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.0.now().as_millis()).unwrap_or(0);
        Duration::from_millis(millis).into()
    }
}

fn counter(clock: &Wall, count: u32, period: Duration) -> Counter {
    let count = NonZeroU32::new(count).expect("a limit of nothing is no limit");
    let quota = Quota::with_period(period / count.get()).expect("the period is not zero");
    RateLimiter::new(quota.allow_burst(count), DefaultKeyedStateStore::default(), clock.clone())
}

const TEN_SECONDS: Duration = Duration::from_secs(10);
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn check(counter: &Counter, key: &str) -> Result<(), RateLimited> {
    // Removes keys without recent requests, to keep the table small.
    if counter.len() > 10_000 {
        counter.retain_recent();
    }
    counter.check_key(&key.to_owned()).map_err(|not_until| {
        let wait = not_until.wait_time_from(counter.clock().now());
        // Rounded up: a retry after `Retry-After` must not be too early.
        RateLimited { retry_after_seconds: wait.as_secs() + 1 }
    })
}

/// What counts as one client: an IPv4 address, or a /64 of IPv6, because one host has that many addresses.
fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        _ => address.to_owned(),
    }
}

impl RateLimits {
    /// Rate limits, or none.
    pub fn new(enabled: bool, clock: Arc<dyn Clock>) -> Self {
        let clock = Wall(clock);
        Self(enabled.then(|| Counters {
            creations: counter(&clock, 5, TEN_SECONDS),
            attempts: counter(&clock, 3, TEN_SECONDS),
            mails: counter(&clock, 5, TEN_MINUTES),
            backend: counter(&clock, 1000, TEN_SECONDS),
        }))
    }

    /// Counts the creation of a sign-in or sign-up by `address`.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn creation(&self, address: &str) -> Result<(), RateLimited> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.creations, &network(address)))
    }

    /// Counts an answer, or a request for a code, by `address`.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn attempt(&self, address: &str, what: &str) -> Result<(), RateLimited> {
        self.0
            .as_ref()
            .map_or(Ok(()), |counters| check(&counters.attempts, &format!("{} {what}", network(address))))
    }

    /// Counts a mail to `recipient`, from any address (AUT-08).
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn mail(&self, recipient: &Email) -> Result<(), RateLimited> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.mails, recipient.key()))
    }

    /// Counts a request by the application's backend.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn backend(&self, key_hash: &str) -> Result<(), RateLimited> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.backend, key_hash))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use sojourn_core::time::Timestamp;

    use super::*;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn the_sixth_sign_in_within_ten_seconds_is_limited() {
        let clock = Arc::new(Hand(AtomicI64::new(1_700_000_000_000)));
        let limits = RateLimits::new(true, clock.clone());
        for _ in 0..5 {
            limits.creation("192.0.2.1").expect("within the limit");
        }
        let limited = limits.creation("192.0.2.1").expect_err("refused");
        assert_eq!(limited.retry_after_seconds, 3, "{limited}");
        limits.creation("192.0.2.2").expect("another address");
        // One host chooses among all addresses of its /64.
        for host in 1..=5 {
            limits.creation(&format!("2001:db8::{host}")).expect("within the limit");
        }
        limits.creation("2001:db8::6").expect_err("the same network");
        limits.creation("2001:db8:0:1::6").expect("another network");
        clock.0.fetch_add(1_999, Ordering::Relaxed);
        limits.creation("192.0.2.1").expect_err("a fifth of ten seconds is not over");
        clock.0.fetch_add(1, Ordering::Relaxed);
        limits.creation("192.0.2.1").expect("one of five is free again");
    }
}
