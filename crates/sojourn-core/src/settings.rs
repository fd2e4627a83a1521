//! The settings of an instance: what is stored of them, how a change is
//! checked, and the warnings that an accepted change carries.

mod config;
mod instance;
mod warning;

pub use instance::{
    AttackProtectionSettings, EmailSettings, EnumerationProtection, InstanceSettings, PathSettings,
};

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    config::{Difference, differences},
    warning::Warning,
};
use crate::{
    activity::Activity,
    lifetime::{Bounds, Lifetime, LifetimeError, Limit},
    policy::PolicyVersion,
    template::{self, TemplateError},
    time::{Moment, Timestamp, days},
};

/// One stored version of all settings of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Counts up from 1.
    pub version: u64,
    /// In force from then on, on the session clock: sessions are judged by it.
    pub in_force_from: Timestamp,
    /// When it was made, on the wall clock; absent in what was stored before
    /// there was a test clock, when both were one.
    #[serde(default)]
    pub saved_at: Option<Timestamp>,
    /// Who made it: `system`, `backend`, `cli:…`, `file:…`, `env:…`.
    pub author: String,
    /// The earlier version whose content this one brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// Whether everybody was signed out with this version. Of the version itself, and
    /// no setting: the next one does not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_all_sessions: bool,
    /// How long sessions live and how many a browser holds.
    pub session: SessionSettings,
    /// The session token.
    pub token: TokenSettings,
    /// Everything else.
    pub instance: InstanceSettings,
}

impl Settings {
    /// What a new instance starts with (S1, S8).
    pub fn initial(now: Timestamp) -> Self {
        Self {
            version: 1,
            in_force_from: now,
            saved_at: Some(now),
            author: "system".to_owned(),
            restores: None,
            ends_all_sessions: false,
            session: SessionSettings::default(),
            token: TokenSettings::default(),
            instance: InstanceSettings::default(),
        }
    }

    /// The version after this one, with the content of `next`. It is in force
    /// from now on, but never from before its predecessor.
    #[must_use]
    pub fn succeeded_by(&self, next: Self, at: Moment, author: impl Into<String>) -> Self {
        Self {
            version: self.version + 1,
            in_force_from: at.now.max(self.in_force_from),
            saved_at: Some(at.wall),
            author: author.into(),
            restores: None,
            ends_all_sessions: false,
            ..next
        }
    }

    /// Whether both say the same, whoever said it when.
    pub fn says_the_same(&self, other: &Self) -> bool {
        (self.session, &self.token, &self.instance) == (other.session, &other.token, &other.instance)
    }

    /// The part of it that judges sessions.
    pub const fn policy_version(&self) -> PolicyVersion {
        PolicyVersion {
            version: self.version,
            in_force_from: self.in_force_from,
            lifetime: self.session.lifetime,
            multi_session: self.session.multi_session,
            activity: self.session.activity,
            ends_all: self.ends_all_sessions,
        }
    }
}

/// One limit as configuration and the wire write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitDocument {
    /// Whether it is on.
    pub enabled: bool,
    /// Its length; kept while it is off, for the next time.
    pub duration_seconds: u64,
}

/// The session settings as configuration and the wire write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSettingsDocument {
    /// Off by default.
    pub inactivity_timeout: LimitDocument,
    /// On by default, seven days.
    pub maximum_lifetime: LimitDocument,
    /// Off by default.
    pub multi_session_enabled: bool,
    /// What keeps a session from being inactive.
    #[serde(default)]
    pub activity: Activity,
    /// How long ended sessions and the records of their ends are kept.
    #[serde(default = "kept_by_default")]
    pub ended_sessions_kept_seconds: u64,
}

const fn kept_by_default() -> u64 {
    KEPT_BY_DEFAULT.as_secs()
}

/// The session settings. Private fields: only a checked document becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SessionSettingsDocument", into = "SessionSettingsDocument")]
pub struct SessionSettings {
    lifetime: Lifetime,
    multi_session: bool,
    idle_seconds: u64,
    most_seconds: u64,
    activity: Activity,
    ended_kept_seconds: u64,
}

/// How long ended sessions are kept where nothing else is set.
pub const KEPT_BY_DEFAULT: Duration = days(90);

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            lifetime: Lifetime::DEFAULT,
            multi_session: false,
            idle_seconds: 1800,
            most_seconds: 604_800,
            activity: Activity::default(),
            ended_kept_seconds: kept_by_default(),
        }
    }
}

impl TryFrom<SessionSettingsDocument> for SessionSettings {
    type Error = LifetimeError;

    fn try_from(document: SessionSettingsDocument) -> Result<Self, LifetimeError> {
        let span = |limit: LimitDocument| limit.enabled.then(|| Duration::from_secs(limit.duration_seconds));
        Ok(Self {
            lifetime: Lifetime::new(span(document.inactivity_timeout), span(document.maximum_lifetime))?,
            multi_session: document.multi_session_enabled,
            idle_seconds: document.inactivity_timeout.duration_seconds,
            most_seconds: document.maximum_lifetime.duration_seconds,
            activity: document.activity,
            ended_kept_seconds: document.ended_sessions_kept_seconds,
        })
    }
}

impl From<SessionSettings> for SessionSettingsDocument {
    fn from(settings: SessionSettings) -> Self {
        Self {
            inactivity_timeout: LimitDocument {
                enabled: settings.lifetime.inactivity().is_some(),
                duration_seconds: settings.idle_seconds,
            },
            maximum_lifetime: LimitDocument {
                enabled: settings.lifetime.maximum().is_some(),
                duration_seconds: settings.most_seconds,
            },
            multi_session_enabled: settings.multi_session,
            activity: settings.activity,
            ended_sessions_kept_seconds: settings.ended_kept_seconds,
        }
    }
}

/// A change of one limit: any subset of its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitPatch {
    /// Switches it.
    pub enabled: Option<bool>,
    /// Changes its length.
    pub duration_seconds: Option<u64>,
}

/// A change of the session settings: any subset of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettingsPatch {
    /// The inactivity timeout.
    pub inactivity_timeout: Option<LimitPatch>,
    /// The maximum lifetime.
    pub maximum_lifetime: Option<LimitPatch>,
    /// Several accounts in one browser.
    pub multi_session_enabled: Option<bool>,
    /// What keeps a session from being inactive.
    pub activity: Option<Activity>,
    /// How long ended sessions are kept.
    pub ended_sessions_kept_seconds: Option<u64>,
}

impl SessionSettings {
    /// The limits.
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Whether a browser may hold several accounts.
    pub const fn multi_session(&self) -> bool {
        self.multi_session
    }

    /// What keeps a session from being inactive (S3).
    pub const fn activity(&self) -> Activity {
        self.activity
    }

    /// How long ended sessions and the records of their ends are kept.
    pub const fn ended_sessions_kept(&self) -> Duration {
        Duration::from_secs(self.ended_kept_seconds)
    }

    /// The settings after `patch`.
    ///
    /// # Errors
    /// Both limits off (S2), or a limit out of `bounds`.
    pub fn change(&self, patch: &SessionSettingsPatch, bounds: Bounds) -> Result<Self, LifetimeError> {
        let mut document = SessionSettingsDocument::from(*self);
        let apply = |limit: &mut LimitDocument, patch: Option<LimitPatch>| {
            let patch = patch.unwrap_or_default();
            limit.enabled = patch.enabled.unwrap_or(limit.enabled);
            limit.duration_seconds = patch.duration_seconds.unwrap_or(limit.duration_seconds);
        };
        apply(&mut document.inactivity_timeout, patch.inactivity_timeout);
        apply(&mut document.maximum_lifetime, patch.maximum_lifetime);
        document.multi_session_enabled =
            patch.multi_session_enabled.unwrap_or(document.multi_session_enabled);
        document.activity = patch.activity.unwrap_or(document.activity);
        document.ended_sessions_kept_seconds =
            patch.ended_sessions_kept_seconds.unwrap_or(document.ended_sessions_kept_seconds);
        // A length that is given has to be good also for the day its limit is switched on.
        let given = |patch: Option<LimitPatch>| patch?.duration_seconds.map(Duration::from_secs);
        let given = Lifetime::new(given(patch.inactivity_timeout), given(patch.maximum_lifetime));
        given.map_or(Ok(()), |given| given.within(bounds).map(drop))?;
        let settings = Self::try_from(document)?;
        settings.lifetime.within(bounds)?;
        // Kept for no longer than a session may live, and long enough to be told of.
        Limit::Retention.check(settings.ended_sessions_kept(), bounds)?;
        Ok(settings)
    }
}

/// The session token's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenSettings {
    /// Claims of one's own, as a template (S12).
    pub claims: Map<String, Value>,
    /// Seconds a token is good for.
    pub lifetime: u32,
    /// Seconds by which `nbf` lies before `iat`.
    pub allowed_clock_skew: u32,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self { claims: Map::new(), lifetime: 60, allowed_clock_skew: 5 }
    }
}

/// A change of the session token's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettingsPatch {
    /// Replaces all claims.
    pub claims: Option<Map<String, Value>>,
    /// Seconds.
    pub lifetime: Option<u32>,
    /// Seconds.
    pub allowed_clock_skew: Option<u32>,
}

/// Why a change of the session token's settings is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenSettingsRefusal {
    /// The lifetime is out of bounds.
    #[error("the session token's lifetime must be from {least} to {most} seconds")]
    Lifetime {
        /// Fewest seconds.
        least: u32,
        /// Most seconds.
        most: u32,
    },
    /// The skew is above 300 s.
    #[error("the allowed clock skew must be from 0 to 300 seconds")]
    ClockSkew,
    /// The claims are no template.
    #[error("the claims cannot be used: {0}")]
    Claims(TemplateError),
}

/// The largest clock skew that can be allowed, in seconds.
pub const MOST_CLOCK_SKEW: u32 = 300;

impl TokenSettings {
    /// Fewest and most seconds that a session token may be good for (D9).
    pub const fn lifetime_bounds(development: bool) -> (u32, u32) {
        (if development { 10 } else { 30 }, 300)
    }

    /// The settings after `patch`.
    ///
    /// # Errors
    /// The first value out of bounds, or claims that cannot be a template.
    pub fn change(
        &self,
        patch: &TokenSettingsPatch,
        development: bool,
    ) -> Result<Self, TokenSettingsRefusal> {
        let next = Self {
            claims: patch.claims.clone().unwrap_or_else(|| self.claims.clone()),
            lifetime: patch.lifetime.unwrap_or(self.lifetime),
            allowed_clock_skew: patch.allowed_clock_skew.unwrap_or(self.allowed_clock_skew),
        };
        let (least, most) = Self::lifetime_bounds(development);
        if !(least..=most).contains(&next.lifetime) {
            return Err(TokenSettingsRefusal::Lifetime { least, most });
        }
        if next.allowed_clock_skew > MOST_CLOCK_SKEW {
            return Err(TokenSettingsRefusal::ClockSkew);
        }
        template::check(&next.claims).map_err(TokenSettingsRefusal::Claims)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(value: Value) -> SessionSettingsPatch {
        serde_json::from_value(value).expect("a patch")
    }

    #[test]
    fn s2_a_change_that_leaves_neither_limit_on_is_refused() {
        let off = patch(json!({"maximum_lifetime": {"enabled": false}}));
        assert_eq!(
            SessionSettings::default().change(&off, Bounds::DEVELOPMENT),
            Err(LifetimeError::NeitherEnabled)
        );
        let swapped =
            patch(json!({"maximum_lifetime": {"enabled": false}, "inactivity_timeout": {"enabled": true}}));
        let settings = SessionSettings::default().change(&swapped, Bounds::DEVELOPMENT).expect("one is on");
        assert_eq!(settings.lifetime(), Lifetime::Inactivity(Duration::from_secs(1800)));
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

    #[test]
    fn a_limit_that_is_off_remembers_its_length() {
        let longer = patch(json!({"inactivity_timeout": {"duration_seconds": 900}}));
        let settings = SessionSettings::default().change(&longer, Bounds::DEVELOPMENT).expect("max is on");
        let document = SessionSettingsDocument::from(settings);
        assert_eq!(document.inactivity_timeout, LimitDocument { enabled: false, duration_seconds: 900 });
    }

    #[test]
    fn a_disabled_limit_still_has_bounds_on_its_length() {
        let too_long = patch(json!({"inactivity_timeout": {"duration_seconds": u64::MAX}}));
        let refused = SessionSettings::default().change(&too_long, Bounds::PRODUCTION);
        assert!(matches!(refused, Err(LifetimeError::TooLong { .. })), "{refused:?}");
    }

    #[test]
    fn s7_more_than_400_days_is_accepted_with_a_warning() {
        let mut settings = Settings::initial(Timestamp::from_millis(0));
        let long = patch(json!({"maximum_lifetime": {"duration_seconds": 401 * 86_400}}));
        settings.session = settings.session.change(&long, Bounds::PRODUCTION).expect("accepted");
        let codes: Vec<_> = settings.warnings().iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["beyond_browser_limit"]);
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_value::<SessionSettingsPatch>(json!({"inactivity": {}})).is_err());
    }
}
