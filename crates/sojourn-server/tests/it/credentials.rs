//! What may be a password and what an address (AUT-01, AUT-16), and what
//! proving one proves.

use serde_json::json;
use sojourn_testkit::{FakeBrowser, TestApp};

#[tokio::test]
async fn aut_01_a_password_has_8_to_72_significant_characters() {
    let app = TestApp::new().verify_at_sign_up(false).start().await;
    // Four bytes each: far beyond the 72 bytes that some hashes look at.
    let long = "🔑".repeat(71);
    let accepted = [
        "aaaaaaaa".to_owned(),
        "12345678".to_owned(),
        "        ".to_owned(),
        "correct horse battery staple and the whole stable of them".to_owned(),
        "ÄÖÜäöüßé".to_owned(),
        format!("{long}A"),
    ];
    for (n, password) in accepted.iter().enumerate() {
        let email = format!("user{n}@example.com");
        app.browser().sign_up(&email, password).await.assert_ok();
        app.browser().sign_in(&email, password).await.assert_ok();
        let shorter: String = password.chars().take(password.chars().count() - 1).collect();
        for other in [shorter, format!("{password} ")] {
            app.browser().sign_in(&email, &other).await.assert_refused(422, "form_password_incorrect");
        }
    }
    let last = format!("user{}@example.com", accepted.len() - 1);
    app.browser().sign_in(&last, &format!("{long}B")).await.assert_refused(422, "form_password_incorrect");
    for (password, code) in [
        ("1234567".to_owned(), "form_password_length_too_short"),
        ("ÄÖÜäöüß".to_owned(), "form_password_length_too_short"),
        ("a".repeat(73), "form_password_length_too_long"),
    ] {
        app.browser().sign_up("new@example.com", &password).await.assert_refused(422, code);
    }
}

#[tokio::test]
async fn aut_01_a_letter_typed_in_two_ways_is_one_password() {
    let app = TestApp::new().verify_at_sign_up(false).start().await;
    app.browser().sign_up("ada@example.com", "caf\u{e9} au lait").await.assert_ok();
    app.browser().sign_in("ada@example.com", "cafe\u{301} au lait").await.assert_ok();
}

#[tokio::test]
async fn aut_16_a_domain_in_two_spellings_is_one_address() {
    let (unicode, ascii, password) =
        ("ada@Bücher.example", "ada@xn--bcher-kva.example", "a brand new password");
    for (typed, other) in [(unicode, ascii), (ascii, unicode)] {
        let app = TestApp::new().verify_at_sign_up(false).start().await;
        app.browser().sign_up(typed, password).await.assert_ok();
        let taken = app.browser().sign_up(other, password).await;
        taken.assert_refused(422, "form_identifier_exists");
        app.browser().sign_in(other, password).await.assert_ok();
        let created = app
            .backend()
            .post("/v1/users", json!({"email_address": [other], "skip_password_requirement": true}))
            .await;
        created.assert_refused(422, "form_identifier_exists");
        let query: String = url::form_urlencoded::byte_serialize(other.as_bytes()).collect();
        let found = app.backend().get(&format!("/v1/users?email_address={query}")).await.json();
        let shown = &found[0]["email_addresses"][0]["email_address"];
        assert_eq!(*shown, typed.to_lowercase(), "it shows as it was typed: {found}");
        // An address of one's own, a second time.
        let ada = app.browser();
        ada.sign_in(other, password).await.assert_ok();
        let again = ada.post("/v1/me/email_addresses", &[("email_address", other)]).await;
        assert_eq!(again.status(), 422, "{again}");
    }
}

#[tokio::test]
async fn aut_16_an_address_is_normalised_and_only_then_judged() {
    let app = TestApp::new().verify_at_sign_up(false).start().await;
    app.browser().sign_up(" \u{ff21}da@Example.COM ", "a brand new password").await.assert_ok();
    for same in
        ["ada@example.com", "ADA@EXAMPLE.COM", "\u{ff41}da\u{ff20}example.com", "ada@example\u{ff0e}com"]
    {
        let taken = app.browser().sign_up(same, "a brand new password").await;
        taken.assert_refused(422, "form_identifier_exists");
        app.browser().sign_in(same, "a brand new password").await.assert_ok();
    }
    for none in [
        "ada@eve@example.com",
        "ada@eve\u{ff20}example.com",
        "ada@example.com\r\nbcc: eve@example.com",
        "ada\n@example.com",
        "ada\u{ff0c}eve@example.com",
        "\u{ff1c}ada@example.com\u{ff1e}",
        "ada@example",
    ] {
        let refused = app.browser().sign_up(none, "a brand new password").await;
        refused.assert_refused(422, "form_param_format_invalid");
    }
}

async fn verified(browser: &FakeBrowser) -> bool {
    let me = browser.get("/v1/me").await.response();
    me["email_addresses"][0]["verification"]["status"] == "verified"
}

#[tokio::test]
async fn the_first_correct_code_verifies_the_primary_address() {
    let code = ("strategy", "email_code");
    let reset = ("strategy", "reset_password_email_code");
    for strategy in [code, reset] {
        let app = TestApp::new().verify_at_sign_up(false).start().await;
        let (email, password) = ("ada@example.com", "a brand new password");
        app.browser().sign_up(email, password).await.assert_ok();
        let by_password = app.browser();
        by_password.sign_in(email, password).await.assert_ok();
        assert!(!verified(&by_password).await, "a password proves no address");

        let browser = app.browser();
        let begun = browser.post("/v1/client/sign_ins", &[("identifier", email)]).await;
        let attempt = format!("/v1/client/sign_ins/{}", begun.id());
        browser.post(&format!("{attempt}/prepare_first_factor"), &[strategy]).await.assert_ok();
        let answer = app.mailed_code(email).await;
        let fields = [strategy, ("code", answer.as_str())];
        let mut done = browser.post(&format!("{attempt}/attempt_first_factor"), &fields).await;
        if strategy == reset {
            assert!(!verified(&by_password).await, "not before the sign-in is complete");
            done =
                browser.post(&format!("{attempt}/reset_password"), &[("password", "another password")]).await;
        }
        assert_eq!(done.assert_ok().response()["status"], "complete");
        browser.show(&done);
        assert!(verified(&browser).await);
    }
}
