//! Answers that never arrived (D18): whoever proves a factor again with the cookie
//! from before is signed in at once, and the cookie alone gives nothing.

use sojourn_core::session::{ClosedStatus, Session};
use sojourn_store::{Engine as _, SessionFilter, StoredStatus};
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp, WRONG_PASSWORD, seconds};

const ALICE: &str = "alice@example.com";

/// What the server did, and the browser never heard of.
async fn lost(app: &TestApp, browser: &FakeBrowser, path: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = browser.request("POST", path).form(fields).send().await;
    answer.assert_ok();
    app.clock.advance(seconds(1));
    answer
}

async fn sessions(app: &TestApp, stored: StoredStatus) -> Vec<Session> {
    let filter = SessionFilter { stored: Some(stored), limit: 100, ..SessionFilter::default() };
    app.store().sessions(app.server().instance_id(), filter).await.expect("a store that answers").0
}

/// The answer signs in, in the one open session; what was lost ended in its favour.
async fn assert_in(app: &TestApp, browser: &FakeBrowser, lost: &Answer, answer: &Answer) {
    assert_eq!(answer.assert_ok().response()["status"], "complete");
    let (orphan, session) = (lost.session_id(), answer.session_id());
    assert_ne!(orphan, session);
    browser.token(&session).await.assert_ok();
    browser.token(&orphan).await.assert_refused(401, "authentication_invalid");
    let open: Vec<_> =
        sessions(app, StoredStatus::Open).await.iter().map(|open| open.id.to_string()).collect();
    assert_eq!(open, [session]);
    let replaced = sessions(app, StoredStatus::Closed(ClosedStatus::Replaced)).await;
    assert_eq!(replaced.iter().map(|ended| ended.id.to_string()).collect::<Vec<_>>(), [orphan]);
}

async fn begun(browser: &FakeBrowser, email: &str) -> String {
    let begun = browser.post("/v1/client/sign_ins", &[("identifier", email)]).await;
    format!("/v1/client/sign_ins/{}", begun.assert_ok().id())
}

const BY_PASSWORD: [(&str, &str); 2] = [("strategy", "password"), ("password", PASSWORD)];

/// Alice proved her password, and the answer was lost; with her attempt.
async fn lost_password(app: &TestApp) -> (FakeBrowser, String, Answer) {
    app.user(ALICE).await;
    let browser = app.browser();
    let attempt = begun(&browser, ALICE).await;
    let answer = lost(app, &browser, &format!("{attempt}/attempt_first_factor"), &BY_PASSWORD).await;
    (browser, attempt, answer)
}

#[tokio::test]
async fn d18_the_same_password_attempt_again_signs_in() {
    let app = TestApp::new().start().await;
    let (browser, attempt, lost) = lost_password(&app).await;
    let again = browser.post(&format!("{attempt}/attempt_first_factor"), &BY_PASSWORD).await;
    assert_in(&app, &browser, &lost, &again).await;
}

#[tokio::test]
async fn d18_a_new_password_attempt_signs_in() {
    let app = TestApp::new().start().await;
    let (browser, _, lost) = lost_password(&app).await;
    let again = browser.sign_in(ALICE, PASSWORD).await;
    assert_in(&app, &browser, &lost, &again).await;

    let app = TestApp::new().start().await;
    let (browser, _, lost) = lost_password(&app).await;
    let again = browser.sign_in_at_once(ALICE, PASSWORD).await;
    assert_in(&app, &browser, &lost, &again).await;
}

#[tokio::test]
async fn d18_where_accounts_hide_a_repeat_signs_in_as_well() {
    let app = TestApp::new().hiding_accounts().start().await;
    let (browser, attempt, lost) = lost_password(&app).await;
    let again = browser.post(&format!("{attempt}/attempt_first_factor"), &BY_PASSWORD).await;
    assert_in(&app, &browser, &lost, &again).await;
}

#[tokio::test]
async fn d18_after_three_lost_answers_the_user_can_still_sign_in() {
    let app = TestApp::new().start().await;
    let (browser, _, _) = lost_password(&app).await;
    let fields = [("identifier", ALICE), ("password", PASSWORD)];
    for _ in 0..2 {
        lost(&app, &browser, "/v1/client/sign_ins", &fields).await;
        app.clock.advance(seconds(20));
    }
    let session = browser.sign_in_at_once(ALICE, PASSWORD).await.session_id();
    browser.token(&session).await.assert_ok();
    assert_eq!(sessions(&app, StoredStatus::Open).await.len(), 1);
    assert_eq!(sessions(&app, StoredStatus::Closed(ClosedStatus::Replaced)).await.len(), 3);
}

#[tokio::test]
async fn d18_an_attempt_begun_in_the_grace_may_take_longer() {
    let app = TestApp::new().start().await;
    let (browser, _, lost) = lost_password(&app).await;
    app.clock.advance(seconds(20));
    let attempt = begun(&browser, ALICE).await;
    app.clock.advance(seconds(40));
    let again = browser.post(&format!("{attempt}/attempt_first_factor"), &BY_PASSWORD).await;
    assert_in(&app, &browser, &lost, &again).await;
}

#[tokio::test]
async fn d18_other_accounts_of_the_browser_stay() {
    let app = TestApp::new().multi_session().start().await;
    let browser = app.signed_in("bob@example.com").await;
    let bob = browser.session();
    app.clock.advance(seconds(5));
    app.user(ALICE).await;
    let fields = [("identifier", ALICE), ("password", PASSWORD)];
    let orphan = lost(&app, &browser, "/v1/client/sign_ins", &fields).await.session_id();
    let alice = browser.sign_in_at_once(ALICE, PASSWORD).await.session_id();
    assert_eq!(browser.client().await.session_ids(), [bob.as_str(), alice.as_str()]);
    browser.token(&bob).await.assert_ok();
    browser.token(&orphan).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn d18_the_same_code_again_signs_in() {
    let app = TestApp::new().start().await;
    app.user(ALICE).await;
    let browser = app.browser();
    let attempt = begun(&browser, ALICE).await;
    let strategy = ("strategy", "email_code");
    browser.post(&format!("{attempt}/prepare_first_factor"), &[strategy]).await.assert_ok();
    let code = app.mailed_code(ALICE).await;
    let (path, fields) = (format!("{attempt}/attempt_first_factor"), [strategy, ("code", code.as_str())]);
    let lost = lost(&app, &browser, &path, &fields).await;
    let wrong = browser.post(&path, &[strategy, ("code", "000000")]).await;
    wrong.assert_refused(422, "form_code_incorrect");
    let again = browser.post(&path, &fields).await;
    assert_in(&app, &browser, &lost, &again).await;
    let third = browser.post(&path, &fields).await;
    third.assert_refused(422, "sign_in_step_invalid");
}

#[tokio::test]
async fn d18_the_same_ticket_again_signs_in() {
    for path in ["/v1/client/sign_ins", "/v1/client/sign_ups"] {
        let app = TestApp::new().start().await;
        app.user(ALICE).await;
        let browser = app.browser();
        browser.post("/v1/client", &[]).await.assert_ok();
        let ticket = app.ticket(ALICE, seconds(600)).await;
        let fields = [("strategy", "ticket"), ("ticket", ticket.as_str())];
        let lost = lost(&app, &browser, path, &fields).await;
        let elsewhere = app.browser().post(path, &fields).await;
        elsewhere.assert_refused(400, "sign_in_token_already_used_code");
        let again = browser.post(path, &fields).await;
        assert_in(&app, &browser, &lost, &again).await;
        app.clock.advance(seconds(1));
        browser.sign_out_all().await.assert_ok();
        app.clock.advance(seconds(1));
        browser.post(path, &fields).await.assert_refused(400, "sign_in_token_already_used_code");
    }
}

#[tokio::test]
async fn d18_the_same_new_password_again_signs_in() {
    let app = TestApp::new().start().await;
    app.user(ALICE).await;
    let browser = app.browser();
    let attempt = begun(&browser, ALICE).await;
    let strategy = ("strategy", "reset_password_email_code");
    browser.post(&format!("{attempt}/prepare_first_factor"), &[strategy]).await.assert_ok();
    let code = app.mailed_code(ALICE).await;
    let (path, fields) = (format!("{attempt}/attempt_first_factor"), [strategy, ("code", code.as_str())]);
    // The answer to the code is lost first, then the answer to the password.
    lost(&app, &browser, &path, &fields).await;
    let proved = browser.post(&path, &fields).await;
    assert_eq!(proved.assert_ok().response()["status"], "needs_new_password");
    let (path, fields) = (format!("{attempt}/reset_password"), [("password", "a brand new password")]);
    let lost = lost(&app, &browser, &path, &fields).await;
    let other = browser.post(&path, &[("password", "another new password")]).await;
    other.assert_refused(422, "form_password_incorrect");
    let again = browser.post(&path, &fields).await;
    assert_in(&app, &browser, &lost, &again).await;
}

#[tokio::test]
async fn d18_the_same_sign_up_again_signs_in() {
    let (email, password) = ("new@example.com", "a brand new password");
    let fields = [("email_address", email), ("password", password)];
    let path = "/v1/client/sign_ups";

    let app = TestApp::new().verify_at_sign_up(false).start().await;
    let browser = app.browser();
    browser.post("/v1/client", &[]).await.assert_ok();
    let unheard = lost(&app, &browser, path, &fields).await;
    let other = browser.post(path, &[("email_address", email), ("password", "not the password")]).await;
    other.assert_refused(422, "form_password_incorrect");
    app.browser().post(path, &fields).await.assert_refused(422, "form_identifier_exists");
    let again = browser.post(path, &fields).await;
    assert_in(&app, &browser, &unheard, &again).await;

    let app = TestApp::new().verify_at_sign_up(true).start().await;
    let browser = app.browser();
    let attempt = format!("{path}/{}", browser.post(path, &fields).await.assert_ok().id());
    let strategy = ("strategy", "email_code");
    browser.post(&format!("{attempt}/prepare_verification"), &[strategy]).await.assert_ok();
    let code = app.mailed_code(email).await;
    let path = format!("{attempt}/attempt_verification");
    let fields = [strategy, ("code", code.as_str())];
    let unheard = lost(&app, &browser, &path, &fields).await;
    browser.post(&path, &[strategy, ("code", "000000")]).await.assert_refused(422, "form_code_incorrect");
    let again = browser.post(&path, &fields).await;
    assert_in(&app, &browser, &unheard, &again).await;
}

#[tokio::test]
async fn d18_after_a_lost_sign_out_any_account_may_sign_in() {
    let app = TestApp::new().start().await;
    app.user("bob@example.com").await;
    let browser = app.signed_in(ALICE).await;
    app.clock.advance(seconds(1));
    let old = browser.session();
    browser.token(&old).await.assert_ok();
    app.clock.advance(seconds(1));
    let gone = browser.request("DELETE", "/v1/client/sessions").send().await;
    gone.assert_ok();
    app.clock.advance(seconds(1));
    let bob = browser.sign_in("bob@example.com", PASSWORD).await;
    browser.token(&bob.assert_ok().session_id()).await.assert_ok();
    browser.token(&old).await.assert_refused(401, "authentication_invalid");
    assert_eq!(sessions(&app, StoredStatus::Open).await.len(), 1);
}

#[tokio::test]
async fn d18_the_old_cookie_alone_ends_and_starts_no_session() {
    let app = TestApp::new().start().await;
    let (thief, attempt, answer) = lost_password(&app).await;
    app.user("eve@example.com").await;
    let orphan = answer.session_id();
    // It reads and refreshes nothing of the session it never heard of …
    assert!(thief.client().await.assert_ok().session_ids().is_empty());
    thief.token(&orphan).await.assert_refused(401, "authentication_invalid");
    // … proves nothing by guessing …
    let guess = [("strategy", "password"), ("password", WRONG_PASSWORD)];
    let guessed = thief.post(&format!("{attempt}/attempt_first_factor"), &guess).await;
    guessed.assert_refused(422, "form_password_incorrect");
    thief.sign_in_at_once(ALICE, WRONG_PASSWORD).await.assert_refused(422, "form_password_incorrect");
    // … and an account of its own neither ends the session nor gets into the browser.
    let own = thief.sign_in_at_once("eve@example.com", PASSWORD).await;
    own.assert_refused(401, "authentication_invalid");
    assert_eq!(own.set_cookies(), Vec::<&str>::new());
    let open = sessions(&app, StoredStatus::Open).await;
    assert_eq!(open.iter().map(|open| open.id.to_string()).collect::<Vec<_>>(), [orphan]);
}

#[tokio::test]
async fn d18_nothing_is_repeated_once_the_answer_arrived() {
    let app = TestApp::new().start().await;
    app.user(ALICE).await;
    let browser = app.browser();
    let attempt = begun(&browser, ALICE).await;
    let name = browser.client_cookie_name().to_owned();
    let old = browser.client_cookie().expect("a cookie");
    let path = format!("{attempt}/attempt_first_factor");
    let session = browser.post(&path, &BY_PASSWORD).await.assert_ok().session_id();
    app.clock.advance(seconds(1));
    browser.token(&session).await.assert_ok();
    app.clock.advance(seconds(1));
    for (path, fields) in [
        (path.as_str(), BY_PASSWORD.as_slice()),
        ("/v1/client/sign_ins", &[("identifier", ALICE), ("password", PASSWORD)]),
        ("/v1/client/sign_ins", &[("identifier", ALICE)]),
    ] {
        let request = browser.request("POST", path).header("cookie", &format!("{name}={old}")).form(fields);
        request.send().await.assert_refused(401, "authentication_invalid");
    }
    browser.token(&session).await.assert_ok();
}

#[tokio::test]
async fn d18_a_request_under_way_at_the_rotation_repeats_nothing() {
    let app = TestApp::new().start().await;
    app.user(ALICE).await;
    let browser = app.browser();
    let attempt = begun(&browser, ALICE).await;
    let path = format!("{attempt}/attempt_first_factor");
    let second = browser.request("POST", &path).form(&BY_PASSWORD);
    let first = browser.post(&path, &BY_PASSWORD).await.assert_ok().session_id();
    // The clock stands still: both came at the same moment.
    let late = second.send().await;
    late.assert_refused(401, "authentication_invalid");
    browser.token(&first).await.assert_ok();
}
