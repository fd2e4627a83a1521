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
    /// A limit is shorter than the instance allows.
    #[error("the {limit} must be at least {least:?}")]
    TooShort {
        /// Which of the two limits.
        limit: Limit,
        /// The shortest duration allowed.
        least: Duration,
    },
    /// A limit is longer than ten years.
    #[error("the {limit} must be at most {most:?}")]
    TooLong {
        /// Which of the two limits.
        limit: Limit,
        /// The longest duration allowed.
        most: Duration,
    },
}

/// A duration that the session settings hold: one of the two limits, or how
/// long ended sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The inactivity timeout.
    Inactivity,
    /// The maximum lifetime.
    Maximum,
    /// How long ended sessions are kept.
    Retention,
}

impl Limit {
    /// Checks one duration against what the instance accepts.
    ///
    /// # Errors
    /// It is out of `bounds`.
    pub fn check(self, span: Duration, bounds: Bounds) -> Result<(), LifetimeError> {
        if span < bounds.least {
            return Err(LifetimeError::TooShort { limit: self, least: bounds.least });
        }
        if span > bounds.most {
            return Err(LifetimeError::TooLong { limit: self, most: bounds.most });
        }
        Ok(())
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Inactivity => "inactivity timeout",
            Self::Maximum => "maximum lifetime",
            Self::Retention => "time that ended sessions are kept",
        })
    }
}

/// The shortest and longest durations an instance accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Shortest duration of either limit.
    pub least: Duration,
    /// Longest duration of either limit.
    pub most: Duration,
}

impl Bounds {
    /// Production: 300 seconds to ten years (D3).
    pub const PRODUCTION: Self = Self { least: Duration::from_secs(300), most: days(3650) };
    /// Development: one second to ten years, so that tests can show an end.
    pub const DEVELOPMENT: Self = Self { least: Duration::from_secs(1), most: days(3650) };
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

    /// Checks both limits against what the instance accepts.
    ///
    /// # Errors
    /// The first limit out of bounds.
    pub fn within(self, bounds: Bounds) -> Result<Self, LifetimeError> {
        let limits = [(Limit::Inactivity, self.inactivity()), (Limit::Maximum, self.maximum())];
        for (limit, span) in limits {
            span.map_or(Ok(()), |span| limit.check(span, bounds))?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{minutes, seconds};

    #[test]
    fn s2_neither_limit_cannot_be_made() {
        assert_eq!(Lifetime::new(None, None), Err(LifetimeError::NeitherEnabled));
    }

    #[test]
    fn s1_by_default_seven_days_at_most_and_no_inactivity_timeout() {
        assert_eq!(Lifetime::DEFAULT.maximum(), Some(days(7)));
        assert_eq!(Lifetime::DEFAULT.inactivity(), None);
    }

    #[test]
    fn only_production_refuses_less_than_five_minutes() {
        let lifetime = Lifetime::new(Some(seconds(299)), Some(days(1))).expect("one is on");
        assert_eq!(
            lifetime.within(Bounds::PRODUCTION),
            Err(LifetimeError::TooShort { limit: Limit::Inactivity, least: minutes(5) })
        );
        assert_eq!(lifetime.within(Bounds::DEVELOPMENT), Ok(lifetime));
        let endless = Lifetime::Maximum(days(3651));
        assert_eq!(
            endless.within(Bounds::DEVELOPMENT),
            Err(LifetimeError::TooLong { limit: Limit::Maximum, most: days(3650) })
        );
    }
}
