//! Settings that go there and back: what was over in between stays over, and
//! what was shortened stays short (D4), over HTTP and after a restart.

use std::time::Duration;

use serde_json::{Value, json};
use sojourn_testkit::{FakeBrowser, TestApp, days, minutes, seconds};

const SESSION: &str = "/v1/instance/session_settings";

async fn set(app: &TestApp, limit: &str, seconds: u64) {
    let body = json!({limit: {"enabled": true, "duration_seconds": seconds}});
    app.backend().patch(SESSION, body).await.assert_ok();
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
    app.clock.advance(days(1) / 2 - seconds(1));
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

/// Real seconds and a test clock that stands still tell one story.
#[tokio::test]
async fn changes_in_one_millisecond_act_like_changes_seconds_apart() {
    for is_frozen in [false, true] {
        let app = TestApp::new().start().await;
        let old = app.signed_in("alice@example.com").await;
        app.clock.advance(minutes(61));
        let new = app.signed_in("bob@example.com").await;
        if is_frozen {
            app.backend().post("/dev/clock/freeze", json!({})).await.assert_ok();
        }
        let mut versions = Vec::new();
        for maximum in [3600, 604_800] {
            app.clock.advance(seconds(1));
            let dry_run = json!({"maximum_lifetime": {"enabled": true, "duration_seconds": maximum}});
            let told = app.backend().patch(&format!("{SESSION}?dry_run=true"), dry_run).await.json();
            versions.push((told["would_end"]["now"].clone(), told["would_end"]["within_one_hour"].clone()));
            set(&app, "maximum_lifetime", maximum).await;
        }
        assert_eq!(versions, [(json!(1), json!(1)), (json!(0), json!(0))], "frozen: {is_frozen}");
        if is_frozen {
            app.backend().post("/dev/clock/resume", json!({})).await.assert_ok();
        }
        assert_over(&old).await;
        let (status, reason, _) = end_of(&app, &old).await;
        assert_eq!((status, reason), ("expired", "settings_tightened"), "frozen: {is_frozen}");
        new.token(&new.session()).await.assert_ok();
        // An hour after the sign-in, although the maximum is seven days again.
        app.clock.advance(minutes(60));
        assert_over(&new).await;
        let (status, reason, _) = end_of(&app, &new).await;
        assert_eq!((status, reason), ("expired", "maximum_lifetime"), "frozen: {is_frozen}");
    }
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
