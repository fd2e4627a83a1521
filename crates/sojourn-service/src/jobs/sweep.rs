//! The sweeper: records the ends of sessions that nobody asks for, so that
//! events go out and lists stay short. It walks through the open sessions group
//! by group, reads beside the writer, and writes a few browsers at a time.

use std::{collections::BTreeSet, time::Duration};

use sojourn_core::{
    policy::Policy,
    session::{Session, Verdict, decide},
    settings::Settings,
    time::{Moment, Timestamp, minutes, seconds},
};
use sojourn_store::{CommitError, Engine as _};

use crate::{instance::Service, sessions::record_ends::record_ends};

/// Sessions that are looked at together: bounds how long a request may wait
/// behind a group: a thousand hold SQLite's one writer for some 40 ms.
const GROUP: u32 = 200;
/// Rest after a pass for each group that it took: a pass through a million
/// sessions takes seconds, and shall be one twentieth of the machine at most.
const REST_PER_GROUP: Duration = Duration::from_millis(20);
/// Longest time between two passes.
const AT_LEAST_EVERY: Duration = seconds(60);
/// Where the end of most sessions follows from their age, a pass stops at the
/// first that is too young. Those that live under limits of their own are met by
/// a pass through all, so often.
const ALL_EVERY: Duration = minutes(10);

/// What a pass did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Whose ends it recorded.
    pub closed: Vec<Session>,
    /// When the next of those that were looked at is over, if nothing happens.
    next: Option<Timestamp>,
    groups: u32,
}

/// Records the ends that are due at `at`; `all`: also where no session that was
/// created later than one that lives on can be over.
///
/// # Errors
/// The store does not answer.
pub async fn pass(service: &Service, at: Moment, all: bool) -> Result<Swept, CommitError> {
    let (_, policy) = service.store().settings(service.instance_id()).await?;
    // Then they end in the order in which they were created.
    let by_age = !all && policy.spans().all(|(version, _)| version.lifetime.inactivity().is_none());
    let (mut swept, mut after) = (Swept::default(), None);
    loop {
        let group = service.store().open_sessions(service.instance_id(), after, GROUP).await?;
        let Some(last) = group.last() else { break };
        after = Some((last.created_at, last.id));
        let is_last = group.len() < GROUP as usize;
        swept.groups += 1;
        let mut overdue = BTreeSet::new();
        let mut rest_is_younger = false;
        for session in &group {
            match decide(at.now, &policy, session) {
                Verdict::Open { until, .. } => {
                    swept.next = Some(swept.next.map_or(until, |next| next.min(until)));
                    rest_is_younger |= by_age && session.impersonation.is_none();
                }
                Verdict::Closed(_) => {
                    overdue.insert(session.client_id);
                }
            }
        }
        swept.closed.extend(record_ends(service, at, overdue).await?);
        if is_last || rest_is_younger {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(swept)
}

/// When the next pass is worth it.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    last: Option<Last>,
    /// When a pass looked at all, on the wall.
    all_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Last {
    at: Moment,
    settings_version: u64,
    /// On the session clock: nothing is over before.
    next: Timestamp,
    /// On the wall: not before, however much is due.
    rests_until: Timestamp,
}

impl Schedule {
    /// Whether a pass is worth it now.
    pub(super) fn is_due(&self, at: Moment, settings: &Settings) -> bool {
        let Some(last) = &self.last else { return true };
        if at.now < last.at.now || settings.version != last.settings_version {
            // The test clock was reset, or everything is judged anew.
            return true;
        }
        at.wall >= last.rests_until && (at.now >= last.next || at.wall >= last.at.wall + AT_LEAST_EVERY)
    }

    /// Whether the next pass has to look at all sessions.
    pub(super) fn looks_at_all(&self, at: Moment) -> bool {
        self.all_at.is_none_or(|all_at| at.wall >= all_at + ALL_EVERY)
    }

    /// Notes a pass.
    pub(super) fn note(&mut self, at: Moment, settings: &Settings, policy: &Policy, swept: &Swept) {
        let lifetime = policy.current().lifetime;
        // Whoever signs in after the pass is over at the earliest then.
        let shortest = [lifetime.inactivity(), lifetime.maximum()].into_iter().flatten().min();
        let newcomers = at.now + shortest.unwrap_or(AT_LEAST_EVERY).min(AT_LEAST_EVERY);
        if self.looks_at_all(at) {
            self.all_at = Some(at.wall);
        }
        self.last = Some(Last {
            at,
            settings_version: settings.version,
            next: swept.next.map_or(newcomers, |next| next.min(newcomers)),
            rests_until: at.wall + REST_PER_GROUP * swept.groups,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn settings(version: u64) -> Settings {
        Settings { version, ..Settings::initial(START) }
    }

    fn noted(swept: &Swept) -> Schedule {
        let (mut schedule, settings) = (Schedule::default(), settings(1));
        let policy = Policy::new(settings.policy_version());
        schedule.note(Moment::real(START), &settings, &policy, swept);
        schedule
    }

    #[test]
    fn the_next_pass_comes_when_the_next_session_is_over() {
        let schedule = noted(&Swept { next: Some(START + seconds(8)), ..Swept::default() });
        assert!(!schedule.is_due(Moment::real(START + seconds(7)), &settings(1)));
        assert!(schedule.is_due(Moment::real(START + seconds(8)), &settings(1)));
    }

    #[test]
    fn a_settings_change_or_clock_reset_sweeps_at_once() {
        let schedule = noted(&Swept::default());
        assert!(!schedule.is_due(Moment::real(START), &settings(1)));
        assert!(schedule.is_due(Moment::real(START), &settings(2)));
        assert!(schedule.is_due(Moment { now: START - seconds(1), wall: START }, &settings(1)));
    }

    #[test]
    fn a_long_pass_is_followed_by_a_long_rest() {
        // A million sessions, of which one is over every second.
        let schedule = noted(&Swept { next: Some(START), groups: 5000, ..Swept::default() });
        assert!(!schedule.is_due(Moment::real(START + seconds(99)), &settings(1)));
        assert!(schedule.is_due(Moment::real(START + seconds(100)), &settings(1)));
    }
}
