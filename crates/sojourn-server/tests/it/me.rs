//! The account page: what `<UserProfile/>` does to the account of its user.

use serde_json::{Value, json};
use sojourn_core::session::EndReason;
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp, WRONG_PASSWORD, minutes, seconds};

const ADDRESSES: &str = "/v1/me/email_addresses";
const NEW_PASSWORD: &str = "an entirely different passphrase";

async fn add(browser: &FakeBrowser, email: &str) -> String {
    browser.post(&format!("{ADDRESSES}/"), &[("email_address", email)]).await.assert_ok().id()
}

async fn prepare(browser: &FakeBrowser, id: &str) -> Answer {
    let path = format!("{ADDRESSES}/{id}/prepare_verification");
    browser.post(&path, &[("strategy", "email_code")]).await
}

async fn attempt(browser: &FakeBrowser, id: &str, code: &str) -> Answer {
    browser.post(&format!("{ADDRESSES}/{id}/attempt_verification"), &[("code", code)]).await
}

/// Adds an address and proves it by the code that was mailed.
async fn add_proved(app: &TestApp, browser: &FakeBrowser, email: &str) -> String {
    let id = add(browser, email).await;
    prepare(browser, &id).await.assert_ok();
    attempt(browser, &id, &app.mailed_code(email).await).await.assert_ok();
    id
}

async fn remove(browser: &FakeBrowser, id: &str) -> Answer {
    browser.post_as("DELETE", &format!("{ADDRESSES}/{id}"), &[]).await
}

async fn make_primary(browser: &FakeBrowser, id: &str) -> Answer {
    browser.post_as("PATCH", "/v1/me", &[("primary_email_address_id", id)]).await
}

fn primary(answer: &Answer) -> String {
    answer.response()["primary_email_address_id"].as_str().expect("an id").to_owned()
}

/// Six digits that are not the code.
fn another_than(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

#[tokio::test]
async fn an_address_is_added_verified_and_made_primary() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let added = alice.post(&format!("{ADDRESSES}/"), &[("email_address", " New@Example.com ")]).await;
    let address = added.assert_ok().response();
    assert_eq!(address["object"], "email_address");
    assert_eq!(address["email_address"], "new@example.com");
    assert_eq!(address["verification"]["status"], "unverified");
    let shown = &added.client()["sessions"][0]["user"]["email_addresses"];
    assert_eq!(shown.as_array().map(Vec::len), Some(2), "the client that comes along knows it");

    let id = added.id();
    let sent = prepare(&alice, &id).await;
    assert!(sent.assert_ok().response()["verification"]["expire_at"].is_i64());
    let proved = attempt(&alice, &id, &app.mailed_code("new@example.com").await).await;
    assert_eq!(proved.assert_ok().response()["verification"]["status"], "verified");

    let old = primary(&alice.get("/v1/me").await);
    assert_eq!(primary(&make_primary(&alice, &id).await), id);
    let removed = remove(&alice, &old).await;
    assert_eq!(removed.response(), json!({"object": "email_address", "id": old, "deleted": true}));
    let listed = alice.get(ADDRESSES).await;
    assert_eq!(listed.json()["client"], Value::Null);
    assert_eq!(listed.response().as_array().map(Vec::len), Some(1));
    assert_eq!(alice.get(&format!("{ADDRESSES}/{id}")).await.id(), id);
    alice.get(&format!("{ADDRESSES}/{old}")).await.assert_refused(404, "resource_not_found");

    let elsewhere = app.browser();
    elsewhere.sign_in("alice@example.com", PASSWORD).await.assert_refused(422, "form_identifier_not_found");
    elsewhere.sign_in("new@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn an_unverified_address_identifies_and_blocks_nobody() {
    let app = TestApp::new().start().await;
    let eve = app.signed_in("eve@example.com").await;
    let id = add(&eve, "bob@example.com").await;
    prepare(&eve, &id).await.assert_ok();
    let code = app.mailed_code("bob@example.com").await;
    let browser = app.browser();
    let unknown = browser.post("/v1/client/sign_ins", &[("identifier", "bob@example.com")]).await;
    unknown.assert_refused(422, "form_identifier_not_found");
    make_primary(&eve, &id).await.assert_refused(422, "form_param_value_invalid");

    // The newest mail is the one just sent.
    app.clock.advance(seconds(1));
    let bob = app.browser();
    let begun = bob.sign_up("bob@example.com", PASSWORD).await;
    let path = format!("/v1/client/sign_ups/{}", begun.assert_ok().id());
    let strategy = ("strategy", "email_code");
    bob.post(&format!("{path}/prepare_verification"), &[strategy]).await.assert_ok();
    let own = app.mailed_code("bob@example.com").await;
    let done = bob.post(&format!("{path}/attempt_verification"), &[strategy, ("code", &own)]).await;
    assert_eq!(done.assert_ok().response()["status"], "complete");

    // Even the right code comes too late for Eve, and she is sent no more.
    attempt(&eve, &id, &code).await.assert_refused(422, "form_identifier_exists");
    prepare(&eve, &id).await.assert_refused(422, "form_identifier_exists");
    let again = app.browser();
    again.sign_in("bob@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn an_address_of_somebody_or_of_oneself_is_not_added() {
    let app = TestApp::new().start().await;
    app.user("bob@example.com").await;
    let alice = app.signed_in("alice@example.com").await;
    add(&alice, "new@example.com").await;
    for email in ["bob@example.com", "alice@example.com", "NEW@example.com"] {
        let refused = alice.post(ADDRESSES, &[("email_address", email)]).await;
        refused.assert_refused(422, "form_identifier_exists");
    }
    let refused = alice.post(ADDRESSES, &[("email_address", "new@example.com\r\nBcc: x@y.z")]).await;
    refused.assert_refused(422, "form_param_format_invalid");
    alice.post(ADDRESSES, &[]).await.assert_refused(422, "form_param_missing");
}

#[tokio::test]
async fn an_account_holds_ten_addresses() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    for n in 2..=10 {
        add(&alice, &format!("alice{n}@example.com")).await;
    }
    let refused = alice.post(ADDRESSES, &[("email_address", "alice11@example.com")]).await;
    refused.assert_refused(422, "form_param_value_invalid");
}

#[tokio::test]
async fn the_primary_address_stays() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let old = primary(&alice.get("/v1/me").await);
    remove(&alice, &old).await.assert_refused(422, "identification_deletion_failed");
    add_proved(&app, &alice, "new@example.com").await;
    remove(&alice, &old).await.assert_refused(422, "identification_deletion_failed");
}

#[tokio::test]
async fn aut_08_a_code_for_an_address_has_all_limits_of_codes() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let id = add(&alice, "new@example.com").await;
    attempt(&alice, &id, "123456").await.assert_refused(422, "verification_missing");
    prepare(&alice, &id).await.assert_ok();
    let first = app.mailed_code("new@example.com").await;
    app.clock.advance(minutes(10));
    attempt(&alice, &id, &first).await.assert_refused(422, "verification_expired");

    prepare(&alice, &id).await.assert_ok();
    let second = app.mailed_code("new@example.com").await;
    let phone = app.signed_in("alice@example.com").await;
    attempt(&phone, &id, &second).await.assert_refused(422, "form_code_incorrect");
    for _ in 0..4 {
        attempt(&alice, &id, another_than(&second)).await.assert_refused(422, "form_code_incorrect");
    }
    attempt(&alice, &id, &second).await.assert_refused(422, "verification_failed");

    app.clock.advance(seconds(1));
    prepare(&alice, &id).await.assert_ok();
    let third = app.mailed_code("new@example.com").await;
    attempt(&alice, &id, &third).await.assert_ok();
    attempt(&alice, &id, &third).await.assert_refused(400, "verification_already_verified");
    prepare(&alice, &id).await.assert_refused(400, "verification_already_verified");
}

#[tokio::test]
async fn whoever_guesses_codes_of_addresses_is_locked_out() {
    let app = TestApp::new().start().await;
    let eve = app.signed_in("eve@example.com").await;
    for round in 0..2 {
        // A new address is no fresh start.
        let email = format!("bob{round}@example.com");
        let id = add(&eve, &email).await;
        prepare(&eve, &id).await.assert_ok();
        let wrong = another_than(&app.mailed_code(&email).await);
        for _ in 0..5 {
            attempt(&eve, &id, wrong).await.assert_refused(422, "form_code_incorrect");
        }
    }
    let id = add(&eve, "bob@example.com").await;
    prepare(&eve, &id).await.assert_ok();
    let code = app.mailed_code("bob@example.com").await;
    attempt(&eve, &id, &code).await.assert_refused(403, "user_locked");
}

#[tokio::test]
async fn a_test_address_is_proved_by_424242_and_gets_no_mail() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let id = add(&alice, "new+clerk_test@example.com").await;
    prepare(&alice, &id).await.assert_ok();
    attempt(&alice, &id, "424242").await.assert_ok();
    let mails = app.backend().get("/dev/mailbox?to=new%2Bclerk_test%40example.com").await.json();
    assert_eq!(mails["data"], json!([]));
}

#[tokio::test]
async fn nobody_touches_the_addresses_of_another_account() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let id = add_proved(&app, &alice, "new@example.com").await;
    let eve = app.signed_in("eve@example.com").await;
    for answer in [
        eve.get(&format!("{ADDRESSES}/{id}")).await,
        prepare(&eve, &id).await,
        attempt(&eve, &id, "424242").await,
        remove(&eve, &id).await,
        remove(&eve, "nonsense").await,
    ] {
        answer.assert_refused(404, "resource_not_found");
    }
    make_primary(&eve, &id).await.assert_refused(422, "form_resource_not_found");
}

#[tokio::test]
async fn a_code_for_an_address_that_was_removed_opens_nothing() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let mut id = add_proved(&app, &alice, "old@example.com").await;
    for strategy in ["email_code", "reset_password_email_code"] {
        let strategy = ("strategy", strategy);
        let thief = app.browser();
        let begun = thief.post("/v1/client/sign_ins", &[("identifier", "old@example.com")]).await;
        let path = format!("/v1/client/sign_ins/{}", begun.assert_ok().id());
        app.clock.advance(seconds(1));
        thief.post(&format!("{path}/prepare_first_factor"), &[strategy]).await.assert_ok();
        let code = app.mailed_code("old@example.com").await;
        app.clock.advance(seconds(1));
        remove(&alice, &id).await.assert_ok();
        let answered =
            thief.post(&format!("{path}/attempt_first_factor"), &[strategy, ("code", &code)]).await;
        assert_ne!(answered.response()["status"], "complete");
        let reset = thief.post(&format!("{path}/reset_password"), &[("password", NEW_PASSWORD)]).await;
        reset.assert_refused(422, "sign_in_step_invalid");
        assert!(thief.client().await.session_ids().is_empty(), "{strategy:?}");
        id = add_proved(&app, &alice, "old@example.com").await;
    }
    let elsewhere = app.browser();
    elsewhere.sign_in("alice@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn auz_05_users_write_only_names_and_unsafe_metadata() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let fields = [
        ("first_name", "Augusta"),
        ("last_name", ""),
        ("unsafe_metadata", r#"{"theme":{"dark":true,"size":2}}"#),
        ("public_metadata", r#"{"role":"admin"}"#),
        ("banned", "true"),
    ];
    let send = async |path: &str, fields: &[(&str, &str)]| {
        alice.send(alice.request("PATCH", path).form(fields).beyond_the_document()).await
    };
    let changed = send("/v1/me", &fields).await.response();
    assert_eq!(changed["first_name"], "Augusta");
    assert_eq!(changed["public_metadata"], json!({}));
    assert_eq!(changed["banned"], false);
    let patch = [("unsafe_metadata", r#"{"theme":{"dark":null},"lang":"en"}"#), ("first_name", "Eve")];
    let merged = send("/v1/me/metadata", &patch).await;
    assert_eq!(merged.response()["unsafe_metadata"], json!({"theme": {"size": 2}, "lang": "en"}));
    assert_eq!(merged.response()["first_name"], "Augusta");
    assert_eq!(merged.client()["sessions"][0]["user"]["unsafe_metadata"]["lang"], "en");
}

#[tokio::test]
async fn unsafe_metadata_does_not_grow_without_end() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let patch = |key: &str| json!({key: "x".repeat(5_000)}).to_string();
    let (first, second) = (patch("a"), patch("b"));
    alice.post_as("PATCH", "/v1/me/metadata", &[("unsafe_metadata", &first)]).await.assert_ok();
    let more = alice.post_as("PATCH", "/v1/me/metadata", &[("unsafe_metadata", &second)]).await;
    more.assert_refused(422, "form_param_exceeds_allowed_size");
    let me = alice.get("/v1/me").await.response();
    assert_eq!(me["unsafe_metadata"]["b"], Value::Null);
}

#[tokio::test]
async fn ses_06_a_deleted_account_is_gone_with_all_its_sessions() {
    let app = TestApp::new().start().await;
    let laptop = app.signed_in("alice@example.com").await;
    let phone = app.signed_in("alice@example.com").await;
    let environment = laptop.get("/v1/environment").await.json();
    assert_eq!(environment["user_settings"]["actions"]["delete_self"], true);
    let me = laptop.get("/v1/me").await.response();
    assert_eq!(me["delete_self_enabled"], true);

    let gone = laptop.post_as("DELETE", "/v1/me", &[]).await;
    assert_eq!(gone.assert_ok().response(), json!({"object": "user", "id": me["id"], "deleted": true}));
    assert!(gone.session_ids().is_empty() && gone.client().is_object());
    assert_eq!(laptop.client_uat().as_deref(), Some("0"));
    for browser in [&laptop, &phone] {
        browser.token(&browser.session()).await.assert_refused(401, "authentication_invalid");
        let stored = app.stored_session(&browser.session()).await;
        assert_eq!(stored.closed.map(|closing| closing.reason), Some(EndReason::UserDeleted));
    }
    laptop.get("/v1/me").await.assert_refused(401, "authentication_invalid");
    let again = app.browser();
    again.sign_in("alice@example.com", PASSWORD).await.assert_refused(422, "form_identifier_not_found");
    app.backend()
        .get(&format!("/v1/users/{}", me["id"].as_str().expect("an id")))
        .await
        .assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn s8_deleting_one_account_leaves_the_other_one_signed_in() {
    let app = TestApp::new().multi_session().start().await;
    app.user("bob@example.com").await;
    let browser = app.signed_in("alice@example.com").await;
    let alice = browser.session();
    browser.sign_in("bob@example.com", PASSWORD).await.assert_ok();
    let bob = browser.session();
    let gone = browser.post_as("DELETE", &format!("/v1/me?_clerk_session_id={alice}"), &[]).await;
    assert_eq!(gone.assert_ok().session_ids(), [bob.clone()]);
    browser.token(&bob).await.assert_ok();
    assert_ne!(browser.client_uat().as_deref(), Some("0"));
}

#[tokio::test]
async fn a_password_is_removed_and_a_code_signs_in_then() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let path = "/v1/me/remove_password";
    alice.post(path, &[]).await.assert_refused(422, "form_param_missing");
    let wrong = alice.post(path, &[("current_password", WRONG_PASSWORD)]).await;
    wrong.assert_refused(422, "form_password_incorrect");
    assert_eq!(wrong.json()["errors"][0]["meta"]["param_name"], "current_password");
    let removed = alice.post(path, &[("current_password", PASSWORD)]).await;
    assert_eq!(removed.assert_ok().response()["password_enabled"], false);
    alice.post(path, &[("current_password", PASSWORD)]).await.assert_refused(400, "no_password_set");

    let elsewhere = app.browser();
    let begun = elsewhere.post("/v1/client/sign_ins", &[("identifier", "alice@example.com")]).await;
    let factors = begun.response()["supported_first_factors"].to_string();
    assert!(!factors.contains("\"password\"") && factors.contains("email_code"), "{factors}");
    // Who has none sets one without an old one.
    let set = alice.post("/v1/me/change_password", &[("new_password", NEW_PASSWORD)]).await;
    assert_eq!(set.assert_ok().response()["password_enabled"], true);
    elsewhere.sign_in("alice@example.com", NEW_PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn the_only_way_in_is_not_removed() {
    let app = TestApp::new().verify_at_sign_up(false).start().await;
    let carol = app.browser();
    carol.sign_up("carol@example.com", PASSWORD).await.assert_ok();
    let refused = carol.post("/v1/me/remove_password", &[("current_password", PASSWORD)]).await;
    refused.assert_refused(422, "strategy_for_user_invalid");
    // The unproved address of a sign-up is proved on the account page.
    let id = primary(&carol.get("/v1/me").await);
    prepare(&carol, &id).await.assert_ok();
    attempt(&carol, &id, &app.mailed_code("carol@example.com").await).await.assert_ok();
    carol.post("/v1/me/remove_password", &[("current_password", PASSWORD)]).await.assert_ok();
}

#[tokio::test]
async fn ses_18_a_user_lists_their_sessions_without_tokens() {
    let app = TestApp::new().start().await;
    let laptop = app.signed_in("alice@example.com").await;
    let phone = app.signed_in("alice@example.com").await;
    app.signed_in("bob@example.com").await;
    let listed = laptop.get("/v1/me/sessions").await.json();
    let sessions = listed.as_array().expect("a bare array");
    let mut ids: Vec<_> = sessions.iter().filter_map(|session| session["id"].as_str()).collect();
    ids.sort_unstable();
    let mut own = [laptop.session(), phone.session()];
    own.sort_unstable();
    assert_eq!(ids, own);
    for session in sessions {
        assert_eq!(session["object"], "session");
        assert_eq!(session["user"]["first_name"], "Alice");
        assert_eq!(session["last_active_token"], Value::Null);
    }
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let connections = alice.get("/v1/me/enterprise_connections?with_organization_account_linking=true").await;
    assert_eq!(connections.assert_ok().json(), json!({"response": [], "client": null}));
    let picture = alice
        .send(
            alice
                .request("POST", "/v1/me/profile_image")
                .body("multipart/form-data; boundary=x", vec![7; 2_000_000]),
        )
        .await;
    picture.assert_refused(422, "form_param_value_invalid");
    assert!(picture.json()["errors"][0]["long_message"].as_str().expect("a text").contains("initials"));
    for path in ["phone_numbers", "external_accounts", "passkeys", "totp", "backup_codes"] {
        alice.post(&format!("/v1/me/{path}"), &[]).await.assert_refused(404, "not_offered");
    }
}

#[tokio::test]
async fn the_account_page_is_closed_to_who_is_signed_out() {
    let app = TestApp::new().start().await;
    let nobody = app.browser();
    for answer in [
        nobody.get(ADDRESSES).await,
        nobody.post(ADDRESSES, &[("email_address", "new@example.com")]).await,
        nobody.post("/v1/me/remove_password", &[]).await,
        nobody.post_as("DELETE", "/v1/me", &[]).await,
        nobody.post_as("PATCH", "/v1/me/metadata", &[]).await,
        nobody.get("/v1/me/sessions").await,
        nobody.get("/v1/me/enterprise_connections").await,
    ] {
        answer.assert_refused(401, "authentication_invalid");
    }
}

#[tokio::test]
async fn the_device_list_names_a_place_and_the_backend_none() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let devices = alice.get("/v1/me/sessions/active").await.json();
    assert_eq!(devices[0]["latest_activity"]["city"], "location unknown");
    let client = alice.client().await.response();
    assert_eq!(client["sessions"][0]["latest_activity"]["city"], "location unknown");
    let session = app.backend().get(&format!("/v1/sessions/{}", alice.session())).await.json();
    assert_eq!(session["latest_activity"].get("city"), None);
}
