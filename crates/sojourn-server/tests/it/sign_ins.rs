//! Signing in and up: codes, reset, tickets, lockout.

use serde_json::json;
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp, WRONG_PASSWORD, days, minutes, seconds};

const CODE: (&str, &str) = ("strategy", "email_code");
const RESET: (&str, &str) = ("strategy", "reset_password_email_code");

async fn begin(browser: &FakeBrowser, email: &str) -> String {
    let begun = browser.post("/v1/client/sign_ins", &[("identifier", email)]).await;
    format!("/v1/client/sign_ins/{}", begun.assert_ok().id())
}

async fn prepare(browser: &FakeBrowser, attempt: &str, strategy: (&str, &str)) -> Answer {
    browser.post(&format!("{attempt}/prepare_first_factor"), &[strategy]).await
}

async fn answer(browser: &FakeBrowser, attempt: &str, strategy: (&str, &str), code: &str) -> Answer {
    browser.post(&format!("{attempt}/attempt_first_factor"), &[strategy, ("code", code)]).await
}

#[tokio::test]
async fn an_attempt_survives_a_page_load_until_complete() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    let empty = browser.post("/v1/client/sign_ins", &[]).await;
    assert_eq!(empty.response()["status"], "needs_identifier");
    let attempt = begin(&browser, "alice@example.com").await;
    let shown = browser.client().await.client()["sign_in"].clone();
    assert_eq!(shown["status"], "needs_first_factor");
    assert_eq!(format!("/v1/client/sign_ins/{}", shown["id"].as_str().expect("id")), attempt);
    let factors: Vec<&str> = shown["supported_first_factors"]
        .as_array()
        .expect("factors")
        .iter()
        .filter_map(|f| f["strategy"].as_str())
        .collect();
    assert!(
        factors.contains(&"password")
            && factors.contains(&"email_code")
            && factors.contains(&"reset_password_email_code"),
        "{factors:?}"
    );
    assert_eq!(shown["first_factor_verification"]["error"], json!(null));
    let done = browser
        .post(&format!("{attempt}/attempt_first_factor"), &[("strategy", "password"), ("password", PASSWORD)])
        .await;
    assert_eq!(done.response()["status"], "complete");
    assert_eq!(done.session_ids(), [done.session_id()], "the session is in the client that comes along");
    assert_eq!(done.client()["sign_in"], json!(null));
    assert_eq!(browser.client().await.client()["sign_in"], json!(null));
}

#[tokio::test]
async fn a_completed_attempt_completes_nothing_again() {
    let app = TestApp::new().multi_session().start().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    let attempt = begin(&browser, "alice@example.com").await;
    let password = [("strategy", "password"), ("password", PASSWORD)];
    let path = format!("{attempt}/attempt_first_factor");
    let session = browser.post(&path, &password).await.assert_ok().session_id();
    browser.sign_out(&session).await.assert_ok();
    assert_eq!(browser.post(&path, &password).await.status(), 422);
    assert_eq!(prepare(&browser, &attempt, CODE).await.status(), 422);
    assert_eq!(
        browser
            .post(&format!("{attempt}/reset_password"), &[("password", "another fine password")])
            .await
            .status(),
        422
    );
}

#[tokio::test]
async fn an_attempt_older_than_an_hour_leads_nowhere() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    let attempt = begin(&browser, "alice@example.com").await;
    app.clock.advance(minutes(60));
    let late = browser
        .post(&format!("{attempt}/attempt_first_factor"), &[("strategy", "password"), ("password", PASSWORD)])
        .await;
    late.assert_refused(422, "sign_in_step_invalid");
    assert_eq!(prepare(&browser, &attempt, CODE).await.status(), 422);
    assert!(browser.client().await.session_ids().is_empty());
}

#[tokio::test]
async fn aut_08_a_code_signs_in_once() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    let attempt = begin(&browser, "alice@example.com").await;
    prepare(&browser, &attempt, CODE).await.assert_ok();
    let code = app.mailed_code("alice@example.com").await;
    assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
    let done = answer(&browser, &attempt, CODE, &code).await;
    let session = done.assert_ok().session_id();
    browser.sign_out(&session).await.assert_ok();
    assert_eq!(answer(&browser, &attempt, CODE, &code).await.status(), 422);
}

#[tokio::test]
async fn aut_08_a_code_has_its_time_attempts_and_successor() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    let attempt = begin(&browser, "alice@example.com").await;
    answer(&browser, &attempt, CODE, "123456").await.assert_refused(422, "verification_missing");
    prepare(&browser, &attempt, CODE).await.assert_ok();
    let first = app.mailed_code("alice@example.com").await;
    app.clock.advance(minutes(10));
    answer(&browser, &attempt, CODE, &first).await.assert_refused(422, "verification_expired");
    prepare(&browser, &attempt, CODE).await.assert_ok();
    answer(&browser, &attempt, CODE, &first).await.assert_refused(422, "form_code_incorrect");
    let second = app.mailed_code("alice@example.com").await;
    for _ in 0..4 {
        answer(&browser, &attempt, CODE, "not-it").await.assert_refused(422, "form_code_incorrect");
    }
    answer(&browser, &attempt, CODE, &second).await.assert_refused(422, "verification_failed");
    app.clock.advance(seconds(1));
    prepare(&browser, &attempt, CODE).await.assert_ok();
    let third = app.mailed_code("alice@example.com").await;
    let elsewhere = app.browser();
    answer(&elsewhere, &attempt, CODE, &third).await.assert_refused(401, "authentication_invalid");
    let other = begin(&elsewhere, "alice@example.com").await;
    prepare(&elsewhere, &other, CODE).await.assert_ok();
    answer(&elsewhere, &other, CODE, &third).await.assert_refused(422, "form_code_incorrect");
    answer(&browser, &attempt, RESET, &third).await.assert_refused(422, "verification_missing");
    answer(&browser, &attempt, CODE, &third).await.assert_ok();
}

#[tokio::test]
async fn aut_09_test_addresses_work_in_development_only() {
    let app = TestApp::new().start().await;
    app.user("alice+clerk_test@example.com").await;
    app.user("bob@example.com").await;
    let browser = app.browser();
    let attempt = begin(&browser, "alice+clerk_test@example.com").await;
    prepare(&browser, &attempt, CODE).await.assert_ok();
    let done = answer(&browser, &attempt, CODE, "424242").await;
    browser.show(done.assert_ok());
    browser.sign_out(&browser.session()).await.assert_ok();
    let attempt = begin(&browser, "bob@example.com").await;
    prepare(&browser, &attempt, CODE).await.assert_ok();
    answer(&browser, &attempt, CODE, "424242").await.assert_refused(422, "form_code_incorrect");
    for app in [TestApp::new().exposed().start().await, TestApp::new().production().start().await] {
        app.user("alice+clerk_test@example.com").await;
        let browser = app.browser();
        let attempt = begin(&browser, "alice+clerk_test@example.com").await;
        prepare(&browser, &attempt, CODE).await.assert_ok();
        answer(&browser, &attempt, CODE, "424242").await.assert_refused(422, "form_code_incorrect");
    }
}

#[tokio::test]
async fn ses_16_a_reset_signs_in_and_ends_the_other_sessions() {
    let app = TestApp::new().start().await;
    let elsewhere = app.signed_in("alice@example.com").await;
    let browser = app.browser();
    let attempt = begin(&browser, "alice@example.com").await;
    let early =
        browser.post(&format!("{attempt}/reset_password"), &[("password", "a brand new password")]).await;
    early.assert_refused(422, "sign_in_step_invalid");
    prepare(&browser, &attempt, RESET).await.assert_ok();
    let code = app.mailed_code("alice@example.com").await;
    answer(&browser, &attempt, CODE, &code).await.assert_refused(422, "verification_missing");
    let proved = answer(&browser, &attempt, RESET, &code).await;
    assert_eq!(proved.assert_ok().response()["status"], "needs_new_password");
    assert!(proved.session_ids().is_empty(), "a reset code alone signs nobody in");
    let short = browser.post(&format!("{attempt}/reset_password"), &[("password", "short")]).await;
    short.assert_refused(422, "form_password_length_too_short");
    let done =
        browser.post(&format!("{attempt}/reset_password"), &[("password", "a brand new password")]).await;
    assert_eq!(done.assert_ok().response()["status"], "complete");
    elsewhere.token(&elsewhere.session()).await.assert_refused(401, "authentication_invalid");
    let closing = app.stored_session(&elsewhere.session()).await.closed.expect("closed");
    assert_eq!(closing.reason.as_str(), "password_changed");
    let other = app.browser();
    other.sign_in("alice@example.com", PASSWORD).await.assert_refused(422, "form_password_incorrect");
    other.sign_in("alice@example.com", "a brand new password").await.assert_ok();
}

#[tokio::test]
async fn ses_16_a_changed_password_ends_other_sessions_when_asked() {
    let app = TestApp::new().start().await;
    let here = app.signed_in("alice@example.com").await;
    let there = app.signed_in("alice@example.com").await;
    let wrong = here
        .post(
            "/v1/me/change_password",
            &[("current_password", WRONG_PASSWORD), ("new_password", "a brand new password")],
        )
        .await;
    wrong.assert_refused(422, "form_password_incorrect");
    assert_eq!(wrong.json()["errors"][0]["meta"]["param_name"], "current_password");
    let fields = [
        ("current_password", PASSWORD),
        ("new_password", "a brand new password"),
        ("sign_out_of_other_sessions", "true"),
    ];
    here.post("/v1/me/change_password", &fields).await.assert_ok();
    there.token(&there.session()).await.assert_refused(401, "authentication_invalid");
    here.token(&here.session()).await.assert_ok();
}

#[tokio::test]
async fn aut_10_a_ticket_signs_in_once_within_its_time() {
    let app = TestApp::new().start().await;
    let ticket = app.ticket("alice@example.com", minutes(5)).await;
    app.browser().sign_in_with_ticket(&ticket).await.assert_ok();
    app.browser().sign_in_with_ticket(&ticket).await.assert_refused(400, "sign_in_token_already_used_code");
    let late = app.ticket("alice@example.com", minutes(5)).await;
    app.clock.advance(minutes(5));
    app.browser().sign_in_with_ticket(&late).await.assert_refused(400, "ticket_expired_code");
    app.browser().sign_in_with_ticket("no-such-ticket").await.assert_refused(400, "sign_in_token_invalid");
    let banned = app.ticket("alice@example.com", minutes(5)).await;
    app.change_user("alice@example.com", |user| user.banned = true).await;
    app.browser().sign_in_with_ticket(&banned).await.assert_refused(403, "user_banned");
}

#[tokio::test]
async fn a_sign_up_without_verification_is_complete_at_once() {
    let app = TestApp::new().verify_at_sign_up(false).start().await;
    let browser = app.browser();
    let fields = [
        ("email_address", " Carol@Example.com"),
        ("password", "a brand new password"),
        ("first_name", "Carol"),
        ("unsafe_metadata", r#"{"plan":"free"}"#),
    ];
    let done = browser.post("/v1/client/sign_ups", &fields).await;
    assert_eq!(done.assert_ok().response()["status"], "complete");
    assert_eq!(done.session_ids(), [done.session_id()]);
    browser.show(&done);
    let me = browser.get("/v1/me").await.response();
    assert_eq!(me["email_addresses"][0]["email_address"], "carol@example.com");
    assert_eq!(me["unsafe_metadata"], json!({"plan": "free"}));
    let taken = app.browser().sign_up("carol@example.com", "a brand new password").await;
    taken.assert_refused(422, "form_identifier_exists");
    app.browser().sign_in("carol@example.com", "a brand new password").await.assert_ok();
}

#[tokio::test]
async fn a_sign_up_with_verification_waits_for_the_code() {
    let app = TestApp::new().start().await;
    let browser = app.browser();
    let begun = browser.sign_up("carol@example.com", "a brand new password").await;
    assert_eq!(begun.assert_ok().response()["status"], "missing_requirements");
    assert_eq!(begun.response()["unverified_fields"], json!(["email_address"]));
    assert!(begun.session_ids().is_empty());
    let attempt = format!("/v1/client/sign_ups/{}", begun.id());
    browser.post(&format!("{attempt}/prepare_verification"), &[CODE]).await.assert_ok();
    let verify = format!("{attempt}/attempt_verification");
    browser.post(&verify, &[CODE, ("code", "000000")]).await.assert_refused(422, "form_code_incorrect");
    let code = app.mailed_code("carol@example.com").await;
    app.browser().post(&verify, &[CODE, ("code", &code)]).await.assert_refused(401, "authentication_invalid");
    let done = browser.post(&verify, &[CODE, ("code", &code)]).await;
    assert_eq!(done.assert_ok().response()["status"], "complete");
    assert_eq!(done.client()["sign_up"], json!(null));
    let again = browser.post(&verify, &[CODE, ("code", &code)]).await;
    assert!(again.status() == 404 || again.status() == 422, "{again}");
    assert_eq!(browser.client().await.session_ids().len(), 1);
}

#[tokio::test]
async fn auz_05_a_browser_cannot_write_what_is_the_servers() {
    let app = TestApp::new().verify_at_sign_up(false).start().await;
    let browser = app.browser();
    let fields = [
        ("email_address", "eve@example.com"),
        ("password", "a brand new password"),
        ("id", "user_1"),
        ("public_metadata", r#"{"role":"admin"}"#),
        ("private_metadata", r#"{"role":"admin"}"#),
        ("external_id", "1"),
        ("banned", "true"),
        ("created_at", "1"),
        ("email_verified", "true"),
    ];
    let send = async |method: &str, path: &str| {
        browser.send(browser.request(method, path).form(&fields).beyond_the_document()).await
    };
    browser.show(send("POST", "/v1/client/sign_ups").await.assert_ok());
    send("PATCH", "/v1/me").await.assert_ok();
    let me = browser.get("/v1/me").await.response();
    assert_eq!(me["public_metadata"], json!({}));
    assert_eq!(me["external_id"], json!(null));
    assert_eq!(me.get("private_metadata"), None, "it never leaves the server side");
    assert_ne!(me["created_at"], 1);
    assert_eq!(me["email_addresses"][0]["verification"]["status"].as_str().unwrap_or("none"), "unverified");
}

#[tokio::test]
async fn aut_04_ten_wrong_passwords_lock_the_account() {
    let app = TestApp::new().start().await;
    let open = app.signed_in("alice@example.com").await;
    let attacker = app.browser();
    for _ in 0..10 {
        attacker
            .sign_in("alice@example.com", WRONG_PASSWORD)
            .await
            .assert_refused(422, "form_password_incorrect");
    }
    let locked = attacker.sign_in("alice@example.com", PASSWORD).await;
    locked.assert_refused(403, "user_locked");
    assert_eq!(locked.json()["errors"][0]["meta"]["lockout_expires_in_seconds"], 3600);
    app.browser().sign_in_at_once("alice@example.com", PASSWORD).await.assert_refused(403, "user_locked");
    let attempt = begin(&attacker, "alice@example.com").await;
    prepare(&attacker, &attempt, CODE).await.assert_ok();
    let code = app.mailed_code("alice@example.com").await;
    answer(&attacker, &attempt, CODE, &code).await.assert_refused(403, "user_locked");
    open.token(&open.session()).await.assert_ok();
    open.touch(&open.session()).await.assert_ok();
    app.clock.advance(minutes(60) - seconds(1));
    attacker.sign_in("alice@example.com", PASSWORD).await.assert_refused(403, "user_locked");
    app.clock.advance(seconds(1));
    attacker.sign_in("alice@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn aut_04_wrong_codes_and_wrong_passwords_count_together() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    for _ in 0..6 {
        browser
            .sign_in("alice@example.com", WRONG_PASSWORD)
            .await
            .assert_refused(422, "form_password_incorrect");
    }
    let attempt = begin(&browser, "alice@example.com").await;
    prepare(&browser, &attempt, CODE).await.assert_ok();
    for _ in 0..4 {
        answer(&browser, &attempt, CODE, "000000").await.assert_refused(422, "form_code_incorrect");
    }
    browser.sign_in("alice@example.com", PASSWORD).await.assert_refused(403, "user_locked");
}

#[tokio::test]
async fn aut_04_the_right_password_forgives_the_wrong_ones() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    for _ in 0..3 {
        for _ in 0..9 {
            browser
                .sign_in_at_once("alice@example.com", WRONG_PASSWORD)
                .await
                .assert_refused(422, "form_password_incorrect");
        }
        browser.sign_in("alice@example.com", PASSWORD).await.assert_ok();
        browser.sign_out_all().await.assert_ok();
    }
}

#[tokio::test]
async fn aut_06_the_sixth_sign_in_gets_429_with_retry_after() {
    let app = TestApp::new().rate_limits().start().await;
    let browser = app.browser();
    for _ in 0..5 {
        browser.post("/v1/client/sign_ins", &[]).await.assert_ok();
    }
    let refused = browser.post("/v1/client/sign_ins", &[]).await;
    refused.assert_refused(429, "too_many_requests");
    let wait: u64 = refused.header("retry-after").expect("told").parse().expect("whole seconds");
    assert!((1..=10).contains(&wait), "{wait}");
    browser.client().await.assert_ok();
}

#[tokio::test]
async fn refused_identifiers_have_their_error_codes() {
    let app = TestApp::new().start().await;
    app.user("banned@example.com").await;
    app.change_user("banned@example.com", |user| user.banned = true).await;
    let browser = app.browser();
    browser.sign_in("nobody@example.com", PASSWORD).await.assert_refused(422, "form_identifier_not_found");
    browser.sign_in("no address", PASSWORD).await.assert_refused(422, "form_param_format_invalid");
    browser.sign_in("banned@example.com", PASSWORD).await.assert_refused(403, "user_banned");
    browser
        .post("/v1/client/sign_ins", &[("password", PASSWORD)])
        .await
        .assert_refused(422, "form_param_missing");
    browser
        .post("/v1/client/sign_ins", &[("transfer", "true")])
        .await
        .assert_refused(422, "form_param_value_invalid");
    assert!(browser.client().await.session_ids().is_empty());
    app.clock.advance(days(1));
}
