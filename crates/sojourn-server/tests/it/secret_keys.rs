//! AUZ-03, AUZ-04: several secret keys at once, revocable, with their last use.

use serde_json::{Value, json};
use sojourn_store::Store;
use sojourn_testkit::{Answer, TestApp, minutes};

const KEYS: &str = "/v1/instance/secret_keys";

async fn create(app: &TestApp, name: &str) -> Value {
    app.backend().post(KEYS, json!({"name": name})).await.assert_ok().json()
}

async fn listed(app: &TestApp) -> Vec<Value> {
    let list = app.backend().get(KEYS).await.assert_ok().json();
    list["data"].as_array().expect("keys").clone()
}

async fn ask_with(app: &TestApp, key: &Value) -> Answer {
    let bearer = format!("Bearer {}", key["secret"].as_str().expect("a secret"));
    app.request("GET", "/v1/users").header("authorization", &bearer).send().await
}

async fn revoke(app: &TestApp, key: &Value) -> Answer {
    app.backend().post(&format!("{KEYS}/{}/revoke", key["id"].as_str().expect("an id")), json!({})).await
}

#[tokio::test]
async fn auz_03_a_second_key_works_until_it_is_revoked() {
    let app = TestApp::new().start().await;
    let key = create(&app, "worker").await;
    assert!(key["secret"].as_str().is_some_and(|secret| secret.starts_with("sk_test_sojourn_")), "{key}");
    ask_with(&app, &key).await.assert_ok();
    app.clock.advance(minutes(1));
    let revoked = revoke(&app, &key).await.assert_ok().json();
    assert_eq!(revoked["revoked_at"], json!(app.clock.now().as_millis()));
    let refused = ask_with(&app, &key).await;
    refused.assert_refused(401, "clerk_key_invalid");
    assert!(refused.text().contains("revoked"), "{}", refused.text());
    app.backend().get("/v1/users").await.assert_ok();
    // Once more changes nothing.
    app.clock.advance(minutes(1));
    let again = revoke(&app, &key).await.assert_ok().json();
    assert_eq!(again["revoked_at"], revoked["revoked_at"]);
}

#[tokio::test]
async fn a_key_revoked_on_one_node_is_refused_on_another() {
    let app = TestApp::new().start().await;
    if matches!(app.store(), Store::Sqlite(_)) {
        // One process has it for itself.
        return;
    }
    let other = app.neighbour().await;
    let key = create(&app, "worker").await;
    ask_with(&other, &key).await.assert_ok();
    revoke(&app, &key).await.assert_ok();
    ask_with(&other, &key).await.assert_refused(401, "clerk_key_invalid");
}

#[tokio::test]
async fn auz_04_a_key_is_shown_once_and_listed_without_its_text() {
    let app = TestApp::new().start().await;
    let key = create(&app, " worker ").await;
    let keys = listed(&app).await;
    assert_eq!(keys.len(), 2);
    let secret = key["secret"].as_str().expect("a secret");
    for listed in &keys {
        assert!(listed.get("secret").is_none() && !listed.to_string().contains(secret), "{listed}");
    }
    let mut told = key.clone();
    told.as_object_mut().expect("an object").remove("secret");
    assert!(keys.contains(&told), "{keys:?}");
    assert_eq!(told["name"], "worker");
}

#[tokio::test]
async fn the_last_use_of_a_key_is_known_to_within_some_minutes() {
    let app = TestApp::new().start().await;
    let key = create(&app, "worker").await;
    let used = |keys: Vec<Value>| {
        let found = keys.into_iter().find(|listed| listed["id"] == key["id"]).expect("listed");
        found["last_used_at"].as_i64()
    };
    assert_eq!(used(listed(&app).await), None);
    let mut known = None;
    for wait in [0, 1, 5] {
        app.clock.advance(minutes(wait));
        ask_with(&app, &key).await.assert_ok();
        // Noted beside the answer.
        let expected = if wait == 1 { known } else { Some(app.clock.now().as_millis()) };
        for _ in 0..200 {
            known = used(listed(&app).await);
            if known == expected {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(known, expected, "after {wait} minutes");
    }
}

#[tokio::test]
async fn a_development_key_from_before_the_new_form_stays_good() {
    let app = TestApp::new().older_secret_key().start().await;
    assert!(!app.secret_key().contains("sojourn"), "the story begins with an older key");
    // `backend` uses the older one.
    let keys = listed(&app).await;
    let printed: Vec<&Value> = keys.iter().map(|key| &key["is_printed_at_start"]).collect();
    assert_eq!(printed, [true, false], "the newer one is added beside it");
    let newer = app.server().secret_key().expect("a development server prints one").to_owned();
    assert!(newer.starts_with("sk_test_sojourn_"), "{newer}");
    ask_with(&app, &json!({"secret": newer})).await.assert_ok();
    revoke(&app, &keys[1]).await.assert_ok();
    app.backend().get("/v1/users").await.assert_refused(401, "clerk_key_invalid");
    ask_with(&app, &json!({"secret": newer})).await.assert_ok();
}

#[tokio::test]
async fn the_printed_key_stays_and_bad_names_are_refused() {
    let app = TestApp::new().start().await;
    let printed = listed(&app).await.remove(0);
    assert_eq!(printed["is_printed_at_start"], true);
    revoke(&app, &printed).await.assert_refused(409, "secret_key_cannot_be_revoked");
    app.backend().get("/v1/users").await.assert_ok();
    let backend = app.backend();
    let long = json!({"name": "x".repeat(65)});
    backend.post(KEYS, long).await.assert_refused(422, "form_param_max_length_exceeded");
    backend.post(KEYS, json!({"nam": "x"})).await.assert_refused(422, "form_param_unknown");
    backend.post(&format!("{KEYS}/key_x/revoke"), json!({})).await.assert_refused(404, "resource_not_found");
    assert_eq!(listed(&app).await.len(), 1);
}

#[tokio::test]
async fn a_role_limits_what_a_key_may_do() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = format!("/v1/sessions/{}", alice.session());
    let verify = (format!("{session}/verify"), json!({"token": alice.token(&alice.session()).await.jwt()}));
    let key = async |role: &str| app.backend().post(KEYS, json!({"role": role})).await.assert_ok().json();
    let ask = async |key: &Value, method: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {}", key["secret"].as_str().expect("a secret"));
        app.request(method, path).header("authorization", &bearer).json(body).send().await
    };
    let (read_only, sessions) = (key("read_only").await, key("sessions").await);
    assert_eq!((&read_only["role"], &sessions["role"]), (&json!("read_only"), &json!("sessions")));
    let refused = "secret_key_role_insufficient";
    for key in [&read_only, &sessions] {
        for path in ["/v1/users", &session, "/v1/jwks"] {
            ask(key, "GET", path, &json!({})).await.assert_ok();
        }
        ask(key, "POST", &verify.0, &verify.1).await.assert_ok();
        for path in ["/v1/users", "/v1/sign_in_tokens", KEYS, "/v1/instance/signing_keys/rotate"] {
            ask(key, "POST", path, &json!({})).await.assert_refused(403, refused);
        }
        ask(key, "PATCH", "/v1/instance/session_settings", &json!({})).await.assert_refused(403, refused);
    }
    ask(&sessions, "GET", KEYS, &json!({})).await.assert_refused(403, refused);
    let revoke = format!("{session}/revoke");
    ask(&read_only, "POST", &revoke, &json!({})).await.assert_refused(403, refused);
    ask(&sessions, "POST", &revoke, &json!({})).await.assert_ok();
    let unknown = app.backend().post(KEYS, json!({"role": "admin"})).await;
    unknown.assert_refused(422, "form_param_value_invalid");
}

#[tokio::test]
async fn a_key_expires_when_it_was_said_to() {
    let app = TestApp::new().start().await;
    let key = app.backend().post(KEYS, json!({"expires_in_seconds": 3600})).await.assert_ok().json();
    assert_eq!(key["expires_at"], json!(app.clock.now().as_millis() + 3_600_000));
    app.clock.advance(minutes(59));
    ask_with(&app, &key).await.assert_ok();
    app.clock.advance(minutes(1));
    let refused = ask_with(&app, &key).await;
    refused.assert_refused(401, "clerk_key_invalid");
    assert!(refused.text().contains("expired"), "{}", refused.text());
    for seconds in [0, 59, 315_360_001] {
        let refused = app.backend().post(KEYS, json!({"expires_in_seconds": seconds})).await;
        refused.assert_refused(422, "form_param_value_invalid");
    }
}

#[tokio::test]
async fn a_key_with_less_rights_does_not_count_as_the_one_that_stays() {
    let app = TestApp::new().production().start().await;
    app.backend().post(KEYS, json!({"role": "sessions"})).await.assert_ok();
    app.backend().post(KEYS, json!({"expires_in_seconds": 60})).await.assert_ok();
    app.clock.advance(minutes(2));
    let keys = listed(&app).await;
    let full = keys.iter().find(|key| key["role"] == "full" && key["expires_at"].is_null());
    revoke(&app, full.expect("the first key")).await.assert_refused(409, "secret_key_cannot_be_revoked");
}
