//! What a change of the session settings would do to the sessions that live
//! now: the change is judged by the same rule, on paper.

use std::time::Duration;

use serde::Serialize;

use crate::{
    policy::{Policy, PolicyVersion},
    session::{Session, decide},
    time::{Timestamp, minutes},
};

/// How far a forecast looks.
pub const HORIZON: Duration = minutes(60);

/// Sessions that a change would end. Those that end all the same are not its doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WouldEnd {
    /// At the moment of the change.
    pub now: u64,
    /// Beyond those, within an hour without further activity.
    pub within_one_hour: u64,
}

/// Which of `sessions` the version `next`, in force from `now`, would end.
pub fn forecast<'a>(
    now: Timestamp,
    policy: &Policy,
    next: PolicyVersion,
    sessions: impl IntoIterator<Item = &'a Session>,
) -> WouldEnd {
    let changed = policy.clone().then(next);
    let later = now + HORIZON;
    let mut would_end = WouldEnd::default();
    for session in sessions {
        let outlives = |at| decide(at, policy, session).is_open() && !decide(at, &changed, session).is_open();
        if outlives(now) {
            would_end.now += 1;
        } else if outlives(later) {
            would_end.within_one_hour += 1;
        }
    }
    would_end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        activity::Activity,
        id::{ClientId, SessionId, UserId},
        lifetime::Lifetime,
        session::Device,
        testing::Dice,
        time::{days, seconds},
    };

    fn version(version: u64, at: Timestamp, lifetime: Lifetime) -> PolicyVersion {
        PolicyVersion {
            version,
            in_force_from: at,
            lifetime,
            multi_session: false,
            activity: Activity::default(),
        }
    }

    fn session(created_at: Timestamp, last_active_at: Timestamp) -> Session {
        let mut dice = Dice::new(1);
        Session {
            id: SessionId::generate(created_at, &mut dice),
            client_id: ClientId::generate(created_at, &mut dice),
            user_id: UserId::generate(created_at, &mut dice),
            created_at,
            updated_at: created_at,
            last_active_at,
            first_factor_verified_at: created_at,
            device: Device::default(),
            impersonation: None,
            closed: None,
        }
    }

    #[test]
    fn a_change_answers_for_what_it_ends_and_not_for_what_ends_anyway() {
        let start = Timestamp::from_secs(1_700_000_000);
        let policy = Policy::new(version(1, start, Lifetime::Maximum(days(7))));
        let now = start + days(7) - minutes(10);
        let next = version(2, now, Lifetime::Both { inactivity: minutes(30), maximum: days(7) });
        let sessions = [
            session(start + days(1), now - minutes(30)),
            session(start + days(1), now - minutes(30) + seconds(1)),
            session(start + days(1), now),
            session(start, now),
            session(start - days(1), now),
        ];
        assert_eq!(forecast(now, &policy, next, &sessions), WouldEnd { now: 1, within_one_hour: 2 });
    }

    #[test]
    fn a_looser_setting_ends_nobody() {
        let start = Timestamp::from_secs(1_700_000_000);
        let policy = Policy::new(version(1, start, Lifetime::Inactivity(minutes(5))));
        let next = version(2, start + minutes(4), Lifetime::Maximum(days(1)));
        let sessions = [session(start, start)];
        assert_eq!(forecast(start + minutes(4), &policy, next, &sessions), WouldEnd::default());
    }
}
