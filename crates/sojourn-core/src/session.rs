//! One account signed in on one browser, and when that is over.
//!
//! [`decide`] is the rule of session lifetime: nothing else in the project
//! says whether a session is alive. Facts are stored (created, last active,
//! closed); the verdict is derived from them, the policy and `now`.

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
    /// The browser that holds it.
    pub client_id: ClientId,
    /// The account that is signed in.
    pub user_id: UserId,
    /// Sign-in; the maximum lifetime counts from here (S4).
    pub created_at: Timestamp,
    /// Grows strictly with every change that a browser can see.
    pub updated_at: Timestamp,
    /// The version of the settings under which it began: only later versions change
    /// its limits or sign it out with everybody. 0 in rows from before migration 0003.
    pub settings_version: u64,
    /// The newest activity (S3); the inactivity timeout counts from here.
    pub last_active_at: Timestamp,
    /// When the first factor was last verified: feeds the `fva` claim.
    pub first_factor_verified_at: Timestamp,
    /// The browser as it described itself at sign-in.
    pub device: Device,
    /// Set when it is somebody else's, who acts as the account under limits of
    /// its own.
    pub impersonation: Option<Impersonation>,
    /// Set once: by the first request or sweep that finds the session over.
    pub closed: Option<Closing>,
}

/// What is known of the browser behind a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The `User-Agent` header at sign-in, cut at 512 bytes.
    pub user_agent: String,
    /// The address of the browser as far as it can be trusted.
    pub ip_address: String,
}

/// The limit that ends a session by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// The maximum lifetime; counts when both limits fall on one moment (S5).
    Maximum,
    /// The inactivity timeout.
    Inactivity,
}

/// What [`decide`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Alive now, and until `until` if nothing happens.
    Open {
        /// The first moment at which the session is over.
        until: Timestamp,
        /// The limit that will end it then.
        ends_as: Lapse,
    },
    /// Over. Derived when [`Session::closed`] is still empty: commit it before answering.
    Closed(Closing),
}

impl Verdict {
    /// Whether the session is alive.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// The end that the limits alone bring about, and by which limit.
struct Due {
    at: Timestamp,
    /// Where the limit lay: before `at` when the setting came into force after it.
    deadline: Timestamp,
    lapse: Lapse,
    /// The change of settings itself ended it, not the passing of time.
    tightened: bool,
    settings_version: u64,
}

/// Limits that were in force while a session lived: from when, and until when.
struct Span {
    settings_version: u64,
    lifetime: Lifetime,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// The limits under which a session lives, up to the version `last`. An
/// impersonation session's are fixed at sign-in and do not depend on the settings.
///
/// The order of the versions decides which of them were in force during the session,
/// not their times: with a test clock that stands still, or two nodes whose clocks
/// differ, a sign-in and several changes share one millisecond.
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
/// A maximum lifetime binds from the moment it is in force until the end of
/// time: loosening it gives nothing back. An inactivity timeout binds only
/// while it is in force, the millisecond of its replacement included: it was in
/// force when that millisecond began. Both act at the earliest when they come
/// into force, and of several ends at one moment the oldest version's is the
/// one that happened; within a version the maximum counts (S5).
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

/// Whether the session is alive at `now`, until when, or how it ended.
///
/// Intervals are half-open: at `now == deadline` the session is over (S5).
/// The policy always holds a limit, so there is always a deadline.
pub fn decide(now: Timestamp, policy: &Policy, session: &Session) -> Verdict {
    if let Some(closing) = session.closed {
        return Verdict::Closed(closing);
    }
    // No later version applies to a session that ended with everybody's.
    let ends_all = policy.ends_all_since(session.settings_version);
    let last = ends_all.unwrap_or(policy.current()).version;
    let Some(due) = due(policy, last, session) else {
        // The policy always has a version with a limit, so nothing gets here: kept total.
        return Verdict::Open { until: session.created_at + FAR, ends_as: Lapse::Maximum };
    };
    match ends_all {
        // Over even if `now` is earlier than either end: the version is stored, and the
        // clock of a node that is behind does not undo it (clock skew).
        Some(version) => {
            // Never before it began, whatever the clocks of two nodes say.
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

/// What may happen to one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionInput {
    /// A request, which may count as activity (S3).
    Activity(ActivitySource),
    /// The first factor was verified again.
    Reverified,
    /// A sign-out or a revocation.
    End(Ending),
}

/// Why a session cannot do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is over. If `record` is set, the end is not stored yet and has to be
    /// committed before the refusal is sent.
    AlreadyClosed {
        /// How it ended.
        closing: Closing,
        /// The closed session to commit, when the end was found just now.
        record: bool,
    },
}

/// The new state of a session and the events for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The session afterwards.
    pub session: Session,
    /// For the outbox.
    pub events: Vec<Event>,
}

/// Applies `input` to the session at `now`.
///
/// # Errors
/// [`Refusal::AlreadyClosed`] when the session is over, whoever ended it.
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

/// Stores `closing` in an open session and says so. The moment a user sees
/// (`updated_at`) is when it was noticed, not when it was due.
pub fn close(session: &mut Session, now: Timestamp, closing: Closing) -> Event {
    debug_assert!(session.closed.is_none(), "a closed session is never closed again");
    session.closed = Some(closing);
    session.updated_at = after(session.updated_at, now);
    Event::SessionClosed { session_id: session.id, user_id: session.user_id, closing }
}

/// `now`, or just after `previous` where the clock has not moved: browsers
/// re-render only when `updated_at` grows strictly.
/// Compat: clerk/javascript packages/clerk-js/src/utils/memoizeStateListenerCallback.ts
pub fn after(previous: Timestamp, now: Timestamp) -> Timestamp {
    now.max(Timestamp::from_millis(previous.as_millis() + 1))
}

impl Session {
    /// The version of the settings under which it began.
    fn first_version(&self, policy: &Policy) -> u64 {
        match self.settings_version {
            0 => policy.version_at(self.created_at),
            known => known,
        }
    }

    /// Whether `source` is activity of this session. For an impersonation session
    /// neither this nor the limits depend on the settings.
    pub fn counts(&self, policy: &Policy, source: ActivitySource) -> bool {
        let activity = match self.impersonation {
            Some(_) => Activity::default(),
            None => policy.current().activity,
        };
        activity.counts(source)
    }

    /// Minutes since the first and the second factor were verified; -1: never.
    /// An impersonation session verified none of the account's factors, so that what an
    /// application guards by a recent verification stays closed to them.
    pub fn factor_ages(&self, now: Timestamp) -> [i64; 2] {
        let verified_ago = now.since(self.first_factor_verified_at).as_secs() / 60;
        match self.impersonation {
            Some(_) => [-1, -1],
            None => [i64::try_from(verified_ago).unwrap_or(i64::MAX), -1],
        }
    }

    /// The hard end by the maximum lifetimes in force since sign-in, for the
    /// wire; ten years after sign-in where there was none (D12).
    pub fn expire_at(&self, policy: &Policy) -> Timestamp {
        spans(policy, policy.current().version, self)
            .filter_map(|span| Some((self.created_at + span.lifetime.maximum()?).max(span.from)))
            .min()
            .unwrap_or(self.created_at + FAR)
    }

    /// The end of the current inactivity window, for the wire; ten years after
    /// sign-in where the timeout is off.
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
