//! Impersonation sessions: their own two limits, independent of the settings, and tokens with the
//! actor.

use std::time::Duration;

use serde_json::{Map, Value, json};
use sojourn_core::{
    activity::{Activity, ActivitySource},
    claims::{TokenRequest, issue_token},
    forecast::{Forecast, WouldEnd},
    id::{ClientId, SessionId, UserId},
    impersonation::{INACTIVITY, Impersonation},
    lifetime::Lifetime,
    policy::{Policy, PolicyVersion},
    session::{ClosedStatus, Device, EndReason, Session, SessionInput, Verdict, decide, transition},
    settings::TokenSettings,
    testing::SeededRng,
    time::{Timestamp, days, minutes, seconds},
    user::User,
};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const INSTANT: Duration = Duration::from_millis(1);

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("no object: {value}") };
    object
}

/// An impersonation session of the actor Sam with this maximum lifetime.
fn acted_by_sam(maximum: Duration) -> Session {
    let mut rng = SeededRng::new(1);
    let actor = object(json!({"sub": "user_sam", "case": 12}));
    Session {
        id: SessionId::generate(START, &mut rng),
        client_id: ClientId::generate(START, &mut rng),
        user_id: UserId::generate(START, &mut rng),
        created_at: START,
        updated_at: START,
        last_active_at: START,
        settings_version: 1,
        first_factor_verified_at: START,
        device: Device::default(),
        impersonation: Some(Impersonation::new(actor, maximum).expect("accepted")),
        closed: None,
    }
}

fn version(version: u64, from: Timestamp, lifetime: Lifetime) -> PolicyVersion {
    PolicyVersion {
        version,
        in_force_from: from,
        lifetime,
        multi_session: false,
        activity: Activity::default(),
        ends_all: false,
    }
}

/// Policies that would end an ordinary session at very different times.
fn policies() -> [Policy; 4] {
    let of = |lifetime| Policy::new(version(1, START - days(1), lifetime));
    let tightened =
        of(Lifetime::DEFAULT).then(version(2, START + minutes(3), Lifetime::Inactivity(seconds(1))));
    [
        of(Lifetime::DEFAULT),
        of(Lifetime::Both { inactivity: seconds(1), maximum: seconds(2) }),
        of(Lifetime::Inactivity(days(100))),
        tightened,
    ]
}

fn end(now: Timestamp, policy: &Policy, session: &Session) -> Option<(Timestamp, ClosedStatus, EndReason)> {
    match decide(now, policy, session) {
        Verdict::Open { until, .. } => {
            assert!(now < until);
            None
        }
        Verdict::Closed(closing) => {
            assert_eq!(closing.deadline_at, closing.at);
            Some((closing.at, closing.status, closing.reason))
        }
    }
}

#[test]
fn ses_21_ten_idle_minutes_end_it_whatever_the_settings() {
    let session = acted_by_sam(minutes(30));
    let deadline = START + INACTIVITY;
    assert_eq!(deadline, START + minutes(10));
    for policy in policies() {
        assert_eq!(end(deadline - INSTANT, &policy, &session), None);
        let over = Some((deadline, ClosedStatus::Abandoned, EndReason::ImpersonationOver));
        assert_eq!(end(deadline, &policy, &session), over);
        assert_eq!(end(deadline + days(9), &policy, &session), over);
        assert_eq!(session.abandon_at(&policy), deadline);
    }
}

#[test]
fn ses_21_its_own_maximum_ends_it_whatever_the_settings() {
    let deadline = START + minutes(30);
    let mut session = acted_by_sam(minutes(30));
    session.last_active_at = deadline - INSTANT;
    for policy in policies() {
        assert_eq!(end(deadline - INSTANT, &policy, &session), None);
        let over = Some((deadline, ClosedStatus::Expired, EndReason::ImpersonationOver));
        assert_eq!(end(deadline, &policy, &session), over);
        assert_eq!(session.expire_at(&policy), deadline);
    }
}

#[test]
fn ses_21_a_tie_of_both_limits_counts_as_the_maximum() {
    for policy in policies() {
        let over = Some((START + minutes(10), ClosedStatus::Expired, EndReason::ImpersonationOver));
        assert_eq!(end(START + minutes(10), &policy, &acted_by_sam(minutes(10))), over);
        assert_eq!(
            end(START + minutes(9), &policy, &acted_by_sam(minutes(9))).map(|end| end.1),
            over.map(|end| end.1)
        );
    }
}

#[test]
fn ses_21_its_activity_does_not_depend_on_the_settings() {
    let visible = PolicyVersion { activity: Activity::Visible, ..version(1, START, Lifetime::DEFAULT) };
    let hidden = SessionInput::Activity(ActivitySource::Token { hidden: true });
    let later = START + minutes(5);
    let seen = |session: &Session| {
        let step = transition(later, &Policy::new(visible), session, hidden).expect("it is open");
        step.session.last_active_at
    };
    let session = acted_by_sam(minutes(30));
    assert_eq!(seen(&session), later);
    assert_eq!(seen(&Session { impersonation: None, ..session }), START);
}

#[test]
fn ses_21_no_settings_change_ends_it_or_counts_it() {
    let policy = Policy::new(version(1, START, Lifetime::DEFAULT));
    let now = START + minutes(5);
    let next = version(2, now, Lifetime::Both { inactivity: seconds(1), maximum: seconds(1) });
    let session = acted_by_sam(minutes(30));
    let ordinary = Session { impersonation: None, ..session.clone() };
    let mut forecast = Forecast::new(now, policy, next);
    forecast.see(&session);
    assert_eq!(forecast.would_end(), WouldEnd::default());
    forecast.see(&ordinary);
    assert_eq!(forecast.would_end(), WouldEnd { now: 1, within_one_hour: 0 });
}

fn claims(settings: &TokenSettings, session: &Session, user: &User) -> Value {
    let now = START + minutes(2);
    let request = TokenRequest {
        now,
        wall: now,
        issuer: "https://clerk.example.com",
        origin: None,
        jti: "00".to_owned(),
        lifetime_seconds: None,
    };
    let policy = Policy::new(version(1, START, Lifetime::DEFAULT));
    serde_json::to_value(issue_token(request, &policy, settings, session, Some(user)).expect("in time"))
        .expect("JSON")
}

#[test]
fn ses_21_its_tokens_name_who_acts_and_claim_no_verified_factor() {
    let session = acted_by_sam(minutes(30));
    let template = json!({"by": "{{session.actor}}", "sub_of": "{{session.actor.sub || 'nobody'}}"});
    let settings = TokenSettings { claims: object(template), ..TokenSettings::default() };
    let user = User::new(session.user_id, START);
    let token = claims(&settings, &session, &user);
    assert_eq!(token["act"], json!({"sub": "user_sam", "case": 12}));
    assert_eq!(token["fva"], json!([-1, -1]));
    assert_eq!((&token["by"], &token["sub_of"]), (&token["act"], &json!("user_sam")));

    let token = claims(&settings, &Session { impersonation: None, ..session }, &user);
    assert!(token.get("act").is_none(), "{token}");
    assert_eq!(token["fva"], json!([2, -1]));
    assert_eq!((&token["by"], &token["sub_of"]), (&Value::Null, &json!("nobody")));
}

#[test]
fn custom_claims_leave_room_for_the_actor() {
    let mut session = acted_by_sam(minutes(30));
    let user = User::new(session.user_id, START);
    let large = object(json!({"sub": "user_sam", "note": "x".repeat(900)}));
    let template = json!({"mine": "y".repeat(1600)});
    let settings = TokenSettings { claims: object(template), ..TokenSettings::default() };
    assert_eq!(claims(&settings, &session, &user)["mine"], json!("y".repeat(1600)));
    session.impersonation = Some(Impersonation::new(large.clone(), minutes(30)).expect("accepted"));
    let token = claims(&settings, &session, &user);
    assert_eq!((token.get("mine"), &token["act"]), (None, &Value::Object(large)));
}
