//! Complete histories of one session, with activity, changed settings and ends, compared with the
//! reference model.

use std::time::Duration;

use proptest::prelude::*;
use sojourn_core::{
    activity::{Activity, ActivitySource},
    forecast::{Forecast, HORIZON},
    id::{ClientId, SessionId, UserId},
    impersonation::{INACTIVITY, Impersonation},
    lifetime::Lifetime,
    policy::{Policy, PolicyVersion},
    session::{
        Device, EndReason, EndedBy, Ending, Refusal, Session, SessionInput, Verdict, close, decide,
        transition,
    },
    testing::{
        SeededRng,
        oracle::{End, Limits, ReferenceSession, millis},
    },
    time::Timestamp,
};

#[derive(Clone, Copy, Debug)]
enum Happens {
    /// Activity of the user.
    Active,
    /// A change of the settings.
    Change(Lifetime),
    /// A read, which records the end if the session is over.
    Look,
    SignOut,
    /// A revocation by the application's backend.
    Revoke,
    /// Ends all sessions.
    EndAll,
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn version(version: u64, from: i64, lifetime: Lifetime) -> PolicyVersion {
    let activity = Activity::default();
    PolicyVersion {
        version,
        in_force_from: at(from),
        lifetime,
        multi_session: false,
        activity,
        ends_all: false,
    }
}

fn session(created: i64, impersonation: Option<Impersonation>) -> Session {
    let mut rng = SeededRng::new(1);
    Session {
        id: SessionId::generate(at(created), &mut rng),
        client_id: ClientId::generate(at(created), &mut rng),
        user_id: UserId::generate(at(created), &mut rng),
        created_at: at(created),
        updated_at: at(created),
        last_active_at: at(created),
        settings_version: 1,
        first_factor_verified_at: at(created),
        device: Device::default(),
        impersonation,
        closed: None,
    }
}

fn lifetimes() -> impl Strategy<Value = Lifetime> {
    let span = || (1u64..40).prop_map(Duration::from_millis);
    prop_oneof![
        span().prop_map(Lifetime::Inactivity),
        span().prop_map(Lifetime::Maximum),
        (span(), span()).prop_map(|(inactivity, maximum)| Lifetime::Both { inactivity, maximum }),
    ]
}

fn happenings(unit: i64) -> impl Strategy<Value = Vec<(i64, Happens)>> {
    let happens = prop_oneof![
        5 => Just(Happens::Active),
        3 => lifetimes().prop_map(Happens::Change),
        3 => Just(Happens::Look),
        1 => Just(Happens::SignOut),
        1 => Just(Happens::Revoke),
        1 => Just(Happens::EndAll),
    ];
    prop::collection::vec(((0i64..12).prop_map(move |n| n * unit), happens), 0..14)
}

/// The session in the core, and the same session in the reference model.
struct Both {
    now: i64,
    policy: Policy,
    session: Session,
    life: ReferenceSession,
}

impl Both {
    fn begin(now: i64, lifetime: Lifetime, impersonation: Option<Impersonation>) -> Self {
        let policy = Policy::new(version(1, 0, lifetime));
        let life = match &impersonation {
            Some(own) => ReferenceSession::begin_impersonation(
                now,
                millis(INACTIVITY),
                millis(own.maximum),
                policy.current().into(),
            ),
            None => ReferenceSession::begin(now, policy.current().into()),
        };
        Self { now, policy, session: session(now, impersonation), life }
    }

    fn apply(&mut self, input: SessionInput) -> bool {
        match transition(at(self.now), &self.policy, &self.session, input) {
            Ok(step) => {
                self.session = step.session;
                true
            }
            Err(Refusal::AlreadyClosed { closing, record }) => {
                if record {
                    close(&mut self.session, at(self.now), closing);
                }
                false
            }
        }
    }

    fn take(&mut self, gap: i64, happens: Happens) {
        self.now += gap;
        self.life.pass(self.now);
        let version_now = self.policy.current().version;
        let revoked = Ending::revoked(EndReason::RevokedByBackend, EndedBy::Backend);
        match happens {
            Happens::Active => {
                let counts = self.apply(SessionInput::Activity(ActivitySource::Touch));
                assert_eq!(counts, self.life.activity(self.now));
            }
            Happens::Look => {
                self.apply(SessionInput::Activity(ActivitySource::Read));
            }
            Happens::SignOut => {
                let ended = self.apply(SessionInput::End(Ending::SIGNED_OUT));
                let expected = self.life.end(self.now, "removed", "signed_out", "user", version_now);
                assert_eq!(ended, expected);
            }
            Happens::Revoke => {
                let ended = self.apply(SessionInput::End(revoked));
                let expected =
                    self.life.end(self.now, "revoked", "revoked_by_backend", "backend", version_now);
                assert_eq!(ended, expected);
            }
            Happens::Change(lifetime) => self.change(lifetime, false),
            Happens::EndAll => self.change(self.policy.current().lifetime, true),
        }
    }

    fn change(&mut self, lifetime: Lifetime, ends_all: bool) {
        let number = self.policy.current().version + 1;
        let next = PolicyVersion { ends_all, ..version(number, self.now, lifetime) };
        self.forecasts(next);
        self.life.change(Limits::from(&next));
        self.policy = self.policy.clone().then(next);
    }

    /// The dry run predicts exactly what the change does.
    fn forecasts(&self, next: PolicyVersion) {
        if self.session.closed.is_some() {
            return;
        }
        let ends = |change: bool, later: i64| {
            let mut life = self.life.clone();
            if change {
                life.change(Limits::from(&next));
            }
            life.pass(self.now + later);
            life.over().is_some()
        };
        let mut forecast = Forecast::new(at(self.now), self.policy.clone(), next);
        forecast.see(&self.session);
        let told = forecast.would_end();
        let (now, later) = (0, millis(HORIZON));
        let at_once = ends(true, now) && !ends(false, now);
        assert_eq!(told.now, u64::from(at_once));
        let within = !at_once && ends(true, later) && !ends(false, later);
        assert_eq!(told.within_one_hour, u64::from(within));
    }

    fn check(&self) {
        let found = decide(at(self.now), &self.policy, &self.session);
        match (found, self.life.over()) {
            (Verdict::Closed(mut closing), Some(mut over)) => {
                if self.session.impersonation.is_some() {
                    // The end does not depend on a settings version; the record has the one in
                    // force when the end was found.
                    (closing.settings_version, over.version) = (0, 0);
                }
                assert_eq!(End::from(closing), over);
            }
            (Verdict::Open { until, .. }, None) => assert_eq!(until.as_millis(), self.life.due().at),
            (found, expected) => panic!("{found:?}, but {expected:?}"),
        }
        if self.session.closed.is_some() {
            return;
        }
        // From the stored facts alone, as on a node that did not receive the activity.
        let settings: Vec<Limits> = self.policy.spans().map(|(version, _)| Limits::from(version)).collect();
        let (created, active) =
            (self.session.created_at.as_millis(), self.session.last_active_at.as_millis());
        let under = self.session.settings_version;
        let predicted_end = match &self.session.impersonation {
            None => ReferenceSession::predicted_end(created, active, under, &settings),
            Some(own) => ReferenceSession::predicted_end_of_impersonation(
                (created, active, under),
                millis(INACTIVITY),
                millis(own.maximum),
                &settings,
            ),
        };
        match found {
            Verdict::Open { until, .. } => assert_eq!(until.as_millis(), predicted_end.at),
            Verdict::Closed(closing) => assert_eq!(End::from(closing), predicted_end),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_of_a_session_ends_as_the_machine_says(
        first in lifetimes(),
        begins in 0i64..10,
        history in happenings(1),
    ) {
        let mut both = Both::begin(begins, first, None);
        for (gap, happens) in history {
            both.take(gap, happens);
            both.check();
        }
    }

    #[test]
    fn an_impersonation_session_has_its_own_limits(
        first in lifetimes(),
        maximum in 1u64..40,
        history in happenings(60_000),
    ) {
        let own = Impersonation { actor: serde_json::Map::new(), maximum: Duration::from_secs(maximum * 60) };
        let mut both = Both::begin(0, first, Some(own));
        for (gap, happens) in history {
            both.take(gap, happens);
            both.check();
        }
    }
}
