//! The session limits: an inactivity timeout, a maximum lifetime, or both, never neither.

use std::time::Duration;

use crate::time::days;

/// The session limits in force. The type has no value for "neither limit" (S2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// The session ends after this long without activity.
    Inactivity(Duration),
    /// The session ends this long after sign-in, whatever the activity.
    Maximum(Duration),
    /// The session ends at the earlier of the two.
    Both { inactivity: Duration, maximum: Duration },
}

/// Why a pair of limits is not a [`Lifetime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    #[error("at least one of inactivity timeout and maximum lifetime must be on")]
    NeitherEnabled,
}

/// The value on the wire for a limit that is off: this long after sign-in, because the SDKs require
/// a number (D12).
pub const FAR: Duration = days(3650);

/// The maximum cookie age in browsers (RFC 6265bis 5.5).
pub const BROWSER_LIMIT: Duration = days(400);

/// The maximum cookie age that WebKit may apply to a cookie that the response to a `fetch` sets, if
/// the server has another network address than the page (webkit.org/tracking-prevention, "7-Day Cap
/// on All Script-Writeable Storage").
pub const WEBKIT_FETCH_LIMIT: Duration = days(7);

impl Lifetime {
    /// The default of a new instance: a maximum of seven days and no inactivity timeout (S1).
    pub const DEFAULT: Self = Self::Maximum(days(7));

    /// A lifetime from two optional limits.
    ///
    /// # Errors
    /// [`LifetimeError::NeitherEnabled`] if both are `None`.
    pub fn new(inactivity: Option<Duration>, maximum: Option<Duration>) -> Result<Self, LifetimeError> {
        match (inactivity, maximum) {
            (Some(inactivity), Some(maximum)) => Ok(Self::Both { inactivity, maximum }),
            (Some(inactivity), None) => Ok(Self::Inactivity(inactivity)),
            (None, Some(maximum)) => Ok(Self::Maximum(maximum)),
            (None, None) => Err(LifetimeError::NeitherEnabled),
        }
    }

    pub const fn inactivity(self) -> Option<Duration> {
        match self {
            Self::Inactivity(inactivity) | Self::Both { inactivity, .. } => Some(inactivity),
            Self::Maximum(_) => None,
        }
    }

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
    fn s2_a_lifetime_without_a_limit_cannot_be_created() {
        assert_eq!(Lifetime::new(None, None), Err(LifetimeError::NeitherEnabled));
    }

    #[test]
    fn s1_by_default_seven_days_at_most_and_no_inactivity_timeout() {
        assert_eq!(Lifetime::DEFAULT.maximum(), Some(days(7)));
        assert_eq!(Lifetime::DEFAULT.inactivity(), None);
    }
}
