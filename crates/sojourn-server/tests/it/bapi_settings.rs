//! The settings API: what is in force, changes of it, and dry runs.

use serde_json::{Value, json};
use sojourn_testkit::{Answer, TestApp, days, minutes};

const SESSION: &str = "/v1/instance/session_settings";
const TOKEN: &str = "/v1/instance/session_token";
const REST: &str = "/v1/instance/settings";

fn error(answer: &Answer) -> Value {
    answer.json()["errors"][0].clone()
}

#[tokio::test]
async fn s1_a_new_instance_has_only_a_maximum_of_seven_days() {
    let app = TestApp::new().start().await;
    let settings = app.backend().get(SESSION).await.json();
    assert_eq!(
        settings,
        json!({
            "object": "session_settings",
            "inactivity_timeout": {"enabled": false, "duration_seconds": 1800},
            "maximum_lifetime": {"enabled": true, "duration_seconds": 604_800},
            "multi_session_enabled": false,
            "activity": "token",
            "ended_sessions_kept_seconds": 7_776_000,
            "version": 1,
            "updated_at": app.clock.now().as_millis(),
        })
    );
}

#[tokio::test]
async fn s2_neither_limit_is_refused_and_says_why_and_what_to_do() {
    let app = TestApp::new().start().await;
    for query in ["", "?dry_run=true"] {
        let both_off = json!({"maximum_lifetime": {"enabled": false}});
        let refused = app.backend().patch(&format!("{SESSION}{query}"), both_off).await;
        refused.assert_refused(422, "session_lifetime_required");
        let text = error(&refused)["long_message"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains("both") && text.contains("never end") && text.contains("Leave one"), "{text}");
    }
    assert_eq!(app.backend().get(SESSION).await.json()["version"], 1);
}

#[tokio::test]
async fn a_change_is_a_version_and_acts_at_once() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(10));
    let idle = json!({"inactivity_timeout": {"enabled": true, "duration_seconds": 600}});
    let changed = app.backend().patch(SESSION, idle.clone()).await;
    changed.assert_ok();
    assert_eq!(changed.json()["version"], 2);
    assert_eq!(changed.json()["updated_at"], app.clock.now().as_millis());
    assert_eq!(changed.json()["warnings"], json!([]));
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
    let same = app.backend().patch(SESSION, idle).await.json();
    assert_eq!(same["version"], 2, "nothing changed, so there is no version for it");
}

#[tokio::test]
async fn a_change_meant_for_another_version_is_a_conflict() {
    let app = TestApp::new().start().await;
    let send = |version: &str| {
        let request = app.backend().request("PATCH", SESSION).header("if-match", version);
        request.json(&json!({"inactivity_timeout": {"enabled": true}})).send()
    };
    send("2").await.assert_refused(409, "conflict");
    send("soon").await.assert_refused(400, "malformed_request_parameters");
    send("\"1\"").await.assert_ok();
    send("1").await.assert_refused(409, "conflict");
}

#[tokio::test]
async fn a_dry_run_counts_sessions_and_changes_nothing() {
    dry_run(TestApp::new().start().await).await;
    dry_run(TestApp::new().on_sqlite().start().await).await;
}

async fn dry_run(app: TestApp) {
    let idle = app.signed_in("idle@example.com").await;
    app.clock.advance(minutes(20));
    let resting = app.signed_in("resting@example.com").await;
    app.clock.advance(minutes(31));
    let active = app.signed_in("active@example.com").await;
    // Activity that may not have reached the database yet counts, too.
    resting.token(&resting.session()).await.assert_ok();
    let patch = json!({"inactivity_timeout": {"enabled": true, "duration_seconds": 1800}});
    let dry = app.backend().patch(&format!("{SESSION}?dry_run=true"), patch).await;
    dry.assert_ok();
    assert_eq!(
        dry.json(),
        json!({
            "object": "session_settings_dry_run",
            "before": {
                "inactivity_timeout": {"enabled": false, "duration_seconds": 1800},
                "maximum_lifetime": {"enabled": true, "duration_seconds": 604_800},
                "multi_session_enabled": false,
                "activity": "token",
                "ended_sessions_kept_seconds": 7_776_000,
            },
            "after": {
                "inactivity_timeout": {"enabled": true, "duration_seconds": 1800},
                "maximum_lifetime": {"enabled": true, "duration_seconds": 604_800},
                "multi_session_enabled": false,
                "activity": "token",
                "ended_sessions_kept_seconds": 7_776_000,
            },
            "would_end": {"now": 1, "within_one_hour": 2},
            "warnings": [],
        })
    );
    assert_eq!(app.backend().get(SESSION).await.json()["version"], 1);
    for browser in [idle, resting, active] {
        browser.token(&browser.session()).await.assert_ok();
    }
}

#[tokio::test]
async fn s7_beyond_400_days_is_accepted_with_a_warning() {
    let app = TestApp::new().production().start().await;
    let patch = json!({"maximum_lifetime": {"duration_seconds": days(401).as_secs()}});
    for query in ["?dry_run=true", ""] {
        let answer = app.backend().patch(&format!("{SESSION}{query}"), patch.clone()).await;
        answer.assert_ok();
        assert_eq!(answer.json()["warnings"][0]["code"], "beyond_browser_limit");
    }
}

#[tokio::test]
async fn what_cannot_be_a_session_setting_is_refused_and_named() {
    let app = TestApp::new().production().start().await;
    let rows = [
        (json!({"inactivity": {}}), "form_param_unknown", "inactivity"),
        (json!({"inactivity_timeout": {"minutes": 5}}), "form_param_unknown", "inactivity_timeout.minutes"),
        (
            json!({"inactivity_timeout": {"enabled": "yes"}}),
            "form_param_type_invalid",
            "inactivity_timeout.enabled",
        ),
        (json!({"inactivity_timeout": true}), "form_param_type_invalid", "inactivity_timeout"),
        (
            json!({"maximum_lifetime": {"duration_seconds": 1.5}}),
            "form_param_type_invalid",
            "maximum_lifetime.duration_seconds",
        ),
        (
            json!({"maximum_lifetime": {"duration_seconds": -1}}),
            "form_param_type_invalid",
            "maximum_lifetime.duration_seconds",
        ),
        (
            json!({"maximum_lifetime": {"duration_seconds": 299}}),
            "form_param_value_invalid",
            "maximum_lifetime.duration_seconds",
        ),
        (
            json!({"inactivity_timeout": {"duration_seconds": 299}}),
            "form_param_value_invalid",
            "inactivity_timeout.duration_seconds",
        ),
        (
            json!({"maximum_lifetime": {"duration_seconds": u64::MAX}}),
            "form_param_value_invalid",
            "maximum_lifetime.duration_seconds",
        ),
        (json!({"multi_session_enabled": null}), "form_param_nil", "multi_session_enabled"),
    ];
    for (body, code, name) in rows {
        let refused = app.backend().patch(SESSION, body).await;
        refused.assert_refused(422, code);
        assert_eq!(error(&refused)["meta"]["param_name"], name);
    }
    let short = app.backend().patch(SESSION, json!({"maximum_lifetime": {"duration_seconds": 299}})).await;
    assert_eq!(
        error(&short)["long_message"],
        "maximum_lifetime.duration_seconds has to be from 300 to 315360000 whole seconds on this instance, and 299 is not."
    );
}

#[tokio::test]
async fn s12_claims_of_ones_own_are_in_the_next_token() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let claims = json!({"name": "{{user.first_name || 'friend'}}"});
    let changed = app.backend().patch(TOKEN, json!({"claims": claims, "lifetime": 120})).await;
    changed.assert_ok();
    assert_eq!(changed.json()["object"], "session_token_settings");
    assert_eq!(changed.json()["warnings"][0]["code"], "token_outlives_revocation");
    let token = app.verified(&alice.token(&alice.session()).await.jwt());
    assert_eq!(token["name"], "Alice");
    assert_eq!(token["exp"].as_i64(), token["iat"].as_i64().map(|iat| iat + 120));
    let none = app.backend().patch(TOKEN, json!({"claims": null})).await;
    assert_eq!(none.json()["claims"], json!({}));
}

#[tokio::test]
async fn s12_a_dry_run_renders_the_claims_for_a_user() {
    let app = TestApp::new().start().await;
    let id = app.user("alice@example.com").await.id;
    app.change_user("alice@example.com", |user| {
        user.public_metadata.insert("long".to_owned(), "x".repeat(1300).into());
    })
    .await;
    let patch = json!({"claims": {"n": "{{user.first_name}}", "m": "{{user.public_metadata.long}}"}});
    let dry = app.backend().patch(&format!("{TOKEN}?dry_run=true&user_id={id}"), patch).await.json();
    assert_eq!(dry["rendered"]["claims"]["n"], "Alice");
    assert_eq!(dry["rendered"]["bytes"], json!({"m": "x".repeat(1300), "n": "Alice"}).to_string().len());
    assert_eq!(dry["warnings"][0]["code"], "claims_too_large");
    assert_eq!(dry["before"]["claims"], json!({}));
    assert_eq!(app.backend().get(TOKEN).await.json()["claims"], json!({}));
}

#[tokio::test]
async fn what_cannot_be_in_a_token_is_refused_and_named() {
    let app = TestApp::new().production().start().await;
    let reserved = app.backend().patch(TOKEN, json!({"claims": {"sid": 1}})).await;
    reserved.assert_refused(400, "jwt_template_reserved_claim");
    assert_eq!(error(&reserved)["meta"]["name"], "sid");
    let rows = [
        (json!({"claims": {"a": "{{user.id"}}), "form_param_format_invalid", "claims"),
        (json!({"claims": {"a": "x".repeat(5000)}}), "form_param_exceeds_allowed_size", "claims"),
        (json!({"claims": "{}"}), "form_param_type_invalid", "claims"),
        (json!({"lifetime": 29}), "form_param_value_invalid", "lifetime"),
        (json!({"lifetime": 301}), "form_param_value_invalid", "lifetime"),
        (json!({"lifetime": u64::MAX}), "form_param_value_invalid", "lifetime"),
        (json!({"allowed_clock_skew": 301}), "form_param_value_invalid", "allowed_clock_skew"),
        (json!({"secret": 1}), "form_param_unknown", "secret"),
    ];
    for (body, code, name) in rows {
        let refused = app.backend().patch(TOKEN, body).await;
        refused.assert_refused(422, code);
        assert_eq!(error(&refused)["meta"]["param_name"], name);
    }
}

#[tokio::test]
async fn the_rest_of_the_settings_changes_by_any_subset() {
    let app = TestApp::new().start().await;
    let patch = json!({
        "application_name": "  Acme  ", "auth_email": {"verify_at_sign_up": false},
        "paths": {"home_url": "https://app.example.com/home"}, "allowed_origins": ["https://app.example.com"],
    });
    let dry = app.backend().patch(&format!("{REST}?dry_run=true"), patch.clone()).await.json();
    assert_eq!(
        (&dry["before"]["application_name"], &dry["after"]["application_name"]),
        (&json!("My application"), &json!("Acme"))
    );
    app.backend().patch(REST, patch).await.assert_ok();
    let settings = app.backend().get(REST).await.json();
    assert_eq!(
        settings,
        json!({
            "object": "instance_settings", "application_name": "Acme", "support_email": null, "auth_email": {"verify_at_sign_up": false},
            "auth_attack_protection": {"enumeration_protection": "off"},
            "mail": {"default_locale": "en", "notify_new_device": "in_production"},
            "paths": {"home_url": "https://app.example.com/home"}, "test_mode": true,
            "signing_keys": {"rotation_days": 0}, "audit": {"retention_days": 400},
            "allowed_origins": ["https://app.example.com"], "version": 2, "updated_at": app.clock.now().as_millis(),
        })
    );
    let cleared = app.backend().patch(REST, json!({"paths": {"home_url": null}})).await.json();
    assert_eq!(cleared["paths"]["home_url"], Value::Null);
    for (body, code) in [
        (json!({"paths": {"home_url": "//home"}}), "form_param_format_invalid"),
        (json!({"paths": null}), "form_param_nil"),
        (json!({"session": {"lifetime": 60}}), "form_param_unknown"),
        (json!({"session_settings": {}}), "form_param_unknown"),
        (json!({"paths": {"home_url": "javascript:alert(1)"}}), "form_param_format_invalid"),
        (json!({"paths": {"sign_in": "/x"}}), "form_param_unknown"),
        (json!({"application_name": "two\nlines"}), "form_param_format_invalid"),
        (json!({"application_name": 7}), "form_param_type_invalid"),
        (json!({"allowed_origins": "https://a.b"}), "form_param_type_invalid"),
    ] {
        app.backend().patch(REST, body).await.assert_refused(422, code);
    }
}
