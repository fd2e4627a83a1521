//! The forecast of a settings change: how many open sessions the change would end. It uses the same
//! rule as the sessions themselves and changes nothing.

use std::time::Duration;

use serde::Serialize;

use crate::{
    policy::{Policy, PolicyVersion},
    session::{Session, decide},
    time::{Timestamp, minutes},
};

/// The period that a forecast covers.
pub const HORIZON: Duration = minutes(60);

/// The number of sessions that a change would end. Sessions that end without the change do not
/// count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WouldEnd {
    /// Ended at the time of the change.
    pub now: u64,
    /// Additional sessions that end within an hour without further activity.
    pub within_one_hour: u64,
}

/// Counts the sessions that one change would end. Sessions are added one at a time, so memory use
/// is constant.
#[derive(Clone, Debug)]
pub struct Forecast {
    now: Timestamp,
    policy: Policy,
    changed: Policy,
    would_end: WouldEnd,
}

impl Forecast {
    /// The forecast for the version `next`, in force from `now`.
    pub fn new(now: Timestamp, policy: Policy, next: PolicyVersion) -> Self {
        let changed = policy.clone().then(next);
        Self { now, policy, changed, would_end: WouldEnd::default() }
    }

    /// Adds one session. Sessions created after `now` do not count.
    pub fn see(&mut self, session: &Session) {
        if session.created_at > self.now {
            return;
        }
        let ended =
            |at| decide(at, &self.policy, session).is_open() && !decide(at, &self.changed, session).is_open();
        if ended(self.now) {
            self.would_end.now += 1;
        } else if ended(self.now + HORIZON) {
            self.would_end.within_one_hour += 1;
        }
    }

    /// The counts so far.
    pub const fn would_end(&self) -> WouldEnd {
        self.would_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        activity::Activity,
        id::{ClientId, SessionId, UserId},
        impersonation::Impersonation,
        lifetime::Lifetime,
        session::Device,
        testing::SeededRng,
        time::{days, seconds},
    };

    fn version(version: u64, at: Timestamp, lifetime: Lifetime) -> PolicyVersion {
        PolicyVersion {
            version,
            in_force_from: at,
            lifetime,
            multi_session: false,
            activity: Activity::default(),
            ends_all: false,
        }
    }

    fn session(created_at: Timestamp, last_active_at: Timestamp) -> Session {
        let mut rng = SeededRng::new(1);
        Session {
            id: SessionId::generate(created_at, &mut rng),
            client_id: ClientId::generate(created_at, &mut rng),
            user_id: UserId::generate(created_at, &mut rng),
            created_at,
            updated_at: created_at,
            last_active_at,
            settings_version: 1,
            first_factor_verified_at: created_at,
            device: Device::default(),
            impersonation: None,
            closed: None,
        }
    }

    fn forecast(now: Timestamp, policy: &Policy, next: PolicyVersion, sessions: &[Session]) -> WouldEnd {
        let mut forecast = Forecast::new(now, policy.clone(), next);
        sessions.iter().for_each(|session| forecast.see(session));
        forecast.would_end()
    }

    #[test]
    fn a_forecast_counts_only_what_the_change_itself_ends() {
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

    #[test]
    fn the_forecast_ignores_impersonation_sessions() {
        let start = Timestamp::from_secs(1_700_000_000);
        let policy = Policy::new(version(1, start, Lifetime::Maximum(days(7))));
        let next =
            version(2, start + minutes(9), Lifetime::Both { inactivity: minutes(5), maximum: minutes(8) });
        let acting = Impersonation { actor: serde_json::Map::new(), maximum: minutes(30) };
        let sessions = [Session { impersonation: Some(acting), ..session(start, start) }];
        assert_eq!(forecast(start + minutes(9), &policy, next, &sessions), WouldEnd::default());
        let sessions = [session(start, start)];
        assert_eq!(
            forecast(start + minutes(9), &policy, next, &sessions).now,
            1,
            "its account's own would end"
        );
    }
}
