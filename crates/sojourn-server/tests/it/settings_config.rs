//! The settings under the vendor's platform paths: one document, one version.

use serde_json::{Value, json};
use sojourn_testkit::{Answer, TestApp, days, minutes};

const SESSION: &str = "/v1/instance/session_settings";

fn config(app: &TestApp, query: &str) -> String {
    let id = app.server().instance_id();
    format!("/v1/platform/applications/{id}/instances/{id}/config{query}")
}

fn error(answer: &Answer) -> Value {
    answer.json()["errors"][0].clone()
}

/// What GET gives, as PUT takes it.
async fn whole(app: &TestApp) -> Value {
    let mut whole = app.backend().get(&config(app, "")).await.json();
    whole.as_object_mut().expect("an object").remove("config_version");
    whole
}

#[tokio::test]
async fn the_config_shows_the_document_of_the_settings_api() {
    let app = TestApp::new().start().await;
    app.backend().patch(SESSION, json!({"multi_session_enabled": true})).await.assert_ok();
    let document = app.backend().get(&config(&app, "")).await.json();
    assert_eq!(document["config_version"], "2");
    for (path, key) in [(SESSION, "session_settings"), ("/v1/instance/session_token", "session")] {
        let mut alone = app.backend().get(path).await.json();
        for name in ["object", "version", "updated_at", "claims_cut"] {
            alone.as_object_mut().expect("an object").remove(name);
        }
        assert_eq!(document[key], alone);
    }
    let rest = app.backend().get("/v1/instance/settings").await.json();
    for key in ["application_name", "auth_email", "paths", "test_mode", "allowed_origins"] {
        assert_eq!(document[key], rest[key], "{key}");
    }
    let some = app.backend().get(&config(&app, "?keys=session&keys=paths")).await.json();
    let names: Vec<&String> = some.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["config_version", "paths", "session"]);
    let unknown = app.backend().get(&config(&app, "?keys=billing")).await;
    unknown.assert_refused(422, "form_param_unknown");
    assert!(error(&unknown)["long_message"].as_str().is_some_and(|text| text.contains("session_settings")));
}

#[tokio::test]
async fn config_paths_name_this_instance_and_need_its_key() {
    let development = TestApp::new().start().await;
    let production = TestApp::new().production().start().await;
    for (app, environment, other) in
        [(&development, "development", "production"), (&production, "production", "development")]
    {
        let id = app.server().instance_id().to_string();
        let application = id.replace("ins_", "app_");
        let path = |application: &str, instance: &str| {
            format!("/v1/platform/applications/{application}/instances/{instance}/config")
        };
        for good in [path(&id, &id), path(&id, environment), path(&application, environment)] {
            app.backend().get(&good).await.assert_ok();
            app.backend().get(&format!("{good}/schema")).await.assert_ok();
            let stranger = app.request("GET", &good).send().await;
            stranger.assert_refused(401, "authentication_invalid");
            let browser = app.backend().request("GET", &good).origin(Some("https://app.example.com"));
            browser.send().await.assert_refused(400, "origin_authorization_headers_conflict");
        }
        for bad in [path(&id, other), path("app_1", environment), path(&id, "ins_1"), path(&id, &application)]
        {
            for method in ["GET", "PATCH", "PUT"] {
                let answer = app.backend().request(method, &bad).json(&json!({})).send().await;
                answer.assert_refused(404, "resource_not_found");
                assert!(answer.text().contains(&id), "{answer}");
            }
        }
    }
}

#[tokio::test]
async fn patch_merges_deeply_over_all_documents_as_one_version() {
    let app = TestApp::new().start().await;
    let claims = json!({"session": {"claims": {"a": 1, "deep": {"x": 1}}}});
    app.backend().patch(&config(&app, ""), claims).await.assert_ok();
    let change = json!({
        "session_settings": {"inactivity_timeout": {"enabled": true}},
        "session": {"claims": {"b": 2, "deep": {"y": 2}}},
        "application_name": "Acme",
    });
    let answer = app.backend().patch(&config(&app, ""), change).await;
    answer.assert_ok();
    let answer = answer.json();
    assert_eq!((&answer["config_version"], &answer["dry_run"]), (&json!("3"), &json!(false)));
    let names: Vec<&String> = answer["after"].as_object().expect("an object").keys().collect();
    assert_eq!(names, ["application_name", "session", "session_settings"], "only what was given");
    assert_eq!(answer["before"]["application_name"], "My application");
    let document = whole(&app).await;
    assert_eq!(document["application_name"], "Acme");
    assert_eq!(document["session"]["claims"], json!({"a": 1, "b": 2, "deep": {"x": 1, "y": 2}}));
    let idle = &document["session_settings"]["inactivity_timeout"];
    assert_eq!(*idle, json!({"enabled": true, "duration_seconds": 1800}));
    let history = app.backend().get("/v1/instance/settings_history?limit=1").await.json();
    assert_eq!(history["data"][0]["changes"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_dry_run_of_the_configuration_counts_and_changes_nothing() {
    let app = TestApp::new().start().await;
    app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(10));
    let change = json!({"session_settings": {
        "inactivity_timeout": {"enabled": true, "duration_seconds": 60},
        "maximum_lifetime": {"duration_seconds": days(401).as_secs()},
    }});
    let dry = app.backend().patch(&config(&app, "?dry_run=true"), change.clone()).await.json();
    assert_eq!((&dry["config_version"], &dry["dry_run"]), (&json!("1"), &json!(true)));
    assert_eq!(dry["would_end"], json!({"now": 1, "within_one_hour": 0}));
    let codes: Vec<&Value> =
        dry["warnings"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["beyond_browser_limit", "inactivity_below_token_lifetime"]);
    assert_eq!(dry["after"]["session_settings"]["inactivity_timeout"]["duration_seconds"], 60);
    assert_eq!(app.backend().get(&config(&app, "")).await.json()["config_version"], "1");
    let send = |version: &str| {
        let request = app.backend().request("PATCH", &config(&app, "")).header("if-match", version);
        request.json(&change).send()
    };
    send("2").await.assert_refused(409, "conflict");
    send("1").await.assert_ok();
    send("\"1\"").await.assert_refused(409, "conflict");
}

#[tokio::test]
async fn put_takes_what_get_gave_and_demands_every_key() {
    let app = TestApp::new().start().await;
    app.backend()
        .patch("/v1/instance/session_token", json!({"claims": {"a": null, "b": 1}}))
        .await
        .assert_ok();
    let mut document = whole(&app).await;
    let same = app.backend().put(&config(&app, ""), document.clone()).await;
    same.assert_ok();
    assert_eq!(same.json()["config_version"], "2", "nothing changed, so there is no version for it");
    document["session"]["claims"] = json!({"c": 3});
    document["session_settings"]["multi_session_enabled"] = json!(true);
    let replaced = app.backend().put(&config(&app, ""), document.clone()).await;
    replaced.assert_ok();
    assert_eq!(replaced.json()["config_version"], "3");
    assert_eq!(whole(&app).await, document, "claims are what was sent and nothing else");

    let object = document.as_object_mut().expect("an object");
    object.remove("paths");
    object["session_settings"].as_object_mut().expect("an object").remove("activity");
    object["session"] = json!({"lifetime": 60});
    let refused = app.backend().put(&config(&app, ""), document).await;
    refused.assert_refused(400, "request_body_invalid");
    let missing = &error(&refused)["meta"]["missing"];
    let expected =
        json!(["paths", "session.allowed_clock_skew", "session.claims", "session_settings.activity"]);
    assert_eq!(*missing, expected);
}

#[tokio::test]
async fn in_production_too_put_accepts_what_get_returned() {
    let app = TestApp::new().production().start().await;
    let mut document = whole(&app).await;
    document["application_name"] = json!("Acme");
    app.backend().put(&config(&app, ""), document.clone()).await.assert_ok();
    document["test_mode"] = json!(false);
    app.backend().put(&config(&app, ""), document.clone()).await.assert_ok();
    document["test_mode"] = json!(true);
    let refused = app.backend().put(&config(&app, ""), document).await;
    refused.assert_refused(400, "request_invalid_for_environment");
}

#[tokio::test]
async fn null_takes_something_away_only_where_that_is_asked_for() {
    let app = TestApp::new().start().await;
    let set = json!({
        "session": {"claims": {"a": 1, "b": 2}, "lifetime": 45},
        "paths": {"home_url": "https://example.com/"},
        "session_settings": {"multi_session_enabled": true},
    });
    app.backend().patch(&config(&app, ""), set).await.assert_ok();
    let nulls = [
        (json!({"paths": {"home_url": null}}), "paths.home_url"),
        (json!({"session": {"claims": {"a": null}}}), "session.claims.a"),
        (json!({"session": {"lifetime": null}}), "session.lifetime"),
        (json!({"session_settings": null}), "session_settings"),
    ];
    for (body, path) in &nulls {
        let refused = app.backend().patch(&config(&app, ""), body.clone()).await;
        refused.assert_refused(422, "form_param_nil");
        assert_eq!(error(&refused)["meta"]["param_name"], *path);
        assert!(refused.text().contains("destructive=true"), "{refused}");
    }
    for (body, path) in nulls {
        let cleared = app.backend().patch(&config(&app, "?destructive=true"), body).await;
        assert_eq!(cleared.status(), 200, "{path}: {cleared}");
    }
    let document = whole(&app).await;
    assert_eq!(document["paths"]["home_url"], Value::Null);
    assert_eq!(document["session"], json!({"claims": {"b": 2}, "lifetime": 60, "allowed_clock_skew": 5}));
    assert_eq!(document["session_settings"]["multi_session_enabled"], false, "back to the default");
    let nothing_to_take = json!({"paths": {"home_url": null}, "session": {"claims": {"zzz": null}}});
    app.backend().patch(&config(&app, ""), nothing_to_take).await.assert_ok();
}

#[tokio::test]
async fn s2_neither_limit_is_refused_here_as_everywhere() {
    let app = TestApp::new().start().await;
    let body = json!({"session_settings": {"maximum_lifetime": {"enabled": false}}});
    let mut document = whole(&app).await;
    document["session_settings"]["maximum_lifetime"]["enabled"] = json!(false);
    for query in ["", "?dry_run=true"] {
        let patched = app.backend().patch(&config(&app, query), body.clone()).await;
        patched.assert_refused(422, "session_lifetime_required");
        let put = app.backend().put(&config(&app, query), document.clone()).await;
        put.assert_refused(422, "session_lifetime_required");
    }
    assert_eq!(app.backend().get(SESSION).await.json()["version"], 1);
}

#[tokio::test]
async fn an_invalid_config_is_refused_whole_with_the_full_path() {
    let app = TestApp::new().production().start().await;
    let rows = [
        (json!({"billing": {}}), "form_param_unknown", "billing"),
        (json!({"session_settings": {"inactivity": 1}}), "form_param_unknown", "session_settings.inactivity"),
        (json!({"session": {"secret": null}}), "form_param_unknown", "session.secret"),
        (json!({"session_settings": 5}), "form_param_type_invalid", "session_settings"),
        (
            json!({"session_settings": {"maximum_lifetime": {"duration_seconds": 299}}}),
            "form_param_value_invalid",
            "session_settings.maximum_lifetime.duration_seconds",
        ),
        (
            json!({"session_settings": {"inactivity_timeout": {"duration_seconds": 315_360_001}}}),
            "form_param_value_invalid",
            "session_settings.inactivity_timeout.duration_seconds",
        ),
        (json!({"session": {"lifetime": 29}}), "form_param_value_invalid", "session.lifetime"),
        (
            json!({"session": {"allowed_clock_skew": 301}}),
            "form_param_value_invalid",
            "session.allowed_clock_skew",
        ),
        (json!({"session": {"claims": {"a": "{{x"}}}), "form_param_format_invalid", "session.claims"),
        (json!({"paths": {"home_url": "javascript:1"}}), "form_param_format_invalid", "paths.home_url"),
        (
            json!({"auth_email": {"verify_at_sign_up": 1}}),
            "form_param_type_invalid",
            "auth_email.verify_at_sign_up",
        ),
    ];
    for (mut body, code, name) in rows {
        body["application_name"] = json!("Changed");
        let refused = app.backend().patch(&config(&app, ""), body).await;
        refused.assert_refused(422, code);
        assert_eq!(error(&refused)["meta"]["param_name"], name);
    }
    assert_eq!(whole(&app).await["application_name"], "My application");
}

#[tokio::test]
async fn the_schema_has_the_bounds_and_only_the_requested_keys() {
    let app = TestApp::new().production().start().await;
    let schema = app.backend().get(&config(&app, "/schema?keys=session_settings")).await.json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"].as_object().map(serde_json::Map::len), Some(1));
    let maximum = &schema["properties"]["session_settings"]["properties"]["maximum_lifetime"];
    let duration = &maximum["properties"]["duration_seconds"];
    assert_eq!(
        (&duration["minimum"], &duration["maximum"], &duration["default"]),
        (&json!(300), &json!(315_360_000), &json!(604_800))
    );
    app.backend().get(&config(&app, "/schema?keys=x")).await.assert_refused(422, "form_param_unknown");
}
