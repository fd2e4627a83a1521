//! Points in time, in milliseconds since the Unix epoch. The caller supplies the current time.

use std::{fmt, ops, time::Duration};

use serde::{Deserialize, Serialize};

/// A point in time in milliseconds since 1970-01-01T00:00:00Z.
///
/// The core never reads a clock: every function that needs the current time takes `now` as an
/// argument. Negative values mean "before 1970" and occur only in arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch, the unit of times in JSON resources.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded down: the unit of token claims and of `__client_uat`.
    pub const fn as_secs(self) -> i64 {
        // `/` rounds towards zero, which would round times before 1970 up.
        self.0.div_euclid(1000)
    }

    /// The duration from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// One reading of both clocks, taken once per request. They differ only with a test clock
/// (decision 7), which changes `now` and not `wall`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The session clock, for deadlines, codes and sweeps.
    pub now: Timestamp,
    /// The wall clock, for tokens, cookies and `__client_uat`.
    pub wall: Timestamp,
}

impl Moment {
    /// A moment without a test clock.
    pub const fn real(wall: Timestamp) -> Self {
        Self { now: wall, wall }
    }
}

fn whole_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl ops::Add<Duration> for Timestamp {
    type Output = Self;

    // Saturates: a far deadline must not overflow into the past.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(span)))
    }
}

impl ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(span)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Days of 24 hours.
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}
