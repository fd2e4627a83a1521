//! How long a session lives (S1…S5), through the Frontend API.

use std::time::Duration;

use serde_json::json;
use sojourn_testkit::{Answer, FakeBrowser, TestApp, days, minutes, seconds};

const MOMENT: Duration = Duration::from_millis(1);

async fn status(app: &TestApp, session: &str) -> (&'static str, &'static str) {
    let closing = app.stored_session(session).await.closed.expect("the end is stored");
    (closing.status.as_str(), closing.reason.as_str())
}

/// The session is over for every request that could keep it alive.
async fn assert_over(browser: &FakeBrowser, session: &str) {
    for answer in [
        browser.token(session).await,
        browser.touch(session).await,
        browser.session_object(session).await,
        browser.get(&format!("/v1/me?_clerk_session_id={session}")).await,
    ] {
        answer.assert_refused(401, "authentication_invalid");
        assert!(!answer.session_ids().contains(&session.to_owned()), "{answer}");
    }
}

#[tokio::test]
async fn s1_by_default_a_session_lives_seven_days_however_idle() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(days(7) - seconds(1));
    alice.token(&alice.session()).await.assert_ok();
    app.clock.advance(seconds(1));
    assert_over(&alice, &alice.session()).await;
    assert_eq!(status(&app, &alice.session()).await, ("expired", "maximum_lifetime"));
}

#[tokio::test]
async fn s3_an_idle_session_is_abandoned_and_an_active_one_goes_on() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    app.clock.advance(minutes(29));
    alice.touch(&session).await.assert_ok();
    app.clock.advance(minutes(29));
    alice.token(&session).await.assert_ok();
    app.clock.advance(minutes(30));
    assert_over(&alice, &session).await;
    assert_eq!(status(&app, &session).await, ("abandoned", "inactivity_timeout"));
}

#[tokio::test]
async fn s3_it_is_over_at_the_deadline_and_open_a_millisecond_before() {
    for (before, alive) in [(MOMENT, true), (Duration::ZERO, false)] {
        let app = TestApp::new().inactivity(minutes(30)).start().await;
        let alice = app.signed_in("alice@example.com").await;
        app.clock.advance(minutes(30) - before);
        let touched = alice.touch(&alice.session()).await;
        assert_eq!(touched.status() == 200, alive, "{touched}");
    }
}

#[tokio::test]
async fn s3_a_token_a_touch_a_handshake_and_a_page_load_are_activity() {
    let app = TestApp::new().inactivity(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    app.clock.advance(minutes(9));
    alice.token(&session).await.assert_ok();
    app.clock.advance(minutes(9));
    alice.touch(&session).await.assert_ok();
    app.clock.advance(minutes(9));
    assert_eq!(alice.handshake("http://localhost:3000/").await.status(), 307);
    app.clock.advance(minutes(9));
    assert_eq!(alice.client().await.session_ids(), [session.as_str()]);
    app.clock.advance(minutes(9));
    alice.token(&session).await.assert_ok();
}

#[tokio::test]
async fn s3_reads_and_backend_requests_are_not_activity() {
    let app = TestApp::new().inactivity(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    for _ in 0..3 {
        app.clock.advance(minutes(3));
        alice.get("/v1/me").await.assert_ok();
        alice.get("/v1/me/sessions/active").await.assert_ok();
        alice.session_object(&session).await.assert_ok();
        alice.get("/v1/environment").await.assert_ok();
        app.backend().get(&format!("/v1/sessions/{session}")).await;
        app.backend().get("/v1/sessions").await;
    }
    app.clock.advance(minutes(1));
    assert_over(&alice, &session).await;
}

#[tokio::test]
async fn s3_a_page_load_keeps_only_the_active_session_alive() {
    let app = TestApp::new().inactivity(minutes(10)).multi_session().start().await;
    let browser = app.signed_in("alice@example.com").await;
    let alice = browser.session();
    app.clock.advance(seconds(1));
    app.user("bob@example.com").await;
    let bob = browser.sign_in("bob@example.com", sojourn_testkit::PASSWORD).await.session_id();
    app.clock.advance(minutes(6));
    assert_eq!(browser.client().await.session_ids(), [alice.clone(), bob.clone()]);
    app.clock.advance(minutes(6));
    assert_eq!(browser.client().await.session_ids(), [bob]);
    assert_eq!(status(&app, &alice).await, ("abandoned", "inactivity_timeout"));
}

#[tokio::test]
async fn s3_activity_of_one_account_is_none_of_another() {
    let app = TestApp::new().inactivity(minutes(10)).multi_session().start().await;
    let browser = app.signed_in("alice@example.com").await;
    let alice = browser.session();
    app.user("bob@example.com").await;
    let bob = browser.sign_in("bob@example.com", sojourn_testkit::PASSWORD).await.session_id();
    app.clock.advance(minutes(9));
    browser.token(&alice).await.assert_ok();
    app.clock.advance(minutes(1));
    browser.token(&bob).await.assert_refused(401, "authentication_invalid");
    browser.token(&alice).await.assert_ok();
}

#[tokio::test]
async fn s4_no_activity_extends_the_maximum_lifetime() {
    let app = TestApp::new().maximum(minutes(60)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    for _ in 0..59 {
        app.clock.advance(minutes(1));
        alice.token(&session).await.assert_ok();
        alice.touch(&session).await.assert_ok();
    }
    app.clock.advance(minutes(1) - MOMENT);
    // Less than a second is left: no token can be told any more (D5).
    alice.token(&session).await.assert_refused(401, "authentication_invalid");
    alice.session_object(&session).await.assert_ok();
    app.clock.advance(MOMENT);
    assert_over(&alice, &session).await;
    assert_eq!(status(&app, &session).await, ("expired", "maximum_lifetime"));
}

#[tokio::test]
async fn s5_with_both_on_the_earlier_one_ends_it() {
    let app = TestApp::new().inactivity(minutes(10)).maximum(minutes(25)).start().await;
    let idle = app.signed_in("alice@example.com").await;
    let active = app.signed_in("bob@example.com").await;
    app.clock.advance(minutes(9));
    active.token(&active.session()).await.assert_ok();
    app.clock.advance(minutes(9));
    active.token(&active.session()).await.assert_ok();
    assert_over(&idle, &idle.session()).await;
    assert_eq!(status(&app, &idle.session()).await.0, "abandoned");
    app.clock.advance(minutes(7));
    assert_over(&active, &active.session()).await;
    assert_eq!(status(&app, &active.session()).await.0, "expired");
}

#[tokio::test]
async fn s5_a_tie_counts_as_maximum_lifetime() {
    let app = TestApp::new().inactivity(minutes(10)).maximum(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(10));
    assert_over(&alice, &alice.session()).await;
    assert_eq!(status(&app, &alice.session()).await, ("expired", "maximum_lifetime"));
}

#[tokio::test]
async fn s5_a_disabled_limit_shows_as_ten_years_on_the_wire() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session_object(&alice.session()).await.response();
    let created = session["created_at"].as_i64().expect("ms");
    assert_eq!(session["expire_at"], created + 7 * 86_400_000);
    assert_eq!(session["abandon_at"], created + 3650 * 86_400_000);
    let app = TestApp::new().only_inactivity(minutes(5)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session_object(&alice.session()).await.response();
    assert_eq!(session["abandon_at"], created + 300_000);
    assert_eq!(session["expire_at"], created + 3650 * 86_400_000);
}

fn lifetime_of(token: &Answer) -> i64 {
    let claims = token.claims();
    claims["exp"].as_i64().expect("seconds") - claims["iat"].as_i64().expect("seconds")
}

#[tokio::test]
async fn s12_a_token_never_outlives_its_session() {
    let app = TestApp::new().maximum(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    assert_eq!(lifetime_of(&alice.token(&session).await), 60);
    app.clock.advance(minutes(9) + seconds(30));
    assert_eq!(lifetime_of(&alice.token(&session).await), 30);
    app.clock.advance(seconds(29));
    assert_eq!(lifetime_of(&alice.token(&session).await), 1);
    app.clock.advance(MOMENT);
    let late = alice.token(&session).await;
    late.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn s12_a_token_is_cut_at_the_inactivity_deadline() {
    let app = TestApp::new().only_inactivity(seconds(20)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(seconds(15));
    assert_eq!(lifetime_of(&alice.token(&alice.session()).await), 20);
}

#[tokio::test]
async fn ses_12_a_clock_that_steps_back_revives_nothing() {
    let app = TestApp::new().inactivity(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let then = app.clock.now();
    app.clock.advance(minutes(10));
    assert_over(&alice, &alice.session()).await;
    app.clock.set(then);
    assert_over(&alice, &alice.session()).await;
    assert_eq!(alice.client().await.session_ids(), Vec::<String>::new());
}

#[tokio::test]
async fn d4_a_stricter_timeout_acts_at_once() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(20));
    let change = app.clock.now();
    app.change_session_settings(json!({"inactivity_timeout": {"duration_seconds": 600}})).await;
    assert_over(&alice, &alice.session()).await;
    assert_eq!(status(&app, &alice.session()).await, ("abandoned", "settings_tightened"));
    let closing = app.stored_session(&alice.session()).await.closed.expect("closed");
    assert_eq!(closing.at, change);
}

#[tokio::test]
async fn d4_only_a_shorter_maximum_binds_an_open_session() {
    let app = TestApp::new().maximum(days(1)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.change_session_settings(json!({"maximum_lifetime": {"duration_seconds": 7200}})).await;
    app.clock.advance(minutes(30));
    app.change_session_settings(json!({"maximum_lifetime": {"duration_seconds": 604_800}})).await;
    app.clock.advance(minutes(89));
    alice.token(&alice.session()).await.assert_ok();
    app.clock.advance(minutes(1));
    assert_over(&alice, &alice.session()).await;
    assert_eq!(status(&app, &alice.session()).await.0, "expired");
    let bob = app.signed_in("bob@example.com").await;
    app.clock.advance(days(7) - seconds(1));
    bob.token(&bob.session()).await.assert_ok();
}

#[tokio::test]
async fn d4_a_longer_timeout_revives_nothing_that_was_over_in_between() {
    let app = TestApp::new().inactivity(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(11));
    app.change_session_settings(json!({"inactivity_timeout": {"duration_seconds": 3600}})).await;
    assert_over(&alice, &alice.session()).await;
    let bob = app.signed_in("bob@example.com").await;
    app.clock.advance(minutes(59));
    bob.token(&bob.session()).await.assert_ok();
}

#[tokio::test]
async fn d4_a_timeout_switched_off_in_time_ends_nothing() {
    let app = TestApp::new().inactivity(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(9));
    app.change_session_settings(json!({"inactivity_timeout": {"enabled": false}})).await;
    app.clock.advance(days(6));
    alice.token(&alice.session()).await.assert_ok();
}

#[tokio::test]
async fn s7_a_maximum_beyond_400_days_applies_on_the_server() {
    let app = TestApp::new().maximum(days(800)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    for _ in 0..2 {
        app.clock.advance(days(399));
        alice.token(&alice.session()).await.assert_ok();
    }
    app.clock.advance(days(2));
    assert_over(&alice, &alice.session()).await;
}
