//! Ended is final and immediate (D5), whichever door it came through,
//! and what the settings API changes acts on browsers at once.

use serde_json::json;
use sojourn_store::Engine as _;
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp, days, minutes, seconds};

const PAGE: &str = "http://localhost:3000/";

async fn nonce(browser: &FakeBrowser) -> String {
    let back = browser.handshake(PAGE).await;
    back.set_cookie("__clerk_handshake_nonce").expect("a nonce").to_owned()
}

async fn redeem(app: &TestApp, nonce: &str) -> Answer {
    app.backend().get(&format!("/v1/clients/handshake_payload?nonce={nonce}")).await
}

/// The value that the directives give to a cookie.
fn directive(payload: &Answer, name: &str) -> Option<String> {
    let lines = payload.json()["directives"].as_array().expect("directives").clone();
    let pairs = lines.iter().filter_map(|line| line.as_str()?.split(';').next()?.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next_back()
}

#[tokio::test]
async fn d5_a_nonce_becomes_a_token_only_while_the_session_is_open() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let open = nonce(&alice).await;
    let payload = redeem(&app, &open).await;
    let token = directive(payload.assert_ok(), "__session").expect("a token");
    assert_eq!(app.verified(&token)["sid"], alice.session().as_str());
    assert_eq!(directive(&payload, "__client_uat"), alice.client_uat());
    redeem(&app, &open).await.assert_ok();
    let late = nonce(&alice).await;
    alice.sign_out_all().await.assert_ok();
    for nonce in [open, late] {
        let payload = redeem(&app, &nonce).await;
        assert_eq!(directive(payload.assert_ok(), "__session").as_deref(), Some(""), "{payload}");
        assert_eq!(directive(&payload, "__client_uat").as_deref(), Some("0"), "{payload}");
        assert!(!payload.text().contains("eyJ"), "{payload}");
    }
}

#[tokio::test]
async fn cok_08_a_nonce_lasts_a_minute_and_needs_the_secret_key() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let code = nonce(&alice).await;
    let path = format!("/v1/clients/handshake_payload?nonce={code}");
    app.request("GET", &path).send().await.assert_refused(401, "authentication_invalid");
    app.clock.advance(seconds(59));
    redeem(&app, &code).await.assert_ok();
    app.clock.advance(seconds(1));
    redeem(&app, &code).await.assert_refused(404, "resource_not_found");
    redeem(&app, "unknown").await.assert_refused(404, "resource_not_found");
    assert_eq!(app.backend().get("/v1/clients/handshake_payload").await.status(), 422);
}

#[tokio::test]
async fn ses_06_after_a_revocation_nothing_gives_a_token() {
    let app = TestApp::new().multi_session().start().await;
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    let alice = browser.session();
    let bob = browser.sign_in("bob@example.com", PASSWORD).await.session_id();
    let backend = app.backend();
    let revoked = backend.post(&format!("/v1/sessions/{alice}/revoke"), json!({})).await;
    assert_eq!(revoked.assert_ok().json()["status"], "revoked");
    browser.token(&alice).await.assert_refused(401, "authentication_invalid");
    browser.touch(&alice).await.assert_refused(401, "authentication_invalid");
    browser.session_object(&alice).await.assert_refused(401, "authentication_invalid");
    let minted = backend.post(&format!("/v1/sessions/{alice}/tokens"), json!({})).await;
    assert!((400..500).contains(&minted.status()) && !minted.text().contains("eyJ"), "{minted}");
    let again = backend.post(&format!("/v1/sessions/{alice}/revoke"), json!({})).await;
    assert!(again.status() < 500, "{again}");
    assert_eq!(app.stored_session(&alice).await.closed.expect("closed").status.as_str(), "revoked");
    assert_eq!(browser.client().await.session_ids(), [bob], "the other account goes on");
}

#[tokio::test]
async fn d9_a_backend_token_is_cut_at_the_session_deadline() {
    let app = TestApp::new().maximum(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(4));
    let path = format!("/v1/sessions/{}/tokens", alice.session());
    let minted = app.backend().post(&path, json!({"expires_in_seconds": 3600})).await;
    let claims = minted.assert_ok().claims();
    assert_eq!(claims["exp"].as_i64().expect("s") - claims["iat"].as_i64().expect("s"), 360);
    app.clock.advance(minutes(6));
    let late = app.backend().post(&path, json!({"expires_in_seconds": 3600})).await;
    assert!((400..500).contains(&late.status()), "{late}");
}

#[tokio::test]
async fn s3_requests_of_the_backend_keep_no_session_alive() {
    let app = TestApp::new().inactivity(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    let user = app.user("alice@example.com").await.id.to_string();
    let backend = app.backend();
    for _ in 0..3 {
        app.clock.advance(minutes(3));
        backend.post(&format!("/v1/sessions/{session}/tokens"), json!({})).await.assert_ok();
        backend.get(&format!("/v1/sessions/{session}")).await.assert_ok();
        backend.get(&format!("/v1/sessions?user_id={user}")).await.assert_ok();
        backend.get(&format!("/v1/users/{user}")).await.assert_ok();
        backend
            .patch(&format!("/v1/users/{user}/metadata"), json!({"public_metadata": {"n": 1}}))
            .await
            .assert_ok();
    }
    app.clock.advance(minutes(1));
    let told = backend.get(&format!("/v1/sessions/{session}")).await;
    assert_eq!(told.assert_ok().json()["status"], "abandoned");
    alice.token(&session).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn s2_the_settings_api_refuses_to_leave_neither_limit_on() {
    let app = TestApp::new().start().await;
    let path = "/v1/instance/session_settings";
    let before = app.backend().get(path).await.json();
    for patch in [
        json!({"maximum_lifetime": {"enabled": false}}),
        json!({"maximum_lifetime": {"enabled": false}, "inactivity_timeout": {"enabled": false}}),
    ] {
        app.backend().patch(path, patch).await.assert_refused(422, "session_lifetime_required");
    }
    assert_eq!(app.backend().get(path).await.json(), before, "nothing changed");
}

#[tokio::test]
async fn s1_a_settings_change_acts_on_open_sessions_at_once() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(45));
    let on = json!({"inactivity_timeout": {"enabled": true, "duration_seconds": 1800}});
    let dry = app.backend().patch("/v1/instance/session_settings?dry_run=true", on.clone()).await;
    assert_eq!(dry.assert_ok().json()["would_end"]["now"], 1);
    alice.session_object(&alice.session()).await.assert_ok();
    app.backend().patch("/v1/instance/session_settings", on).await.assert_ok();
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
    let closing = app.stored_session(&alice.session()).await.closed.expect("closed");
    assert_eq!((closing.status.as_str(), closing.reason.as_str()), ("abandoned", "settings_tightened"));
}

#[tokio::test]
async fn s8_multi_session_is_switched_on_while_people_are_signed_in() {
    let app = TestApp::new().start().await;
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    browser.sign_in("bob@example.com", PASSWORD).await.assert_refused(400, "session_exists");
    app.backend()
        .patch("/v1/instance/session_settings", json!({"multi_session_enabled": true}))
        .await
        .assert_ok();
    browser.sign_in("bob@example.com", PASSWORD).await.assert_ok();
    assert_eq!(browser.client().await.session_ids().len(), 2);
}

#[tokio::test]
async fn aut_10_a_sign_in_token_is_single_use_and_revocable() {
    let app = TestApp::new().start().await;
    let user = app.user("alice@example.com").await.id.to_string();
    let create = || async {
        let made =
            app.backend().post("/v1/sign_in_tokens", json!({"user_id": user})).await.assert_ok().json();
        (made["id"].as_str().expect("an id").to_owned(), made["token"].as_str().expect("a token").to_owned())
    };
    let (_, ticket) = create().await;
    app.browser().sign_in_with_ticket(&ticket).await.assert_ok();
    app.browser().sign_in_with_ticket(&ticket).await.assert_refused(400, "sign_in_token_already_used_code");
    let (id, ticket) = create().await;
    app.backend().post(&format!("/v1/sign_in_tokens/{id}/revoke"), json!({})).await.assert_ok();
    app.browser().sign_in_with_ticket(&ticket).await.assert_refused(400, "sign_in_token_invalid");
    let other = TestApp::new().seed(2).start().await;
    other.user("alice@example.com").await;
    let (_, ticket) = create().await;
    other.browser().sign_in_with_ticket(&ticket).await.assert_refused(400, "sign_in_token_invalid");
}

#[tokio::test]
async fn jwt_10_a_key_or_a_cookie_of_another_instance_is_nothing_here() {
    let (here, there) = (TestApp::new().start().await, TestApp::new().seed(2).start().await);
    let alice = there.signed_in("alice@example.com").await;
    alice.moved_to(&here).token(&alice.session()).await.assert_refused(401, "authentication_invalid");
    let bearer = format!("Bearer {}", there.secret_key());
    let refused = here.request("GET", "/v1/users").header("authorization", &bearer).send().await;
    refused.assert_refused(401, "clerk_key_invalid");
}

#[tokio::test]
async fn ends_survive_a_restart_with_a_clock_set_back() {
    let app = TestApp::new().inactivity(minutes(10)).on_sqlite().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let bob = app.signed_in("bob@example.com").await;
    let carol = app.signed_in("carol@example.com").await;
    app.clock.advance(minutes(9));
    alice.token(&alice.session()).await.assert_ok();
    carol.sign_out_all().await.assert_ok();
    app.clock.advance(minutes(5));
    bob.token(&bob.session()).await.assert_refused(401, "authentication_invalid");
    let app = app.restarted().await;
    app.clock.set(sojourn_testkit::START);
    let (alice, bob, carol) = (alice.moved_to(&app), bob.moved_to(&app), carol.moved_to(&app));
    alice.token(&alice.session()).await.assert_ok();
    bob.token(&bob.session()).await.assert_refused(401, "authentication_invalid");
    carol.token(&carol.session()).await.assert_refused(401, "authentication_invalid");
    assert_eq!(bob.client().await.session_ids(), Vec::<String>::new());
    app.clock.set(sojourn_testkit::START + days(1));
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn log_04_a_store_that_is_gone_is_503_and_never_a_permission() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.store().close().await.expect("closed");
    for answer in [
        alice.client().await,
        alice.token(&alice.session()).await,
        alice.touch(&alice.session()).await,
        alice.sign_out_all().await,
        app.browser().sign_in("alice@example.com", PASSWORD).await,
        app.backend().get("/v1/users").await,
        app.request("GET", "/v1/nothing").header("authorization", "Bearer sk_test_x").send().await,
    ] {
        answer.assert_refused(503, "service_unavailable");
        assert!(answer.set_cookies().is_empty(), "{answer}");
        assert!(answer.header("retry-after").is_some(), "{answer}");
    }
}
