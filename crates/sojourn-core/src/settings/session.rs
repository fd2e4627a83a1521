//! The session settings: limits and the number of accounts per browser.

use std::{ops::Deref, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    activity::Activity,
    lifetime::{Lifetime, LifetimeError},
    time::days,
};

/// Default retention of ended sessions.
const KEPT_BY_DEFAULT: Duration = days(90);

/// One limit in configuration and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitDocument {
    pub enabled: bool,
    /// Stored while the limit is off too, so that switching it on again restores it.
    pub duration_seconds: u64,
}

/// The session settings in configuration and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSettingsDocument {
    pub inactivity_timeout: LimitDocument,
    pub maximum_lifetime: LimitDocument,
    pub multi_session_enabled: bool,
    // These settings are younger than the first stored documents, so they have a default.
    #[serde(default)]
    pub activity: Activity,
    #[serde(default = "kept_by_default")]
    pub ended_sessions_kept_seconds: u64,
}

const fn kept_by_default() -> u64 {
    KEPT_BY_DEFAULT.as_secs()
}

/// Session settings with at least one limit on. Created only from a checked document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SessionSettingsDocument", into = "SessionSettingsDocument")]
pub struct SessionSettings {
    document: SessionSettingsDocument,
    lifetime: Lifetime,
}

impl SessionSettings {
    /// The limits that are on.
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Retention of ended sessions and their end records.
    pub const fn ended_sessions_kept(&self) -> Duration {
        Duration::from_secs(self.document.ended_sessions_kept_seconds)
    }
}

impl Default for SessionSettings {
    /// A maximum of seven days, no inactivity timeout (S1), one account per browser (S8).
    fn default() -> Self {
        let document = SessionSettingsDocument {
            inactivity_timeout: LimitDocument { enabled: false, duration_seconds: 1800 },
            maximum_lifetime: LimitDocument { enabled: true, duration_seconds: 604_800 },
            multi_session_enabled: false,
            activity: Activity::default(),
            ended_sessions_kept_seconds: kept_by_default(),
        };
        Self { document, lifetime: Lifetime::DEFAULT }
    }
}

impl Deref for SessionSettings {
    type Target = SessionSettingsDocument;

    fn deref(&self) -> &SessionSettingsDocument {
        &self.document
    }
}

impl TryFrom<SessionSettingsDocument> for SessionSettings {
    type Error = LifetimeError;

    fn try_from(document: SessionSettingsDocument) -> Result<Self, LifetimeError> {
        let span = |limit: LimitDocument| limit.enabled.then(|| Duration::from_secs(limit.duration_seconds));
        let lifetime = Lifetime::new(span(document.inactivity_timeout), span(document.maximum_lifetime))?;
        Ok(Self { document, lifetime })
    }
}

impl From<SessionSettings> for SessionSettingsDocument {
    fn from(settings: SessionSettings) -> Self {
        settings.document
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_default_lifetime_is_that_of_the_default_document() {
        let default = SessionSettings::default();
        assert_eq!(SessionSettings::try_from(*default), Ok(default));
    }

    #[test]
    fn a_stored_document_with_neither_limit_does_not_load() {
        let stored = json!({
            "inactivity_timeout": {"enabled": false, "duration_seconds": 1800},
            "maximum_lifetime": {"enabled": false, "duration_seconds": 604_800},
            "multi_session_enabled": false,
        });
        assert!(serde_json::from_value::<SessionSettings>(stored).is_err());
    }
}
