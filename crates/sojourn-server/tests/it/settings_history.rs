//! Who changed the settings when, what it changed, and the way back.

use serde_json::{Value, json};
use sojourn_core::testing::SeededRng;
use sojourn_testkit::{Answer, TestApp, days, minutes, seconds};

const SESSION: &str = "/v1/instance/session_settings";
const HISTORY: &str = "/v1/instance/settings_history";

async fn rollback(app: &TestApp, version: u64, query: &str) -> Answer {
    app.backend().request("POST", &format!("{HISTORY}/{version}/rollback{query}")).send().await
}

#[tokio::test]
async fn the_history_lists_versions_newest_first() {
    let app = TestApp::new().start().await;
    let start = app.clock.now().as_millis();
    app.clock.advance(minutes(1));
    app.backend().patch(SESSION, json!({"inactivity_timeout": {"enabled": true}})).await.assert_ok();
    app.clock.advance(minutes(1));
    let token = json!({"claims": {"name": "{{user.full_name}}"}, "lifetime": 45});
    let request = app.backend().request("PATCH", "/v1/instance/session_token");
    request.header("sojourn-cli-user", "ada").json(&token).send().await.assert_ok();
    app.clock.advance(minutes(1));
    let rest = json!({"paths": {"home_url": "https://example.com/"}});
    app.backend().patch("/v1/instance/settings", rest).await.assert_ok();
    let history = app.backend().get(HISTORY).await.json();
    let version = |version: u64, author: &str, changes: Value| {
        let at = start + (i64::try_from(version).expect("small") - 1) * 60_000;
        json!({
            "object": "settings_version", "version": version, "author": author, "restores": null, "ended_all_sessions": false,
            "saved_at": at, "in_force_from": at, "changes": changes,
        })
    };
    let expected = json!([
        version(
            4,
            "backend",
            json!([{"path": "paths.home_url", "before": null, "after": "https://example.com/"}])
        ),
        version(
            3,
            "cli:ada",
            json!([
                {"path": "session.claims.name", "before": null, "after": "{{user.full_name}}"},
                {"path": "session.lifetime", "before": 60, "after": 45},
            ])
        ),
        version(
            2,
            "backend",
            json!([
                {"path": "session_settings.inactivity_timeout.enabled", "before": false, "after": true},
            ])
        ),
        version(1, "system", json!([])),
    ]);
    assert_eq!(history, json!({"data": expected, "total_count": 4}));
    let page = app.backend().get(&format!("{HISTORY}?limit=2&offset=1")).await.json();
    assert_eq!(page, json!({"data": [expected[1], expected[2]], "total_count": 4}));
    app.backend().get(&format!("{HISTORY}?limit=0")).await.assert_refused(422, "form_param_value_invalid");
}

#[tokio::test]
async fn one_version_is_shown_whole_and_an_unknown_one_is_404() {
    let app = TestApp::new().start().await;
    app.backend().patch(SESSION, json!({"multi_session_enabled": true})).await.assert_ok();
    let first = app.backend().get(&format!("{HISTORY}/1")).await.json();
    assert_eq!(first["config"]["session_settings"]["multi_session_enabled"], false);
    assert_eq!(first["config"]["session"]["lifetime"], 60);
    let second = app.backend().get(&format!("{HISTORY}/2")).await.json();
    assert_eq!(second["config"]["session_settings"]["multi_session_enabled"], true);
    assert_eq!(second["changes"][0]["path"], "session_settings.multi_session_enabled");
    for version in ["0", "3", "-1", "one", "18446744073709551616"] {
        let missing = app.backend().get(&format!("{HISTORY}/{version}")).await;
        missing.assert_refused(404, "resource_not_found");
        assert!(missing.text().contains("versions 1 to 2"), "{missing}");
    }
    rollback(&app, 3, "").await.assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn an_author_label_cannot_imitate_a_file_or_the_system() {
    let app = TestApp::new().start().await;
    for (name, label) in [
        ("system", "cli:system".to_owned()),
        ("file:sojourn.toml", "cli:file_sojourn.toml".to_owned()),
        (" ", "cli:unknown".to_owned()),
        ("<b>Zoë</b>\t", "cli:_b_Zo__".to_owned()),
        (&"x".repeat(5000), format!("cli:{}", "x".repeat(64))),
    ] {
        let flip = app.backend().get(SESSION).await.json()["multi_session_enabled"] == json!(false);
        let request = app.backend().request("PATCH", SESSION).header("sojourn-cli-user", name);
        request.json(&json!({"multi_session_enabled": flip})).send().await.assert_ok();
        let newest = app.backend().get(&format!("{HISTORY}?limit=1")).await.json();
        let author = newest["data"][0]["author"].as_str().unwrap_or_default().to_owned();
        assert!(author.starts_with(&label), "{author} for {name}");
        assert!(author.len() <= 68 && !author.contains(['<', '/', ' ']), "{author}");
    }
}

#[tokio::test]
async fn a_rollback_is_a_new_version_with_the_old_content() {
    let app = TestApp::new().on_sqlite().start().await;
    let first = app.backend().get(&format!("{HISTORY}/1")).await.json()["config"].clone();
    app.backend().patch(SESSION, json!({"inactivity_timeout": {"enabled": true}})).await.assert_ok();
    app.backend().patch("/v1/instance/session_token", json!({"claims": {"a": 1}})).await.assert_ok();
    let before = app.backend().get(HISTORY).await.json();
    app.clock.advance(seconds(5));
    let back = rollback(&app, 1, "").await;
    back.assert_ok();
    let answer = back.json();
    assert_eq!((&answer["version"], &answer["restores"]), (&json!(4), &json!(1)));
    assert_eq!(answer["config"], first);
    assert_eq!(answer["warnings"], json!([]));
    assert_eq!(
        answer["changes"],
        json!([
            {"path": "session.claims.a", "before": 1, "after": null},
            {"path": "session_settings.inactivity_timeout.enabled", "before": true, "after": false},
        ])
    );
    let app = app.restarted().await;
    let after = app.backend().get(HISTORY).await.json();
    assert_eq!(after["data"].as_array().map(|data| &data[1..]), before["data"].as_array().map(Vec::as_slice));
    assert_eq!(after["data"][0]["restores"], 1);
    assert_eq!(app.backend().get(SESSION).await.json()["inactivity_timeout"]["enabled"], false);
    app.backend().patch(SESSION, json!({"multi_session_enabled": true})).await.assert_ok();
    let next = app.backend().get(&format!("{HISTORY}?limit=1")).await.json();
    assert_eq!(next["data"][0]["restores"], Value::Null, "an ordinary change restores nothing");
    let nothing = rollback(&app, 5, "").await.json();
    assert_eq!((&nothing["version"], &nothing["changes"]), (&json!(5), &json!([])), "it is in force already");
}

#[tokio::test]
async fn a_rollback_has_a_dry_run_and_conditions_like_any_change() {
    let app = TestApp::new().inactivity(minutes(1)).start().await;
    let relaxed = json!({"inactivity_timeout": {"enabled": false}, "maximum_lifetime": {"duration_seconds": days(500).as_secs()}});
    app.backend().patch(SESSION, relaxed).await.assert_ok();
    app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(5));
    let dry = rollback(&app, 1, "?dry_run=true").await.json();
    assert_eq!(dry["object"], "settings_rollback_dry_run");
    assert_eq!((&dry["version"], &dry["restores"]), (&json!(2), &json!(1)));
    assert_eq!(dry["would_end"], json!({"now": 1, "within_one_hour": 0}));
    assert_eq!(dry["warnings"][0]["code"], "inactivity_below_token_lifetime");
    assert_eq!(dry["changes"].as_array().map(Vec::len), Some(2));
    assert_eq!(app.backend().get(SESSION).await.json()["version"], 2, "nothing was changed");
    let send = |version: &str| {
        let request = app.backend().request("POST", &format!("{HISTORY}/1/rollback"));
        request.header("if-match", version).send()
    };
    send("1").await.assert_refused(409, "conflict");
    send("2").await.assert_ok();
    assert_eq!(rollback(&app, 2, "").await.json()["warnings"][0]["code"], "beyond_browser_limit");
}

#[tokio::test]
async fn a_rollback_to_what_is_out_of_bounds_today_is_refused() {
    // As if the instance had been a development one.
    let app = TestApp::new().inactivity(seconds(60)).production().start().await;
    let longer = json!({"inactivity_timeout": {"duration_seconds": 600}});
    app.backend().patch(SESSION, longer).await.assert_ok();
    let refused = rollback(&app, 1, "").await;
    refused.assert_refused(422, "form_param_value_invalid");
    let name = &refused.json()["errors"][0]["meta"]["param_name"];
    assert_eq!(name, "session_settings.inactivity_timeout.duration_seconds");
}

#[tokio::test]
async fn s2_no_sequence_of_changes_leaves_neither_limit_on() {
    let app = TestApp::new().start().await;
    let mut rng = SeededRng::new(7);
    let mut refused = 0;
    for _ in 0..120 {
        let newest = app.backend().get(SESSION).await.json()["version"].as_u64().expect("a version");
        let flag = |rng: &mut SeededRng| rng.below(2) == 0;
        let answer = match rng.below(3) {
            0 => rollback(&app, 1 + rng.below(newest), "").await,
            1 => {
                let off = json!({"inactivity_timeout": {"enabled": flag(&mut rng)}});
                app.backend().patch(SESSION, off).await
            }
            _ => {
                let off = json!({"maximum_lifetime": {"enabled": flag(&mut rng)}});
                app.backend().patch(SESSION, off).await
            }
        };
        if answer.status() != 200 {
            answer.assert_refused(422, "session_lifetime_required");
            refused += 1;
        }
        let settings = app.backend().get(SESSION).await.json();
        assert!(
            settings["inactivity_timeout"]["enabled"] == true
                || settings["maximum_lifetime"]["enabled"] == true,
            "{settings}"
        );
    }
    assert!(refused > 5, "too tame: {refused}");
}
