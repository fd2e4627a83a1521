//! What a browser keeps (S7), line by line, and what it is told of itself.

use insta::assert_snapshot;
use sojourn_testkit::{PASSWORD, TestApp, days, minutes, seconds};

/// Cookie lines with the one secret in them shortened.
fn lines(answer: &sojourn_testkit::Answer) -> String {
    let short = |line: &&str| match line.split_once('=') {
        Some((name, rest))
            if name.starts_with("__client_") && !name.contains("uat") || name == "__client" =>
        {
            let (value, attributes) = rest.split_once(';').expect("attributes");
            let id = value.split_once('.').map_or(value, |(id, _)| &id[..7]);
            format!("{name}={id};{attributes}")
        }
        Some((name, rest)) if name.contains("nonce") => {
            format!("{name}=nonce;{}", rest.split_once(';').expect("attributes").1)
        }
        _ => (*line).to_owned(),
    };
    answer.set_cookies().iter().map(short).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn cok_01_each_cookie_of_a_sign_in_over_http() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let alice = app.browser();
    let answer = alice.sign_in("alice@example.com", PASSWORD).await;
    assert_snapshot!(lines(&answer), @"
    __client_uat=1767225600; Path=/; Max-Age=34560000; SameSite=Lax
    __client_uat_R1alB82B=1767225600; Path=/; Max-Age=34560000; SameSite=Lax
    __client_R1alB82B=client_; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax
    ");
    assert!(
        alice
            .jar()
            .seen_by_scripts(&"http://localhost:4000".parse().expect("URL"), app.clock.now())
            .iter()
            .all(|(name, _)| name.starts_with("__client_uat"))
    );
}

#[tokio::test]
async fn cok_01_the_production_cookie_is_secure_and_host_only() {
    let app = TestApp::new().production().start().await;
    app.user("alice@example.com").await;
    let alice = app.browser();
    let answer = alice.sign_in("alice@example.com", PASSWORD).await;
    assert_snapshot!(lines(&answer), @"
    __client_uat=1767225600; Path=/; Domain=example.com; Max-Age=34560000; Secure; SameSite=Lax
    __client_uat_naoXFJnI=1767225600; Path=/; Domain=example.com; Max-Age=34560000; Secure; SameSite=Lax
    __client=client_; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax
    ");
}

#[tokio::test]
async fn cok_05_applications_see_only_client_uat_in_production() {
    let app = TestApp::new().production().start().await;
    app.user("alice@example.com").await;
    let alice = app.browser();
    alice.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    let page = "https://app.example.com/".parse().expect("URL");
    let seen = |now| {
        let names: Vec<_> =
            alice.jar().seen_by_scripts(&page, now).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            alice.jar().header(&page, None, now).map_or(0, |line| line.split("; ").count()),
            names.len()
        );
        names
    };
    assert_eq!(seen(app.clock.now()), ["__client_uat", "__client_uat_naoXFJnI"]);
    alice.handshake("https://app.example.com/").await;
    assert!(
        seen(app.clock.now()).contains(&"__clerk_handshake_nonce".to_owned()),
        "the nonce reaches the application"
    );
    alice.sign_out_all().await.assert_ok();
    let uat = |name: &str| alice.jar().get(&page, name, app.clock.now()).map(|cookie| cookie.value.clone());
    assert_eq!(uat("__client_uat").as_deref(), Some("0"));
    alice.jar().plant(&"https://clerk.example.com/".parse().expect("URL"), "__client", "garbage");
    alice.client().await.assert_ok();
    assert_eq!(uat("__client_uat").as_deref(), Some("0"));
}

#[tokio::test]
async fn cok_01_each_cookie_of_sign_out_expiry_and_garbage() {
    let app = TestApp::new().inactivity(minutes(5)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let out = alice.sign_out_all().await;
    alice.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    app.clock.advance(minutes(5));
    let expired = alice.token(&alice.session()).await;
    let garbage = app
        .request("GET", "/v1/client")
        .header("cookie", &format!("{}=garbage", alice.client_cookie_name()))
        .send()
        .await;
    assert_snapshot!(lines(&out), @"
    __client_uat=0; Path=/; Max-Age=34560000; SameSite=Lax
    __client_uat_R1alB82B=0; Path=/; Max-Age=34560000; SameSite=Lax
    __client_R1alB82B=client_; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax
    ");
    // The secret stays as it is, so only what is not true any more is sent.
    assert_snapshot!(lines(&expired), @"
    __client_uat=0; Path=/; Max-Age=34560000; SameSite=Lax
    __client_uat_R1alB82B=0; Path=/; Max-Age=34560000; SameSite=Lax
    ");
    assert_snapshot!(lines(&garbage), @"
    __client_uat=0; Path=/; Max-Age=34560000; SameSite=Lax
    __client_uat_R1alB82B=0; Path=/; Max-Age=34560000; SameSite=Lax
    __client_R1alB82B=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax
    ");
}

#[tokio::test]
async fn cok_01_a_handshake_carries_a_nonce_for_a_minute() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let back = alice.handshake("http://localhost:3000/page?a=1").await;
    assert_eq!((back.status(), back.location()), (307, Some("http://localhost:3000/page?a=1")));
    assert_snapshot!(lines(&back), @"__clerk_handshake_nonce=nonce; Path=/; Max-Age=60; SameSite=Lax");
}

#[tokio::test]
async fn a_cookie_is_sent_again_when_it_is_a_day_old_and_not_before() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    // An answer that is late cannot put back what it does not carry.
    assert_eq!(alice.client().await.set_cookies(), Vec::<&str>::new());
    assert_eq!(alice.token(&alice.session()).await.set_cookies(), Vec::<&str>::new());
    let before = alice.client_cookie().expect("a cookie");
    app.clock.advance(days(1));
    let renewed = alice.token(&alice.session()).await;
    assert_eq!(lines(&renewed).lines().count(), 3, "{renewed}");
    let after = alice.client_cookie().expect("a cookie");
    assert_eq!(before.rsplit_once('.').map(|(kept, _)| kept), after.rsplit_once('.').map(|(kept, _)| kept));
    assert_ne!(before, after);
}

#[tokio::test]
async fn a_cookie_of_another_application_hides_nothing_of_ours() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let cookie = format!("{}={}", alice.client_cookie_name(), alice.client_cookie().expect("a cookie"));
    let both = [b"x=\xc3\xa9; \xff=\xfe; ".as_slice(), cookie.as_bytes()].concat();
    let header = axum::http::HeaderValue::from_bytes(&both).expect("a header");
    let request = axum::http::Request::get("/v1/client").header("host", "localhost").header("cookie", header);
    let request = request.body(axum::body::Body::empty()).expect("a request");
    let answer = tower::ServiceExt::oneshot(app.router(), request).await.expect("answered");
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["response"]["sessions"][0]["id"], alice.session().as_str());
}

#[tokio::test]
async fn cok_03_cookies_last_400_days_and_each_visit_renews_them() {
    let app = TestApp::new().maximum(days(3650)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    for _ in 0..3 {
        app.clock.advance(days(300));
        let answer = alice.client().await;
        assert_eq!(answer.session_ids(), [alice.session()]);
        for line in answer.set_cookies() {
            let age = line.split("Max-Age=").nth(1).and_then(|rest| rest.split(';').next()).expect("an age");
            assert!(age.parse::<u64>().expect("seconds") <= 400 * 86_400, "{line}");
        }
    }
    app.clock.advance(days(400));
    assert_eq!(alice.client_cookie(), None);
    assert!(alice.client().await.response().is_null());
}

#[tokio::test]
async fn cok_03_cookie_expires_at_is_the_real_expiry() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(days(3));
    let told = alice.client().await.client()["cookie_expires_at"].as_i64().expect("ms");
    let url = "http://localhost:4000/".parse().expect("URL");
    let jar = alice.jar();
    let kept = jar.get(&url, alice.client_cookie_name(), app.clock.now()).expect("kept").expires_at;
    assert_eq!(Some(told), kept.map(|at| at.as_millis()));
}

#[tokio::test]
async fn s7_cleared_cookies_mean_signing_in_again() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    alice.jar().clear();
    assert!(alice.client().await.response().is_null());
    alice.token(&session).await.assert_refused(401, "authentication_invalid");
    let again = alice.sign_in("alice@example.com", PASSWORD).await;
    assert_ne!(again.session_id(), session);
}

#[tokio::test]
async fn s7_a_navigation_renews_the_cookie_and_goes_on() {
    let app = TestApp::new().maximum(days(800)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(days(395));
    let on = alice.navigate("/v1/client/touch?redirect_url=http%3A%2F%2Flocalhost%3A3000%2Fa").await;
    assert_eq!((on.status(), on.location()), (307, Some("http://localhost:3000/a")));
    app.clock.advance(days(300));
    assert_eq!(alice.client().await.session_ids(), [alice.session()]);
}

#[tokio::test]
async fn d15_client_uat_is_the_last_change_of_the_set_or_zero() {
    let app = TestApp::new().multi_session().inactivity(minutes(10)).start().await;
    let alice = app.browser();
    assert_eq!(alice.client().await.set_cookies(), Vec::<&str>::new());
    app.user("alice@example.com").await;
    app.user("bob@example.com").await;
    let now = || Some(app.clock.now().as_secs().to_string());
    alice.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    let first = alice.session();
    let signed_in = now();
    assert_eq!(alice.client_uat(), signed_in);
    app.clock.advance(seconds(40));
    alice.token(&first).await.assert_ok();
    alice.touch(&first).await.assert_ok();
    alice.client().await.assert_ok();
    assert_eq!(alice.client_uat(), signed_in, "activity changes no set");
    alice.sign_in("bob@example.com", PASSWORD).await.assert_ok();
    assert_eq!(alice.client_uat(), now());
    app.clock.advance(seconds(40));
    alice.sign_out(&alice.session()).await.assert_ok();
    assert_eq!(alice.client_uat(), now());
    app.clock.advance(minutes(10));
    let discovered = alice.token(&first).await;
    discovered.assert_refused(401, "authentication_invalid");
    assert_eq!(alice.client_uat().as_deref(), Some("0"));
    assert_eq!(discovered.client()["id"], alice.client().await.client()["id"], "the client came along");
}

#[tokio::test]
async fn d15_client_uat_is_never_later_than_its_tokens() {
    let app = TestApp::new().start().await;
    app.clock.advance(std::time::Duration::from_millis(999));
    let alice = app.signed_in("alice@example.com").await;
    let uat: i64 = alice.client_uat().expect("set").parse().expect("seconds");
    let client = alice.client().await.client();
    let jwt = client["sessions"][0]["last_active_token"]["jwt"].as_str().expect("a token").to_owned();
    assert!(app.verified(&jwt)["iat"].as_i64().expect("seconds") >= uat);
}

#[tokio::test]
async fn d15_updated_at_grows_with_every_change_on_a_frozen_clock() {
    let app = TestApp::new().multi_session().start().await;
    app.user("alice@example.com").await;
    app.user("bob@example.com").await;
    let browser = app.browser();
    let mut last = 0;
    let mut grown = |answer: &sojourn_testkit::Answer, what: &str| {
        let updated = answer.client()["updated_at"].as_i64().expect("ms");
        assert!(updated > last, "{what}: {updated} after {last}");
        last = updated;
    };
    let begun = browser.post("/v1/client/sign_ins", &[("identifier", "alice@example.com")]).await;
    grown(&begun, "an attempt");
    let path = format!("/v1/client/sign_ins/{}/attempt_first_factor", begun.id());
    let alice = browser.post(&path, &[("strategy", "password"), ("password", PASSWORD)]).await;
    grown(&alice, "a sign-in");
    let bob = browser.sign_in_at_once("bob@example.com", PASSWORD).await;
    grown(&bob, "a second sign-in");
    grown(&browser.touch(&alice.session_id()).await, "a switch");
    grown(&browser.touch(&bob.session_id()).await, "a switch back");
    grown(&browser.sign_out(&bob.session_id()).await, "a sign-out");
    grown(&browser.sign_out_all().await, "a sign-out of all");
}
