//! How often somebody may ask (AUT-06): sign-in and sign-up creations 5 per
//! 10 s and address, attempts 3 per 10 s and attempt. JWKS is never limited.

use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};

use crate::wire::{ApiError, ApiResult, ErrorCode};

/// The counters of an instance; off in test servers.
#[derive(Debug)]
pub struct Limits(Option<Counters>);

#[derive(Debug)]
struct Counters {
    creations: DefaultKeyedRateLimiter<String>,
    attempts: DefaultKeyedRateLimiter<String>,
    backend: DefaultKeyedRateLimiter<String>,
}

fn per_ten_seconds(count: u32) -> DefaultKeyedRateLimiter<String> {
    let count = NonZeroU32::new(count).expect("a limit of nothing is no limit");
    let quota = Quota::with_period(Duration::from_secs(10) / count.get()).expect("ten seconds are not zero");
    DefaultKeyedRateLimiter::keyed(quota.allow_burst(count))
}

fn check(counter: &DefaultKeyedRateLimiter<String>, key: &str) -> ApiResult<()> {
    // Forgetting those who waited long enough keeps the table small.
    if counter.len() > 10_000 {
        counter.retain_recent();
    }
    counter.check_key(&key.to_owned()).map_err(|not_until| {
        let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
        ApiError::new(ErrorCode::TooManyRequests)
            .why("This was asked too often from here. Wait a moment and try again.")
            .retry_after(wait.as_secs() + 1)
    })
}

impl Limits {
    /// Counters, or none.
    pub fn new(enabled: bool) -> Self {
        Self(enabled.then(|| Counters {
            creations: per_ten_seconds(5),
            attempts: per_ten_seconds(3),
            backend: per_ten_seconds(1000),
        }))
    }

    /// Somebody at `address` begins to sign in or up.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub fn creation(&self, address: &str) -> ApiResult<()> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.creations, address))
    }

    /// Somebody at `address` answers or asks for a code.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub fn attempt(&self, address: &str, what: &str) -> ApiResult<()> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.attempts, &format!("{address} {what}")))
    }

    /// The application's server asks something.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub fn backend(&self, key_hash: &str) -> ApiResult<()> {
        self.0.as_ref().map_or(Ok(()), |counters| check(&counters.backend, key_hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_sign_in_within_ten_seconds_is_turned_away_and_told_when_to_come_back() {
        let limits = Limits::new(true);
        for _ in 0..5 {
            limits.creation("192.0.2.1").expect("within the limit");
        }
        assert_eq!(limits.creation("192.0.2.1").expect_err("refused").code(), ErrorCode::TooManyRequests);
        limits.creation("192.0.2.2").expect("another address");
    }
}
