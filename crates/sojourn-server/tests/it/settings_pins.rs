//! Settings that are pinned by configuration (D8), with several nodes
//! on one store.

use serde_json::{Value, json};
use sojourn_store::Store;
use sojourn_testkit::{TestApp, seconds};

const SESSION: &str = "/v1/instance/session_settings";
const MAXIMUM: &str = "session_settings.maximum_lifetime.duration_seconds";

fn one_day() -> [(&'static str, Value, &'static str); 1] {
    [(MAXIMUM, json!(86_400), "file:sojourn.toml")]
}

/// A node with pins that starts when no other is known to run any more.
async fn node(pins: &[(&str, Value, &str)]) -> TestApp {
    let app = TestApp::new().start().await;
    app.clock.advance(seconds(30));
    app.another_node(pins).await.expect("it starts")
}

#[tokio::test]
async fn d8_pins_become_a_version_authored_by_their_source() {
    let app = node(&one_day()).await;
    let settings = app.backend().get(SESSION).await.json();
    assert_eq!(
        (&settings["version"], &settings["maximum_lifetime"]["duration_seconds"]),
        (&json!(2), &json!(86_400))
    );
    let history = app.backend().get("/v1/instance/settings_history").await.json();
    assert_eq!(history["data"][0]["author"], "file:sojourn.toml");
    assert_eq!(history["data"][0]["changes"], json!([{"path": MAXIMUM, "before": 604_800, "after": 86_400}]));
}

#[tokio::test]
async fn d8_a_second_node_with_other_pins_refuses_to_start() {
    let first = node(&one_day()).await;
    if matches!(first.store(), Store::Sqlite(_)) {
        // One process has the folder of an embedded database: there are no nodes.
        return;
    }
    let other = [(MAXIMUM, json!(3600), "env:SOJOURN_SESSION_SETTINGS__MAXIMUM_LIFETIME__DURATION_SECONDS")];
    for pins in [&other[..], &[]] {
        let refused = first.another_node(pins).await.expect_err("refused").to_string();
        assert!(refused.contains("other pinned settings") && refused.contains("wait 30 s"), "{refused}");
    }
    assert_eq!(first.backend().get(SESSION).await.json()["version"], 2, "nothing was changed by the attempt");
    let same = [(MAXIMUM, json!(86_400), "env:SOJOURN_X")];
    let second = first.another_node(&same).await.expect("the same values, wherever they are pinned");
    assert_eq!(second.backend().get(SESSION).await.json()["version"], 2);
    first.clock.advance(seconds(29));
    assert!(first.another_node(&other).await.is_err(), "the second one may still run");
    first.clock.advance(seconds(1));
    let changed = first.another_node(&other).await.expect("nobody said that they run");
    assert_eq!(changed.backend().get(SESSION).await.json()["maximum_lifetime"]["duration_seconds"], 3600);
}

#[tokio::test]
async fn s2_pins_that_leave_neither_limit_on_refuse_the_start() {
    let app = TestApp::new().start().await;
    app.clock.advance(seconds(30));
    let off = [("session_settings.maximum_lifetime.enabled", json!(false), "file:sojourn.toml")];
    let refused = app.another_node(&off).await.expect_err("refused").to_string();
    assert!(refused.contains("session_lifetime_required"), "{refused}");
    assert_eq!(app.backend().get(SESSION).await.json()["version"], 1);
}

#[tokio::test]
async fn d8_pins_out_of_bounds_refuse_the_start() {
    let app = TestApp::new().production().start().await;
    app.clock.advance(seconds(30));
    for (path, value, said) in [
        (
            MAXIMUM,
            json!(299),
            "from 300 to 315360000 whole seconds on this instance, and 299 is not. (from file:x)",
        ),
        ("session_settings.inactivity_timeout.duration_seconds", json!(u64::MAX), "from 300 to 315360000"),
        ("session_settings.activity", json!("guessed"), "token or visible"),
        ("session.lifetime", json!(29), "from 30 to 300 whole seconds"),
        ("session.claims", json!({"sub": 1}), "The token sets sub itself"),
    ] {
        let refused = app.another_node(&[(path, value, "file:x")]).await.expect_err(path).to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[tokio::test]
async fn d8_a_pinned_value_never_changes_and_names_its_pin() {
    let app = node(&one_day()).await;
    let backend = app.backend();
    let config = config_of(&app).await;
    let body = json!({"maximum_lifetime": {"duration_seconds": 7200}});
    let whole = json!({"session_settings": body});
    for refused in [
        backend.patch(SESSION, body.clone()).await,
        backend.patch(&format!("{SESSION}?dry_run=true"), body).await,
        backend.patch(&config, whole.clone()).await,
        backend.request("POST", "/v1/instance/settings_history/1/rollback").send().await,
        backend.request("POST", "/v1/instance/settings_history/1/rollback?dry_run=true").send().await,
    ] {
        refused.assert_refused(409, "setting_pinned");
        let error = refused.json()["errors"][0].clone();
        assert_eq!(error["meta"]["param_name"], MAXIMUM);
        assert_eq!(error["meta"]["pinned_in"], "file:sojourn.toml");
        assert!(error["long_message"].as_str().is_some_and(|text| text.contains("file:sojourn.toml")));
    }
    let beside = json!({"maximum_lifetime": {"duration_seconds": 86_400}, "multi_session_enabled": true});
    backend.patch(SESSION, beside).await.assert_ok();
}

async fn config_of(app: &TestApp) -> String {
    let id = app.server().instance_id();
    format!("/v1/platform/applications/{id}/instances/{id}/config")
}
