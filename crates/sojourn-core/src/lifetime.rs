//! How long a session may live: one limit or two, never none.

use std::time::Duration;

use crate::time::days;

/// The limits in force for sessions. "Neither limit" cannot be written (S2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// End after this long without activity.
    Inactivity(Duration),
    /// End this long after sign-in, whatever the activity.
    Maximum(Duration),
    /// End at the earlier of the two.
    Both {
        /// Longest time without activity.
        inactivity: Duration,
        /// Longest time since sign-in.
        maximum: Duration,
    },
}

/// Why a pair of limits is no [`Lifetime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    /// Both limits are off.
    #[error("at least one of inactivity timeout and maximum lifetime must be on")]
    NeitherEnabled,
}

/// A limit that is off shows on the wire as this long after sign-in, because
/// SDKs want a number (D12).
pub const FAR: Duration = days(3650);

/// Browsers keep no cookie longer than this (RFC 6265bis 5.5).
pub const BROWSER_LIMIT: Duration = days(400);

/// WebKit may keep a cookie no longer than this when the answer to a `fetch` sets it
/// and its host has another network address than the page
/// (webkit.org/tracking-prevention, "7-Day Cap on All Script-Writeable Storage").
pub const WEBKIT_FETCH_LIMIT: Duration = days(7);

impl Lifetime {
    /// The default of a new instance: seven days at most, no inactivity timeout (S1).
    pub const DEFAULT: Self = Self::Maximum(days(7));

    /// The lifetime made of an optional inactivity timeout and an optional maximum.
    ///
    /// # Errors
    /// [`LifetimeError::NeitherEnabled`] when both are absent.
    pub fn new(inactivity: Option<Duration>, maximum: Option<Duration>) -> Result<Self, LifetimeError> {
        match (inactivity, maximum) {
            (Some(inactivity), Some(maximum)) => Ok(Self::Both { inactivity, maximum }),
            (Some(inactivity), None) => Ok(Self::Inactivity(inactivity)),
            (None, Some(maximum)) => Ok(Self::Maximum(maximum)),
            (None, None) => Err(LifetimeError::NeitherEnabled),
        }
    }

    /// The inactivity timeout, if on.
    pub const fn inactivity(self) -> Option<Duration> {
        match self {
            Self::Inactivity(inactivity) | Self::Both { inactivity, .. } => Some(inactivity),
            Self::Maximum(_) => None,
        }
    }

    /// The maximum lifetime, if on.
    pub const fn maximum(self) -> Option<Duration> {
        match self {
            Self::Maximum(maximum) | Self::Both { maximum, .. } => Some(maximum),
            Self::Inactivity(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_neither_limit_cannot_be_made() {
        assert_eq!(Lifetime::new(None, None), Err(LifetimeError::NeitherEnabled));
    }

    #[test]
    fn s1_by_default_seven_days_at_most_and_no_inactivity_timeout() {
        assert_eq!(Lifetime::DEFAULT.maximum(), Some(days(7)));
        assert_eq!(Lifetime::DEFAULT.inactivity(), None);
    }
}
