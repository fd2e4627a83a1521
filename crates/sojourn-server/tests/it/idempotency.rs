//! A creation whose answer was lost may be asked for again with the same `Idempotency-Key`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sojourn_service::keys::sha256;
use sojourn_store::Engine as _;
use sojourn_testkit::{Answer, PASSWORD, TestApp};

async fn create(app: &TestApp, key: &str, path: &str, body: &Value) -> Answer {
    app.backend().request("POST", path).header("idempotency-key", key).json(body).send().await
}

fn creations(user: &str) -> [(&'static str, Value); 5] {
    [
        ("/v1/users", json!({"email_address": ["new@example.com"], "password": PASSWORD})),
        ("/v1/sessions", json!({"user_id": user})),
        ("/v1/sign_in_tokens", json!({"user_id": user})),
        ("/v1/actor_tokens", json!({"user_id": user, "actor": {"sub": "support"}})),
        ("/v1/instance/secret_keys", json!({"name": "worker"})),
    ]
}

/// The same for somebody else, where an address may be used once only.
fn another(body: &Value) -> Value {
    let mut body = body.clone();
    if body.get("email_address").is_some() {
        body["email_address"] = json!(["other@example.com"]);
    }
    body
}

async fn stories(app: TestApp) {
    let user = app.user("ada@example.com").await.id.to_string();
    for (path, body) in creations(&user) {
        let first = create(&app, path, path, &body).await;
        let again = create(&app, path, path, &body).await;
        assert_eq!(first.assert_ok().json(), again.assert_ok().json(), "{path}");
        let other = create(&app, &format!("another {path}"), path, &another(&body)).await;
        assert_ne!(other.json()["id"], first.json()["id"], "{path}");
        // The stored answer holds no secret.
        let instance = app.server().instance_id();
        let stored = app.store().idempotency_key(instance, sha256(path.as_bytes())).await.expect("a store");
        let stored = stored.expect("the first answer").answer.to_string();
        for secret in ["token", "secret"] {
            if let Some(secret) = first.json()[secret].as_str() {
                assert!(!stored.contains(secret), "{path}");
            }
        }
    }
    let users = app.backend().get("/v1/users/count").await.json();
    assert_eq!(users["total_count"], 3);
}

#[tokio::test]
async fn a_repeat_of_a_creation_gets_the_first_answer() {
    stories(TestApp::new().start().await).await;
    stories(TestApp::new().on_sqlite().start().await).await;
}

#[tokio::test]
async fn a_secret_in_a_repeated_answer_is_valid() {
    let app = TestApp::new().start().await;
    let user = app.user("ada@example.com").await.id.to_string();
    let body = json!({"user_id": user});
    create(&app, "k1", "/v1/sign_in_tokens", &body).await.assert_ok();
    let ticket = create(&app, "k1", "/v1/sign_in_tokens", &body).await.json();
    app.browser().sign_in_with_ticket(ticket["token"].as_str().expect("a token")).await.assert_ok();

    create(&app, "k2", "/v1/instance/secret_keys", &json!({})).await.assert_ok();
    let key = create(&app, "k2", "/v1/instance/secret_keys", &json!({})).await.json();
    let bearer = format!("Bearer {}", key["secret"].as_str().expect("a secret"));
    app.request("GET", "/v1/users").header("authorization", &bearer).send().await.assert_ok();
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let app = TestApp::new().start().await;
    let user = app.user("ada@example.com").await.id.to_string();
    let body = json!({"user_id": user});
    create(&app, "k1", "/v1/sign_in_tokens", &body).await.assert_ok();
    let longer = json!({"user_id": user, "expires_in_seconds": 60});
    for (path, body) in [("/v1/sign_in_tokens", &longer), ("/v1/sessions", &body)] {
        create(&app, "k1", path, body).await.assert_refused(422, "idempotency_key_reused");
    }
    for key in ["", &"k".repeat(256)] {
        let refused = create(&app, key, "/v1/sign_in_tokens", &body).await;
        refused.assert_refused(400, "malformed_request_parameters");
    }
}

#[tokio::test]
async fn a_refused_creation_leaves_its_key_unused() {
    let app = TestApp::new().start().await;
    app.user("ada@example.com").await;
    let body = json!({"email_address": ["ada@example.com"], "password": PASSWORD});
    create(&app, "k1", "/v1/users", &body).await.assert_refused(422, "form_identifier_exists");
    let free = json!({"email_address": ["bob@example.com"], "password": PASSWORD});
    create(&app, "k1", "/v1/users", &free).await.assert_ok();
}

#[tokio::test]
async fn creations_at_the_same_time_make_one() {
    let app = TestApp::new().on_sqlite().start().await;
    let user = app.user("ada@example.com").await.id.to_string();
    for (path, body) in creations(&user) {
        let (a, b) = tokio::join!(create(&app, path, path, &body), create(&app, path, path, &body));
        let ids: BTreeSet<String> =
            [a, b].iter().map(|answer| answer.assert_ok().json().to_string()).collect();
        assert_eq!(ids.len(), 1, "{path}: {ids:?}");
    }
}
