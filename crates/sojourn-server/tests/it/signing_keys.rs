//! JWT-07: signing keys rotate without a refused token, or at once in an emergency.

use serde_json::{Value, json};
use sojourn_core::signing_key::{KEEP_AFTER_USE, PUBLISH_BEFORE_USE};
use sojourn_store::Store;
use sojourn_testkit::{Answer, FakeBrowser, TestApp, days, minutes};

const KEYS: &str = "/v1/instance/signing_keys";
const ROTATE: &str = "/v1/instance/signing_keys/rotate";

async fn rotate(app: &TestApp, body: Value) -> Answer {
    app.backend().post(ROTATE, body).await
}

/// The status of each key, newest first.
async fn statuses(app: &TestApp) -> Vec<String> {
    let keys = app.backend().get(KEYS).await.assert_ok().json();
    let status = |key: &Value| key["status"].as_str().expect("a status").to_owned();
    keys["data"].as_array().expect("keys").iter().map(status).collect()
}

/// The key ids that an SDK finds.
async fn published(app: &TestApp) -> Vec<String> {
    let public = app.request("GET", "/.well-known/jwks.json").send().await.assert_ok().json();
    assert_eq!(app.backend().get("/v1/jwks").await.assert_ok().json(), public);
    let id = |key: &Value| key["kid"].as_str().expect("a key id").to_owned();
    public["keys"].as_array().expect("keys").iter().map(id).collect()
}

async fn token_of(browser: &FakeBrowser) -> (String, String) {
    let jwt = browser.token(&browser.session()).await.jwt();
    let header = jsonwebtoken::decode_header(&jwt).expect("a header");
    (header.kid.expect("a key id"), jwt)
}

async fn verify(app: &TestApp, session: &str, jwt: &str) -> Answer {
    app.backend().post(&format!("/v1/sessions/{session}/verify"), json!({"token": jwt})).await
}

#[tokio::test]
async fn jwt_07_a_planned_rotation_refuses_no_token() {
    let app = TestApp::new().maximum(days(90)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let (first, _) = token_of(&alice).await;
    let answer = rotate(&app, json!({})).await.assert_ok().json();
    assert_eq!(answer["data"][0]["status"], "next");
    assert_eq!(statuses(&app).await, ["next", "current"]);
    let both = published(&app).await;
    assert_eq!((both.len(), &both[0]), (2, &first));
    // An SDK that read the key set a moment before the rotation knows the old key only.
    app.clock.advance(PUBLISH_BEFORE_USE - minutes(1));
    let (kid, jwt) = token_of(&alice).await;
    assert_eq!(kid, first);
    verify(&app, &alice.session(), &jwt).await.assert_ok();
    app.clock.advance(minutes(1) - std::time::Duration::from_secs(30));
    let (_, last_of_old) = token_of(&alice).await;
    app.clock.advance(std::time::Duration::from_secs(30));
    let (kid, jwt) = token_of(&alice).await;
    assert_eq!(kid, both[1]);
    verify(&app, &alice.session(), &jwt).await.assert_ok();
    verify(&app, &alice.session(), &last_of_old).await.assert_ok();
    assert_eq!(statuses(&app).await, ["current", "previous"]);
    app.clock.advance(KEEP_AFTER_USE);
    assert_eq!(published(&app).await, [kid]);
    assert_eq!(statuses(&app).await, ["current", "withdrawn"]);
}

#[tokio::test]
async fn jwt_07_an_emergency_refuses_every_older_token_at_once() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    rotate(&app, json!({})).await.assert_ok();
    let (first, old) = token_of(&alice).await;
    verify(&app, &alice.session(), &old).await.assert_ok();
    rotate(&app, json!({"emergency": true})).await.assert_ok();
    verify(&app, &alice.session(), &old).await.assert_refused(400, "invalid_session_token");
    let (kid, jwt) = token_of(&alice).await;
    assert_ne!(kid, first);
    verify(&app, &alice.session(), &jwt).await.assert_ok();
    assert_eq!(published(&app).await, [kid]);
    assert_eq!(statuses(&app).await, ["current", "withdrawn", "withdrawn"]);
}

#[tokio::test]
async fn a_rotation_waits_for_the_one_before() {
    let app = TestApp::new().start().await;
    rotate(&app, json!({})).await.assert_ok();
    rotate(&app, json!({})).await.assert_refused(409, "signing_key_rotation_under_way");
    assert_eq!(statuses(&app).await, ["next", "current"]);
    let year = json!({"wait_seconds": 367 * 86_400});
    app.clock.advance(PUBLISH_BEFORE_USE);
    rotate(&app, year).await.assert_refused(422, "form_param_value_invalid");
    rotate(&app, json!({"wait_seconds": 0, "keep_seconds": 0})).await.assert_ok();
    assert_eq!(statuses(&app).await, ["current", "withdrawn", "withdrawn"]);
}

#[tokio::test]
async fn of_two_rotations_at_once_one_happens() {
    let app = TestApp::new().start().await;
    let (first, second) = tokio::join!(rotate(&app, json!({})), rotate(&app, json!({})));
    let mut answers = [first.status(), second.status()];
    answers.sort_unstable();
    assert_eq!(answers, [200, 409]);
    assert_eq!(statuses(&app).await, ["next", "current"]);
}

#[tokio::test]
async fn a_rotation_on_one_node_reaches_another() {
    let app = TestApp::new().start().await;
    if matches!(app.store(), Store::Sqlite(_)) {
        // One process has it for itself.
        return;
    }
    let other = app.neighbour().await;
    rotate(&app, json!({"emergency": true})).await.assert_ok();
    // The job of a node reads the keys every ten seconds.
    sojourn_service::signing_keys::reload(other.server()).await.expect("a load").expect("keys");
    assert_eq!(published(&other).await, published(&app).await);
    assert_eq!(statuses(&other).await, ["current", "withdrawn"]);
}

#[tokio::test]
async fn keys_rotate_on_schedule_where_a_setting_says_so() {
    let app = TestApp::new().start().await;
    let due = async || sojourn_service::signing_keys::rotate_if_due(app.server()).await.expect("a load");
    app.clock.advance(days(400));
    due().await;
    assert_eq!(statuses(&app).await, ["current"], "off unless it is switched on");
    let patch = json!({"signing_keys": {"rotation_days": 90}});
    app.backend().patch("/v1/instance/settings", patch).await.assert_ok();
    due().await;
    due().await;
    assert_eq!(statuses(&app).await, ["next", "current"]);
    app.clock.advance(days(89));
    due().await;
    assert_eq!(statuses(&app).await, ["current", "withdrawn"]);
    app.clock.advance(days(2));
    due().await;
    assert_eq!(statuses(&app).await, ["next", "current", "withdrawn"]);
}

#[tokio::test]
async fn keys_survive_a_restart() {
    let app = TestApp::new().on_sqlite().start().await;
    rotate(&app, json!({"emergency": true})).await.assert_ok();
    let before = (published(&app).await, statuses(&app).await);
    let app = app.restarted().await;
    assert_eq!((published(&app).await, statuses(&app).await), before);
}
