//! The rule of session lifetime, compared with a naive implementation that advances time tick by
//! tick and reads the settings at each tick.

use std::time::Duration;

use proptest::prelude::*;
use sojourn_core::{
    activity::Activity,
    id::{ClientId, SessionId, UserId},
    lifetime::Lifetime,
    policy::{Policy, PolicyVersion},
    session::{ClosedStatus, Device, EndReason, Session, Verdict, decide},
    testing::SeededRng,
    time::{Timestamp, days, minutes},
};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn session(created: i64, last_active: i64) -> Session {
    let mut rng = SeededRng::new(1);
    Session {
        id: SessionId::generate(at(created), &mut rng),
        client_id: ClientId::generate(at(created), &mut rng),
        user_id: UserId::generate(at(created), &mut rng),
        created_at: at(created),
        updated_at: at(created),
        last_active_at: at(last_active),
        settings_version: 1,
        first_factor_verified_at: at(created),
        device: Device::default(),
        impersonation: None,
        closed: None,
    }
}

fn version(version: u64, from: i64, lifetime: Lifetime) -> PolicyVersion {
    PolicyVersion {
        version,
        in_force_from: at(from),
        lifetime,
        multi_session: false,
        activity: Activity::default(),
        ends_all: false,
    }
}

fn policy(versions: &[(i64, Lifetime)]) -> Policy {
    let mut numbered = (1..).zip(versions).map(|(n, (from, lifetime))| version(n, *from, *lifetime));
    let first = numbered.next().expect("a first version");
    numbered.fold(Policy::new(first), Policy::then)
}

#[test]
fn ses_17_a_slow_clock_does_not_undo_a_revocation_of_all() {
    let hour = Lifetime::Maximum(minutes(60));
    let begun = version(1, 0, hour);
    let next = PolicyVersion { ends_all: true, ..version(2, 5000, hour) };
    let policy = Policy::new(begun).then(next);
    let old = session(1000, 1000);
    // By this node's clock neither the version nor the deadline of a limit has been reached.
    for now in [1000, 4999, 5000, 9000] {
        let Verdict::Closed(closing) = decide(at(now), &policy, &old) else { panic!("open at {now}") };
        assert_eq!((closing.at, closing.reason), (at(5000), EndReason::RevokedByAdmin));
    }
    let short = Policy::new(version(1, 0, Lifetime::Maximum(minutes(1))))
        .then(PolicyVersion { ends_all: true, ..version(2, 90_000, Lifetime::Maximum(minutes(1))) });
    let Verdict::Closed(closing) = decide(at(50_000), &short, &old) else { panic!("open") };
    assert_eq!((closing.at, closing.reason), (at(61_000), EndReason::MaximumLifetime));
    // A session that began under the version stays open, even in the same millisecond and with any
    // clock.
    for created in [4000, 5000] {
        let new = Session { settings_version: 2, ..session(created, created) };
        assert!(decide(at(created), &policy, &new).is_open());
    }
}

/// The index of the version in force at `t`: the last one of that millisecond, or `earlier`
/// versions before it.
fn in_force(versions: &[(i64, Lifetime)], t: i64, earlier: usize) -> usize {
    let last = versions.iter().rposition(|(from, _)| *from <= t).expect("a first version");
    let of_one_moment = versions[..last].iter().rev().take_while(|(from, _)| *from == t).count();
    last - earlier.min(of_one_moment)
}

/// The end of a session that began under the version with the index `under`, found by visiting
/// every version at every millisecond.
fn naive_end(
    now: i64,
    versions: &[(i64, Lifetime)],
    under: usize,
    session: &Session,
) -> Option<(i64, ClosedStatus, bool, u64)> {
    let (created, active) = (session.created_at.as_millis(), session.last_active_at.as_millis());
    let span = |span: Duration| i64::try_from(span.as_millis()).expect("small");
    let (mut least, mut place) = (None::<(i64, u64)>, under);
    for t in created..=now {
        loop {
            let (lifetime, number) = (versions[place].1, place as u64 + 1);
            if let Some(maximum) = lifetime.maximum().map(span)
                && least.is_none_or(|(least, _)| maximum < least)
            {
                least = Some((maximum, number));
            }
            // Every millisecond is visited, so a deadline in the past was caused by a stricter
            // setting.
            if let Some((least, number)) = least.filter(|(least, _)| t >= created + least) {
                return Some((t, ClosedStatus::Expired, t > created + least, number));
            }
            if let Some(idle) = lifetime.inactivity().map(span).filter(|idle| t >= active + idle) {
                return Some((t, ClosedStatus::Abandoned, t > active + idle, number));
            }
            match versions.get(place + 1) {
                Some((from, _)) if *from <= t => place += 1,
                _ => break,
            }
        }
    }
    None
}

fn lifetimes() -> impl Strategy<Value = Lifetime> {
    let span = || (1u64..40).prop_map(Duration::from_millis);
    prop_oneof![
        span().prop_map(Lifetime::Inactivity),
        span().prop_map(Lifetime::Maximum),
        (span(), span()).prop_map(|(inactivity, maximum)| Lifetime::Both { inactivity, maximum }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rule_agrees_with_walking_through_time(
        first in lifetimes(),
        changes in prop::collection::vec((prop_oneof![0i64..60, (0i64..4).prop_map(|n| n * 10)], lifetimes()), 0..5),
        created in prop_oneof![0i64..20, Just(10)],
        earlier in 0usize..3,
        idle in 0i64..20,
        now in 0i64..80,
    ) {
        let mut versions = vec![(0, first)];
        let mut sorted = changes;
        sorted.sort_by_key(|(from, _)| *from);
        versions.extend(sorted);
        // Activity counts only while the session is open.
        let under = in_force(&versions, created, earlier);
        let fresh = Session { settings_version: under as u64 + 1, ..session(created, created) };
        let active = naive_end(created + idle, &versions, under, &fresh).is_none();
        let session = Session { last_active_at: at(if active { created + idle } else { created }), ..fresh };
        let found = match decide(at(now), &policy(&versions), &session) {
            Verdict::Open { until, .. } => {
                prop_assert!(at(now) < until);
                None
            }
            Verdict::Closed(closing) => Some((
                closing.at.as_millis(),
                closing.status,
                closing.reason == EndReason::SettingsTightened,
                closing.settings_version,
            )),
        };
        let expected = if now < created { None } else { naive_end(now, &versions, under, &session) };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_is_over_stays_over_as_time_passes(
        lifetime in lifetimes(),
        idle in 0i64..20,
        now in 0i64..80,
        later in 0i64..80,
    ) {
        let (policy, session) = (policy(&[(0, lifetime)]), session(0, idle));
        if let Verdict::Closed(closing) = decide(at(now), &policy, &session) {
            prop_assert_eq!(decide(at(now + later), &policy, &session), Verdict::Closed(closing));
        }
    }

    #[test]
    fn an_open_session_ends_when_it_said_it_would(lifetime in lifetimes(), idle in 0i64..20, now in 0i64..80) {
        let (policy, session) = (policy(&[(0, lifetime)]), session(0, idle));
        if let Verdict::Open { until, .. } = decide(at(now), &policy, &session) {
            prop_assert!(decide(until - Duration::from_millis(1), &policy, &session).is_open());
            let closed = matches!(decide(until, &policy, &session), Verdict::Closed(closing) if closing.at == until);
            prop_assert!(closed);
        }
    }
}

#[test]
fn s3_an_idle_session_is_abandoned_at_the_deadline_sharp() {
    let policy = policy(&[(0, Lifetime::Inactivity(minutes(30)))]);
    let session = session(0, 60_000);
    let deadline = at(60_000) + minutes(30);
    assert!(decide(deadline - Duration::from_millis(1), &policy, &session).is_open());
    let Verdict::Closed(closing) = decide(deadline, &policy, &session) else { panic!("it is over") };
    assert_eq!((closing.status, closing.reason), (ClosedStatus::Abandoned, EndReason::InactivityTimeout));
}

#[test]
fn s4_no_activity_extends_the_maximum_lifetime() {
    let policy = policy(&[(0, Lifetime::DEFAULT)]);
    let last_second = days(7).as_millis() as i64 - 1;
    let session = session(0, last_second);
    let Verdict::Closed(closing) = decide(at(0) + days(7), &policy, &session) else { panic!("it is over") };
    assert_eq!((closing.status, closing.reason), (ClosedStatus::Expired, EndReason::MaximumLifetime));
}

#[test]
fn s5_the_earlier_limit_ends_it_and_a_tie_counts_as_the_maximum() {
    let both = |inactivity, maximum| policy(&[(0, Lifetime::Both { inactivity, maximum })]);
    let status = |policy: &Policy| match decide(at(0) + days(1), policy, &session(0, 0)) {
        Verdict::Closed(closing) => closing.status,
        Verdict::Open { .. } => panic!("it is over"),
    };
    assert_eq!(status(&both(minutes(5), minutes(6))), ClosedStatus::Abandoned);
    assert_eq!(status(&both(minutes(6), minutes(5))), ClosedStatus::Expired);
    assert_eq!(status(&both(minutes(5), minutes(5))), ClosedStatus::Expired);
}

#[test]
fn stricter_settings_act_at_once_looser_ones_revive_nothing() {
    let week = Lifetime::DEFAULT;
    let day = Lifetime::Maximum(days(1));
    let three_days = (days(3).as_millis()) as i64;
    let versions = [(0, week), (three_days, day), (three_days + 10, week)];
    let session = session(0, 0);
    let Verdict::Closed(closing) = decide(at(three_days + 20), &policy(&versions), &session) else {
        panic!("it was over in between")
    };
    assert_eq!(closing.at, at(three_days));
    assert_eq!((closing.status, closing.reason), (ClosedStatus::Expired, EndReason::SettingsTightened));
    assert_eq!(closing.settings_version, 2);
    // A younger session gets a shorter lifetime too.
    let young = self::session(three_days - 10, three_days - 10);
    assert_eq!(young.expire_at(&policy(&versions)), at(three_days - 10) + days(1));
}

#[test]
fn a_setting_replaced_in_the_same_millisecond_was_in_force() {
    let (week, hour) = (Lifetime::DEFAULT, Lifetime::Maximum(minutes(60)));
    let at_once = policy(&[(0, week), (0, hour), (0, week)]);
    let short = Some(ClosedStatus::Expired);
    let status = |policy: &Policy, session: &Session, now| match decide(now, policy, session) {
        Verdict::Closed(closing) => Some(closing.status),
        Verdict::Open { .. } => None,
    };
    // Signed in before, between and after the changes, all in one millisecond.
    for (under, expected) in [(1, short), (2, short), (3, None)] {
        let session = Session { settings_version: under, ..session(0, 0) };
        assert_eq!(status(&at_once, &session, at(0) + minutes(60)), expected, "under version {under}");
    }
    // Idle for longer than a timeout that was in force for one millisecond: over at that time, by
    // that version.
    let idle = (minutes(30).as_millis()) as i64;
    let versions = [(0, week), (idle, Lifetime::Inactivity(minutes(5))), (idle, week)];
    let Verdict::Closed(closing) = decide(at(idle), &policy(&versions), &session(0, 0)) else {
        panic!("it was over for a moment")
    };
    assert_eq!((closing.at, closing.reason), (at(idle), EndReason::SettingsTightened));
    assert_eq!((closing.status, closing.settings_version), (ClosedStatus::Abandoned, 2));
    // At the deadline itself the session is over, even if the timeout is removed in that
    // millisecond.
    let versions = [(0, Lifetime::Inactivity(minutes(30))), (idle, week)];
    let Verdict::Closed(closing) = decide(at(idle), &policy(&versions), &session(0, 0)) else {
        panic!("its time was over before the change")
    };
    assert_eq!((closing.reason, closing.settings_version), (EndReason::InactivityTimeout, 1));
}

#[test]
fn a_row_without_a_version_began_under_the_one_of_its_time() {
    let versions = [(0, Lifetime::Maximum(minutes(5))), (1000, Lifetime::DEFAULT)];
    let old = Session { settings_version: 0, ..session(1000, 1000) };
    assert_eq!(old.expire_at(&policy(&versions)), at(1000) + days(7));
    let older = Session { settings_version: 0, ..session(999, 999) };
    assert_eq!(older.expire_at(&policy(&versions)), at(999) + minutes(5));
}

#[test]
fn a_session_older_than_all_settings_follows_the_first() {
    // Two nodes with different clocks, or a reset of the test clock during the sign-in.
    let policy = policy(&[(minutes(20).as_millis() as i64, Lifetime::Inactivity(minutes(5)))]);
    let deadline = at(0) + minutes(5);
    assert!(decide(deadline - Duration::from_millis(1), &policy, &session(0, 0)).is_open());
    let Verdict::Closed(closing) = decide(deadline, &policy, &session(0, 0)) else { panic!("it is over") };
    assert_eq!((closing.at, closing.reason), (deadline, EndReason::InactivityTimeout));
}
