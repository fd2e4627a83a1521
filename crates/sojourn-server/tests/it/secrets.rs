//! The client secret (SES-01…06, D10): who holds it is the browser,
//! and nobody else.

use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp, minutes, seconds};

const UNKNOWN: &str = "sess_0ujtsYcgvSTl8PAuAdqWYSMnLOv";

/// Sends with this client cookie, whatever the jar holds; the answer is not kept.
async fn with_cookie(browser: &FakeBrowser, cookie: &str, method: &str, path: &str) -> Answer {
    let line = format!("{}={cookie}", browser.client_cookie_name());
    browser.request(method, path).header("cookie", &line).send().await
}

fn tokens(session: &str) -> String {
    format!("/v1/client/sessions/{session}/tokens")
}

/// The errors without the trace ids that differ each time.
fn errors(answer: &Answer) -> String {
    format!("{} {}", answer.status(), answer.json()["errors"])
}

#[tokio::test]
async fn ses_01_each_sign_in_and_sign_out_rotates_the_secret() {
    let app = TestApp::new().multi_session().start().await;
    app.user("alice@example.com").await;
    app.user("bob@example.com").await;
    let browser = app.browser();
    browser.post("/v1/client/sign_ins", &[]).await.assert_ok();
    let mut seen = vec![browser.client_cookie().expect("a cookie")];
    let alice = browser.sign_in("alice@example.com", PASSWORD).await.session_id();
    seen.push(browser.client_cookie().expect("a cookie"));
    browser.sign_in_with_ticket(&app.ticket("bob@example.com", minutes(1)).await).await.assert_ok();
    seen.push(browser.client_cookie().expect("a cookie"));
    browser.sign_out(&alice).await.assert_ok();
    seen.push(browser.client_cookie().expect("a cookie"));
    browser.sign_out_all().await.assert_ok();
    seen.push(browser.client_cookie().expect("a cookie"));
    let ids: Vec<&str> = seen.iter().filter_map(|cookie| cookie.split('.').next()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "one client: {ids:?}");
    let mut secrets: Vec<&str> = seen.iter().filter_map(|cookie| cookie.split('.').nth(1)).collect();
    assert!(secrets.iter().all(|secret| secret.len() == 43), "SES-05: 256 bits");
    secrets.sort_unstable();
    secrets.dedup();
    assert_eq!(secrets.len(), 5, "SES-01, SES-02: a secret of its own after each");
}

#[tokio::test]
async fn ses_01_a_fixated_secret_never_gets_the_session() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let victim = app.browser();
    let attacker = app.browser();
    attacker.post("/v1/client/sign_ins", &[]).await.assert_ok();
    let planted = attacker.client_cookie().expect("a cookie");
    victim.jar().plant(
        &"http://localhost:4000/".parse().expect("URL"),
        victim.client_cookie_name(),
        &planted,
    );
    let session = victim.sign_in("alice@example.com", PASSWORD).await.session_id();
    for (method, path) in [
        ("POST", tokens(&session)),
        ("GET", format!("/v1/client/sessions/{session}")),
        ("GET", "/v1/me".to_owned()),
        ("POST", format!("/v1/client/sessions/{session}/touch")),
    ] {
        let refused = with_cookie(&attacker, &planted, method, &path).await;
        refused.assert_refused(401, "authentication_invalid");
        assert!(!refused.text().contains(&session), "{refused}");
    }
    let read = with_cookie(&attacker, &planted, "GET", "/v1/client").await;
    assert!(!read.assert_ok().text().contains(&session), "{read}");
    assert_eq!(victim.client().await.session_ids(), [session]);
}

#[tokio::test]
async fn ses_03_a_client_id_we_did_not_issue_is_never_adopted() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let secret = "A".repeat(43);
    let chosen = format!("client_0ujtsYcgvSTl8PAuAdqWYSMnLOv.{secret}");
    let browser = app.browser();
    browser.jar().plant(
        &"http://localhost:4000/".parse().expect("URL"),
        browser.client_cookie_name(),
        &chosen,
    );
    let done = browser.sign_in_at_once("alice@example.com", PASSWORD).await;
    assert_ne!(done.assert_ok().client()["id"], "client_0ujtsYcgvSTl8PAuAdqWYSMnLOv");
    assert!(!browser.client_cookie().expect("a cookie").contains(&secret));
    let made = app.request("POST", "/v1/client").origin(Some("http://localhost:3000"));
    let made = made.header("cookie", &format!("{}={chosen}", browser.client_cookie_name())).send().await;
    assert_ne!(made.assert_ok().client()["id"], "client_0ujtsYcgvSTl8PAuAdqWYSMnLOv");
}

#[tokio::test]
async fn ses_03_get_client_is_200_for_every_garbage_and_forgets_it() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    // While answers may be on their way, an unknown secret is answered without cookies.
    app.clock.advance(minutes(1));
    let real = alice.client_cookie().expect("a cookie");
    let (id, secret) = real.split_once('.').expect("two parts");
    let flipped = if secret.starts_with('A') { 'B' } else { 'A' };
    for garbage in [
        "",
        "x",
        ".",
        "..",
        "null",
        "undefined",
        id,
        secret,
        &format!("{id}."),
        &format!(".{secret}"),
        &format!("{id}.{flipped}{}", &secret[1..]),
        &format!("{id}.{secret}x"),
        &format!("{id}.{}", &secret[1..]),
        &format!("{id}.{secret}.x"),
        &format!(" {real}x"),
        &format!("\"{real}\""),
        &real.to_uppercase(),
        &format!("client_0ujtsYcgvSTl8PAuAdqWYSMnLOv.{secret}"),
        &"A".repeat(9000),
        "%00",
        "eyJhbGciOiJub25lIn0.e30.",
        "' OR 1=1 --",
    ] {
        let answer = with_cookie(&alice, garbage, "GET", "/v1/client").await;
        assert_eq!(answer.status(), 200, "{garbage}: {answer}");
        assert!(answer.response().is_null(), "{garbage}: {answer}");
        assert_eq!(answer.set_cookie("__client_uat"), Some("0"), "{garbage}");
        assert_eq!(answer.set_cookie(alice.client_cookie_name()), Some(""), "{garbage}");
        with_cookie(&alice, garbage, "POST", &tokens(&alice.session()))
            .await
            .assert_refused(401, "authentication_invalid");
    }
    alice.token(&alice.session()).await.assert_ok();
}

#[tokio::test]
async fn cok_02_two_different_client_cookies_authenticate_nothing() {
    let app = TestApp::new().multi_session().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let eve = app.signed_in("eve@example.com").await;
    let name = alice.client_cookie_name();
    let (real, other) = (alice.client_cookie().expect("a"), eve.client_cookie().expect("b"));
    for line in [
        format!("{name}={real}; {name}={other}"),
        format!("{name}={other}; {name}={real}"),
        format!("{name}={real}; {name}="),
    ] {
        let request = alice.request("POST", &tokens(&alice.session())).header("cookie", &line);
        request.send().await.assert_refused(401, "authentication_invalid");
        let read = alice.request("GET", "/v1/client").header("cookie", &line).send().await;
        assert!(read.assert_ok().response().is_null());
    }
    let split = alice.request("POST", &tokens(&alice.session())).header("cookie", &format!("{name}={real}"));
    split
        .another_header("cookie", format!("{name}={other}").as_bytes())
        .send()
        .await
        .assert_refused(401, "authentication_invalid");
    let same = alice
        .request("POST", &tokens(&alice.session()))
        .header("cookie", &format!("{name}={real}; {name}={real}"));
    same.send().await.assert_ok();
}

#[tokio::test]
async fn ses_04_identity_comes_from_the_cookie_and_from_nothing_else() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let value = alice.client_cookie().expect("a cookie");
    let path = tokens(&alice.session());
    let bare = || app.request("POST", &path).origin(Some("http://localhost:3000"));
    for request in [
        bare().header("authorization", &value),
        bare().header("authorization", &format!("Bearer {value}")),
        bare().header("x-client", &value),
        bare().form(&[("__client", &value), (alice.client_cookie_name(), &value)]),
        bare().header("cookie", &format!("__client={value}")),
        app.request("POST", &format!("{path}?__clerk_db_jwt={value}&_is_native=1"))
            .origin(Some("http://localhost:3000")),
        bare().header("cookie", &format!("__session={}", alice.token(&alice.session()).await.jwt())),
    ] {
        request.send().await.assert_refused(401, "authentication_invalid");
    }
}

#[tokio::test]
async fn auz_01_a_foreign_session_is_refused_like_an_unknown_one() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let eve = app.signed_in("eve@example.com").await;
    for end in ["tokens", "touch", "end", "remove"] {
        let foreign = eve.post(&format!("/v1/client/sessions/{}/{end}", alice.session()), &[]).await;
        let unknown = eve.post(&format!("/v1/client/sessions/{UNKNOWN}/{end}"), &[]).await;
        foreign.assert_refused(401, "authentication_invalid");
        assert_eq!(errors(&foreign), errors(&unknown));
        assert_eq!(foreign.session_ids(), [eve.session()], "the client comes along, and only the own one");
        let mangled = eve.post(&format!("/v1/client/sessions/sess_x/{end}"), &[]).await;
        assert_eq!(errors(&mangled), errors(&unknown));
    }
    let foreign = eve.session_object(&alice.session()).await;
    assert_eq!(errors(&foreign), errors(&eve.session_object(UNKNOWN).await));
    alice.token(&alice.session()).await.assert_ok();
}

#[tokio::test]
async fn auz_01_a_foreign_attempt_is_refused_like_an_unknown_one() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let (alice, eve) = (app.browser(), app.browser());
    let sign_in = alice.post("/v1/client/sign_ins", &[("identifier", "alice@example.com")]).await.id();
    let sign_up = alice.sign_up("new@example.com", PASSWORD).await.id();
    eve.post("/v1/client/sign_ins", &[]).await.assert_ok();
    let password = [("strategy", "password"), ("password", PASSWORD)];
    for (kind, own, unknown) in [
        ("sign_ins", &sign_in, "sia_0ujtsYcgvSTl8PAuAdqWYSMnLOv"),
        ("sign_ups", &sign_up, "sua_0ujtsYcgvSTl8PAuAdqWYSMnLOv"),
    ] {
        let foreign = eve.get(&format!("/v1/client/{kind}/{own}")).await;
        foreign.assert_refused(404, "resource_not_found");
        assert_eq!(errors(&foreign), errors(&eve.get(&format!("/v1/client/{kind}/{unknown}")).await));
        assert_eq!(errors(&foreign), errors(&eve.get(&format!("/v1/client/{kind}/x")).await));
        let end = if kind == "sign_ins" { "attempt_first_factor" } else { "attempt_verification" };
        let fields: &[(&str, &str)] =
            if kind == "sign_ins" { &password } else { &[("strategy", "email_code"), ("code", "1")] };
        let foreign = eve.post(&format!("/v1/client/{kind}/{own}/{end}"), fields).await;
        let unknown = eve.post(&format!("/v1/client/{kind}/{unknown}/{end}"), fields).await;
        assert_eq!(errors(&foreign), errors(&unknown));
        foreign.assert_refused(404, "resource_not_found");
    }
    assert!(eve.client().await.session_ids().is_empty());
}

/// Alice signed in, and Bob after her; with the secret from before Bob.
async fn rotated(app: &TestApp) -> (FakeBrowser, String, String, String) {
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    let alice = browser.session();
    app.clock.advance(minutes(1));
    let old = browser.client_cookie().expect("a cookie");
    let bob = browser.sign_in_at_once("bob@example.com", PASSWORD).await.session_id();
    (browser, old, alice, bob)
}

#[tokio::test]
async fn d10_the_old_secret_still_reads_and_refreshes() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, old, alice, bob) = rotated(&app).await;
    let read = with_cookie(&browser, &old, "GET", "/v1/client").await;
    assert_eq!(read.assert_ok().session_ids(), [alice.as_str()]);
    assert!(!read.text().contains(&bob), "what came after is hidden");
    with_cookie(&browser, &old, "POST", &tokens(&alice)).await.assert_ok();
    with_cookie(&browser, &old, "POST", &tokens(&bob)).await.assert_refused(401, "authentication_invalid");
    for path in [
        format!("/v1/client/sessions/{alice}/touch"),
        format!("/v1/client/sessions/{alice}/remove"),
        format!("/v1/client/sessions/{alice}/end"),
        "/v1/client/sessions?_method=DELETE".to_owned(),
        "/v1/client?_method=DELETE".to_owned(),
        "/v1/me?_method=PATCH&first_name=Eve".to_owned(),
        "/v1/client/sign_ins".to_owned(),
        "/v1/client/sign_ups".to_owned(),
        "/v1/client".to_owned(),
    ] {
        let refused = with_cookie(&browser, &old, "POST", &path).await;
        assert_eq!(refused.status(), 401, "{refused}");
    }
    assert_eq!(browser.client().await.session_ids(), [alice, bob]);
}

#[tokio::test]
async fn d10_an_answer_to_a_known_predecessor_never_sets_a_cookie() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, old, alice, bob) = rotated(&app).await;
    let asked = [
        ("GET", "/v1/client".to_owned()),
        ("POST", tokens(&alice)),
        ("POST", tokens(&bob)),
        ("POST", format!("/v1/client/sessions/{alice}/remove")),
        ("POST", "/v1/client/sessions?_method=DELETE".to_owned()),
        ("POST", "/v1/client?_method=DELETE".to_owned()),
        ("POST", "/v1/client/sign_ins".to_owned()),
        ("POST", "/v1/client".to_owned()),
        ("GET", "/v1/me".to_owned()),
        ("GET", "/v1/client/touch?redirect_url=http%3A%2F%2Flocalhost%3A3000%2F".to_owned()),
    ];
    for (method, path) in &asked {
        let answer = with_cookie(&browser, &old, method, path).await;
        assert_eq!(answer.set_cookies(), Vec::<&str>::new(), "{answer}");
    }
    let handshake = with_cookie(
        &browser,
        &old,
        "GET",
        "/v1/client/handshake?redirect_url=http%3A%2F%2Flocalhost%3A3000%2F",
    )
    .await;
    assert!(
        handshake.set_cookies().iter().all(|line| line.starts_with("__clerk_handshake_nonce=")),
        "{handshake}"
    );
    browser.token(&bob).await.assert_ok();
}

#[tokio::test]
async fn d10_the_old_secret_is_good_for_thirty_seconds_at_most() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, old, alice, _) = rotated(&app).await;
    app.clock.advance(seconds(30) - std::time::Duration::from_millis(1));
    with_cookie(&browser, &old, "POST", &tokens(&alice)).await.assert_ok();
    app.clock.advance(std::time::Duration::from_millis(1));
    with_cookie(&browser, &old, "POST", &tokens(&alice)).await.assert_refused(401, "authentication_invalid");
    let read = with_cookie(&browser, &old, "GET", "/v1/client").await;
    assert!(read.assert_ok().response().is_null());
    assert_eq!(read.set_cookies(), Vec::<&str>::new(), "it would wipe the new one");
}

#[tokio::test]
async fn d10_the_old_secret_is_good_until_the_new_one_is_seen() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, old, alice, bob) = rotated(&app).await;
    with_cookie(&browser, &old, "POST", &tokens(&alice)).await.assert_ok();
    browser.token(&bob).await.assert_ok();
    with_cookie(&browser, &old, "POST", &tokens(&alice)).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn ses_02_after_a_sign_out_the_old_secret_gets_nothing() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let old = alice.client_cookie().expect("a cookie");
    alice.sign_out_all().await.assert_ok();
    with_cookie(&alice, &old, "POST", &tokens(&alice.session()))
        .await
        .assert_refused(401, "authentication_invalid");
    assert!(with_cookie(&alice, &old, "GET", "/v1/client").await.assert_ok().session_ids().is_empty());
}

#[tokio::test]
async fn a_browser_that_never_got_its_new_secret_can_sign_in_again() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.post("/v1/client/sign_ins", &[]).await.assert_ok();
    let old = browser.client_cookie().expect("a cookie");
    browser.sign_in_at_once("alice@example.com", PASSWORD).await.assert_ok();
    browser.jar().plant(&"http://localhost:4000/".parse().expect("URL"), browser.client_cookie_name(), &old);
    app.clock.advance(seconds(31));
    assert!(browser.client().await.assert_ok().response().is_null());
    browser.sign_in("alice@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn ses_06_a_banned_or_deleted_account_gets_no_token() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let id = app.user("alice@example.com").await.id.to_string();
    let banned = app.backend().post(&format!("/v1/users/{id}/ban"), serde_json::json!({})).await;
    banned.assert_ok();
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
    assert_eq!(alice.client_uat().as_deref(), Some("0"));
    let bob = app.signed_in("bob@example.com").await;
    let id = app.user("bob@example.com").await.id.to_string();
    app.backend().delete(&format!("/v1/users/{id}")).await.assert_ok();
    bob.token(&bob.session()).await.assert_refused(401, "authentication_invalid");
    assert!(bob.client().await.session_ids().is_empty());
}
