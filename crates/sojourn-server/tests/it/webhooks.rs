//! WHK-01, WHK-02: webhooks as a receiver on this machine sees them. The stories say when to send.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sojourn_store::Engine as _;
use sojourn_testkit::{PASSWORD, START, TestApp, days, minutes, seconds};

use crate::receiver::{Received, Receiver};

const ENDPOINTS: &str = "/v1/webhooks/endpoints";

async fn endpoint(app: &TestApp, receiver: &Receiver, events: &[&str]) -> Value {
    let body = json!({"url": receiver.url(), "events": events});
    app.backend().post(ENDPOINTS, body).await.assert_ok().json()
}

fn path(endpoint: &Value, rest: &str) -> String {
    format!("{ENDPOINTS}/{}{rest}", endpoint["id"].as_str().expect("an id"))
}

async fn send(app: &TestApp) {
    sojourn_server::deliver_webhooks(app.server()).await.expect("the store answers");
}

async fn create_user(app: &TestApp, email: &str) -> String {
    let body = json!({"email_address": [email], "password": PASSWORD});
    let user = app.backend().post("/v1/users", body).await.assert_ok().json();
    user["id"].as_str().expect("an id").to_owned()
}

async fn rename(app: &TestApp, user: &str, name: &str) {
    app.backend().patch(&format!("/v1/users/{user}"), json!({"first_name": name})).await.assert_ok();
}

async fn deliveries(app: &TestApp, endpoint: &Value) -> Vec<Value> {
    let page = app.backend().get(&path(endpoint, "/deliveries?limit=100")).await.assert_ok().json();
    page["data"].as_array().expect("deliveries").clone()
}

/// Whether one of the signatures was made with the secret.
fn is_signed_with(received: &Received, names: &str, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let header = |name: &str| received.header(&format!("{names}-{name}"));
    let signed = format!("{}.{}.{}", header("id"), header("timestamp"), received.body);
    header("signature").split(' ').any(|signature| {
        let tag = STANDARD.decode(signature.strip_prefix("v1,").expect("version 1")).expect("base64");
        hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
    })
}

#[tokio::test]
async fn whk_01_an_event_arrives_signed_under_both_names() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    let endpoint = endpoint(&app, &receiver, &[]).await;
    let secret = endpoint["secret"].as_str().expect("a secret");
    let user = create_user(&app, "ada@example.com").await;
    send(&app).await;
    let [received] = receiver.take().try_into().expect("one request");
    for names in ["svix", "webhook"] {
        assert!(is_signed_with(&received, names, secret), "{received:?}");
    }
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.header("svix-timestamp"), START.as_secs().to_string());
    let event = received.json();
    assert_eq!(event["type"], "user.created");
    assert_eq!((&event["object"], &event["timestamp"]), (&json!("event"), &json!(START)));
    assert_eq!(event["instance_id"], json!(app.server().instance_id()));
    assert_eq!(event["event_attributes"]["http_request"], json!({"client_ip": "", "user_agent": ""}));
    // As the Backend API shows it.
    let shown = app.backend().get(&format!("/v1/users/{user}")).await.assert_ok().json();
    assert_eq!(event["data"], shown);
    let [delivery] = deliveries(&app, &endpoint).await.try_into().expect("one delivery");
    assert_eq!(delivery["id"], received.header("svix-id"));
    assert_eq!((&delivery["status"], &delivery["user_id"]), (&json!("delivered"), &json!(user)));
    assert_eq!(delivery["last_attempt"]["http_status"], 200);
    let id = delivery["id"].as_str().expect("an id");
    let one = app.backend().get(&format!("/v1/webhooks/deliveries/{id}")).await.assert_ok().json();
    assert_eq!(one["payload"], event);
}

#[tokio::test]
async fn sessions_and_deletions_are_told_with_what_happened() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    let own = Receiver::start().await;
    endpoint(&app, &receiver, &[]).await;
    endpoint(&app, &own, &["session.expired"]).await;
    let user = create_user(&app, "ada@example.com").await;
    let browser = app.signed_in("ada@example.com").await;
    let session = browser.session();
    app.backend().post(&format!("/v1/sessions/{session}/revoke"), json!({})).await.assert_ok();
    let another = app.signed_in("ada@example.com").await;
    app.clock.advance(days(8));
    // The session has expired, and its browser is the first to notice.
    another.client().await;
    app.backend().delete(&format!("/v1/users/{user}")).await.assert_ok();
    send(&app).await;
    let events: Vec<Value> = receiver.take().iter().map(Received::json).collect();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    let without_updates: Vec<_> = types.iter().filter(|name| **name != "user.updated").copied().collect();
    assert_eq!(
        without_updates,
        ["session.created", "session.revoked", "session.created", "user.deleted"],
        "without the user, there is nothing to tell of its creation; without being asked, nothing expires"
    );
    let of = |name: &str| events.iter().find(|event| event["type"] == name).expect("an event");
    let created = of("session.created");
    assert_eq!((&created["data"]["id"], &created["data"]["status"]), (&json!(session), &json!("active")));
    assert!(created["data"].get("end").is_none(), "{created}");
    assert_ne!(created["event_attributes"]["http_request"]["user_agent"], "");
    let revoked = of("session.revoked");
    assert_eq!(revoked["data"]["status"], "revoked");
    assert_eq!(revoked["data"]["end"]["reason"], "revoked_by_backend");
    assert_eq!(of("user.deleted")["data"], json!({"object": "user", "id": user, "deleted": true}));
    let [expired] = own.take().try_into().expect("one request");
    let expired = expired.json();
    assert_eq!((&expired["type"], &expired["data"]["user"]), (&json!("session.expired"), &Value::Null));
    assert_eq!(expired["data"]["end"]["reason"], "maximum_lifetime");
}

#[tokio::test]
async fn a_failed_event_holds_back_the_later_ones_of_its_user_only() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    let endpoint = endpoint(&app, &receiver, &[]).await;
    receiver.reply_once(503, "later, please");
    let ada = create_user(&app, "ada@example.com").await;
    send(&app).await;
    rename(&app, &ada, "Ada").await;
    create_user(&app, "bob@example.com").await;
    send(&app).await;
    let first = receiver.take();
    let told: Vec<_> = first.iter().map(|received| received.json()["type"].clone()).collect();
    assert_eq!(told, ["user.created", "user.created"], "Ada's first attempt, and Bob");
    let waiting = &deliveries(&app, &endpoint).await;
    let failed = waiting.iter().find(|row| row["attempts"] == 1 && row["status"] == "queued");
    let attempt = &failed.expect("Ada's creation")["last_attempt"];
    assert_eq!((&attempt["http_status"], &attempt["response"]), (&json!(503), &json!("later, please")));
    app.clock.advance(seconds(6));
    send(&app).await;
    let second = receiver.take();
    let told: Vec<_> = second.iter().map(|received| received.json()["type"].clone()).collect();
    assert_eq!(told, ["user.created", "user.updated"], "in order");
    assert_eq!(second[0].body, first[0].body, "the same bytes");
    assert_eq!(second[0].header("svix-id"), first[0].header("svix-id"));
    assert_ne!(second[0].header("svix-timestamp"), first[0].header("svix-timestamp"));
    let secret = endpoint["secret"].as_str().expect("a secret");
    assert!(is_signed_with(&second[0], "svix", secret), "signed again, for the time of the attempt");
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_is_disabled_until_enabled() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    let endpoint = endpoint(&app, &receiver, &["user.created"]).await;
    receiver.reply_always(500, "broken");
    for number in 0..14 {
        create_user(&app, &format!("user{number}@example.com")).await;
        send(&app).await;
        app.clock.advance(minutes(10 * 60));
    }
    let shown = app.backend().get(&path(&endpoint, "")).await.assert_ok().json();
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("failing")));
    let rows = deliveries(&app, &endpoint).await;
    let given_up = rows.iter().filter(|row| row["status"] == "failed").count();
    assert!(given_up > 0 && rows.iter().all(|row| row["attempts"].as_u64() <= Some(9)), "{rows:?}");
    receiver.take();
    create_user(&app, "late@example.com").await;
    send(&app).await;
    assert!(receiver.take().is_empty());
    app.backend()
        .post(&path(&endpoint, "/test"), json!({}))
        .await
        .assert_refused(409, "webhook_endpoint_disabled");
    receiver.reply_always(200, "");
    app.backend().patch(&path(&endpoint, ""), json!({"enabled": true})).await.assert_ok();
    create_user(&app, "later@example.com").await;
    send(&app).await;
    assert!(!receiver.take().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_answers_gone_is_disabled_at_once() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    app.backend().patch("/v1/instance", json!({"support_email": "ops@example.com"})).await.assert_ok();
    let endpoint = endpoint(&app, &receiver, &[]).await;
    receiver.reply_once(410, "");
    create_user(&app, "ada@example.com").await;
    send(&app).await;
    let shown = app.backend().get(&path(&endpoint, "")).await.assert_ok().json();
    assert_eq!(shown["disabled_reason"], "gone");
    let mails = app.store().mails(app.server().instance_id(), Some("ops@example.com"), 2).await;
    let [mail] = mails.expect("a load").try_into().expect("one mail");
    assert!(mail.subject.ends_with(": a webhook endpoint was disabled"), "{}", mail.subject);
    assert!(mail.text.contains("410 Gone") && mail.text.contains(&receiver.url()), "{}", mail.text);
}

#[tokio::test]
async fn whk_01_a_redirect_is_a_failure_and_is_not_followed() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    let elsewhere = Receiver::start().await;
    let endpoint = endpoint(&app, &receiver, &[]).await;
    receiver.redirect_to(&elsewhere.url());
    create_user(&app, "ada@example.com").await;
    send(&app).await;
    assert_eq!((receiver.take().len(), elsewhere.take().len()), (1, 0));
    let [row] = deliveries(&app, &endpoint).await.try_into().expect("one delivery");
    assert_eq!((&row["status"], &row["last_attempt"]["http_status"]), (&json!("queued"), &json!(307)));
    let error = row["last_attempt"]["error"].as_str().expect("a reason");
    assert!(error.contains("redirects are not followed"), "{error}");
}

#[tokio::test]
async fn whk_02_a_receiver_at_a_private_address_gets_nothing() {
    // Where others reach the server, this machine is no place for a receiver.
    let (app, receiver) = (TestApp::new().exposed().start().await, Receiver::start().await);
    let at_receiver = receiver.url();
    for url in [
        at_receiver.as_str(),
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://0x7f.1/",
    ] {
        let refused = app.backend().post(ENDPOINTS, json!({"url": url})).await;
        refused.assert_refused(422, "form_param_value_invalid");
    }
    // What a name leads to is known when it is resolved, at every connection.
    let url = format!("https://localhost:{}/", receiver.port());
    let endpoint = app.backend().post(ENDPOINTS, json!({"url": url})).await.assert_ok().json();
    create_user(&app, "ada@example.com").await;
    send(&app).await;
    let [row] = deliveries(&app, &endpoint).await.try_into().expect("one delivery");
    let error = row["last_attempt"]["error"].as_str().expect("a reason");
    assert!(error.contains("webhooks.allowed_networks"), "{error}");
    assert_eq!((receiver.take().len(), receiver.connections()), (0, 0));
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other_endpoint() {
    let (app, hanging, other) =
        (TestApp::new().start().await, Receiver::start().await, Receiver::start().await);
    endpoint(&app, &hanging, &[]).await;
    let endpoint = endpoint(&app, &other, &[]).await;
    let release = hanging.hang();
    for number in 0..12 {
        create_user(&app, &format!("user{number}@example.com")).await;
    }
    let jobs = tokio::spawn(sojourn_server::run_jobs(app.server().clone()));
    let received = other.wait_for(12).await;
    assert_eq!(received.len(), 12);
    assert!(hanging.connections() <= 4, "only so many at a time");
    release.notify_waiters();
    jobs.abort();
    let rows = deliveries(&app, &endpoint).await;
    assert_eq!(rows.len(), 12);
}

#[tokio::test]
async fn whk_01_after_a_rotation_both_secrets_sign_for_a_time() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    let endpoint = endpoint(&app, &receiver, &["user.created"]).await;
    let first = endpoint["secret"].as_str().expect("a secret");
    let body = json!({"overlap_seconds": 60});
    let rotated = app.backend().post(&path(&endpoint, "/rotate_secret"), body).await.assert_ok().json();
    let second = rotated["secret"].as_str().expect("a secret");
    assert_ne!(first, second);
    create_user(&app, "ada@example.com").await;
    send(&app).await;
    app.clock.advance(seconds(60));
    create_user(&app, "bob@example.com").await;
    send(&app).await;
    let [during, after] = receiver.take().try_into().expect("two requests");
    assert!(is_signed_with(&during, "webhook", first) && is_signed_with(&during, "webhook", second));
    assert!(!is_signed_with(&after, "webhook", first) && is_signed_with(&after, "webhook", second));
    // Neither is told again.
    let listed = app.backend().get(ENDPOINTS).await;
    listed.assert_ok();
    assert!(!listed.text().contains("whsec_"), "{listed}");
}

#[tokio::test]
async fn a_test_a_retry_and_a_replay_send_the_same_delivery_again() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    let endpoint = endpoint(&app, &receiver, &["user.created"]).await;
    let test = app.backend().post(&path(&endpoint, "/test"), json!({})).await.assert_ok().json();
    send(&app).await;
    let [tried] = receiver.take().try_into().expect("one request");
    assert_eq!(
        (tried.header("svix-id"), &tried.json()["type"]),
        (test["id"].as_str().expect("an id"), &json!("sojourn.test"))
    );
    let retry = format!("/v1/webhooks/deliveries/{}/retry", tried.header("svix-id"));
    app.backend().post(&retry, json!({})).await.assert_ok();
    send(&app).await;
    let [again] = receiver.take().try_into().expect("one request");
    assert_eq!((again.header("svix-id"), &again.body), (tried.header("svix-id"), &tried.body));
    app.clock.advance(minutes(1));
    let since = app.clock.now();
    for name in ["ada", "bob"] {
        create_user(&app, &format!("{name}@example.com")).await;
    }
    send(&app).await;
    let sent = receiver.take();
    let replay = app.backend().post(&path(&endpoint, "/replay"), json!({"since": since})).await;
    assert_eq!(replay.assert_ok().json()["queued"], 2);
    send(&app).await;
    let ids = |received: &[Received]| {
        let mut ids: Vec<_> = received.iter().map(|one| one.header("svix-id").to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&receiver.take()), ids(&sent));
    let nothing = app.backend().post(&path(&endpoint, "/replay"), json!({"since": 5, "until": 5})).await;
    nothing.assert_refused(422, "form_param_value_invalid");
}

#[tokio::test]
async fn events_of_the_time_without_a_server_are_sent_after_the_start() {
    let (app, receiver) = (TestApp::new().on_sqlite().start().await, Receiver::start().await);
    endpoint(&app, &receiver, &[]).await;
    create_user(&app, "ada@example.com").await;
    let app = app.restarted().await;
    send(&app).await;
    send(&app).await;
    assert_eq!(receiver.take().len(), 1);
}

#[tokio::test]
async fn an_endpoint_is_changed_and_deleted() {
    let (app, receiver) = (TestApp::new().start().await, Receiver::start().await);
    let endpoint = endpoint(&app, &receiver, &["user.created"]).await;
    let change = json!({"events": ["user.deleted", "user.created"], "description": " billing "});
    let changed = app.backend().patch(&path(&endpoint, ""), change).await.assert_ok().json();
    assert_eq!(changed["events"], json!(["user.created", "user.deleted"]));
    assert_eq!(changed["description"], "billing");
    for body in [json!({"events": ["user.exploded"]}), json!({"url": "ftp://example.com"})] {
        let refused = app.backend().patch(&path(&endpoint, ""), body).await;
        refused.assert_refused(422, "form_param_value_invalid");
    }
    create_user(&app, "ada@example.com").await;
    app.backend().delete(&path(&endpoint, "")).await.assert_ok();
    send(&app).await;
    assert!(receiver.take().is_empty());
    app.backend().get(&path(&endpoint, "")).await.assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn a_repeated_creation_gives_the_same_endpoint_and_secret() {
    let app = TestApp::new().start().await;
    let create = async || {
        let request = app.backend().request("POST", ENDPOINTS).header("idempotency-key", "one");
        request.json(&json!({"url": "https://example.com/hook"})).send().await.assert_ok().json()
    };
    assert_eq!(create().await, create().await);
    let listed = app.backend().get(ENDPOINTS).await.assert_ok().json();
    assert_eq!(listed["total_count"], 1);
}

#[tokio::test]
async fn an_instance_has_sixteen_endpoints_at_most() {
    let app = TestApp::new().start().await;
    for number in 0..17 {
        let body = json!({"url": format!("https://example.com/{number}")});
        let answer = app.backend().post(ENDPOINTS, body).await;
        match number {
            16 => answer.assert_refused(409, "webhook_endpoint_limit_exceeded"),
            _ => answer.assert_ok(),
        };
    }
}
