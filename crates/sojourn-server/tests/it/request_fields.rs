//! No field of the public documents is accepted without effect: each changes what the server
//! answers or stores, or is refused.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sojourn_core::id::TicketId;
use sojourn_store::Engine as _;
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp};

const FIELDS: &str = include_str!("../../../../openapi/public-request-fields.txt");

/// Fields that ask for what this server does anyway.
const AS_IT_IS: [(&str, &str); 7] = [
    ("bypass_client_trust", "no sign-in is held back because its device is new"),
    ("skip_legal_checks", "the Backend API never asks for the terms to be accepted"),
    ("captcha_error", "there is no check for bots, and browsers send this with each sign-up"),
    ("captcha_token", "as captcha_error"),
    ("captcha_widget_type", "as captcha_error"),
    ("proof_token", "as captcha_error"),
    ("intent", "the tab in front is the one whose session counts, whatever it means to do"),
];

/// `POST /v1/users` and its fields.
fn operations() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let lines = FIELDS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let (operation, fields) = line.split_once(": ").expect("an operation and its fields");
        (
            operation,
            fields.split(' ').filter(|field| AS_IT_IS.iter().all(|(name, _)| name != field)).collect(),
        )
    })
}

fn fields_of(operation: &str) -> Vec<&'static str> {
    operations().find(|(name, _)| *name == operation).expect("an operation of the list").1
}

/// The fields of a request without the one in question, and those with it.
fn probe(field: &str) -> (Value, Value) {
    let with = match field {
        "banned" | "locked" | "create_organization_enabled" | "notify_primary_email_address_changed" => {
            json!({field: true})
        }
        "delete_self_enabled" => json!({field: false}),
        "create_organizations_limit" => json!({field: 3}),
        "created_at" | "legal_accepted_at" => json!({field: "2020-01-01T00:00:00Z"}),
        "email_address" => json!({field: ["other@example.com"]}),
        "email_address_identification_status" => json!({field: ["reserved"]}),
        "phone_number" | "web3_wallet" | "backup_codes" | "phone_number_identification_status" => {
            json!({field: ["x"]})
        }
        "password" => json!({field: PASSWORD}),
        "password_digest" => {
            json!({field: "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "password_hasher": "argon2id"})
        }
        "password_hasher" => json!({field: "bcrypt", "password_digest": "x"}),
        "public_metadata" | "private_metadata" | "unsafe_metadata" => json!({field: {"a": 1}}),
        "skip_password_checks" => {
            return (json!({"password": "short"}), json!({"password": "short", field: true}));
        }
        "skip_password_requirement" => return (json!({field: null}), json!({field: true})),
        "skip_user_requirement" => {
            return (json!({"email_address": []}), json!({"email_address": [], field: true}));
        }
        "sign_out_of_other_sessions" => {
            return (json!({"password": PASSWORD}), json!({"password": PASSWORD, field: true}));
        }
        "transfer" => json!({field: true}),
        "legal_accepted" => json!({field: true}),
        "identifier" => json!({field: "nobody@example.com"}),
        // What goes with ways to sign in that are not offered.
        "action_complete_redirect_url" | "redirect_url" => json!({field: "/", "strategy": "email_link"}),
        "oidc_login_hint" | "oidc_prompt" => json!({field: "x", "strategy": "oauth_google"}),
        "token" | "code" => json!({field: "x", "strategy": "google_one_tap"}),
        "trusted_device_id" => json!({field: "x", "strategy": "trusted_device"}),
        "expires_in_seconds" | "session_max_duration_in_seconds" => json!({field: 40}),
        "actor" => json!({field: {"sub": "somebody else"}}),
        _ => json!({field: "x"}),
    };
    (json!({}), with)
}

/// Without what differs from one record to the next: ids, and pictures made of them.
fn stable(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.split_once('_') {
            Some((kind, id)) if id.len() > 20 && id.chars().all(|c| c.is_ascii_alphanumeric()) => kind.into(),
            _ => text.as_str().into(),
        },
        Value::Array(items) => items.iter().map(stable).collect(),
        Value::Object(fields) => {
            let hidden = ["image_url", "url", "token"];
            let shown = fields.iter().filter(|(name, _)| !hidden.contains(&name.as_str()));
            Value::Object(shown.map(|(name, value)| (name.clone(), stable(value))).collect())
        }
        other => other.clone(),
    }
}

fn merged(base: &Value, more: &Value) -> Value {
    let mut fields: Map<String, Value> = base.as_object().cloned().expect("fields");
    fields.extend(more.as_object().cloned().expect("fields"));
    fields.into()
}

/// What an answer says, and what else can be seen of its effect.
fn outcome(answer: &Answer, beside: &Value) -> (u16, Value) {
    (answer.status(), json!([stable(&answer.json()), beside]))
}

/// Fails for the fields with which `ask` has the outcome that it has without them.
async fn assert_effects(fields: &[&str], ask: impl AsyncFn(Value) -> (u16, Value)) {
    let mut without_effect = BTreeSet::new();
    for field in fields {
        let (base, with) = probe(field);
        let with = ask(with).await;
        assert!(with.0 < 500, "{field}: {with:?}");
        if with.0 < 400 && with == ask(base).await {
            without_effect.insert(*field);
        }
    }
    assert!(without_effect.is_empty(), "accepted and not done: {without_effect:?}");
}

fn user(email: &str) -> Value {
    json!({"email_address": [email], "skip_password_requirement": true})
}

#[tokio::test]
async fn each_field_of_a_new_user_has_an_effect_or_is_refused() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    assert_effects(&fields_of("POST /v1/users"), async |fields| {
        let answer = backend.post("/v1/users", merged(&user("ada@example.com"), &fields)).await;
        if answer.status() == 200 {
            backend.delete(&format!("/v1/users/{}", answer.json()["id"].as_str().expect("an id"))).await;
        }
        outcome(&answer, &Value::Null)
    })
    .await;
}

#[tokio::test]
async fn each_field_of_a_changed_user_has_an_effect_or_is_refused() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    for (method, path) in [
        ("PATCH", "/v1/users/{user_id}"),
        ("PATCH", "/v1/users/{user_id}/metadata"),
        ("PUT", "/v1/users/{user_id}/metadata"),
        ("POST", "/v1/users/{user_id}/remove_password"),
        ("POST", "/v1/users/{user_id}/verify_password"),
    ] {
        assert_effects(&fields_of(&format!("{method} {path}")), async |mut fields| {
            let base = json!({"email_address": ["ada@example.com", "ada@work.example"], "password": "another long password"});
            let made = backend.post("/v1/users", merged(&user("ada@example.com"), &base)).await.json();
            let id = made["id"].as_str().expect("an id");
            backend.post("/v1/sessions", json!({"user_id": id})).await.assert_ok();
            if fields.get("primary_email_address_id").is_some() {
                fields["primary_email_address_id"] = made["email_addresses"][1]["id"].clone();
            }
            if path.ends_with("remove_password") {
                fields.as_object_mut().map(|fields| fields.remove("password"));
            }
            let request = backend.request(method, &path.replace("{user_id}", id)).json(&fields);
            let answer = request.send().await;
            let sessions = backend.get(&format!("/v1/sessions?status=active&user_id={id}")).await.json();
            let user = backend.get(&format!("/v1/users/{id}")).await.json();
            backend.delete(&format!("/v1/users/{id}")).await.assert_ok();
            let is_primary = user["primary_email_address_id"] == user["email_addresses"][0]["id"];
            outcome(&answer, &json!([sessions.as_array().map(Vec::len), is_primary, stable(&user)]))
        })
        .await;
    }
}

#[tokio::test]
async fn each_field_of_a_ticket_has_an_effect_or_is_refused() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    let user = app.user("ada@example.com").await.id;
    let actor = json!({"user_id": user, "actor": {"sub": "support"}});
    for (path, base) in [("/v1/sign_in_tokens", json!({"user_id": user})), ("/v1/actor_tokens", actor)] {
        assert_effects(&fields_of(&format!("POST {path}")), async |fields| {
            let answer = backend.post(path, merged(&base, &fields)).await;
            let id = answer.json()["id"].as_str().and_then(|id| id.parse::<TicketId>().ok());
            let stored = match id {
                Some(id) => app.store().ticket_by_id(app.server().instance_id(), id).await.expect("a store"),
                None => None,
            };
            let limits = stored.map(|ticket| {
                let maximum = ticket.impersonation.map(|own| own.lifetime().maximum());
                format!("{:?} {maximum:?}", ticket.expires_at)
            });
            outcome(&answer, &limits.into())
        })
        .await;
    }
}

#[tokio::test]
async fn each_field_of_a_session_has_an_effect_or_is_refused() {
    let app = TestApp::new().start().await;
    let (backend, alice) = (app.backend(), app.signed_in("alice@example.com").await);
    let user = app.user("ada@example.com").await.id;
    assert_effects(&fields_of("POST /v1/sessions"), async |fields| {
        outcome(&backend.post("/v1/sessions", merged(&json!({"user_id": user}), &fields)).await, &Value::Null)
    })
    .await;
    for path in ["tokens", "tokens/{template_name}", "refresh"] {
        let operation = format!("/v1/sessions/{{session_id}}/{path}");
        assert_effects(&fields_of(&format!("POST {operation}")), async |fields| {
            let path = operation.replace("{session_id}", &alice.session()).replace("{template_name}", "mine");
            let answer = backend.post(&path, fields).await;
            let lives = answer.json()["jwt"].as_str().map(|jwt| {
                let claims = app.verified(jwt);
                claims["exp"].as_i64().unwrap_or_default() - claims["iat"].as_i64().unwrap_or_default()
            });
            (answer.status(), lives.into())
        })
        .await;
    }
}

/// The fields as a browser sends them.
async fn send(browser: &FakeBrowser, method: &str, path: &str, fields: &Value) -> Answer {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = fields.as_object().expect("fields");
    let fields: Vec<(&str, String)> =
        fields.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post_as(method, path, &fields).await
}

/// A sign-up takes one address as a text.
fn one_address(mut fields: Value) -> Value {
    if let Some(address) = fields.get("email_address").map(|addresses| addresses[0].clone()) {
        fields["email_address"] = address;
    }
    fields
}

#[tokio::test]
async fn each_field_of_a_sign_up_has_an_effect_or_is_refused() {
    let app = TestApp::new().start().await;
    assert_effects(&fields_of("POST /v1/client/sign_ups"), async |fields| {
        let answer = send(&app.browser(), "POST", "/v1/client/sign_ups", &one_address(fields)).await;
        outcome(&answer, &Value::Null)
    })
    .await;
    assert_effects(&fields_of("PATCH /v1/client/sign_ups/{sign_up_id}"), async |fields| {
        let browser = app.browser();
        let begun = browser.post("/v1/client/sign_ups", &[("last_name", "Lovelace")]).await;
        let path = format!("/v1/client/sign_ups/{}", begun.id());
        outcome(&send(&browser, "PATCH", &path, &one_address(fields)).await, &Value::Null)
    })
    .await;
}

#[tokio::test]
async fn each_field_of_a_sign_in_has_an_effect_or_is_refused() {
    let app = TestApp::new().start().await;
    assert_effects(&fields_of("POST /v1/client/sign_ins"), async |fields| {
        outcome(&send(&app.browser(), "POST", "/v1/client/sign_ins", &fields).await, &Value::Null)
    })
    .await;
}

#[tokio::test]
async fn each_field_of_the_own_account_has_an_effect_or_is_refused() {
    let app = TestApp::new().start().await;
    for (operation, path) in [("PATCH /v1/me", "/v1/me"), ("PATCH /v1/me/metadata", "/v1/me/metadata")] {
        assert_effects(&fields_of(operation), async |mut fields| {
            let made =
                json!({"email_address": ["alice@example.com", "alice@work.example"], "password": PASSWORD});
            let made = app.backend().post("/v1/users", made).await.json();
            let alice = app.signed_in("alice@example.com").await;
            if fields.get("primary_email_address_id").is_some() {
                fields["primary_email_address_id"] = made["email_addresses"][1]["id"].clone();
            }
            let answer = send(&alice, "PATCH", path, &fields).await;
            let user = alice.get("/v1/me").await.response();
            let is_primary = user["primary_email_address_id"] == user["email_addresses"][0]["id"];
            app.backend().delete(&format!("/v1/users/{}", made["id"].as_str().expect("an id"))).await;
            (answer.status(), json!([is_primary, stable(&user)]))
        })
        .await;
    }
}

#[tokio::test]
async fn no_session_of_a_browser_takes_an_organization() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    for (path, field) in [("touch", "active_organization_id"), ("tokens", "organization_id")] {
        let operation = format!("/v1/client/sessions/{{session_id}}/{path}");
        assert!(fields_of(&format!("POST {operation}")).contains(&field));
        let path = operation.replace("{session_id}", &alice.session());
        alice.post(&path, &[(field, "org_1")]).await.assert_refused(422, "form_param_unknown");
        alice.post(&path, &[(field, "")]).await.assert_ok();
    }
}

#[tokio::test]
async fn who_may_not_delete_their_account_keeps_it() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let path = format!("/v1/users/{}", app.user("alice@example.com").await.id);
    let kept = app.backend().patch(&path, json!({"delete_self_enabled": false})).await;
    assert_eq!(kept.assert_ok().json()["delete_self_enabled"], false);
    assert_eq!(alice.get("/v1/me").await.response()["delete_self_enabled"], false);
    let refused = alice.post_as("DELETE", "/v1/me", &[]).await;
    refused.assert_refused(403, "authorization_invalid");
    alice.token(&alice.session()).await.assert_ok();

    app.backend().patch(&path, json!({"delete_self_enabled": true})).await.assert_ok();
    alice.post_as("DELETE", "/v1/me", &[]).await.assert_ok();
}
