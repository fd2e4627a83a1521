//! A second, independent implementation of the session lifetime rules, as simple as possible: a
//! state machine that processes events in order of time and uses only numbers and strings. Tests
//! compare [`crate::session::decide`], which derives the same result from stored facts, with it.
//!
//! All times are in milliseconds.

use std::time::Duration;

use crate::{policy::PolicyVersion, session::Closing};

/// One settings version, reduced to what ends sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub version: u64,
    /// In force from this time.
    pub from: i64,
    /// The inactivity timeout, if on.
    pub idle: Option<i64>,
    /// The maximum lifetime, if on.
    pub longest: Option<i64>,
    /// Ends all earlier sessions when it comes into force.
    pub ends_all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The first time at which the session is over.
    pub at: i64,
    pub status: &'static str,
    /// The reason in the end record.
    pub reason: &'static str,
    pub by: &'static str,
    /// The time at which a limit would have ended it.
    pub deadline: i64,
    /// The settings version that applied.
    pub version: u64,
}

/// A session as a state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceSession {
    created: i64,
    /// The settings version at sign-in.
    under: u64,
    active: i64,
    now: i64,
    limits: Limits,
    /// The shortest maximum lifetime that was in force so far, and its settings version.
    hard: Option<(i64, u64)>,
    /// Whether the settings do not apply.
    is_impersonation: bool,
    over: Option<End>,
}

impl From<&PolicyVersion> for Limits {
    fn from(version: &PolicyVersion) -> Self {
        Self {
            version: version.version,
            from: version.in_force_from.as_millis(),
            idle: version.lifetime.inactivity().map(millis),
            longest: version.lifetime.maximum().map(millis),
            ends_all: version.ends_all,
        }
    }
}

impl From<Closing> for End {
    fn from(closing: Closing) -> Self {
        Self {
            at: closing.at.as_millis(),
            status: closing.status.as_str(),
            reason: closing.reason.as_str(),
            by: closing.by.as_str(),
            deadline: closing.deadline_at.as_millis(),
            version: closing.settings_version,
        }
    }
}

/// A span in milliseconds.
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(EVER)
}

/// The settings up to and including the first version that ends sessions of version `under` by
/// "sign everybody out", and that version.
fn until_signed_out(under: u64, settings: &[Limits]) -> (&[Limits], Option<Limits>) {
    let signs_out = |limits: &Limits| limits.ends_all && limits.version > under;
    match settings.iter().position(signs_out) {
        Some(last) => (&settings[..=last], Some(settings[last])),
        None => (settings, None),
    }
}

/// Later than every deadline, but without overflow in additions.
const EVER: i64 = i64::MAX / 4;

impl ReferenceSession {
    /// A sign-in at `now` under the limits in force.
    pub fn begin(now: i64, limits: Limits) -> Self {
        let (under, hard) = (limits.version, limits.longest.map(|longest| (longest, limits.version)));
        Self { created: now, under, active: now, now, limits, hard, is_impersonation: false, over: None }
    }

    /// The start of an impersonation session with fixed limits, while `settings` are in force.
    pub fn begin_impersonation(now: i64, idle: i64, longest: i64, settings: Limits) -> Self {
        let own = Limits { idle: Some(idle), longest: Some(longest), ends_all: false, ..settings };
        Self { is_impersonation: true, ..Self::begin(now, own) }
    }

    /// The end of a session with the sign-in settings version `under` and the last activity at
    /// `active`, if only changes of the settings follow. `settings` are sorted, oldest first.
    pub fn predicted_end(created: i64, active: i64, under: u64, settings: &[Limits]) -> End {
        let (settings, signs_out) = until_signed_out(under, settings);
        let by_number = settings.iter().position(|limits| limits.version == under);
        // Rows from before migration 0003 have no version number.
        let first = by_number.or_else(|| settings.iter().rposition(|limits| limits.from <= created));
        let first = first.unwrap_or(0);
        let mut life = Self { active, under, ..Self::begin(created, settings[first]) };
        for limits in &settings[first + 1..] {
            life.change(*limits);
        }
        if let Some(limits) = signs_out {
            life.sign_out_by(limits);
        }
        life.pass(EVER);
        life.over.expect("nothing lives for ever")
    }

    /// As [`Self::predicted_end`], for an impersonation session.
    pub fn predicted_end_of_impersonation(
        (created, active, under): (i64, i64, u64),
        idle: i64,
        longest: i64,
        settings: &[Limits],
    ) -> End {
        let (settings, signs_out) = until_signed_out(under, settings);
        let last = *settings.last().expect("settings");
        let mut life = Self { active, under, ..Self::begin_impersonation(created, idle, longest, last) };
        if let Some(limits) = signs_out {
            life.change(limits);
        }
        life.pass(EVER);
        life.over.expect("nothing lives for ever")
    }

    /// Advances time to `now`, which may end the session.
    pub fn pass(&mut self, now: i64) {
        self.now = self.now.max(now);
        let due = self.due();
        if self.over.is_none() && due.at <= self.now {
            self.over = Some(due);
        }
    }

    /// Activity at `now`. Returns whether it counts, which it does if the session is open.
    pub fn activity(&mut self, now: i64) -> bool {
        self.pass(now);
        if self.over.is_none() {
            self.active = self.active.max(now);
        }
        self.over.is_none()
    }

    /// Applies settings that are in force from `limits.from`.
    pub fn change(&mut self, limits: Limits) {
        self.take(limits);
        self.sign_out_by(limits);
    }

    fn sign_out_by(&mut self, limits: Limits) {
        if limits.ends_all && self.over.is_none() && self.under < limits.version {
            let deadline = self.due().at;
            let (at, version) = (limits.from.max(self.created), limits.version);
            let (status, reason) = ("revoked", "revoked_by_admin");
            self.over = Some(End { at, status, reason, by: "admin", deadline, version });
        }
    }

    fn take(&mut self, limits: Limits) {
        if self.is_impersonation {
            self.limits.version = limits.version;
            self.pass(limits.from);
            return;
        }
        // The old limits are in force up to and including the millisecond of the change.
        let from = limits.from.max(self.created);
        self.pass(from);
        if self.over.is_some() {
            return;
        }
        self.limits = limits;
        if let Some(longest) = limits.longest
            && self.hard.is_none_or(|(least, _)| longest < least)
        {
            self.hard = Some((longest, limits.version));
        }
        // If both limits are exceeded, the maximum counts, even if the inactivity deadline was
        // earlier.
        let due = self.hard_due().filter(|hard| hard.at <= from).or(self.soft_due());
        if let Some(due) = due.filter(|due| due.at <= from) {
            let reason = if due.at < from { "settings_tightened" } else { due.reason };
            self.over = Some(End { at: from, reason, ..due });
        }
    }

    /// A sign-out or a revocation at `now`. Returns whether the session was open.
    pub fn end(
        &mut self,
        now: i64,
        status: &'static str,
        reason: &'static str,
        by: &'static str,
        version: u64,
    ) -> bool {
        self.pass(now);
        if self.over.is_some() {
            return false;
        }
        self.over = Some(End { at: now, status, reason, by, deadline: self.due().at, version });
        true
    }

    /// A reset of the test clock moves all times of the session by `by`.
    pub fn shift(&mut self, by: i64) {
        self.created += by;
        self.active += by;
        self.now += by;
        self.limits.from += by;
        if let Some(over) = &mut self.over {
            over.at += by;
            over.deadline += by;
        }
    }

    /// How the session ended, if it is over.
    pub const fn over(&self) -> Option<End> {
        self.over
    }

    /// The end if nothing else happens.
    pub fn due(&self) -> End {
        match (self.hard_due(), self.soft_due()) {
            (Some(hard), Some(soft)) if soft.at < hard.at => soft,
            (Some(due), _) | (None, Some(due)) => due,
            (None, None) => self.due_at(EVER, "expired", "maximum_lifetime", self.limits.version),
        }
    }

    fn hard_due(&self) -> Option<End> {
        let (longest, version) = self.hard?;
        Some(self.due_at(self.created + longest, "expired", "maximum_lifetime", version))
    }

    fn soft_due(&self) -> Option<End> {
        let idle = self.limits.idle?;
        Some(self.due_at(self.active + idle, "abandoned", "inactivity_timeout", self.limits.version))
    }

    fn due_at(&self, at: i64, status: &'static str, reason: &'static str, version: u64) -> End {
        let (reason, version) = match self.is_impersonation {
            true => ("impersonation_over", self.limits.version),
            false => (reason, version),
        };
        End { at, status, reason, by: "system", deadline: at, version }
    }

    pub const fn created(&self) -> i64 {
        self.created
    }

    /// The last activity.
    pub const fn active(&self) -> i64 {
        self.active
    }
}
