//! Settings that go there and back: what was over in between stays over, and
//! what was shortened stays short (D4), over HTTP and after a restart.

use std::time::Duration;

use serde_json::{Value, json};
use sojourn_testkit::{FakeBrowser, TestApp, days, minutes, seconds};

const MOMENT: Duration = Duration::from_millis(1);
const SESSION: &str = "/v1/instance/session_settings";

/// Sets a limit; what is in force for no time at all judges nobody, so some passes.
async fn set(app: &TestApp, limit: &str, seconds: u64) {
    let body = json!({limit: {"enabled": true, "duration_seconds": seconds}});
    app.backend().patch(SESSION, body).await.assert_ok();
    app.clock.advance(MOMENT);
}

async fn end_of(app: &TestApp, browser: &FakeBrowser) -> (&'static str, &'static str, i64) {
    let closing = app.stored_session(&browser.session()).await.closed.expect("the end is stored");
    (closing.status.as_str(), closing.reason.as_str(), closing.at.as_millis())
}

async fn assert_over(browser: &FakeBrowser) {
    for answer in [browser.token(&browser.session()).await, browser.touch(&browser.session()).await] {
        answer.assert_refused(401, "authentication_invalid");
    }
    assert_eq!(browser.client().await.json()["response"]["sessions"], Value::Array(Vec::new()));
}

/// What the limit is set to and back, and how long the session has then lived.
struct Jump {
    limit: &'static str,
    long: Duration,
    short: Duration,
    status: &'static str,
}

const JUMPS: [Jump; 2] = [
    Jump { limit: "maximum_lifetime", long: days(7), short: days(1), status: "expired" },
    Jump { limit: "inactivity_timeout", long: minutes(30), short: minutes(5), status: "abandoned" },
];

#[tokio::test]
async fn d4_a_jump_there_and_back_revives_nothing_on_the_next_request() {
    for Jump { limit, long, short, status } in JUMPS {
        let app = TestApp::new().start().await;
        set(&app, limit, long.as_secs()).await;
        let alice = app.signed_in("alice@example.com").await;
        app.clock.advance(short * 2);
        let tightened = app.clock.now().as_millis();
        set(&app, limit, short.as_secs()).await;
        set(&app, limit, long.as_secs()).await;
        app.clock.advance(seconds(1));
        assert_over(&alice).await;
        assert_eq!(end_of(&app, &alice).await, (status, "settings_tightened", tightened), "{limit}");
    }
}

#[tokio::test]
async fn d4_a_jump_there_and_back_revives_nothing_after_a_restart() {
    for Jump { limit, long, short, status } in JUMPS {
        let app = TestApp::new().on_sqlite().start().await;
        set(&app, limit, long.as_secs()).await;
        let alice = app.signed_in("alice@example.com").await;
        app.clock.advance(short * 2);
        let tightened = app.clock.now().as_millis();
        set(&app, limit, short.as_secs()).await;
        let app = app.restarted().await;
        set(&app, limit, long.as_secs()).await;
        let app = app.restarted().await;
        app.clock.advance(seconds(1));
        let alice = alice.moved_to(&app);
        assert_over(&alice).await;
        assert_eq!(end_of(&app, &alice).await, (status, "settings_tightened", tightened), "{limit}");
    }
}

#[tokio::test]
async fn d4_a_briefly_shortened_maximum_binds_open_sessions() {
    let app = TestApp::new().on_sqlite().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(days(1) / 2);
    set(&app, "maximum_lifetime", 86_400).await;
    set(&app, "maximum_lifetime", 604_800).await;
    let bob = app.signed_in("bob@example.com").await;
    let app = app.restarted().await;
    let (alice, bob) = (alice.moved_to(&app), bob.moved_to(&app));
    app.clock.advance(days(1) / 2 - seconds(1) - MOMENT * 2);
    alice.token(&alice.session()).await.assert_ok();
    app.clock.advance(seconds(1));
    assert_over(&alice).await;
    assert_eq!(end_of(&app, &alice).await.1, "maximum_lifetime");
    bob.token(&bob.session()).await.assert_ok();
}

#[tokio::test]
async fn d4_a_briefly_shortened_timeout_ends_no_active_session() {
    let app = TestApp::new().inactivity(minutes(30)).on_sqlite().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(4));
    set(&app, "inactivity_timeout", 300).await;
    app.clock.advance(seconds(30));
    set(&app, "inactivity_timeout", 1800).await;
    let app = app.restarted().await;
    let alice = alice.moved_to(&app);
    app.clock.advance(minutes(25));
    alice.token(&alice.session()).await.assert_ok();
}

#[tokio::test]
async fn d4_a_rollback_is_a_jump_like_any_other() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(days(2));
    let tightened = app.clock.now().as_millis();
    set(&app, "maximum_lifetime", 86_400).await;
    app.backend().request("POST", "/v1/instance/settings_history/1/rollback").send().await.assert_ok();
    assert_over(&alice).await;
    assert_eq!(end_of(&app, &alice).await, ("expired", "settings_tightened", tightened));
}
