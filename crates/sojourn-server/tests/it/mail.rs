//! Mail by a real mail server: what arrives, what is tried again, and what is given up.

use std::time::Duration;

use serde_json::{Value, json};
use sojourn_core::{
    outgoing_mail::{MailStatus, OutgoingMail},
    settings::NotifyNewDevice,
    time::minutes,
};
use sojourn_service::{
    jobs::deliver_due,
    mail::{Encryption, Smtp, SmtpOptions},
};
use sojourn_store::Engine as _;
use sojourn_testkit::{FakeBrowser, MAIL_USER, MailServer, PASSWORD, TestApp, seconds};

async fn app_with(server: &MailServer) -> TestApp {
    TestApp::new().smtp(server.smtp()).start().await
}

/// Asks for a code as somebody does who signs up; the browser.
async fn asks_for_code(app: &TestApp, email: &str, language: &str) -> FakeBrowser {
    let browser = app.browser();
    browser.sign_up(email, PASSWORD).await.assert_ok();
    let path = format!("/v1/client/sign_ups/{}/prepare_verification", sign_up_id(&browser).await);
    let request = browser.request("POST", &path).header("accept-language", language);
    browser.send(request.form(&[("strategy", "email_code")])).await.assert_ok();
    browser
}

async fn sign_up_id(browser: &FakeBrowser) -> String {
    let client = browser.client().await.response();
    client["sign_up"]["id"].as_str().expect("an attempt").to_owned()
}

/// Sends what is due, as the job does.
async fn deliver(app: &TestApp) {
    deliver_due(app.server()).await.expect("a store that answers");
}

/// The newest mail on its way.
async fn newest(app: &TestApp) -> OutgoingMail {
    let store = app.store();
    let (mails, _) = store.outgoing_mails(app.server().instance_id(), None, 1, 0).await.expect("a load");
    mails.into_iter().next().expect("a mail")
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let data = mail["data"].as_str().expect("a text");
    let line = data.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.strip_prefix(": ")).unwrap_or_else(|| panic!("no {name} in {data}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_arrives_by_tls_and_signs_up() {
    for encryption in [Encryption::StartTls, Encryption::Tls] {
        let server = MailServer::encrypted(encryption);
        let app = app_with(&server).await;
        let ada = asks_for_code(&app, "ada@example.com", "en").await;
        assert_eq!(newest(&app).await.status, MailStatus::Queued);
        deliver(&app).await;
        let [mail] = server.mails().try_into().expect("one mail");
        assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!(MAIL_USER.0)));
        assert_eq!(mail["from"], "no-reply@acme.example");
        assert_eq!(header(&mail, "From"), "Acme <no-reply@acme.example>");
        assert_eq!(header(&mail, "To"), "ada@example.com");
        assert_eq!(header(&mail, "Auto-Submitted"), "auto-generated");
        let sent = newest(&app).await;
        assert_eq!(header(&mail, "Message-ID"), format!("<{}@acme.example>", sent.id));
        assert_eq!((sent.status, sent.tries, sent.content), (MailStatus::Sent, 1, None));
        let data = mail["data"].as_str().expect("a text");
        assert!(data.contains("text/plain") && data.contains("text/html"), "{data}");
        let code = header(&mail, "Subject").split(' ').next().expect("a code").to_owned();
        let path = format!("/v1/client/sign_ups/{}/attempt_verification", sign_up_id(&ada).await);
        let answer = ada.post(&path, &[("strategy", "email_code"), ("code", &code)]).await;
        assert_eq!(answer.response()["status"], "complete", "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_prove_its_name_gets_no_mail() {
    let (ours, foreign) =
        (MailServer::encrypted(Encryption::StartTls), MailServer::encrypted(Encryption::Tls));
    let cases: [(&MailServer, SmtpOptions); 3] = [
        (&ours, SmtpOptions { ca_pem: foreign.options().ca_pem, ..ours.options() }),
        (&ours, SmtpOptions { host: "127.0.0.1".to_owned(), ..ours.options() }),
        (
            &ours,
            SmtpOptions { credentials: Some(("sojourn".to_owned(), "wrong".to_owned())), ..ours.options() },
        ),
    ];
    for (server, options) in cases {
        let app = TestApp::new().smtp(Smtp::new(options).expect("options")).start().await;
        asks_for_code(&app, "ada@example.com", "en").await;
        deliver(&app).await;
        let mail = newest(&app).await;
        // None of it is the mail's fault, so it waits until somebody mends it.
        assert_eq!((mail.status, mail.tries), (MailStatus::Queued, 1), "{mail:?}");
        assert!(mail.reply.as_ref().is_some_and(|reply| reply.starts_with("cannot ")), "{mail:?}");
        assert_eq!(server.mails(), Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greylisting_server_gets_the_mail_again() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    asks_for_code(&app, "greylisted@example.com", "en").await;
    deliver(&app).await;
    let mail = newest(&app).await;
    assert_eq!((mail.status, mail.tries), (MailStatus::Queued, 1));
    assert!(mail.reply.is_some_and(|reply| reply.contains("451")));
    deliver(&app).await;
    assert_eq!(newest(&app).await.tries, 1, "it is not due yet");
    app.clock.advance(seconds(6));
    deliver(&app).await;
    assert_eq!(newest(&app).await.status, MailStatus::Sent);
    assert_eq!(server.mails_to("greylisted@example.com").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_address_is_a_dead_letter_and_locks_nobody_out() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    app.user("refused@example.com").await;
    asks_for_code(&app, "refused+new@example.com", "en").await;
    deliver(&app).await;
    let mail = newest(&app).await;
    assert_eq!((mail.status, mail.tries), (MailStatus::Failed, 1));
    assert!(
        mail.reply.as_ref().is_some_and(|reply| reply.contains("550") && reply.contains("5.1.1")),
        "{mail:?}"
    );
    // The password still signs in, and the next code is sent as if nothing had been.
    app.browser().sign_in("refused@example.com", PASSWORD).await.assert_ok();
    app.clock.advance(minutes(2));
    asks_for_code(&app, "refused+new@example.com", "en").await;
    assert_eq!(newest(&app).await.status, MailStatus::Queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_holds_nobody_else_up() {
    let server = MailServer::start();
    let options = SmtpOptions { timeout: Duration::from_secs(1), ..server.options() };
    let app = TestApp::new().smtp(Smtp::new(options).expect("options")).start().await;
    asks_for_code(&app, "slow@example.com", "en").await;
    let slow = newest(&app).await.id;
    asks_for_code(&app, "ada@example.com", "en").await;
    deliver(&app).await;
    assert_eq!(newest(&app).await.status, MailStatus::Sent);
    let slow = app.store().outgoing_mail(app.server().instance_id(), slow).await.expect("a load");
    let slow = slow.expect("the mail");
    assert_eq!(slow.status, MailStatus::Queued);
    assert!(slow.reply.is_some_and(|reply| reply.contains("did not answer within 1 s")));
    // The connection that was left half-way is not used again.
    asks_for_code(&app, "bob@example.com", "en").await;
    deliver(&app).await;
    assert_eq!(server.mails_to("bob@example.com").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_18_without_the_mail_server_passwords_work_and_mail_waits() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    app.user("bob@example.com").await;
    let port = server.stop();
    asks_for_code(&app, "ada@example.com", "en").await;
    deliver(&app).await;
    let mail = newest(&app).await;
    assert_eq!((mail.status, mail.tries), (MailStatus::Queued, 1));
    app.browser().sign_in("bob@example.com", PASSWORD).await.assert_ok();
    let server = MailServer::at_port(port);
    app.clock.advance(seconds(6));
    deliver(&app).await;
    assert_eq!(newest(&app).await.status, MailStatus::Sent);
    assert_eq!(server.mails_to("ada@example.com").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_over_is_not_sent_any_more() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    asks_for_code(&app, "ada@example.com", "en").await;
    app.clock.advance(minutes(10));
    deliver(&app).await;
    let mail = newest(&app).await;
    assert_eq!((mail.status, mail.tries, mail.content), (MailStatus::Failed, 0, None));
    assert_eq!(server.mails(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_send_each_mail_once() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    let node = app.another_node(&[]).await.expect("a node");
    for number in 0..6 {
        asks_for_code(&app, &format!("ada{number}@example.com"), "en").await;
    }
    tokio::join!(deliver(&app), deliver(&node), deliver(&app), deliver(&node));
    let mut to: Vec<_> = server.mails().iter().map(|mail| mail["to"][0].to_string()).collect();
    to.sort();
    let all: Vec<_> = (0..6).map(|number| format!("\"ada{number}@example.com\"")).collect();
    assert_eq!(to, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_in_the_language_of_its_reader() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    let subject = async |email: &str, language: &str| {
        asks_for_code(&app, email, language).await;
        newest(&app).await.content.expect("a content").subject
    };
    assert!(subject("ada@example.com", "de-CH, en;q=0.5").await.contains("ist Ihr Code"));
    assert!(subject("bob@example.com", "fr, en;q=0.5, de;q=0.2").await.contains("is your code"));
    assert!(subject("eve@example.com", "fr").await.contains("is your code"));
    app.change_settings(|settings| settings.instance.mail.default_locale = "de".to_owned()).await;
    assert!(subject("dan@example.com", "fr").await.contains("ist Ihr Code"));
    // The account's own language comes first.
    app.user("gus@example.com").await;
    app.change_user("gus@example.com", |user| user.locale = Some("de-AT".to_owned())).await;
    let browser = app.browser();
    let begun = browser.post("/v1/client/sign_ins", &[("identifier", "gus@example.com")]).await;
    let path = format!("/v1/client/sign_ins/{}/prepare_first_factor", begun.id());
    let address =
        begun.response()["supported_first_factors"][0]["email_address_id"].as_str().map(str::to_owned);
    let mut fields = vec![("strategy", "email_code")];
    fields.extend(address.as_deref().map(|id| ("email_address_id", id)));
    let request = browser.request("POST", &path).header("accept-language", "en").form(&fields);
    browser.send(request).await.assert_ok();
    assert!(newest(&app).await.content.expect("a content").subject.contains("ist Ihr Code"));
    deliver(&app).await;
    let mail = &server.mails_to("ada@example.com")[0];
    assert!(header(mail, "Subject").contains("ist Ihr Code"), "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_from_another_browser_is_told_once() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    app.change_settings(|settings| settings.instance.mail.notify_new_device = NotifyNewDevice::Always).await;
    app.user("ada@example.com").await;
    let told = async || {
        let store = app.store();
        let (mails, _) = store.outgoing_mails(app.server().instance_id(), None, 99, 0).await.expect("a load");
        mails.iter().filter(|mail| mail.template == "new_device_sign_in").count()
    };
    let first = app.browser();
    first.sign_in("ada@example.com", PASSWORD).await.assert_ok();
    assert_eq!(told().await, 0, "there is no other device yet");
    first.sign_out_all().await.assert_ok();
    first.sign_in("ada@example.com", PASSWORD).await.assert_ok();
    assert_eq!(told().await, 0, "the same browser");
    let second = app.browser().on_safari();
    second.sign_in("ada@example.com", PASSWORD).await.assert_ok();
    assert_eq!(told().await, 1);
    second.sign_out_all().await.assert_ok();
    second.sign_in("ada@example.com", PASSWORD).await.assert_ok();
    assert_eq!(told().await, 1, "it is known now");
    let content = newest(&app).await.content.expect("a content");
    assert!(content.text.contains("Safari") && content.text.contains("UTC"), "{}", content.text);
    app.change_settings(|settings| settings.instance.mail.notify_new_device = NotifyNewDevice::Never).await;
    app.browser().sign_in("ada@example.com", PASSWORD).await.assert_ok();
    assert_eq!(told().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_dead_letters_and_tries_them_again() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    let backend = app.backend();
    let sent = backend.post("/v1/instance/mails/test", json!({"email_address": "refused@example.com"})).await;
    let id = sent.assert_ok().json()["id"].as_str().expect("an id").to_owned();
    deliver(&app).await;
    let failed = backend.get("/v1/instance/mails?status=failed").await.json();
    assert_eq!((&failed["total_count"], &failed["data"][0]["id"]), (&json!(1), &json!(id)));
    assert!(!failed.to_string().contains("This is a test"), "what a mail says is not listed: {failed}");
    let again = backend.post(&format!("/v1/instance/mails/{id}/retry"), json!({})).await;
    assert_eq!(again.assert_ok().json()["status"], "queued");
    deliver(&app).await;
    let retried = backend.post("/v1/instance/mails/retry_failed", json!({})).await;
    assert_eq!(retried.assert_ok().json()["retried"], 1);
    let german = json!({"email_address": "ada@example.com", "locale": "de"});
    let sent = backend.post("/v1/instance/mails/test", german).await.json();
    deliver(&app).await;
    assert!(header(&server.mails_to("ada@example.com")[0], "Subject").contains("Testmail"));
    let path = format!("/v1/instance/mails/{}/retry", sent["id"].as_str().expect("an id"));
    backend.post(&path, json!({})).await.assert_refused(409, "mail_cannot_be_retried");
    backend
        .post("/v1/instance/mails/mail_none/retry", json!({}))
        .await
        .assert_refused(404, "resource_not_found");
    let wrong = json!({"email_address": "ada@example.com\r\nBcc: eve@example.com"});
    backend.post("/v1/instance/mails/test", wrong).await.assert_refused(422, "form_param_format_invalid");
    backend.get("/v1/instance/mails?status=lost").await.assert_refused(422, "form_param_value_invalid");
}

#[tokio::test]
async fn a_mail_can_be_looked_at_before_it_is_sent() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    let kinds = backend.get("/v1/instance/mail_templates").await.json();
    assert_eq!(kinds["data"][0]["slug"], "verification_code");
    assert_eq!(kinds["data"][0]["locales"], json!(["en", "de"]));
    let preview = backend.get("/v1/instance/mail_templates/verification_code/preview?locale=de").await.json();
    assert_eq!(preview["locale"], "de");
    assert!(preview["subject"].as_str().is_some_and(|subject| subject.contains("424242 ist Ihr Code")));
    let path = "/v1/instance/mail_templates/verification_code/preview?locale=fr";
    backend.get(path).await.assert_refused(422, "form_param_value_invalid");
    backend.get("/v1/instance/mail_templates/none/preview").await.assert_refused(404, "resource_not_found");
    let sent = backend.post("/v1/instance/mails/test", json!({"email_address": "ada@example.com"})).await;
    sent.assert_refused(503, "mail_unavailable");
}
