//! A session: one user signed in on one client, and the rule for its end.
//!
//! [`decide`] is the rule of session lifetime; no other code decides whether a session is alive.
//! The stored facts are the creation, the last activity and the closing; the verdict is derived
//! from them, from the policy and from `now`.

mod ending;

use serde::{Deserialize, Serialize};

pub use self::ending::{ClosedStatus, Closing, EndReason, EndedBy, Ending};
use crate::{
    activity::{Activity, ActivitySource},
    event::Event,
    id::{ClientId, SessionId, UserId},
    impersonation::Impersonation,
    lifetime::{FAR, Lifetime},
    policy::Policy,
    time::Timestamp,
};

/// The stored facts of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Never reused.
    pub id: SessionId,
    pub client_id: ClientId,
    pub user_id: UserId,
    /// The sign-in. The maximum lifetime starts here (S4).
    pub created_at: Timestamp,
    /// Strictly increasing: every change that a browser can see gets a later time.
    pub updated_at: Timestamp,
    /// The settings version at sign-in. Only later versions can change the limits of the session or
    /// end it by "sign everybody out". 0 in rows from before migration 0003.
    pub settings_version: u64,
    /// The last activity (S3). The inactivity timeout starts here.
    pub last_active_at: Timestamp,
    /// When the first factor was last verified: the source of the `fva` claim.
    pub first_factor_verified_at: Timestamp,
    /// The browser's description of itself at sign-in.
    pub device: Device,
    /// Set if a staff member acts as the user. Such a session has its own limits.
    pub impersonation: Option<Impersonation>,
    /// Set once, by the request or the sweep that closes the session.
    pub closed: Option<Closing>,
}

/// What the server knows about the browser of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The `User-Agent` header at sign-in, cut to 512 bytes.
    pub user_agent: String,
    /// The IP address of the browser, as far as the server can trust it.
    pub ip_address: String,
}

/// A limit that ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// The maximum lifetime. It is the reason if both limits end at the same time (S5).
    Maximum,
    /// The inactivity timeout.
    Inactivity,
}

/// The result of [`decide`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The session is alive. Without further activity it ends at `until`.
    Open {
        /// The first time at which the session is over.
        until: Timestamp,
        /// The limit that will end it.
        ends_as: Lapse,
    },
    /// The session is over. If [`Session::closed`] is empty, the caller must commit this closing
    /// before it responds.
    Closed(Closing),
}

impl Verdict {
    /// Whether the session is alive.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// The earliest end by a limit.
struct Due {
    at: Timestamp,
    /// The deadline by the limit. It is before `at` if the setting came into force after the
    /// deadline.
    deadline: Timestamp,
    lapse: Lapse,
    /// The change of the settings ended the session, not the passing of time.
    tightened: bool,
    settings_version: u64,
}

/// Limits, and the time during which they were in force for a session.
struct Span {
    settings_version: u64,
    lifetime: Lifetime,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// The limits that apply to a session, up to the settings version `last`. The limits of an
/// impersonation session are fixed at sign-in and do not depend on the settings.
///
/// The order of the versions, not their times, decides which of them were in force during the
/// session: with a frozen test clock, or with two nodes whose clocks differ, a sign-in and several
/// changes can have the same millisecond.
fn spans(policy: &Policy, last: u64, session: &Session) -> impl Iterator<Item = Span> {
    let own = session.impersonation.as_ref().map(|impersonation| Span {
        settings_version: last,
        lifetime: impersonation.lifetime(),
        from: session.created_at,
        until: None,
    });
    let first = session.first_version(policy).min(last);
    let by_settings = policy
        .spans_up_to(last)
        .filter(move |(version, _)| session.impersonation.is_none() && version.version >= first)
        .map(move |(version, until)| Span {
            settings_version: version.version,
            lifetime: version.lifetime,
            from: match version.version == first {
                true => session.created_at,
                false => version.in_force_from.max(session.created_at),
            },
            until,
        });
    own.into_iter().chain(by_settings)
}

/// The earliest end over all settings that were in force during the session.
///
/// A maximum lifetime applies from the time it comes into force, for ever: a later, longer maximum
/// does not extend the session. An inactivity timeout applies only while it is in force, including
/// the millisecond in which it is replaced, because it was in force when that millisecond began.
/// Neither ends a session before it comes into force. If several ends have the same time, the
/// oldest version counts; within one version the maximum counts (S5).
fn due(policy: &Policy, last: u64, session: &Session) -> Option<Due> {
    spans(policy, last, session)
        .flat_map(|span| {
            let end = |deadline: Timestamp, lapse| Due {
                at: deadline.max(span.from),
                deadline,
                lapse,
                tightened: span.from > deadline,
                settings_version: span.settings_version,
            };
            let maximum =
                span.lifetime.maximum().map(|longest| end(session.created_at + longest, Lapse::Maximum));
            let inactivity = span
                .lifetime
                .inactivity()
                .map(|longest| end(session.last_active_at + longest, Lapse::Inactivity))
                .filter(|due| span.until.is_none_or(|until| due.at <= until));
            [maximum, inactivity]
        })
        .flatten()
        .min_by_key(|due| due.at)
}

/// Whether the session is alive at `now` and until when, or how it ended.
///
/// Intervals are half-open: at `now == deadline` the session is over (S5). The policy always has at
/// least one limit, so there is always a deadline.
pub fn decide(now: Timestamp, policy: &Policy, session: &Session) -> Verdict {
    if let Some(closing) = session.closed {
        return Verdict::Closed(closing);
    }
    // Versions after "sign everybody out" do not apply to a session that it ended.
    let ends_all = policy.ends_all_since(session.settings_version);
    let last = ends_all.unwrap_or(policy.current()).version;
    let Some(due) = due(policy, last, session) else {
        // Unreachable: the policy always has a version with a limit. The function stays total
        // instead of panicking.
        return Verdict::Open { until: session.created_at + FAR, ends_as: Lapse::Maximum };
    };
    match ends_all {
        // Over even if `now` is earlier than both ends: the version is stored, and a node whose
        // clock is behind must not undo it (clock skew).
        Some(version) => {
            // Never before the session began, even if the clocks of two nodes differ.
            let at = version.in_force_from.max(session.created_at);
            if at < due.at {
                return Verdict::Closed(Closing {
                    at,
                    status: ClosedStatus::Revoked,
                    reason: EndReason::RevokedByAdmin,
                    by: EndedBy::Admin,
                    deadline_at: due.at,
                    settings_version: version.version,
                });
            }
        }
        None if now < due.at => return Verdict::Open { until: due.at, ends_as: due.lapse },
        None => {}
    }
    let (status, reason) = match due.lapse {
        Lapse::Maximum => (ClosedStatus::Expired, EndReason::MaximumLifetime),
        Lapse::Inactivity => (ClosedStatus::Abandoned, EndReason::InactivityTimeout),
    };
    let reason = match () {
        () if due.tightened => EndReason::SettingsTightened,
        () if session.impersonation.is_some() => EndReason::ImpersonationOver,
        () => reason,
    };
    Verdict::Closed(Closing {
        at: due.at,
        status,
        reason,
        by: EndedBy::System,
        deadline_at: due.deadline,
        settings_version: due.settings_version,
    })
}

/// An event that can change a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionInput {
    /// A request that may count as activity (S3).
    Activity(ActivitySource),
    /// The user verified the first factor again.
    Reverified,
    /// A sign-out or a revocation.
    End(Ending),
}

/// Why a session rejects an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The session is over. If `record` is set, the closing is not stored yet; the caller must
    /// commit it before it responds.
    AlreadyClosed {
        closing: Closing,
        /// Whether the closing must be committed.
        record: bool,
    },
}

/// The session after an input, and the events of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub session: Session,
    /// For the outbox.
    pub events: Vec<Event>,
}

/// Applies `input` to the session at `now`.
///
/// # Errors
/// [`Refusal::AlreadyClosed`] if the session is over, whatever ended it.
pub fn transition(
    now: Timestamp,
    policy: &Policy,
    session: &Session,
    input: SessionInput,
) -> Result<Transition, Refusal> {
    if let Verdict::Closed(closing) = decide(now, policy, session) {
        return Err(Refusal::AlreadyClosed { closing, record: session.closed.is_none() });
    }
    let mut session = session.clone();
    let mut events = Vec::new();
    match input {
        SessionInput::Activity(source) => {
            if session.counts(policy, source) {
                // Requests can arrive out of order, so the latest time counts.
                session.last_active_at = session.last_active_at.max(now);
            }
        }
        SessionInput::Reverified => {
            session.last_active_at = session.last_active_at.max(now);
            session.first_factor_verified_at = now;
            session.updated_at = after(session.updated_at, now);
        }
        SessionInput::End(ending) => {
            let closing = ending
                .close(now, policy, &session)
                .map_err(|closing| Refusal::AlreadyClosed { closing, record: true })?;
            events.push(close(&mut session, now, closing));
        }
    }
    Ok(Transition { session, events })
}

/// Stores `closing` in an open session and returns the event. `updated_at`, which clients see, is
/// the time at which the end was found, not the time at which the session ended.
pub fn close(session: &mut Session, now: Timestamp, closing: Closing) -> Event {
    debug_assert!(session.closed.is_none(), "a closed session is never closed again");
    session.closed = Some(closing);
    session.updated_at = after(session.updated_at, now);
    Event::SessionClosed { session_id: session.id, user_id: session.user_id, closing }
}

/// `now`, or `previous` plus 1 ms if the clock has not advanced: the SDKs render again only if
/// `updated_at` increases strictly.
/// Compat: clerk/javascript packages/clerk-js/src/utils/memoizeStateListenerCallback.ts
pub fn after(previous: Timestamp, now: Timestamp) -> Timestamp {
    now.max(Timestamp::from_millis(previous.as_millis() + 1))
}

impl Session {
    /// The settings version at sign-in.
    fn first_version(&self, policy: &Policy) -> u64 {
        match self.settings_version {
            0 => policy.version_at(self.created_at),
            known => known,
        }
    }

    /// Whether `source` counts as activity of this session. For an impersonation session this does
    /// not depend on the settings.
    pub fn counts(&self, policy: &Policy, source: ActivitySource) -> bool {
        let activity = match self.impersonation {
            Some(_) => Activity::default(),
            None => policy.current().activity,
        };
        activity.counts(source)
    }

    /// Minutes since the first and the second factor were verified; -1: never. An impersonation
    /// session verified no factor of the user, so the actor cannot use what an application protects
    /// by a recent verification.
    pub fn factor_ages(&self, now: Timestamp) -> [i64; 2] {
        let verified_ago = now.since(self.first_factor_verified_at).as_secs() / 60;
        match self.impersonation {
            Some(_) => [-1, -1],
            None => [i64::try_from(verified_ago).unwrap_or(i64::MAX), -1],
        }
    }

    /// The earliest end by a maximum lifetime that was in force since sign-in, for the wire; ten
    /// years after sign-in if there was none (D12).
    pub fn expire_at(&self, policy: &Policy) -> Timestamp {
        spans(policy, policy.current().version, self)
            .filter_map(|span| Some((self.created_at + span.lifetime.maximum()?).max(span.from)))
            .min()
            .unwrap_or(self.created_at + FAR)
    }

    /// The end of the current inactivity timeout, for the wire; ten years after sign-in if the
    /// timeout is off.
    pub fn abandon_at(&self, policy: &Policy) -> Timestamp {
        let own = self.impersonation.as_ref().map(Impersonation::lifetime);
        match own.unwrap_or(policy.current().lifetime).inactivity() {
            Some(longest) => self.last_active_at + longest,
            None => self.created_at + FAR,
        }
    }

    /// The status on the wire at `now`.
    pub fn status(&self, now: Timestamp, policy: &Policy) -> &'static str {
        match decide(now, policy, self) {
            Verdict::Open { .. } => "active",
            Verdict::Closed(closing) => closing.status.as_str(),
        }
    }
}
