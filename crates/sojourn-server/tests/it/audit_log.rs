//! The audit log: who did what, to what, from where, and what it changed (ADM-02).

use serde_json::{Value, json};
use sojourn_core::audit::Action;
use sojourn_store::{Engine as _, Store, Write};
use sojourn_testkit::{PASSWORD, TestApp, days};

const LOG: &str = "/v1/audit_log";

async fn entries(app: &TestApp, query: &str) -> Vec<Value> {
    let page = app.backend().get(&format!("{LOG}?{query}")).await.assert_ok().json();
    page["data"].as_array().expect("entries").clone()
}

async fn only(app: &TestApp, query: &str) -> Value {
    let [entry] = entries(app, query).await.try_into().expect("one entry");
    entry
}

#[tokio::test]
async fn an_entry_tells_who_from_where_and_what_changed() {
    let app = TestApp::new().trusted_proxies(&["127.0.0.1/32"]).start().await;
    let key = app.backend().post("/v1/instance/secret_keys", json!({"name": "worker"})).await.json();
    let bearer = format!("Bearer {}", key["secret"].as_str().expect("a secret"));
    let request = app.request("PATCH", "/v1/instance/settings").header("authorization", &bearer);
    let request = request
        .header("user-agent", "sojourn/0.1.0")
        .header("sojourn-cli-user", "ada")
        .from_peer("127.0.0.1")
        .header("x-forwarded-for", "203.0.113.9");
    request.json(&json!({"application_name": "Acme"})).send().await.assert_ok();
    let entry = only(&app, "action=settings.changed").await;
    assert_eq!(
        entry["actor"],
        json!({
            "type": "secret_key", "id": key["id"], "name": "worker", "role": "full", "label": "ada", "job": null,
        })
    );
    assert_eq!(
        entry["changes"],
        json!([{"field": "application_name", "before": "My application", "after": "Acme"}])
    );
    assert_eq!((&entry["object_type"], &entry["object_id"]), (&json!("settings_version"), &json!("2")));
    assert_eq!(
        (&entry["ip_address"], &entry["user_agent"]),
        (&json!("203.0.113.9"), &json!("sojourn/0.1.0"))
    );
    assert_eq!(entry["at"], json!(app.server().moment().wall.as_millis()));
    assert_eq!(entry["request_id"].as_str().map(str::len), Some(32));
    assert_eq!(only(&app, &format!("actor={}", key["id"].as_str().expect("an id"))).await, entry);
}

#[tokio::test]
async fn what_is_refused_or_changes_nothing_is_not_in_the_log() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let backend = app.backend();
    let before = entries(&app, "").await;
    backend.patch("/v1/instance/settings", json!({"application_name": 7})).await;
    backend.patch("/v1/instance/settings", json!({"application_name": "My application"})).await.assert_ok();
    backend.patch("/v1/instance/settings?dry_run=true", json!({"application_name": "x"})).await.assert_ok();
    backend.post("/v1/sessions/revoke?dry_run=true", json!({"all": true})).await.assert_ok();
    backend.post("/v1/users/user_none/ban", json!({})).await;
    backend.post("/v1/users", json!({"email_address": ["alice@example.com"], "password": PASSWORD})).await;
    // The user's own acts are not administrative, and over is over.
    let session = alice.session();
    alice.sign_out(&session).await.assert_ok();
    backend.post(&format!("/v1/sessions/{session}/revoke"), json!({})).await.assert_ok();
    assert_eq!(entries(&app, "").await, before);
}

#[tokio::test]
async fn a_repeated_creation_is_in_the_log_once() {
    let app = TestApp::new().start().await;
    let send = || {
        let request = app.backend().request("POST", "/v1/instance/secret_keys");
        request.header("idempotency-key", "one").json(&json!({"name": "worker"})).send()
    };
    let (first, second) = (send().await.json(), send().await.json());
    assert_eq!(first, second);
    assert_eq!(only(&app, "action=secret_key.created").await["object_id"], first["id"]);
}

#[tokio::test]
async fn log_01_secrets_of_a_user_are_named_and_not_shown() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    let body = json!({
        "email_address": ["ada@example.com"], "password": PASSWORD, "first_name": "Ada",
        "private_metadata": {"key": "whispered"}, "public_metadata": {"plan": "gold"},
    });
    let user = backend.post("/v1/users", body).await.assert_ok().json();
    let id = user["id"].as_str().expect("an id").to_owned();
    let change = json!({"password": "another correct horse", "private_metadata": {"key": "shouted"}});
    backend.patch(&format!("/v1/users/{id}"), change).await.assert_ok();
    let entries = entries(&app, &format!("object_id={id}")).await;
    let told: Vec<String> = entries
        .iter()
        .flat_map(|entry| entry["changes"].as_array().expect("changes"))
        .map(|change| format!("{}: {} -> {}", change["field"], change["before"], change["after"]))
        .collect();
    assert_eq!(
        told,
        [
            r#""password": "***" -> "***""#,
            r#""private_metadata": "***" -> "***""#,
            r#""email_addresses": [] -> ["ada@example.com"]"#,
            r#""first_name": null -> "Ada""#,
            r#""password": null -> "***""#,
            r#""primary_email_address": null -> "ada@example.com""#,
            r#""private_metadata": null -> "***""#,
            r#""public_metadata.plan": null -> "gold""#,
        ]
    );
    let text = Value::from(entries).to_string();
    for secret in [PASSWORD, "another correct horse", "whispered", "shouted", "argon2"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn dat_02_a_deleted_user_leaves_acts_without_values() {
    let app = TestApp::new().start().await;
    let body = json!({"email_address": ["ada@example.com"], "password": PASSWORD});
    let user = app.backend().post("/v1/users", body).await.assert_ok().json();
    let id = user["id"].as_str().expect("an id").to_owned();
    app.backend().delete(&format!("/v1/users/{id}")).await.assert_ok();
    let [deleted, created] = entries(&app, &format!("object_id={id}")).await.try_into().expect("two entries");
    assert_eq!((&deleted["action"], &created["action"]), (&json!("user.deleted"), &json!("user.created")));
    assert_eq!(created["changes"], Value::Null);
    assert_eq!(created["fields"], json!(["email_addresses", "password", "primary_email_address"]));
    assert!(!format!("{deleted} {created}").contains("ada@example.com"));
}

#[tokio::test]
async fn the_log_is_read_by_roles_that_read_everything() {
    let app = TestApp::new().start().await;
    let user = app.user("ada@example.com").await;
    // The export of a user holds entries of the log, and mails.
    let export = format!("/v1/users/{}/export", user.id);
    for (role, status) in [("full", 200), ("read_only", 200), ("sessions", 403)] {
        let key = app.backend().post("/v1/instance/secret_keys", json!({"role": role})).await.json();
        let bearer = format!("Bearer {}", key["secret"].as_str().expect("a secret"));
        for path in [LOG, &export] {
            let answer = app.request("GET", path).header("authorization", &bearer).send().await;
            assert_eq!(answer.status(), status, "{role} {path}: {answer}");
        }
    }
    let nobody = app.request("GET", LOG).send().await;
    nobody.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn the_log_is_filtered_and_paged() {
    let app = TestApp::new().start().await;
    for name in ["one", "two", "three"] {
        app.clock.advance(days(1));
        app.backend().patch("/v1/instance/settings", json!({"application_name": name})).await.assert_ok();
    }
    let wall = app.server().moment().wall;
    let after = |name: &str, entry: &Value| assert_eq!(entry["changes"][0]["after"], name);
    after("three", &entries(&app, "action=settings.*").await[0]);
    after("two", &entries(&app, "action=settings.changed&offset=1&limit=1").await[0]);
    let since = (wall - days(1)).as_millis();
    let found = entries(&app, &format!("action=settings.*&since={since}")).await;
    assert_eq!(found.len(), 2);
    let found = entries(&app, &format!("action=settings.*&before={since}")).await;
    after("one", &found[0]);
    assert_eq!(entries(&app, "actor=key_none").await, Vec::<Value>::new());
    let refused = app.backend().get(&format!("{LOG}?action=settings")).await;
    refused.assert_refused(422, "form_param_value_invalid");
    assert!(refused.text().contains("settings.changed"), "{refused}");
}

#[tokio::test]
async fn entries_are_kept_as_long_as_the_settings_say() {
    let app = TestApp::new().start().await;
    let purge = async || {
        let at = app.server().moment();
        sojourn_service::jobs::purge(app.server(), at).await.expect("the store answers");
        entries(&app, "action=settings.changed").await.len()
    };
    app.backend().patch("/v1/instance/settings", json!({"application_name": "one"})).await.assert_ok();
    app.clock.advance(days(399));
    assert_eq!(purge().await, 1);
    app.clock.advance(days(1));
    assert_eq!(purge().await, 0);
    let forever = json!({"audit": {"retention_days": 0}});
    app.backend().patch("/v1/instance/settings", forever).await.assert_ok();
    app.clock.advance(days(4000));
    assert_eq!(purge().await, 1);
}

#[tokio::test]
async fn what_the_server_does_by_itself_is_in_the_log() {
    let app = TestApp::new().start().await;
    let rotation = json!({"signing_keys": {"rotation_days": 1}});
    app.backend().patch("/v1/instance/settings", rotation).await.assert_ok();
    app.clock.advance(days(2));
    sojourn_service::signing_keys::rotate_if_due(app.server()).await.expect("a rotation");
    let rotated = only(&app, "action=signing_key.rotated").await;
    assert_eq!(
        (&rotated["actor"]["type"], &rotated["actor"]["job"]),
        (&json!("system"), &json!("signing_key_rotation"))
    );
    assert_eq!(rotated["ip_address"], Value::Null);
    if matches!(app.store(), Store::Sqlite(_)) {
        // One process has it for itself.
        return;
    }
    let pin = ("application_name", json!("Pinned"), "file:sojourn.toml");
    app.another_node(&[pin]).await.expect("a node");
    let pinned = entries(&app, "action=settings.changed&actor=system").await;
    assert_eq!(pinned[0]["actor"]["job"], "configuration");
    assert_eq!(pinned[0]["changes"][0]["after"], "Pinned");
}

#[test]
fn the_documentation_names_every_action() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/audit.md");
    let page = std::fs::read_to_string(page).expect("a page");
    for action in Action::ALL {
        assert!(page.contains(&format!("`{}`", action.as_str())), "docs/audit.md lacks {}", action.as_str());
    }
}

#[tokio::test]
async fn adm_02_an_administrative_change_without_an_entry_is_refused() {
    let app = TestApp::new().start().await;
    let server = app.server().clone();
    let unseen = tokio::spawn(async move {
        let (mut settings, _) = server.store().settings(server.instance_id()).await.expect("settings");
        settings.version += 1;
        server.commit(server.changes(server.moment()).write(Write::Settings(settings))).await
    });
    assert!(unseen.await.expect_err("refused").is_panic());
    let (settings, _) = app.store().settings(app.server().instance_id()).await.expect("settings");
    assert_eq!(settings.version, 1);
}
