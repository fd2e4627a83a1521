//! The second half of a handshake, and browsers as application servers see them.

use serde_json::json;
use sojourn_testkit::{FakeBrowser, TestApp, minutes, seconds};

async fn nonce(browser: &FakeBrowser) -> String {
    let answer = browser.handshake("http://localhost:3000/page").await;
    answer.set_cookie("__clerk_handshake_nonce").expect("a nonce").to_owned()
}

async fn directives(app: &TestApp, nonce: &str) -> Vec<String> {
    let answer = app.backend().get(&format!("/v1/clients/handshake_payload?nonce={nonce}")).await;
    answer.assert_ok();
    serde_json::from_value(answer.json()["directives"].clone()).expect("lines")
}

fn value<'a>(lines: &'a [String], name: &str) -> &'a str {
    let line = lines.iter().rfind(|line| line.starts_with(&format!("{name}="))).expect("a line");
    line[name.len() + 1..].split(';').next().expect("a value")
}

#[tokio::test]
async fn a_nonce_gives_a_fresh_token_and_may_be_read_again() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let nonce = nonce(&alice).await;
    for _ in 0..2 {
        app.clock.advance(seconds(20));
        let lines = directives(&app, &nonce).await;
        let claims = app.verified(value(&lines, "__session"));
        assert_eq!(claims["sid"], alice.session());
        assert_eq!(claims["azp"], "http://localhost:3000");
        assert_eq!(claims["iat"], app.clock.now().as_secs());
        assert!(value(&lines, "__client_uat").parse::<i64>().is_ok_and(|uat| uat > 0));
        assert!(lines.iter().all(|line| !line.contains("Secure")), "{lines:?}");
    }
    app.clock.advance(seconds(20));
    let late = app.backend().get(&format!("/v1/clients/handshake_payload?nonce={nonce}")).await;
    late.assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn an_unknown_nonce_is_404_and_a_missing_one_is_named() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    backend.get("/v1/clients/handshake_payload?nonce=x").await.assert_refused(404, "resource_not_found");
    backend.get("/v1/clients/handshake_payload").await.assert_refused(422, "form_param_missing");
}

#[tokio::test]
async fn a_session_closed_before_redemption_gets_no_token() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let nonce = nonce(&alice).await;
    app.backend().post(&format!("/v1/sessions/{}/revoke", alice.session()), json!({})).await.assert_ok();
    let lines = directives(&app, &nonce).await;
    assert_eq!(value(&lines, "__client_uat"), "0");
    assert_eq!(value(&lines, "__session"), "");
}

#[tokio::test]
async fn redeeming_is_no_activity() {
    let app = TestApp::new().inactivity(minutes(1)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let nonce = nonce(&alice).await;
    app.clock.advance(seconds(59));
    directives(&app, &nonce).await;
    app.clock.advance(seconds(1));
    let session = app.backend().get(&format!("/v1/sessions/{}", alice.session())).await;
    assert_eq!(session.json()["status"], "abandoned");
}

#[tokio::test]
async fn a_production_handshake_is_secure_and_shares_client_uat() {
    let app = TestApp::new().production().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let answer = alice.handshake("https://app.example.com/").await;
    let lines = directives(&app, answer.set_cookie("__clerk_handshake_nonce").expect("a nonce")).await;
    assert!(lines.iter().all(|line| line.contains("; Secure")), "{lines:?}");
    let uat = lines.iter().find(|line| line.starts_with("__client_uat=")).expect("a line");
    assert!(uat.contains("; Domain=example.com;"), "{uat}");
    let session = lines.iter().find(|line| line.starts_with("__session=")).expect("a line");
    assert!(!session.contains("Domain"), "{session}");
}

#[tokio::test]
async fn a_client_is_read_by_its_id_or_by_the_value_of_its_cookie() {
    let app = TestApp::new().multi_session().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let cookie = alice.client_cookie().expect("a cookie");
    let verified = app.backend().post("/v1/clients/verify", json!({"token": cookie})).await;
    verified.assert_ok();
    let id = verified.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(verified.json()["session_ids"], json!([alice.session()]));
    let read = app.backend().get(&format!("/v1/clients/{id}")).await.json();
    assert_eq!(read, verified.json());
    for token in ["x", "client_x.y", &format!("{id}.wrong"), &cookie[1..], &cookie.replace(".1", ".x")] {
        let refused = app.backend().post("/v1/clients/verify", json!({"token": token})).await;
        refused.assert_refused(400, "invalid_client_token");
    }
    app.backend().get("/v1/clients/unknown").await.assert_refused(404, "resource_not_found");
    assert_eq!(app.backend().get("/v1/clients").await.status(), 410);
}
