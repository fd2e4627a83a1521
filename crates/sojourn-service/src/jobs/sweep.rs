//! The sweeper: closes overdue sessions that no request reads, so that their events are sent and
//! lists stay short. It reads the open sessions in batches, concurrently with the writer, and
//! writes a few clients per commit.

use std::{collections::BTreeSet, time::Duration};

use sojourn_core::{
    policy::Policy,
    session::{Session, Verdict, decide},
    settings::Settings,
    time::{Moment, Timestamp, minutes, seconds},
};
use sojourn_store::{CommitError, Engine as _};

use crate::{instance::Service, sessions::record_ends::record_ends};

/// The number of sessions per batch, which bounds how long a request waits for the writer: a batch
/// of a thousand would block SQLite's single writer for about 40 ms.
const GROUP: u32 = 200;
/// The pause after a pass, per batch of the pass. A pass over a million sessions takes seconds and
/// must use at most a twentieth of the machine.
const REST_PER_GROUP: Duration = Duration::from_millis(20);
/// The maximum time between two passes.
const AT_LEAST_EVERY: Duration = seconds(60);
/// The interval of passes over all sessions. If sessions end in the order of their creation, other
/// passes stop at the first open session; sessions with their own limits (impersonation) are found
/// by these passes.
const ALL_EVERY: Duration = minutes(10);

/// The result of a pass.
#[derive(Debug, Default)]
pub struct Swept {
    /// The sessions that it closed.
    pub closed: Vec<Session>,
    /// The earliest end of the sessions that it read and that are open, without further activity.
    next: Option<Timestamp>,
    groups: u32,
}

/// Closes the sessions that are overdue at `at`. `all`: reads all sessions, even if the later ones
/// cannot be overdue because sessions end in the order of their creation.
///
/// # Errors
/// The store fails.
pub async fn pass(service: &Service, at: Moment, all: bool) -> Result<Swept, CommitError> {
    let (_, policy) = service.store().settings(service.instance_id()).await?;
    // With the maximum lifetime alone, sessions end in the order of their creation.
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
        // Requests can run between two batches.
        tokio::task::yield_now().await;
    }
    Ok(swept)
}

/// Decides when the next pass runs.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    last: Option<Last>,
    /// The last pass over all sessions, on the wall clock.
    all_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Last {
    at: Moment,
    settings_version: u64,
    /// On the session clock: no session ends before this time.
    next: Timestamp,
    /// On the wall clock: no pass before this time, even if sessions are overdue.
    rests_until: Timestamp,
}

impl Schedule {
    /// Whether a pass is due.
    pub(super) fn is_due(&self, at: Moment, settings: &Settings) -> bool {
        let Some(last) = &self.last else { return true };
        if at.now < last.at.now || settings.version != last.settings_version {
            // The test clock was reset, or the settings changed: every session must be judged
            // again.
            return true;
        }
        at.wall >= last.rests_until && (at.now >= last.next || at.wall >= last.at.wall + AT_LEAST_EVERY)
    }

    /// Whether the next pass must read all sessions.
    pub(super) fn looks_at_all(&self, at: Moment) -> bool {
        self.all_at.is_none_or(|all_at| at.wall >= all_at + ALL_EVERY)
    }

    /// Records a pass.
    pub(super) fn note(&mut self, at: Moment, settings: &Settings, policy: &Policy, swept: &Swept) {
        let lifetime = policy.current().lifetime;
        // Sessions that start after the pass end at this time at the earliest.
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
        // A million sessions, one of which ends every second.
        let schedule = noted(&Swept { next: Some(START), groups: 5000, ..Swept::default() });
        assert!(!schedule.is_due(Moment::real(START + seconds(99)), &settings(1)));
        assert!(schedule.is_due(Moment::real(START + seconds(100)), &settings(1)));
    }
}
