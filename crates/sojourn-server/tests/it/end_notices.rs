//! The browser that held a session is told how it ended, and nobody else.

use serde_json::{Value, json};
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, START, TestApp, days, minutes, seconds};

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
async fn foreign_and_unknown_sessions_get_no_end_notice() {
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
async fn an_old_secret_learns_only_of_ends_from_its_own_time() {
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
async fn a_session_in_its_last_second_has_no_end_notice() {
    let app = TestApp::new().maximum(minutes(10)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(10) - std::time::Duration::from_millis(500));
    let refused = alice.token(&alice.session()).await;
    refused.assert_refused(401, "authentication_invalid");
    assert!(!refused.text().contains("session_end"), "{refused}");
}

/// The sentence on the page, with its marks taken out; `None` when there is none.
async fn told(browser: &FakeBrowser, path: &str) -> Option<String> {
    let page = browser.navigate(path).await;
    let text = page.assert_ok().text();
    let (_, rest) = text.split_once("id=\"ended\" role=\"status\">")?;
    let (sentence, _) = rest.split_once("</p>").expect("a whole paragraph");
    let plain = sentence.split('<').map(|part| part.rsplit('>').next().unwrap_or(part));
    Some(plain.collect())
}

#[tokio::test]
async fn the_sign_in_page_shows_why_the_session_ended() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    assert_eq!(told(&alice, "/sign-in").await, None, "she is signed in");
    app.clock.advance(minutes(45));
    let sentence = "You were signed out at 00:30 UTC after 30 minutes without activity.";
    for path in ["/sign-in", "/sign-in/choose", "/sign-in/factor-one", "/sign-in?redirect_url=x"] {
        assert_eq!(told(&alice, path).await.as_deref(), Some(sentence), "{path}");
    }
    assert_eq!(told(&alice, "/sign-up").await, None);
    let page = alice.navigate("/sign-in").await;
    assert!(page.text().contains("<time datetime=\"2026-01-01T00:30:00Z\">"), "{page}");
    app.clock.advance(days(1) - minutes(15) - seconds(1));
    let sentence = "You were signed out at 00:30 UTC on 1 January after 30 minutes without activity.";
    assert_eq!(told(&alice, "/sign-in").await.as_deref(), Some(sentence), "the day, when it is over");
    app.clock.advance(seconds(1));
    assert_eq!(told(&alice, "/sign-in").await, None, "a day later it is no news");
}

#[tokio::test]
async fn the_notice_shows_only_in_the_browser_of_the_session() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let cookie = alice.client_cookie().expect("a cookie");
    app.clock.advance(minutes(45));
    assert!(told(&alice, "/sign-in").await.is_some());
    assert_eq!(told(&app.browser(), "/sign-in").await, None, "a stranger");
    let forged = format!("{}A{}", &cookie[..40], &cookie[41..]);
    let name = alice.client_cookie_name();
    for line in
        [format!("{name}={forged}"), format!("{name}=nonsense"), format!("{name}={cookie}; {name}={forged}")]
    {
        let page = app.request("GET", "/sign-in").header("cookie", &line).send().await;
        assert!(!page.assert_ok().text().contains("id=\"ended\""), "{line}");
    }
    let line = format!("{name}={cookie}");
    let foreign = app.request("GET", "/sign-in").header("cookie", &line).header("origin", "https://evil.com");
    let page = foreign.send().await;
    assert!(!page.assert_ok().text().contains("id=\"ended\""), "a request of another site");
}

#[tokio::test]
async fn the_sign_in_page_tells_nothing_to_a_secret_that_was_replaced() {
    let app = TestApp::new().multi_session().start().await;
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    let (alice, old) = (browser.session(), browser.client_cookie().expect("a cookie"));
    app.clock.advance(seconds(1));
    // In one request: the page is asked for before the new secret was seen.
    let bob = browser.sign_in_at_once("bob@example.com", PASSWORD).await.session_id();
    revoke(&app, &alice).await;
    revoke(&app, &bob).await;
    let line = format!("{}={old}", browser.client_cookie_name());
    let page = app.request("GET", "/sign-in").header("cookie", &line).send().await;
    assert!(!page.assert_ok().text().contains("id=\"ended\""), "{page}");
    assert!(told(&browser, "/sign-in").await.is_some());
}

#[tokio::test]
async fn the_notice_goes_after_a_sign_in_or_a_sign_out() {
    let app = TestApp::new().multi_session().start().await;
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    revoke(&app, &browser.session()).await;
    assert!(told(&browser, "/sign-in").await.is_some());
    let bob = browser.sign_in("bob@example.com", PASSWORD).await.session_id();
    assert_eq!(told(&browser, "/sign-in").await, None, "Bob is signed in");
    app.clock.advance(minutes(1));
    browser.sign_out(&bob).await.assert_ok();
    assert_eq!(told(&browser, "/sign-in").await, None, "Bob left by himself");
}

#[tokio::test]
async fn every_unwanted_end_has_its_text_on_the_sign_in_page() {
    let at = "You were signed out at 00:00 UTC";
    let app = TestApp::new().maximum(days(7)).start().await;
    let user = app.user("alice@example.com").await.id;
    let alice = app.signed_in("alice@example.com").await;
    revoke(&app, &alice.session()).await;
    assert_eq!(told(&alice, "/sign-in").await, Some(format!("{at} by the application.")));

    app.clock.advance(seconds(1));
    alice.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    let elsewhere = app.signed_in("alice@example.com").await;
    elsewhere.post(&format!("/v1/me/sessions/{}/revoke", alice.session()), &[]).await.assert_ok();
    assert_eq!(told(&alice, "/sign-in").await, Some(format!("{at} from another device.")));

    app.clock.advance(seconds(1));
    alice.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    let other = json!({"password": "an entirely different passphrase", "sign_out_of_other_sessions": true});
    app.backend().patch(&format!("/v1/users/{user}"), other).await.assert_ok();
    let because = format!("{at} because the password of the account was changed.");
    assert_eq!(told(&alice, "/sign-in").await, Some(because));

    let bob = app.signed_in("bob@example.com").await;
    let id = app.user("bob@example.com").await.id;
    app.backend().post(&format!("/v1/users/{id}/ban"), json!({})).await.assert_ok();
    let because = format!("{at} because the account was banned.");
    assert_eq!(told(&bob, "/sign-in").await, Some(because));

    let carol = app.signed_in("carol@example.com").await;
    app.clock.advance(days(7));
    let because = "You were signed out at 00:00 UTC because a sign-in lasts 7 days at most.";
    assert_eq!(told(&carol, "/sign-in").await.as_deref(), Some(because));

    carol.sign_in("carol@example.com", PASSWORD).await.assert_ok();
    app.clock.advance(minutes(10));
    let tighter = json!({"maximum_lifetime": {"duration_seconds": 60}});
    app.backend().patch("/v1/instance/session_settings", tighter).await.assert_ok();
    let because =
        "You were signed out at 00:10 UTC because the time that people stay signed in was shortened.";
    assert_eq!(told(&carol, "/sign-in").await.as_deref(), Some(because));
}

#[tokio::test]
async fn deleting_the_own_account_leaves_no_notice() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    alice.post_as("DELETE", "/v1/me", &[]).await.assert_ok();
    assert_eq!(told(&alice, "/sign-in").await, None);
    let bob = app.signed_in("bob@example.com").await;
    let id = app.user("bob@example.com").await.id;
    app.backend().delete(&format!("/v1/users/{id}")).await.assert_ok();
    let because = "You were signed out at 00:00 UTC because the account was deleted.";
    assert_eq!(told(&bob, "/sign-in").await.as_deref(), Some(because));
}
