//! The test clock and what it makes due (decision 7).

use serde_json::{Value, json};
use sojourn_core::{activity::ActivitySource, client::refresh};
use sojourn_store::Engine as _;
use sojourn_testkit::{Answer, TestApp, days, minutes, seconds};

async fn clock(app: &TestApp, what: &str, body: Value) -> Answer {
    let answer = app.backend().post(&format!("/dev/clock/{what}"), body).await;
    answer.assert_ok();
    answer
}

async fn advance(app: &TestApp, seconds: u64) -> Value {
    clock(app, "advance", json!({"seconds": seconds})).await.json()["effects"].clone()
}

fn effect(kind: &str, session: &str, at: i64) -> Value {
    json!({"type": kind, "session_id": session, "at": at})
}

#[tokio::test]
async fn an_unchanged_test_clock_equals_the_wall_clock() {
    let app = TestApp::new().start().await;
    let shown = app.backend().get("/dev/clock").await.json();
    let now = app.clock.now().as_millis();
    assert_eq!(shown, json!({"object": "clock", "now": now, "frozen": false, "offset_ms": 0}));
}

#[tokio::test]
async fn s3_s4_advancing_ends_what_is_due_and_tells_when_each_was_due() {
    let app = TestApp::new().inactivity(minutes(30)).maximum(days(1)).multi_session().start().await;
    let start = app.clock.now();
    let idle = app.signed_in("idle@example.com").await;
    assert_eq!(advance(&app, 1799).await, json!([]));
    let late = app.signed_in("late@example.com").await;
    let (first, second) = (idle.session(), late.session());
    let due = |minutes_on: u64| (start + minutes(minutes_on)).as_millis();
    assert_eq!(advance(&app, 1).await, json!([effect("session.abandoned", &first, due(30))]));
    idle.token(&first).await.assert_refused(401, "authentication_invalid");
    late.token(&second).await.assert_ok();
    for _ in 0..48 {
        assert_eq!(advance(&app, 1799).await, json!([]));
        late.token(&second).await.assert_ok();
    }
    let at = (start + seconds(1799) + days(1)).as_millis();
    assert_eq!(advance(&app, 47).await, json!([effect("session.expired", &second, at)]));
    // The record of the end was written with it, before anybody asked.
    let closing = app.stored_session(&second).await.closed.expect("recorded");
    assert_eq!(closing.at.as_millis(), at);
}

#[tokio::test]
async fn tokens_cookies_and_uat_stay_on_the_wall_clock() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let wall = app.clock.now();
    advance(&app, 6 * 86_400).await;
    let alice = app.signed_in("alice@example.com").await;
    assert_eq!(alice.client_uat(), Some(wall.as_secs().to_string()));
    let claims = alice.token(&alice.session()).await.claims();
    assert_eq!(
        (claims["iat"].as_i64(), claims["exp"].as_i64()),
        (Some(wall.as_secs()), Some(wall.as_secs() + 60))
    );
    let client = alice.client().await.response();
    assert_eq!(client["cookie_expires_at"], (wall + days(400)).as_millis());
    // The token is cut at what the session has left, told on the wall.
    advance(&app, 1790 - 60).await;
    let claims = alice.session_object(&alice.session()).await.response()["last_active_token"]["jwt"].clone();
    let claims = app.verified(claims.as_str().expect("a token"));
    assert_eq!(claims["exp"].as_i64(), Some(wall.as_secs() + 60));
    advance(&app, 30).await;
    let claims = alice.session_object(&alice.session()).await.response()["last_active_token"]["jwt"].clone();
    let claims = app.verified(claims.as_str().expect("a token"));
    assert_eq!(claims["exp"].as_i64(), Some(wall.as_secs() + 40));
}

#[tokio::test]
async fn a_frozen_clock_still_advances_updated_at() {
    let app = TestApp::new().inactivity(minutes(30)).multi_session().start().await;
    let frozen = clock(&app, "freeze", json!({})).await.json();
    assert_eq!((&frozen["frozen"], &frozen["offset_ms"]), (&json!(true), &json!(0)));
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(days(3));
    let first = alice.client().await.response();
    assert_eq!(alice.token(&alice.session()).await.status(), 200, "no session time has passed");
    app.user("bob@example.com").await;
    alice.sign_in("bob@example.com", sojourn_testkit::PASSWORD).await.assert_ok();
    let second = alice.client().await.response();
    assert!(second["updated_at"].as_i64() > first["updated_at"].as_i64());
    let shown = clock(&app, "resume", json!({})).await.json();
    assert_eq!(shown["offset_ms"], -(days(3).as_millis() as i64));
    app.clock.advance(minutes(30));
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn ses_12_a_reset_revives_nothing_and_lengthens_nothing() {
    let app = TestApp::new().inactivity(minutes(30)).maximum(days(7)).start().await;
    let gone = app.signed_in("gone@example.com").await;
    advance(&app, 5 * 86_400).await;
    let open = app.signed_in("open@example.com").await;
    advance(&app, 600).await;
    open.token(&open.session()).await.assert_ok();
    advance(&app, 600).await;
    // Not swept yet: the clock on the wall made it due.
    let due = app.signed_in("due@example.com").await;
    app.clock.advance(minutes(19));
    open.token(&open.session()).await.assert_ok();
    app.clock.advance(minutes(11));
    let reset = clock(&app, "reset", json!({})).await.json();
    assert_eq!(reset["offset_ms"], 0);
    assert_eq!(reset["now"], app.clock.now().as_millis());
    assert_eq!(reset["effects"].as_array().map(Vec::len), Some(1), "{reset}");
    for over in [&gone, &due] {
        over.token(&over.session()).await.assert_refused(401, "authentication_invalid");
    }
    // It was idle for 11 minutes; 19 are left, as without the reset.
    app.clock.advance(minutes(19) - seconds(1));
    let left = open.session_object(&open.session()).await;
    left.assert_ok();
    app.clock.advance(seconds(1));
    open.token(&open.session()).await.assert_refused(401, "authentication_invalid");
    let closing = app.stored_session(&open.session()).await.closed.expect("recorded");
    assert_eq!(closing.at, app.clock.now());
}

#[tokio::test]
async fn expired_codes_and_tickets_stay_expired_after_a_reset() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let ticket = app.ticket("alice@example.com", minutes(10)).await;
    advance(&app, 601).await;
    clock(&app, "reset", json!({})).await;
    let browser = app.browser();
    assert_ne!(browser.sign_in_with_ticket(&ticket).await.status(), 200);
}

#[tokio::test]
async fn d4_settings_versions_keep_their_order_after_a_reset() {
    let app = TestApp::new().maximum(days(7)).start().await;
    advance(&app, 3600).await;
    let before = app.signed_in("before@example.com").await;
    advance(&app, 3600).await;
    let patch = json!({"maximum_lifetime": {"duration_seconds": 86_400}});
    app.backend().patch("/v1/instance/session_settings", patch).await.assert_ok();
    advance(&app, 3600).await;
    let loose = json!({"maximum_lifetime": {"duration_seconds": 604_800}});
    app.backend().patch("/v1/instance/session_settings", loose).await.assert_ok();
    let after = app.signed_in("after@example.com").await;
    clock(&app, "reset", json!({})).await;
    // The first was under one day for an hour; two hours of it are over.
    app.clock.advance(days(1) - minutes(120) - seconds(1));
    before.token(&before.session()).await.assert_ok();
    app.clock.advance(seconds(1));
    before.token(&before.session()).await.assert_refused(401, "authentication_invalid");
    after.token(&after.session()).await.assert_ok();
    app.clock.advance(days(6) + minutes(120));
    after.token(&after.session()).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn the_clock_survives_a_restart() {
    let app = TestApp::new().on_sqlite().inactivity(minutes(30)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    advance(&app, 1000).await;
    let again = app.restarted().await;
    let shown = again.backend().get("/dev/clock").await.json();
    assert_eq!(shown["offset_ms"], 1_000_000);
    let alice = alice.moved_to(&again);
    again.clock.advance(seconds(799));
    assert_eq!(alice.session_object(&alice.session()).await.status(), 200);
    again.clock.advance(seconds(1));
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn the_clock_goes_forward_only_and_says_what_is_wrong() {
    let app = TestApp::new().start().await;
    let now = app.clock.now().as_millis();
    let post = async |what: &str, body: Value| app.backend().post(&format!("/dev/clock/{what}"), body).await;
    post("set", json!({"now": now + 5000})).await.assert_ok();
    post("set", json!({"now": now + 4999})).await.assert_refused(422, "form_param_value_invalid");
    post("advance", json!({"seconds": 40_000_000_000_u64}))
        .await
        .assert_refused(422, "form_param_value_invalid");
    post("advance", json!({})).await.assert_refused(422, "form_param_missing");
    post("advance", json!({"seconds": -1})).await.assert_standard_error();
    post("advance", json!({"seconds": "soon"})).await.assert_standard_error();
    assert_eq!(app.backend().get("/dev/clock").await.json()["now"], now + 5000);
}

#[tokio::test]
async fn d3_there_is_no_clock_where_there_are_no_development_tools() {
    for app in [TestApp::new().production().start().await, TestApp::new().exposed().start().await] {
        app.backend().get("/dev/clock").await.assert_refused(404, "resource_not_found");
        app.backend()
            .post("/dev/clock/advance", json!({"seconds": 9}))
            .await
            .assert_refused(404, "resource_not_found");
    }
    let app = TestApp::new().start().await;
    app.request("GET", "/dev/clock").send().await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn ended_sessions_are_kept_as_long_as_the_settings_say() {
    let app = TestApp::new().session_settings(json!({"ended_sessions_kept_seconds": 3600})).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    alice.sign_out(&session).await.assert_ok();
    advance(&app, 3599).await;
    assert_eq!(app.backend().get(&format!("/v1/sessions/{session}")).await.json()["status"], "removed");
    advance(&app, 1).await;
    app.backend().get(&format!("/v1/sessions/{session}")).await.assert_refused(404, "resource_not_found");
    let listed = app.backend().get("/v1/sessions").await.json();
    assert_eq!(listed, json!([]));
}

#[tokio::test]
async fn the_sweeper_finds_every_overdue_session() {
    // More than two groups of the sweeper, without a password for each.
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let user = app.user("alice@example.com").await;
    for _ in 0..450 {
        let body = json!({"user_id": user.id.to_string()});
        app.backend().post("/v1/sessions", body).await.assert_ok();
    }
    assert_eq!(advance(&app, 1799).await, json!([]));
    assert_eq!(advance(&app, 1).await.as_array().map(Vec::len), Some(450));
    assert_eq!(advance(&app, 1).await, json!([]), "and each once");
}

#[tokio::test]
async fn s3_a_hidden_tab_is_no_activity_where_the_setting_says_so() {
    for (activity, lives) in [("token", true), ("visible", false)] {
        let app = TestApp::new()
            .inactivity(minutes(30))
            .session_settings(json!({"activity": activity}))
            .start()
            .await;
        let alice = app.signed_in("alice@example.com").await;
        let tokens = format!("/v1/client/sessions/{}/tokens", alice.session());
        advance(&app, 1700).await;
        alice.post(&tokens, &[("tab_state", "hidden")]).await.assert_ok();
        advance(&app, 100).await;
        let answer = alice.post(&tokens, &[("tab_state", "focused")]).await;
        assert_eq!(answer.status() == 200, lives, "{activity}: {answer}");
    }
}

#[tokio::test]
async fn a_request_during_a_clock_reset_is_no_future_activity() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    advance(&app, 86_400).await;
    let alice = app.signed_in("alice@example.com").await;
    let stored = app.stored_session(&alice.session()).await;
    let record = app.store().browser(app.server().instance_id(), stored.client_id).await;
    let record = record.expect("a store that answers").expect("a browser");
    let at = app.server().moment();
    let step =
        refresh(at, &record.policy, &record.browser, stored.id, ActivitySource::Touch).expect("it is open");
    clock(&app, "reset", json!({})).await;
    app.server().note_activity(&step, at);
    app.clock.advance(minutes(30));
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
}
