//! The record of a session's end: time, status, reason and initiator.

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
    /// The first time at which the session was over. A request or the sweeper may find it later.
    pub at: Timestamp,
    pub status: ClosedStatus,
    pub reason: EndReason,
    pub by: EndedBy,
    /// For an end by a limit: the deadline of the limit. It equals `at`, or is earlier if the limit
    /// came into force after the deadline (`settings_tightened`). For a sign-out or a revocation:
    /// the time at which a limit would have ended the session without further activity.
    pub deadline_at: Timestamp,
    /// The settings version that applied.
    pub settings_version: u64,
}

/// How long after the end the browser shows a notice.
const NEWS_FOR: Duration = days(1);

impl Closing {
    /// Whether the browser shows a notice about this end at `now`: not after a sign-out by the
    /// user, and not after more than a day.
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

/// The initiator of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The user, in this browser or on another device.
    User,
    /// The application's backend.
    Backend,
    /// An administrator of the server.
    Admin,
    /// The server itself, because of a limit or a change of the settings.
    System,
}

/// A sign-out or a revocation, before it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub status: ClosedStatus,
    pub reason: EndReason,
    pub by: EndedBy,
}

impl Ending {
    /// The user signs out of this session; the client does not list it any more.
    pub const SIGNED_OUT: Self =
        Self { status: ClosedStatus::Removed, reason: EndReason::SignedOut, by: EndedBy::User };
    /// The user signs out of this session; the client still lists it as ended.
    pub const ENDED: Self = Self { status: ClosedStatus::Ended, ..Self::SIGNED_OUT };
    /// The user signs out of all accounts of the browser.
    pub const SIGNED_OUT_EVERYWHERE: Self =
        Self { reason: EndReason::SignedOutEverywhere, ..Self::SIGNED_OUT };

    /// A revocation: the end comes from outside the session's browser.
    pub const fn revoked(reason: EndReason, by: EndedBy) -> Self {
        Self { status: ClosedStatus::Revoked, reason, by }
    }

    /// The closing of `session` if it is ended at `now`.
    ///
    /// # Errors
    /// The closing of a session that was already over.
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
    /// The user signed out; the client still lists the session.
    Ended,
    /// The user signed out; the client does not list the session any more.
    Removed,
    /// The application's backend, an administrator or another device ended the session.
    Revoked,
    /// The maximum lifetime was reached.
    Expired,
    /// The inactivity timeout was reached.
    Abandoned,
    /// Another session replaced it.
    Replaced,
}

/// Why a session ended. Operators and users see this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    SignedOut,
    /// The user signed out of all accounts of the browser.
    SignedOutEverywhere,
    /// The application's backend revoked the session.
    RevokedByBackend,
    /// An administrator of the server revoked the session.
    RevokedByAdmin,
    /// The user revoked the session from another device.
    RevokedByUser,
    InactivityTimeout,
    MaximumLifetime,
    /// Another session replaced it.
    Replaced,
    /// A stricter setting ended the session (D4).
    SettingsTightened,
    /// The user changed the password and chose to sign out the other sessions.
    PasswordChanged,
    UserBanned,
    UserDeleted,
    /// The session reached a limit of impersonation.
    ImpersonationOver,
}

macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal,)* }) => {
        impl $name {
            /// The value on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Parses the value.
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
    fn an_end_is_shown_for_a_day_if_the_user_did_not_cause_it() {
        let lapsed = closing(EndReason::InactivityTimeout, EndedBy::System);
        assert!(lapsed.is_news(lapsed.at));
        assert!(lapsed.is_news(lapsed.at + days(1) - Duration::from_millis(1)));
        assert!(!lapsed.is_news(lapsed.at + days(1)));
    }

    #[test]
    fn an_end_that_the_user_caused_is_not_shown() {
        for reason in [EndReason::SignedOut, EndReason::SignedOutEverywhere, EndReason::UserDeleted] {
            let own = closing(reason, EndedBy::User);
            assert!(!own.is_news(own.at), "{reason:?}");
        }
        let deleted = closing(EndReason::UserDeleted, EndedBy::Backend);
        assert!(deleted.is_news(deleted.at));
    }
}
