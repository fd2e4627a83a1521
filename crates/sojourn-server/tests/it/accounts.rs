//! Several accounts in one browser (S8, S9), and one account in single-session mode.

use serde_json::json;
use sojourn_testkit::{FakeBrowser, PASSWORD, TestApp, days, minutes, seconds};

/// A browser with Alice and Bob signed in, in that order, a minute apart.
async fn alice_and_bob(app: &TestApp) -> (FakeBrowser, String, String) {
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    let alice = browser.session();
    app.clock.advance(minutes(1));
    let bob = browser.sign_in("bob@example.com", PASSWORD).await.session_id();
    (browser, alice, bob)
}

fn emails(answer: &sojourn_testkit::Answer) -> Vec<String> {
    let client = answer.client();
    let sessions = client["sessions"].as_array().expect("sessions").clone();
    let email = |session: &serde_json::Value| {
        session["user"]["email_addresses"][0]["email_address"].as_str().expect("an address").to_owned()
    };
    sessions.iter().map(email).collect()
}

#[tokio::test]
async fn s8_by_default_a_second_account_is_session_exists() {
    let app = TestApp::new().start().await;
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    for refused in [
        browser.sign_in("bob@example.com", PASSWORD).await,
        browser.sign_in_at_once("bob@example.com", PASSWORD).await,
        browser.sign_in_at_once("alice@example.com", PASSWORD).await,
        browser.post("/v1/client/sign_ins", &[]).await,
        browser.sign_up("carol@example.com", PASSWORD).await,
        browser.sign_in_with_ticket(&app.ticket("bob@example.com", minutes(5)).await).await,
    ] {
        refused.assert_refused(400, "session_exists");
    }
    assert_eq!(browser.sign_in("bob@example.com", PASSWORD).await.session_ids(), [browser.session()]);
    assert_eq!(emails(&browser.client().await), ["alice@example.com"]);
}

#[tokio::test]
async fn ses_14_an_attempt_begun_before_a_sign_in_is_refused() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    app.user("bob@example.com").await;
    let browser = app.browser();
    let begun = browser.post("/v1/client/sign_ins", &[("identifier", "bob@example.com")]).await;
    let alice = browser.sign_in("alice@example.com", PASSWORD).await.session_id();
    let path = format!("/v1/client/sign_ins/{}/attempt_first_factor", begun.id());
    let late = browser.post(&path, &[("strategy", "password"), ("password", PASSWORD)]).await;
    late.assert_refused(400, "session_exists");
    assert_eq!(late.session_ids(), [alice.as_str()], "the client came along");
    assert_eq!(browser.client().await.session_ids(), [alice]);
}

#[tokio::test]
async fn s8_a_refused_ticket_can_still_be_used_elsewhere() {
    let app = TestApp::new().start().await;
    let browser = app.signed_in("alice@example.com").await;
    let ticket = app.ticket("bob@example.com", minutes(5)).await;
    browser.sign_in_with_ticket(&ticket).await.assert_refused(400, "session_exists");
    app.browser().sign_in_with_ticket(&ticket).await.assert_ok();
}

#[tokio::test]
async fn a_ticket_on_the_sign_up_page_signs_its_account_in_once() {
    let app = TestApp::new().start().await;
    let ticket = app.ticket("bob@example.com", minutes(5)).await;
    let fields = [("strategy", "ticket"), ("ticket", ticket.as_str())];
    let done = app.browser().post("/v1/client/sign_ups", &fields).await;
    assert_eq!(done.json()["response"]["status"], "complete");
    assert_eq!(emails(&done), ["bob@example.com"]);
    let again = app.browser().post("/v1/client/sign_ups", &fields).await;
    again.assert_refused(400, "sign_in_token_already_used_code");
}

#[tokio::test]
async fn s8_the_newest_of_several_accounts_is_active() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, alice, bob) = alice_and_bob(&app).await;
    let client = browser.client().await;
    assert_eq!(client.session_ids(), [alice, bob.clone()]);
    assert_eq!(client.client()["last_active_session_id"], bob.as_str());
    assert_eq!(emails(&client), ["alice@example.com", "bob@example.com"]);
    for session in client.client()["sessions"].as_array().expect("sessions") {
        let jwt = session["last_active_token"]["jwt"].as_str().expect("each has a token");
        assert_eq!(app.verified(jwt)["sid"], session["id"]);
        assert_eq!(session["status"], "active");
        assert_eq!(session["public_user_data"]["user_id"], session["user"]["id"]);
    }
}

#[tokio::test]
async fn s8_a_switch_makes_the_account_active_in_its_own_answer() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, alice, bob) = alice_and_bob(&app).await;
    let switched = browser.touch(&alice).await;
    assert_eq!(switched.id(), alice);
    assert_eq!(switched.client()["last_active_session_id"], alice.as_str());
    assert_eq!(switched.session_ids(), [alice.clone(), bob.clone()]);
    assert_eq!(browser.client().await.client()["last_active_session_id"], alice.as_str());
    browser.token(&bob).await.assert_ok();
    assert_eq!(
        browser.client().await.client()["last_active_session_id"],
        alice.as_str(),
        "a token is no switch"
    );
}

#[tokio::test]
async fn s8_a_second_sign_in_gets_the_id_of_the_open_session() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, alice, _) = alice_and_bob(&app).await;
    for refused in [
        browser.sign_in("alice@example.com", PASSWORD).await,
        browser.sign_in_at_once("ALICE@example.com ", PASSWORD).await,
        browser.sign_in_with_ticket(&app.ticket("alice@example.com", minutes(5)).await).await,
    ] {
        refused.assert_refused(400, "identifier_already_signed_in");
        assert_eq!(refused.json()["errors"][0]["meta"]["session_id"], alice.as_str());
        assert_eq!(refused.session_ids().len(), 2, "the client came along");
    }
}

#[tokio::test]
async fn s8_each_account_ends_alone() {
    let app = TestApp::new().multi_session().maximum(days(1)).start().await;
    let (browser, alice, bob) = alice_and_bob(&app).await;
    app.clock.advance(days(1) - minutes(1));
    browser.token(&alice).await.assert_refused(401, "authentication_invalid");
    browser.token(&bob).await.assert_ok();
    let client = browser.client().await;
    assert_eq!(client.session_ids(), [bob.as_str()]);
    assert_eq!(client.client()["last_active_session_id"], bob.as_str());
}

#[tokio::test]
async fn s9_signing_out_of_one_leaves_the_others_and_the_client_id() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, alice, bob) = alice_and_bob(&app).await;
    let before = browser.client().await.client();
    let out = browser.sign_out(&bob).await;
    assert_eq!((out.id(), out.response()["status"].as_str()), (bob.clone(), Some("removed")));
    assert_eq!(out.session_ids(), [alice.as_str()]);
    assert_eq!(out.client()["last_active_session_id"], alice.as_str());
    assert_eq!(out.client()["id"], before["id"]);
    browser.token(&bob).await.assert_refused(401, "authentication_invalid");
    browser.token(&alice).await.assert_ok();
    browser.sign_in("bob@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn s9_ending_one_says_ended_and_signing_out_twice_is_401() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, _, bob) = alice_and_bob(&app).await;
    let ended = browser.post(&format!("/v1/client/sessions/{bob}/end"), &[]).await;
    assert_eq!(ended.response()["status"], "ended");
    browser.sign_out(&bob).await.assert_refused(401, "authentication_invalid");
    let closing = app.stored_session(&bob).await.closed.expect("closed");
    assert_eq!((closing.status.as_str(), closing.reason.as_str()), ("ended", "signed_out"));
}

#[tokio::test]
async fn s9_signing_out_of_all_keeps_the_client_and_its_id() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, alice, bob) = alice_and_bob(&app).await;
    let before = browser.client().await.client();
    let out = browser.sign_out_all().await;
    assert_eq!(out.json()["client"], json!(null));
    assert_eq!(out.response()["id"], before["id"]);
    assert_eq!(out.response()["sessions"], json!([]));
    assert_eq!(out.response()["last_active_session_id"], json!(null));
    assert_eq!(browser.client_uat().as_deref(), Some("0"));
    for session in [alice, bob] {
        browser.token(&session).await.assert_refused(401, "authentication_invalid");
        let closing = app.stored_session(&session).await.closed.expect("closed");
        assert_eq!((closing.status.as_str(), closing.reason.as_str()), ("removed", "signed_out_everywhere"));
    }
    let again = browser.sign_in("alice@example.com", PASSWORD).await;
    assert_eq!(again.client()["id"], before["id"], "the same browser as before");
}

#[tokio::test]
async fn s9_signing_out_of_a_closed_session_keeps_the_client() {
    let app = TestApp::new().inactivity(minutes(5)).start().await;
    let browser = app.signed_in("alice@example.com").await;
    let before = browser.client().await.client();
    app.clock.advance(minutes(5));
    assert_eq!(browser.sign_out_all().await.assert_ok().response()["id"], before["id"]);
    assert_eq!(browser.client().await.client()["id"], before["id"]);
    assert_eq!(
        app.stored_session(&browser.session()).await.closed.expect("closed").status.as_str(),
        "abandoned"
    );
}

#[tokio::test]
async fn s9_signing_out_of_nothing_is_no_error() {
    let app = TestApp::new().start().await;
    let browser = app.browser();
    assert!(browser.sign_out_all().await.assert_ok().response().is_null());
}

#[tokio::test]
async fn d7_switching_multi_session_off_ends_nobody_and_admits_nobody() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, alice, bob) = alice_and_bob(&app).await;
    app.user("carol@example.com").await;
    app.clock.advance(seconds(1));
    app.change_session_settings(json!({"multi_session_enabled": false})).await;
    assert_eq!(browser.client().await.session_ids(), [alice.clone(), bob.clone()]);
    browser.token(&alice).await.assert_ok();
    browser.touch(&bob).await.assert_ok();
    browser.sign_in("carol@example.com", PASSWORD).await.assert_refused(400, "session_exists");
    browser.sign_out(&bob).await.assert_ok();
    browser.sign_in("carol@example.com", PASSWORD).await.assert_refused(400, "session_exists");
    browser.sign_out(&alice).await.assert_ok();
    browser.sign_in("carol@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn s8_the_environment_says_which_mode_it_is() {
    for (app, single) in
        [(TestApp::new().start().await, true), (TestApp::new().multi_session().start().await, false)]
    {
        let environment = app.browser().get("/v1/environment").await.json();
        assert_eq!(environment["auth_config"]["single_session_mode"], single);
    }
}

#[tokio::test]
async fn ses_15_a_browser_holds_twenty_accounts_and_no_more() {
    let app = TestApp::new().multi_session().start().await;
    let browser = app.browser();
    for n in 0..20 {
        let email = format!("user{n}@example.com");
        app.user(&email).await;
        browser.sign_in_at_once(&email, PASSWORD).await.assert_ok();
    }
    app.user("late@example.com").await;
    let refused = browser.sign_in_at_once("late@example.com", PASSWORD).await;
    refused.assert_refused(400, "client_session_limit_exceeded");
    assert_eq!(browser.client().await.session_ids().len(), 20);
}

#[tokio::test]
async fn s9_a_device_list_shows_other_browsers_and_revokes_them() {
    let app = TestApp::new().start().await;
    let laptop = app.signed_in("alice@example.com").await;
    let phone = app.signed_in("alice@example.com").await;
    let other = app.signed_in("bob@example.com").await;
    let listed = laptop.get("/v1/me/sessions/active").await.json();
    let ids: Vec<&str> =
        listed.as_array().expect("a bare array").iter().filter_map(|s| s["id"].as_str()).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&laptop.session().as_str()) && ids.contains(&phone.session().as_str()));
    let path = format!("/v1/me/sessions/{}/revoke", phone.session());
    let revoked = laptop.post(&path, &[]).await;
    assert_eq!(revoked.assert_ok().response()["status"], "revoked");
    phone.token(&phone.session()).await.assert_refused(401, "authentication_invalid");
    assert_eq!(phone.client_uat().as_deref(), Some("0"));
    laptop.token(&laptop.session()).await.assert_ok();
    let foreign = format!("/v1/me/sessions/{}/revoke", other.session());
    laptop.post(&foreign, &[]).await.assert_refused(404, "resource_not_found");
    other.token(&other.session()).await.assert_ok();
}

#[tokio::test]
async fn me_uses_the_session_of_the_tab_and_no_foreign_one() {
    let app = TestApp::new().multi_session().start().await;
    let (browser, alice, bob) = alice_and_bob(&app).await;
    for (session, first_name) in [(&alice, "Alice"), (&bob, "Bob")] {
        let me = browser.get(&format!("/v1/me?_clerk_session_id={session}")).await;
        assert_eq!(me.response()["first_name"], first_name);
    }
    let carol = app.signed_in("carol@example.com").await;
    for id in [carol.session().as_str(), "sess_0ujtsYcgvSTl8PAuAdqWYSMnLOv", "sess_", "x"] {
        browser
            .get(&format!("/v1/me?_clerk_session_id={id}"))
            .await
            .assert_refused(401, "authentication_invalid");
    }
}
