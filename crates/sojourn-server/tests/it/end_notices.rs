//! The browser that held a session is told how it ended, and nobody else.

use serde_json::{Value, json};
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, START, TestApp, minutes, seconds};

/// Every door that is shut to a session that is over.
async fn refusals(browser: &FakeBrowser, session: &str) -> [Answer; 6] {
    [
        browser.token(session).await,
        browser.touch(session).await,
        browser.session_object(session).await,
        browser.sign_out(session).await,
        browser.post(&format!("/v1/client/sessions/{session}/end"), &[]).await,
        browser.get(&format!("/v1/me?_clerk_session_id={session}")).await,
    ]
}

/// The refusal without its trace id and fresh tokens, which differ each time.
fn without_chance(refused: &Answer) -> Value {
    refused.assert_refused(401, "authentication_invalid");
    let mut body = refused.json();
    body["clerk_trace_id"].take();
    for session in body["meta"]["client"]["sessions"].as_array_mut().into_iter().flatten() {
        session["last_active_token"].take();
    }
    body
}

/// Sends with this client cookie, whatever the jar holds; the answer is not kept.
async fn token_with(browser: &FakeBrowser, cookie: &str, session: &str) -> Answer {
    let line = format!("{}={cookie}", browser.client_cookie_name());
    let path = format!("/v1/client/sessions/{session}/tokens");
    browser.request("POST", &path).header("cookie", &line).send().await
}

async fn revoke(app: &TestApp, session: &str) {
    app.backend().post(&format!("/v1/sessions/{session}/revoke"), json!({})).await.assert_ok();
}

#[tokio::test]
async fn a_refusal_tells_the_browser_how_its_session_ended() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    app.clock.advance(minutes(45));
    for refused in refusals(&alice, &session).await {
        let body = without_chance(&refused);
        let told = json!({
            "object": "session_end",
            "session_id": session,
            "status": "abandoned",
            "reason": "inactivity_timeout",
            "ended_at": START + minutes(30),
            "message": "You were signed out after 30 minutes without activity.",
        });
        assert_eq!(body["meta"]["session_end"], told, "{refused}");
        assert_eq!(body["meta"]["client"]["object"], "client", "{refused}");
        assert_eq!(body["errors"][0]["meta"], json!({}), "{refused}");
    }
}

#[tokio::test]
async fn foreign_and_unknown_sessions_are_refused_alike_and_without_an_end() {
    let app = TestApp::new().start().await;
    let ended = app.signed_in("bob@example.com").await.session();
    revoke(&app, &ended).await;
    let open = app.signed_in("carol@example.com").await.session();
    let alice = app.signed_in("alice@example.com").await;
    let unknown = "sess_0ujtsYcgvSTl8PAuAdqWYSMnLOv";
    let stranger = app.browser();
    for browser in [&alice, &stranger] {
        let expected = refusals(browser, unknown).await;
        for foreign in [&ended, &open] {
            for (refused, expected) in refusals(browser, foreign).await.iter().zip(&expected) {
                assert_eq!(without_chance(refused), without_chance(expected));
                assert!(!refused.text().contains("session_end"), "{refused}");
            }
        }
    }
}

#[tokio::test]
async fn the_secret_before_the_last_learns_only_of_sessions_from_before_it_was_replaced() {
    let app = TestApp::new().multi_session().start().await;
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    let (alice, old) = (browser.session(), browser.client_cookie().expect("a cookie"));
    app.clock.advance(seconds(1));
    let bob = browser.sign_in("bob@example.com", PASSWORD).await.session_id();
    revoke(&app, &alice).await;
    revoke(&app, &bob).await;
    let told = token_with(&browser, &old, &alice).await;
    assert_eq!(without_chance(&told)["meta"]["session_end"]["reason"], "revoked_by_backend");
    let hidden = token_with(&browser, &old, &bob).await;
    assert!(!hidden.text().contains("session_end"), "{hidden}");
    app.clock.advance(seconds(30));
    let late = token_with(&browser, &old, &alice).await;
    assert!(!late.text().contains("session_end"), "{late}");
    let forged = format!("{}x", &old[..old.len() - 1]);
    assert!(!token_with(&browser, &forged, &alice).await.text().contains("session_end"));
}

#[tokio::test]
async fn a_session_in_its_last_second_is_refused_without_an_end_because_it_has_none_yet() {
    let app = TestApp::new().maximum(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(10) - std::time::Duration::from_millis(500));
    let refused = alice.token(&alice.session()).await;
    refused.assert_refused(401, "authentication_invalid");
    assert!(!refused.text().contains("session_end"), "{refused}");
}
