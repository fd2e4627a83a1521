//! The session limits of all settings versions, with the time at which each came into force.

use crate::{activity::Activity, lifetime::Lifetime, time::Timestamp};

/// The session settings of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Starts at 1; every change adds 1.
    pub version: u64,
    /// In force from this time until the next version.
    pub in_force_from: Timestamp,
    pub lifetime: Lifetime,
    /// Whether one browser may have several accounts signed in (S8).
    pub multi_session: bool,
    /// Which requests count as activity (S3).
    pub activity: Activity,
    /// Whether this version ended all sessions that began before it (SES-17).
    pub ends_all: bool,
}

/// All settings versions that can affect sessions, oldest first.
///
/// A session is judged by the settings in force as time passes (D4), so the policy includes past
/// versions. There is always at least one version, and `in_force_from` never decreases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    past: Vec<PolicyVersion>,
    current: PolicyVersion,
}

impl Policy {
    /// A policy with one version.
    pub const fn new(first: PolicyVersion) -> Self {
        Self { past: Vec::new(), current: first }
    }

    /// Adds a version. If its `in_force_from` is earlier than that of its predecessor (a clock went
    /// back), it gets the predecessor's.
    #[must_use]
    pub fn then(mut self, mut next: PolicyVersion) -> Self {
        next.in_force_from = next.in_force_from.max(self.current.in_force_from);
        self.past.push(self.current);
        self.current = next;
        self
    }

    pub const fn current(&self) -> &PolicyVersion {
        &self.current
    }

    /// Each version with the time at which the next one replaced it (`None` for the current one),
    /// oldest first.
    pub fn spans(&self) -> impl Iterator<Item = (&PolicyVersion, Option<Timestamp>)> {
        self.spans_up_to(self.current.version)
    }

    /// [`Self::spans`] as it was when `last` was the newest version.
    pub fn spans_up_to(&self, last: u64) -> impl Iterator<Item = (&PolicyVersion, Option<Timestamp>)> {
        let ends = self.past.iter().skip(1).chain([&self.current]).map(|next| Some(next.in_force_from));
        self.versions()
            .zip(ends.take(self.past.len()).chain([None]))
            .take_while(move |(version, _)| version.version <= last)
            .map(move |(version, until)| (version, until.filter(|_| version.version < last)))
    }

    /// The first version after `version` that ended all sessions.
    pub fn ends_all_since(&self, version: u64) -> Option<&PolicyVersion> {
        self.versions().find(|later| later.ends_all && later.version > version)
    }

    /// The version in force at `at`; the first version if `at` is earlier than all.
    pub fn version_at(&self, at: Timestamp) -> u64 {
        let begun = self.versions().take_while(|version| version.in_force_from <= at).last();
        begun.or(self.versions().next()).unwrap_or(&self.current).version
    }

    fn versions(&self) -> impl Iterator<Item = &PolicyVersion> {
        self.past.iter().chain([&self.current])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{days, minutes};

    fn version(version: u64, at: i64) -> PolicyVersion {
        PolicyVersion {
            version,
            in_force_from: Timestamp::from_millis(at),
            lifetime: Lifetime::Both { inactivity: minutes(version), maximum: days(1) },
            multi_session: false,
            activity: Activity::default(),
            ends_all: false,
        }
    }

    #[test]
    fn each_version_ends_where_the_next_begins() {
        let policy = Policy::new(version(1, 0)).then(version(2, 10)).then(version(3, 30));
        let spans: Vec<_> =
            policy.spans().map(|(v, end)| (v.version, end.map(Timestamp::as_millis))).collect();
        assert_eq!(spans, [(1, Some(10)), (2, Some(30)), (3, None)]);
        let earlier: Vec<_> =
            policy.spans_up_to(2).map(|(v, end)| (v.version, end.map(Timestamp::as_millis))).collect();
        assert_eq!(earlier, [(1, Some(10)), (2, None)]);
    }

    #[test]
    fn the_version_at_a_moment_is_the_last_that_began_by_then() {
        let policy = Policy::new(version(1, 5)).then(version(2, 10)).then(version(3, 10));
        let found = [0, 5, 9, 10, 99].map(|at| policy.version_at(Timestamp::from_millis(at)));
        assert_eq!(found, [1, 1, 1, 3, 3]);
    }

    #[test]
    fn a_version_never_begins_before_its_predecessor() {
        let policy = Policy::new(version(1, 50)).then(version(2, 10));
        assert_eq!(policy.current().in_force_from, Timestamp::from_millis(50));
    }
}
