//! Strict enumeration protection (AUT-13): whoever has proved nothing compares
//! whole answers and learns nothing, at no step and for no kind of account.

use serde_json::{Value, json};
use sojourn_core::{
    email::Email,
    id::EmailAddressId,
    user::{EmailAddress, User},
};
use sojourn_store::Engine as _;
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp, WRONG_PASSWORD, seconds};

const CODE: (&str, &str) = ("strategy", "email_code");
const RESET: (&str, &str) = ("strategy", "reset_password_email_code");
const BY_PASSWORD: (&str, &str) = ("strategy", "password");

/// What would tell: codes that only an account, or only its absence, gets.
const TELLING: [&str; 6] = [
    "form_identifier_not_found",
    "form_identifier_exists",
    "user_locked",
    "user_banned",
    "strategy_for_user_invalid",
    "sign_in_step_invalid",
];

/// An answer as it can be compared: ids, secrets and the address itself masked,
/// everything else as it is, because the clock of the test stands still.
fn masked(answer: &Answer, email: &str) -> String {
    let mut lines = vec![answer.status().to_string()];
    for (name, value) in answer.headers() {
        let value = value.to_str().expect("a plain header");
        let value = match name.as_str() {
            "set-cookie" => {
                let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
                format!("{};{attributes}", pair.split('=').next().unwrap_or(""))
            }
            _ => value.to_owned(),
        };
        lines.push(format!("{name}: {value}"));
    }
    let mut body = answer.json();
    mask(&mut body, email);
    lines.push(body.to_string());
    lines.join("\n")
}

fn mask(value: &mut Value, email: &str) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, email)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if name == "clerk_trace_id" {
                    *value = "a trace id".into();
                }
                mask(value, email);
            }
        }
        Value::String(text) if text == email => "the address".clone_into(text),
        Value::String(text) => {
            if let Some((prefix, rest)) = text.rsplit_once('_')
                && rest.len() == 27
                && rest.chars().all(char::is_alphanumeric)
            {
                *text = format!("{prefix}_…");
            }
        }
        _ => {}
    }
}

/// One stranger's conversation about one address.
struct Stranger<'a> {
    browser: FakeBrowser,
    email: &'a str,
    heard: Vec<String>,
}

impl Stranger<'_> {
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let answer = self.browser.post(path, fields).await;
        self.hear(path, &answer);
        answer
    }

    async fn get(&mut self, path: &str) {
        let answer = self.browser.get(path).await;
        self.hear(path, &answer);
    }

    fn hear(&mut self, path: &str, answer: &Answer) {
        let step =
            path.rsplit('/').next().filter(|step| !step.contains('_') || step.len() < 27).unwrap_or("id");
        self.heard.push(format!("{step}\n{}", masked(answer, self.email)));
    }
}

/// Everything that can be asked about an address without proving anything.
async fn ask_everything(app: &TestApp, email: &str) -> Vec<String> {
    let mut stranger = Stranger { browser: app.browser(), email, heard: Vec::new() };
    let begun = stranger.post("/v1/client/sign_ins", &[("identifier", email)]).await;
    let attempt = format!("/v1/client/sign_ins/{}", begun.assert_ok().id());
    let factors = begun.response()["supported_first_factors"].clone();
    let shown = factors[1]["email_address_id"].as_str().expect("an id").to_owned();
    stranger.get("/v1/client").await;
    stranger.get(&attempt).await;
    let (prepare, answer) =
        (format!("{attempt}/prepare_first_factor"), format!("{attempt}/attempt_first_factor"));
    stranger.post(&answer, &[CODE, ("code", "000000")]).await;
    stranger.post(&answer, &[BY_PASSWORD, ("password", WRONG_PASSWORD)]).await;
    stranger.post(&answer, &[BY_PASSWORD, ("password", "x")]).await;
    stranger.post(&prepare, &[CODE, ("email_address_id", "idn_0ujtsYcgvSTl8PAuAdqWYSMnLOv")]).await;
    stranger.post(&prepare, &[CODE, ("email_address_id", &shown)]).await.assert_ok();
    for _ in 0..6 {
        stranger.post(&answer, &[CODE, ("code", "x00000")]).await;
    }
    stranger.post(&prepare, &[RESET]).await.assert_ok();
    stranger.post(&answer, &[CODE, ("code", "x00000")]).await;
    stranger.post(&answer, &[RESET, ("code", "x00000")]).await;
    stranger.post(&answer, &[RESET, ("code", "")]).await;
    stranger.get("/v1/client").await;
    // More than lock an account, and then the right one.
    for password in [WRONG_PASSWORD; 12].into_iter().chain([PASSWORD]) {
        let fields = [("identifier", email), BY_PASSWORD, ("password", password)];
        stranger.post("/v1/client/sign_ins", &fields).await;
        stranger.post(&answer, &[BY_PASSWORD, ("password", password)]).await;
    }
    stranger.post(&prepare, &[CODE]).await.assert_ok();
    stranger.post(&answer, &[CODE, ("code", "x00000")]).await;
    let fields = [("email_address", email), ("password", "a brand new password")];
    let begun = stranger.post("/v1/client/sign_ups", &fields).await;
    let attempt = format!("/v1/client/sign_ups/{}", begun.assert_ok().id());
    let (prepare, answer) =
        (format!("{attempt}/prepare_verification"), format!("{attempt}/attempt_verification"));
    stranger.post(&prepare, &[CODE]).await.assert_ok();
    for _ in 0..6 {
        stranger.post(&answer, &[CODE, ("code", "x00000")]).await;
    }
    stranger.post(&prepare, &[CODE]).await.assert_ok();
    stranger.get(&attempt).await;
    stranger.get("/v1/client").await;
    stranger.heard
}

fn second_address(app: &TestApp, email: &str) -> EmailAddress {
    let now = app.clock.now();
    EmailAddress {
        id: EmailAddressId::generate(now, &mut app.server().random()),
        email: Email::parse(email).expect("an address"),
        verified_by: Some("email_code".to_owned()),
        created_at: now,
        code: None,
    }
}

#[tokio::test]
async fn aut_13_answers_are_equal_with_and_without_an_account() {
    for builder in [TestApp::new, || TestApp::new().on_sqlite().multi_session()] {
        let app = builder().hiding_accounts().start().await;
        let lock = |user: &mut User| user.lockout.lock(app.clock.now());
        app.user("plain@example.com").await;
        for email in ["naked@example.com", "bannd@example.com", "lockd@example.com", "first@example.com"] {
            app.user(email).await;
        }
        app.change_user("naked@example.com", |user| user.password_hash = None).await;
        app.change_user("bannd@example.com", |user| user.banned = true).await;
        app.change_user("lockd@example.com", lock).await;
        let second = second_address(&app, "secnd@example.com");
        app.change_user("first@example.com", |user| user.email_addresses.push(second)).await;

        let nobody = ask_everything(&app, "absnt@example.com").await;
        for step in &nobody {
            assert!(TELLING.iter().all(|code| !step.contains(code)), "{step}");
        }
        assert!(nobody[0].contains("needs_first_factor"), "{}", nobody[0]);
        for email in [
            "plain@example.com",
            "naked@example.com",
            "bannd@example.com",
            "lockd@example.com",
            "secnd@example.com",
        ] {
            let heard = ask_everything(&app, email).await;
            assert_eq!(heard.len(), nobody.len());
            for (heard, nobody) in heard.iter().zip(&nobody) {
                assert_eq!(heard, nobody, "{email}");
            }
        }
        assert_eq!(ask_everything(&app, "absnt@example.com").await, nobody, "and it stays so");
    }
}

async fn subjects(app: &TestApp, email: &str) -> Vec<String> {
    let mails = app.store().mails(app.server().instance_id(), Some(email), 100).await;
    let mut subjects: Vec<String> =
        mails.expect("a store that answers").into_iter().map(|mail| mail.subject).collect();
    subjects.reverse();
    subjects
}

#[tokio::test]
async fn aut_13_only_mail_to_the_owner_tells_of_an_account() {
    let app = TestApp::new().hiding_accounts().start().await;
    app.user("ada@example.com").await;
    ask_everything(&app, "ada@example.com").await;
    ask_everything(&app, "nobody@example.com").await;
    let told = |subjects: &[String], what: &str| subjects.iter().filter(|told| told.contains(what)).count();
    let (owner, nobody) =
        (subjects(&app, "ada@example.com").await, subjects(&app, "nobody@example.com").await);
    assert_eq!(told(&owner, "is your code"), 3, "{owner:?}");
    assert_eq!(told(&owner, "Your account is locked for an hour"), 1, "{owner:?}");
    assert_eq!(told(&owner, "You have an account already"), 2, "{owner:?}");
    assert_eq!(told(&nobody, "There is no account to sign in to"), 3, "{nobody:?}");
    assert_eq!(told(&nobody, "is your code"), 2, "a sign-up of a free address: {nobody:?}");
    assert_eq!((owner.len(), nobody.len()), (6, 5));
}

async fn begin(browser: &FakeBrowser, email: &str) -> String {
    let begun = browser.post("/v1/client/sign_ins", &[("identifier", email)]).await;
    format!("/v1/client/sign_ins/{}", begun.assert_ok().id())
}

#[tokio::test]
async fn aut_13_owners_sign_in_up_and_reset_as_ever() {
    let app = TestApp::new().hiding_accounts().verify_at_sign_up(false).start().await;
    let email = "ada@example.com";
    let browser = app.browser();
    let begun = browser.sign_up(email, PASSWORD).await;
    assert_eq!(begun.assert_ok().response()["status"], "missing_requirements", "else a free address shows");
    let attempt = format!("/v1/client/sign_ups/{}", begun.id());
    browser.post(&format!("{attempt}/prepare_verification"), &[CODE]).await.assert_ok();
    let code = app.mailed_code(email).await;
    let done = browser.post(&format!("{attempt}/attempt_verification"), &[CODE, ("code", &code)]).await;
    assert_eq!(done.assert_ok().response()["status"], "complete");

    app.browser().sign_in(email, PASSWORD).await.assert_ok();
    let done = app.browser().sign_in_at_once(email, PASSWORD).await;
    let factors = done.assert_ok().response()["supported_first_factors"].clone();
    let own = done.client()["sessions"][0]["user"]["primary_email_address_id"].clone();
    assert_eq!(factors[1]["email_address_id"], own, "who is signed in sees the address's own id");
    for strategy in [CODE, RESET] {
        app.clock.advance(seconds(1));
        let browser = app.browser();
        let attempt = begin(&browser, email).await;
        browser.post(&format!("{attempt}/prepare_first_factor"), &[strategy]).await.assert_ok();
        let code = app.mailed_code(email).await;
        let path = format!("{attempt}/attempt_first_factor");
        let mut done = browser.post(&path, &[strategy, ("code", &code)]).await;
        if strategy == RESET {
            assert_eq!(done.response()["status"], "needs_new_password");
            done =
                browser.post(&format!("{attempt}/reset_password"), &[("password", "another password")]).await;
        }
        assert_eq!(done.assert_ok().response()["status"], "complete");
    }
    app.browser().sign_in(email, "another password").await.assert_ok();
}

#[tokio::test]
async fn aut_13_after_a_verification_the_reason_is_shown() {
    let app = TestApp::new().hiding_accounts().start().await;
    let email = "ada@example.com";
    app.user(email).await;
    app.change_user(email, |user| user.lockout.lock(app.clock.now())).await;
    let wrong = "form_password_or_identifier_incorrect";
    app.browser().sign_in(email, PASSWORD).await.assert_refused(422, wrong);
    let browser = app.browser();
    let attempt = begin(&browser, email).await;
    browser.post(&format!("{attempt}/prepare_first_factor"), &[CODE]).await.assert_ok();
    let code = app.mailed_code(email).await;
    let fields = [CODE, ("code", code.as_str())];
    let refused = browser.post(&format!("{attempt}/attempt_first_factor"), &fields).await;
    refused.assert_refused(403, "user_locked");
    app.change_user(email, |user| {
        user.lockout = sojourn_core::factor::Lockout::default();
        user.banned = true;
    })
    .await;
    app.browser().sign_in(email, PASSWORD).await.assert_refused(403, "user_banned");
    app.browser().sign_in(email, WRONG_PASSWORD).await.assert_refused(422, wrong);
}

#[tokio::test]
async fn aut_13_an_account_that_goes_in_between_changes_no_answer() {
    let app = TestApp::new().hiding_accounts().start().await;
    let user = app.user("ada@example.com").await;
    let browser = app.browser();
    let attempt = begin(&browser, "ada@example.com").await;
    app.backend().delete(&format!("/v1/users/{}", user.id)).await.assert_ok();
    let answer = format!("{attempt}/attempt_first_factor");
    let refused = browser.post(&answer, &[BY_PASSWORD, ("password", PASSWORD)]).await;
    refused.assert_refused(422, "form_password_or_identifier_incorrect");
    browser.post(&format!("{attempt}/prepare_first_factor"), &[CODE]).await.assert_ok();
    let refused = browser.post(&answer, &[CODE, ("code", "000000")]).await;
    refused.assert_refused(422, "form_code_incorrect");
}

#[tokio::test]
async fn aut_13_a_second_sign_up_of_one_address_learns_nothing() {
    let app = TestApp::new().hiding_accounts().start().await;
    let mut attempts = Vec::new();
    for _ in 0..2 {
        // The newest mail is the one just sent.
        app.clock.advance(seconds(1));
        let browser = app.browser();
        let begun = browser.sign_up("ada@example.com", PASSWORD).await;
        let attempt = format!("/v1/client/sign_ups/{}", begun.assert_ok().id());
        browser.post(&format!("{attempt}/prepare_verification"), &[CODE]).await.assert_ok();
        let code = app.mailed_code("ada@example.com").await;
        attempts.push((browser, format!("{attempt}/attempt_verification"), code));
    }
    let mut answers = Vec::new();
    for (browser, path, code) in &attempts {
        answers.push(browser.post(path, &[CODE, ("code", code)]).await);
    }
    answers[0].assert_ok();
    answers[1].assert_refused(422, "verification_failed");
}

#[tokio::test]
async fn aut_13_the_account_page_tells_nothing_of_addresses_of_others() {
    let app = TestApp::new().hiding_accounts().start().await;
    app.user("taken@example.com").await;
    let mut heard = Vec::new();
    for email in ["taken@example.com", "free0@example.com"] {
        let alice = app.signed_in("alice@example.com").await;
        let mut steps = Vec::new();
        let added = alice.post("/v1/me/email_addresses", &[("email_address", email)]).await;
        let address = format!("/v1/me/email_addresses/{}", added.assert_ok().id());
        steps.push(added.response());
        let prepared = alice.post(&format!("{address}/prepare_verification"), &[CODE]).await;
        steps.push(prepared.assert_ok().response());
        let refused = alice.post(&format!("{address}/attempt_verification"), &[("code", "x00000")]).await;
        refused.assert_refused(422, "form_code_incorrect");
        steps.iter_mut().for_each(|step| mask(step, email));
        heard.push(steps);
        alice.post_as("DELETE", &address, &[]).await.assert_ok();
    }
    assert_eq!(heard[0], heard[1]);
    assert!(subjects(&app, "taken@example.com").await.is_empty(), "nobody writes to strangers from here");
}

#[tokio::test]
async fn aut_13_the_setting_is_off_by_default_and_can_be_changed() {
    let app = TestApp::new().start().await;
    let path = "/v1/instance/settings";
    let set = |word: &str| json!({"auth_attack_protection": {"enumeration_protection": word}});
    let shown = async || app.backend().get(path).await.json()["auth_attack_protection"].clone();
    let environment = async || {
        let environment = app.browser().get("/v1/environment").await.json();
        let protection = &environment["user_settings"]["attack_protection"]["enumeration_protection"];
        protection["enabled"].clone()
    };
    assert_eq!(
        (shown().await, environment().await),
        (set("off")["auth_attack_protection"].clone(), json!(false))
    );
    let unknown = app.browser().sign_in("nobody@example.com", PASSWORD).await;
    unknown.assert_refused(422, "form_identifier_not_found");
    app.backend().patch(path, set("strict")).await.assert_ok();
    assert_eq!(
        (shown().await, environment().await),
        (set("strict")["auth_attack_protection"].clone(), json!(true))
    );
    let unknown = app.browser().sign_in("nobody@example.com", PASSWORD).await;
    unknown.assert_refused(422, "form_password_or_identifier_incorrect");
    for word in ["bulk", "", "STRICT"] {
        let refused = app.backend().patch(path, set(word)).await;
        assert_eq!(refused.status(), 422, "{word}: {refused}");
    }
}
