//! The settings of an instance: the stored document, the registry of all settings, the check of a
//! change, and the warnings about accepted settings.

mod change;
mod config;
mod duration;
mod instance;
mod kind;
pub mod registry;
mod session;
mod warning;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    change::{Change, Claims, Refusal, RefusalReason},
    config::{Difference, differences},
    duration::{format_duration, parse_duration},
    instance::{
        AttackProtectionSettings, EmailSettings, EnumerationProtection, InstanceSettings, MailSettings,
        NotifyNewDevice, PathSettings, SigningKeySettings,
    },
    kind::{Kind, Mismatch, Reason},
    registry::{SETTINGS, Setting},
    session::{LimitDocument, SessionSettings, SessionSettingsDocument},
    warning::Warning,
};
use crate::{
    policy::PolicyVersion,
    time::{Moment, Timestamp},
};

/// One stored version of all settings of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Starts at 1; every change adds 1.
    pub version: u64,
    /// In force from this time on the session clock.
    pub in_force_from: Timestamp,
    /// When the version was stored, on the wall clock. `None` in versions that were stored before
    /// the test clock existed; both clocks were the same then.
    #[serde(default)]
    pub saved_at: Option<Timestamp>,
    /// The author of the change: `system`, `backend`, `cli:…`, `file:…`, `env:…`.
    pub author: String,
    /// The earlier version whose content this version restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// Whether this version ended all earlier sessions. It describes the version and is not a
    /// setting, so the next version does not inherit it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_all_sessions: bool,
    /// Session limits and the number of accounts per browser.
    pub session: SessionSettings,
    /// The session token.
    pub token: TokenSettings,
    /// All other settings.
    pub instance: InstanceSettings,
}

impl Settings {
    /// The settings of a new instance (S1, S8).
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

    /// The next version, with the content of `next`. It is in force from `at`, but not earlier than
    /// its predecessor.
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

    /// Whether both have the same content; version, author and times are ignored.
    pub fn says_the_same(&self, other: &Self) -> bool {
        (self.session, &self.token, &self.instance) == (other.session, &other.token, &other.instance)
    }

    /// The settings that [`crate::session::decide`] uses.
    pub fn policy_version(&self) -> PolicyVersion {
        PolicyVersion {
            version: self.version,
            in_force_from: self.in_force_from,
            lifetime: self.session.lifetime(),
            multi_session: self.session.multi_session_enabled,
            activity: self.session.activity,
            ends_all: self.ends_all_sessions,
        }
    }
}

/// The settings of the session token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenSettings {
    /// Custom claims, as a template (S12).
    pub claims: Map<String, Value>,
    /// Token lifetime in seconds.
    pub lifetime: u32,
    /// Seconds between `nbf` and `iat`, so that a verifier whose clock is behind accepts the token.
    pub allowed_clock_skew: u32,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self { claims: Map::new(), lifetime: 60, allowed_clock_skew: 5 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{environment::Environment, lifetime::Lifetime, testing::settings::samples};

    fn changed(settings: &Settings, document: Value) -> Result<Settings, Refusal> {
        let document = serde_json::from_value(document).expect("an object");
        settings.with(&Change::read("", &document)?, Environment::Production)
    }

    fn initial() -> Settings {
        Settings::initial(Timestamp::from_millis(0))
    }

    #[test]
    fn s2_a_change_that_leaves_neither_limit_on_is_refused() {
        let off = json!({"session_settings": {"maximum_lifetime": {"enabled": false}}});
        let refused = changed(&initial(), off).expect_err("refused");
        assert_eq!(refused.why, RefusalReason::NeitherLimit);
        let swapped = json!({"session_settings": {
            "maximum_lifetime": {"enabled": false}, "inactivity_timeout": {"enabled": true},
        }});
        let settings = changed(&initial(), swapped).expect("one is on");
        assert_eq!(settings.session.lifetime(), Lifetime::Inactivity(Duration::from_secs(1800)));
    }

    #[test]
    fn a_limit_that_is_off_keeps_its_duration() {
        let longer = json!({"session_settings": {"inactivity_timeout": {"duration_seconds": 900}}});
        let settings = changed(&initial(), longer).expect("max is on");
        let expected = LimitDocument { enabled: false, duration_seconds: 900 };
        assert_eq!(settings.session.inactivity_timeout, expected);
    }

    #[test]
    fn a_limit_is_switched_on_only_with_a_valid_duration() {
        let path = "session_settings.inactivity_timeout.duration_seconds";
        let short = json!({"session_settings": {"inactivity_timeout": {"duration_seconds": 60}}});
        assert_eq!(changed(&initial(), short).expect_err("refused").path, path);
        // The format that early development instances stored.
        let mut stored = initial();
        let mut document = *stored.session;
        document.inactivity_timeout.duration_seconds = 60;
        stored.session = document.try_into().expect("one is on");
        let on = json!({"session_settings": {"inactivity_timeout": {"enabled": true}}});
        assert_eq!(changed(&stored, on).expect_err("refused").path, path);
        let beside = json!({"session_settings": {"multi_session_enabled": true}});
        changed(&stored, beside).expect("no matter of the limit that is off");
    }

    #[test]
    fn s7_more_than_400_days_is_accepted_with_a_warning() {
        let long = json!({"session_settings": {"maximum_lifetime": {"duration_seconds": 401 * 86_400}}});
        let settings = changed(&initial(), long).expect("accepted");
        let codes: Vec<_> = settings.warnings().iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["beyond_browser_limit"]);
    }

    #[test]
    fn every_setting_takes_the_samples_of_its_kind_and_no_others() {
        // Each limit can be switched off while the other one is on.
        let both = json!({"session_settings": {"inactivity_timeout": {"enabled": true}}});
        let start = changed(&initial(), both).expect("settings that can be");
        for setting in SETTINGS {
            let samples = samples(setting.kind);
            for value in samples.good {
                let next = start.with(&Change::of(setting, value.clone()), Environment::Development);
                let config = next.unwrap_or_else(|refusal| panic!("{value}: {refusal}")).config();
                assert_eq!(registry::value_at(&config, setting.path), &value, "{}", setting.path);
            }
            for value in samples.bad {
                let refused = start.with(&Change::of(setting, value.clone()), Environment::Development);
                let refusal = refused.expect_err(&format!("{}: {value}", setting.path));
                assert_eq!(refusal.path, setting.path, "{value}");
            }
        }
    }

    #[test]
    fn a_refusal_names_path_value_and_bound() {
        let rows = [
            (
                json!({"session": {"lifetime": 301}}),
                "session.lifetime has to be from 30 to 300 whole seconds on this instance, and 301 is not.",
            ),
            (
                json!({"session": {"lifetimes": 60}}),
                "session.lifetimes is no setting. Known here: claims, lifetime, allowed_clock_skew.",
            ),
            (json!({"session_settings": 5}), "session_settings has to be an object."),
            (
                json!({"application_name": "x".repeat(129)}),
                concat!(
                    "application_name has to be one line of 1 to 128 characters, and ",
                    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… is not."
                ),
            ),
        ];
        for (document, text) in rows {
            assert_eq!(changed(&initial(), document).expect_err("refused").to_string(), text);
        }
    }
}
