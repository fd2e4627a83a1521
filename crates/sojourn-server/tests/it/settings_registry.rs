//! Every setting by every way of the API: each accepts and refuses the same values.

use serde_json::{Map, Value, json};
use sojourn_core::{
    settings::{SETTINGS, Setting, registry},
    testing::settings::samples,
};
use sojourn_testkit::{Answer, TestApp};

fn config(app: &TestApp) -> String {
    let id = app.server().instance_id();
    format!("/v1/platform/applications/{id}/instances/{id}/config")
}

/// The document that has the setting, and its path in there.
fn document(setting: &Setting) -> (&'static str, &'static str) {
    let tables = [
        ("session_settings.", "/v1/instance/session_settings"),
        ("session.", "/v1/instance/session_token"),
        ("", "/v1/instance/settings"),
    ];
    let found =
        tables.into_iter().find_map(|(prefix, path)| Some((path, setting.path.strip_prefix(prefix)?)));
    found.expect("a document")
}

fn at(path: &str, value: &Value) -> Value {
    let mut document = Map::new();
    registry::insert_at(&mut document, path, value.clone());
    document.into()
}

async fn whole(app: &TestApp) -> Value {
    let mut whole = app.backend().get(&config(app)).await.json();
    whole.as_object_mut().expect("an object").remove("config_version");
    whole
}

/// The value by each way as a dry run.
async fn tried(app: &TestApp, setting: &Setting, value: &Value) -> [(&'static str, Answer); 3] {
    let (path, inside) = document(setting);
    let alone = app.backend().patch(&format!("{path}?dry_run=true"), at(inside, value)).await;
    let query = "?dry_run=true&destructive=true";
    let part = app.backend().patch(&format!("{}{query}", config(app)), at(setting.path, value)).await;
    let mut all = whole(app).await;
    registry::insert_at(all.as_object_mut().expect("an object"), setting.path, value.clone());
    let put = app.backend().put(&format!("{}{query}", config(app)), all).await;
    [("document", alone), ("PATCH", part), ("PUT", put)]
}

#[tokio::test]
async fn every_way_accepts_and_refuses_the_same_values() {
    let app = TestApp::new().start().await;
    // Each limit can be switched off while the other one is on.
    let both = json!({"inactivity_timeout": {"enabled": true}, "maximum_lifetime": {"enabled": true}});
    for setting in SETTINGS {
        let samples = samples(setting.kind);
        for value in samples.good {
            app.backend().patch("/v1/instance/session_settings", both.clone()).await.assert_ok();
            for (way, answer) in tried(&app, setting, &value).await {
                assert_eq!(answer.status(), 200, "{way} {} = {value}: {answer}", setting.path);
            }
            let pin = [(setting.path, value.clone(), "file:x")];
            app.clock.advance(sojourn_testkit::seconds(30));
            let node = app.another_node(&pin).await.unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!(
                registry::value_at(whole(&node).await.as_object().expect("all"), setting.path),
                &value
            );
        }
        // Null means the default in the configuration, and is tried elsewhere.
        for value in samples.bad.into_iter().filter(|value| !value.is_null()) {
            for (way, answer) in tried(&app, setting, &value).await {
                let status = answer.status();
                assert!((400..423).contains(&status), "{way} {} = {value}: {answer}", setting.path);
                let error = answer.json()["errors"][0].clone();
                let named = if way == "document" { document(setting).1 } else { setting.path };
                assert_eq!(error["meta"]["param_name"], named, "{way} {value}");
                let text = error["long_message"].as_str().unwrap_or_default().to_owned();
                let is_reserved = error["code"] == "jwt_template_reserved_claim";
                assert!(text.contains(named) || is_reserved, "{way}: {text}");
            }
            app.clock.advance(sojourn_testkit::seconds(30));
            let pin = [(setting.path, value.clone(), "file:x")];
            let refused = app.another_node(&pin).await.expect_err(setting.path).to_string();
            assert!(refused.contains("file:x"), "{refused}");
        }
    }
}

#[tokio::test]
async fn what_the_instance_cannot_change_is_refused_not_ignored() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    for (name, so, other) in [
        ("hibp", json!(false), json!(true)),
        ("clerk_js_version", json!(null), json!("5")),
        ("development_origin", json!(""), json!("http://localhost:3000")),
        ("cookieless_dev", json!(false), json!(true)),
        ("url_based_session_syncing", json!(false), json!(true)),
        ("preferred_sign_in_strategy_when_password_required", json!("password"), json!("otp")),
    ] {
        assert_eq!(backend.patch("/v1/instance", json!({name: so})).await.status(), 204, "{name}");
        let refused = backend.patch("/v1/instance", json!({name: other})).await;
        refused.assert_refused(422, "form_param_value_invalid");
        assert!(refused.text().contains(&format!("{name} cannot be changed: ")), "{refused}");
    }
    assert_eq!(backend.get("/v1/instance/settings").await.json()["version"], 1);
}

#[tokio::test]
async fn the_address_for_support_is_in_the_environment() {
    let app = TestApp::new().start().await;
    let shown = async || {
        let environment = app.browser().get("/v1/environment").await.json();
        environment["display_config"]["support_email"].clone()
    };
    assert_eq!(shown().await, "");
    let change = json!({"support_email": "help@example.com"});
    assert_eq!(app.backend().patch("/v1/instance", change).await.status(), 204);
    assert_eq!(shown().await, "help@example.com");
    let refused = app.backend().patch("/v1/instance", json!({"support_email": "help"})).await;
    refused.assert_refused(422, "form_param_format_invalid");
}
