//! How a session ended, why and by whom: the record that every end leaves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Session, Verdict, decide};
use crate::{
    policy::Policy,
    time::{Timestamp, days},
};

/// How a session ended. Final: a closed session never opens again (D5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The moment from which the session was over, which may lie before the
    /// moment at which a request or the sweeper found it over.
    pub at: Timestamp,
    /// The status on the wire.
    pub status: ClosedStatus,
    /// Why, more exactly.
    pub reason: EndReason,
    /// Who ended it.
    pub by: EndedBy,
    /// Where a limit ended it, the deadline by that limit: `at`, or earlier when the
    /// limit came into force after it had passed (`settings_tightened`). For a sign-out or
    /// a revocation: when it would have been over without further activity.
    pub deadline_at: Timestamp,
    /// The version of the session settings by which it was judged.
    pub settings_version: u64,
}

/// How long after an end the browser that held the session gets a notice of it.
const NEWS_FOR: Duration = days(1);

impl Closing {
    /// Whether the person at the browser may wonder at `now` why they are signed
    /// out: not when they did it themselves, nor a day later.
    pub fn is_news(&self, now: Timestamp) -> bool {
        let asked_for = match self.reason {
            EndReason::SignedOut | EndReason::SignedOutEverywhere => true,
            EndReason::UserDeleted => self.by == EndedBy::User,
            EndReason::RevokedByBackend
            | EndReason::RevokedByAdmin
            | EndReason::RevokedByUser
            | EndReason::InactivityTimeout
            | EndReason::MaximumLifetime
            | EndReason::Replaced
            | EndReason::SettingsTightened
            | EndReason::PasswordChanged
            | EndReason::UserBanned
            | EndReason::ImpersonationOver => false,
        };
        !asked_for && now < self.at + NEWS_FOR
    }
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The account's user, from this browser or another device.
    User,
    /// The application's server.
    Backend,
    /// An operator of the server.
    Admin,
    /// The server itself: a limit, or a change of the settings.
    System,
}

/// A sign-out or a revocation, as the record of the end will show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The status on the wire.
    pub status: ClosedStatus,
    /// Why.
    pub reason: EndReason,
    /// Who.
    pub by: EndedBy,
}

impl Ending {
    /// The user signs out of this session, which leaves the client.
    pub const SIGNED_OUT: Self =
        Self { status: ClosedStatus::Removed, reason: EndReason::SignedOut, by: EndedBy::User };
    /// The user signs out of this session, which stays known as ended.
    pub const ENDED: Self = Self { status: ClosedStatus::Ended, ..Self::SIGNED_OUT };
    /// The user signs out of all accounts of the browser.
    pub const SIGNED_OUT_EVERYWHERE: Self =
        Self { reason: EndReason::SignedOutEverywhere, ..Self::SIGNED_OUT };

    /// A revocation: the end comes from outside the session's browser.
    pub const fn revoked(reason: EndReason, by: EndedBy) -> Self {
        Self { status: ClosedStatus::Revoked, reason, by }
    }

    /// How `session` ends when this ends it at `now`.
    ///
    /// # Errors
    /// The closing of a session that was over before.
    pub fn close(self, now: Timestamp, policy: &Policy, session: &Session) -> Result<Closing, Closing> {
        match decide(now, policy, session) {
            Verdict::Open { until, .. } => Ok(Closing {
                at: now,
                status: self.status,
                reason: self.reason,
                by: self.by,
                deadline_at: until,
                settings_version: policy.current().version,
            }),
            Verdict::Closed(closing) => Err(closing),
        }
    }
}

/// The terminal statuses of a session on the wire (D6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedStatus {
    /// The user signed out of it; it stays listed in the client.
    Ended,
    /// The user signed out of it; it left the client.
    Removed,
    /// The application, an administrator or another device ended it.
    Revoked,
    /// The maximum lifetime was reached.
    Expired,
    /// The inactivity timeout was reached.
    Abandoned,
    /// Another session took its place.
    Replaced,
}

/// Why a session ended: a closed set, shown to operators and users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The user signed out of this session.
    SignedOut,
    /// The user signed out of all accounts of the browser.
    SignedOutEverywhere,
    /// The application's server revoked it.
    RevokedByBackend,
    /// An operator of the server revoked it.
    RevokedByAdmin,
    /// The user revoked it from another device.
    RevokedByUser,
    /// Too long without activity.
    InactivityTimeout,
    /// The maximum lifetime was reached.
    MaximumLifetime,
    /// Another session took its place.
    Replaced,
    /// A stricter setting ended it (D4).
    SettingsTightened,
    /// The password changed and the other sessions were asked to go.
    PasswordChanged,
    /// The account was banned.
    UserBanned,
    /// The account was deleted.
    UserDeleted,
    /// The limits of an impersonation session are over.
    ImpersonationOver,
}

macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal,)* }) => {
        impl $name {
            /// The word on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value behind a word, if it is one of the closed set.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words!(EndedBy {
    User => "user",
    Backend => "backend",
    Admin => "admin",
    System => "system",
});

words!(ClosedStatus {
    Ended => "ended",
    Removed => "removed",
    Revoked => "revoked",
    Expired => "expired",
    Abandoned => "abandoned",
    Replaced => "replaced",
});

words!(EndReason {
    SignedOut => "signed_out",
    SignedOutEverywhere => "signed_out_everywhere",
    RevokedByBackend => "revoked_by_backend",
    RevokedByAdmin => "revoked_by_admin",
    RevokedByUser => "revoked_by_user",
    InactivityTimeout => "inactivity_timeout",
    MaximumLifetime => "maximum_lifetime",
    Replaced => "replaced",
    SettingsTightened => "settings_tightened",
    PasswordChanged => "password_changed",
    UserBanned => "user_banned",
    UserDeleted => "user_deleted",
    ImpersonationOver => "impersonation_over",
});

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(reason: EndReason, by: EndedBy) -> Closing {
        let at = Timestamp::from_secs(1000);
        Closing { at, status: ClosedStatus::Revoked, reason, by, deadline_at: at, settings_version: 1 }
    }

    #[test]
    fn an_end_is_news_for_a_day_to_whom_it_happened() {
        let lapsed = closing(EndReason::InactivityTimeout, EndedBy::System);
        assert!(lapsed.is_news(lapsed.at));
        assert!(lapsed.is_news(lapsed.at + days(1) - Duration::from_millis(1)));
        assert!(!lapsed.is_news(lapsed.at + days(1)));
    }

    #[test]
    fn an_end_is_no_news_to_who_did_it() {
        for reason in [EndReason::SignedOut, EndReason::SignedOutEverywhere, EndReason::UserDeleted] {
            let own = closing(reason, EndedBy::User);
            assert!(!own.is_news(own.at), "{reason:?}");
        }
        let deleted = closing(EndReason::UserDeleted, EndedBy::Backend);
        assert!(deleted.is_news(deleted.at));
    }
}
