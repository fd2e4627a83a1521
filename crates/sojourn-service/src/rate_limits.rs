//! How often somebody may ask (AUT-06): sign-in and sign-up creations 5 per
//! 10 s and address, answers and sent codes 3 per 10 s and address, mails 5 per
//! 10 minutes and recipient. JWKS is never limited.

use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};
use sojourn_core::email::Email;

/// Too many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {retry_after_seconds} s")]
pub struct RateLimited {
    /// When the same may be asked again.
    pub retry_after_seconds: u64,
}

/// The counters of an instance; off in test servers.
#[derive(Debug)]
pub struct RateLimits(Option<Counters>);

#[derive(Debug)]
struct Counters {
    creations: DefaultKeyedRateLimiter<String>,
    attempts: DefaultKeyedRateLimiter<String>,
    mails: DefaultKeyedRateLimiter<String>,
    backend: DefaultKeyedRateLimiter<String>,
}

fn counter(count: u32, period: Duration) -> DefaultKeyedRateLimiter<String> {
    let count = NonZeroU32::new(count).expect("a limit of nothing is no limit");
    let quota = Quota::with_period(period / count.get()).expect("the period is not zero");
    DefaultKeyedRateLimiter::keyed(quota.allow_burst(count))
}

const TEN_SECONDS: Duration = Duration::from_secs(10);
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn check(counter: &DefaultKeyedRateLimiter<String>, key: &str) -> Result<(), RateLimited> {
    // Forgetting those who waited long enough keeps the table small.
    if counter.len() > 10_000 {
        counter.retain_recent();
    }
    counter.check_key(&key.to_owned()).map_err(|not_until| {
        let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
        RateLimited { retry_after_seconds: wait.as_secs() + 1 }
    })
}

impl RateLimits {
    /// Counters, or none.
    pub fn new(enabled: bool) -> Self {
        Self(enabled.then(|| Counters {
            creations: counter(5, TEN_SECONDS),
            attempts: counter(3, TEN_SECONDS),
            mails: counter(5, TEN_MINUTES),
            backend: counter(1000, TEN_SECONDS),
        }))
    }

    /// Somebody at `address` begins to sign in or up.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn creation(&self, address: &str) -> Result<(), RateLimited> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.creations, address))
    }

    /// Somebody at `address` answers or asks for a code.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn attempt(&self, address: &str, what: &str) -> Result<(), RateLimited> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.attempts, &format!("{address} {what}")))
    }

    /// A mail goes to `recipient`, whoever asked for it (AUT-08).
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn mail(&self, recipient: &Email) -> Result<(), RateLimited> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.mails, recipient.key()))
    }

    /// The application's server asks something.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn backend(&self, key_hash: &str) -> Result<(), RateLimited> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.backend, key_hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_sign_in_within_ten_seconds_is_limited() {
        let limits = RateLimits::new(true);
        for _ in 0..5 {
            limits.creation("192.0.2.1").expect("within the limit");
        }
        let limited = limits.creation("192.0.2.1").expect_err("refused");
        assert!((1..=2).contains(&limited.retry_after_seconds), "{limited}");
        limits.creation("192.0.2.2").expect("another address");
    }
}
