//! SES-17: an administrator ends all sessions of a user, or all there are.

use serde_json::{Value, json};
use sojourn_testkit::{PASSWORD, TestApp, days, minutes};

const REVOKE: &str = "/v1/sessions/revoke";

async fn end(app: &TestApp, session: &str) -> Value {
    let record = app.backend().get(&format!("/v1/sessions/{session}/end")).await;
    record.assert_ok().json()
}

async fn user_of(app: &TestApp, session: &str) -> Value {
    let session = app.backend().get(&format!("/v1/sessions/{session}")).await;
    session.assert_ok().json()["user_id"].clone()
}

#[tokio::test]
async fn ses_17_all_sessions_end_with_the_answer() {
    let app = TestApp::new().multi_session().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let bob = app.signed_in("bob@example.com").await;
    let (hers, his) = (alice.session(), bob.session());
    app.user("carol@example.com").await;
    bob.sign_in("carol@example.com", PASSWORD).await.assert_ok();
    let dry_run = app.backend().post(&format!("{REVOKE}?dry_run=true"), json!({"all": true})).await;
    assert_eq!(dry_run.assert_ok().json()["would_end"], 3);
    alice.token(&hers).await.assert_ok();

    let answer = app.backend().post(REVOKE, json!({"all": true})).await.assert_ok().json();
    assert_eq!((&answer["version"], &answer["user_id"]), (&json!(2), &Value::Null));
    // In the same millisecond, and nobody swept.
    alice.token(&hers).await.assert_refused(401, "authentication_invalid");
    bob.token(&his).await.assert_refused(401, "authentication_invalid");
    let minted = app.backend().post(&format!("/v1/sessions/{his}/tokens"), json!({})).await;
    minted.assert_refused(401, "authentication_invalid");

    let record = end(&app, &hers).await;
    assert_eq!(
        [&record["status"], &record["reason"], &record["actor"]["type"], &record["ended_at"]],
        [&json!("revoked"), &json!("revoked_by_admin"), &json!("admin"), &answer["revoked_at"]]
    );
    assert_eq!(record["settings_version"], 2);
    let list = app.backend().get("/v1/sessions?status=active").await;
    assert_eq!(list.assert_ok().json(), json!([]));

    // Still in the same millisecond: what begins now is none of those.
    alice.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    alice.token(&alice.session()).await.assert_ok();
}

#[tokio::test]
async fn ses_17_later_settings_neither_undo_nor_repeat_it() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    app.backend().post(REVOKE, json!({"all": true})).await.assert_ok();
    alice.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    app.clock.advance(minutes(1));
    let longer = json!({"maximum_lifetime": {"duration_seconds": 30 * 86_400}});
    app.backend().patch("/v1/instance/session_settings", longer).await.assert_ok();
    let back = app.backend().post("/v1/instance/settings_history/2/rollback", json!({})).await;
    back.assert_ok();
    app.clock.advance(days(1));
    alice.token(&session).await.assert_refused(401, "authentication_invalid");
    alice.token(&alice.session()).await.assert_ok();
    let history = app.backend().get("/v1/instance/settings_history").await.assert_ok().json();
    let ended: Vec<_> = history["data"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|version| (version["version"].as_u64(), version["ended_all_sessions"].as_bool()))
        .collect();
    let told = [(4, false), (3, false), (2, true), (1, false)];
    assert_eq!(ended, told.map(|(version, ended)| (Some(version), Some(ended))));
}

#[tokio::test]
async fn who_acts_as_an_account_is_signed_out_as_well() {
    let app = TestApp::new().start().await;
    let alice = app.user("alice@example.com").await.id;
    let token = app
        .backend()
        .post("/v1/actor_tokens", json!({"user_id": alice.to_string(), "actor": {"sub": "sam"}}))
        .await
        .assert_ok()
        .json();
    let browser = app.browser();
    browser.sign_in_with_ticket(token["token"].as_str().expect("a ticket")).await.assert_ok();
    app.backend().post(REVOKE, json!({"all": true})).await.assert_ok();
    browser.token(&browser.session()).await.assert_refused(401, "authentication_invalid");
    assert_eq!(end(&app, &browser.session()).await["reason"], "revoked_by_admin");
}

#[tokio::test]
async fn ses_17_sessions_of_one_user_end_in_all_browsers() {
    let app = TestApp::new().multi_session().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let phone = app.browser();
    phone.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    let bob = app.signed_in("bob@example.com").await;
    let user = json!({"user_id": user_of(&app, &alice.session()).await});
    let dry_run = app.backend().post(&format!("{REVOKE}?dry_run=true"), user.clone()).await;
    assert_eq!(dry_run.assert_ok().json()["would_end"], 2);
    let answer = app.backend().post(REVOKE, user.clone()).await.assert_ok().json();
    assert_eq!(answer["revoked"], 2);
    for browser in [&alice, &phone] {
        browser.token(&browser.session()).await.assert_refused(401, "authentication_invalid");
        assert_eq!(end(&app, &browser.session()).await["reason"], "revoked_by_backend");
    }
    bob.token(&bob.session()).await.assert_ok();
    assert_eq!(app.backend().post(REVOKE, user).await.assert_ok().json()["revoked"], 0);
}

#[tokio::test]
async fn what_does_not_say_whose_sessions_to_end_ends_none() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let backend = app.backend();
    for body in [
        json!({}),
        json!({"all": false}),
        json!({"all": true, "user_id": user_of(&app, &alice.session()).await}),
    ] {
        backend.post(REVOKE, body).await.assert_refused(422, "form_param_missing");
    }
    backend.post(REVOKE, json!({"everybody": true})).await.assert_refused(422, "form_param_unknown");
    backend.post(REVOKE, json!({"user_id": "user_x"})).await.assert_refused(404, "resource_not_found");
    let stale = backend.request("POST", REVOKE).header("if-match", "7").json(&json!({"all": true}));
    stale.send().await.assert_refused(409, "conflict");
    alice.token(&alice.session()).await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ses_17_no_earlier_sign_in_survives_a_revocation_of_all() {
    let app = TestApp::new().on_sqlite().start().await;
    let names: Vec<String> = (0..12).map(|n| format!("user{n}@example.com")).collect();
    for name in &names {
        app.user(name).await;
    }
    for _ in 0..3 {
        let (answered, all_answered) = tokio::sync::mpsc::unbounded_channel();
        let sign_ins: Vec<_> = names
            .iter()
            .map(|name| {
                let (app, ticket_for, answered) = (app.clone(), name.clone(), answered.clone());
                tokio::spawn(async move {
                    let ticket = app.ticket(&ticket_for, minutes(5)).await;
                    let browser = app.browser();
                    browser.sign_in_with_ticket(&ticket).await.assert_ok();
                    answered.send(browser.session()).expect("somebody listens");
                    browser
                })
            })
            .collect();
        let mut all_answered = all_answered;
        let first = all_answered.recv().await.expect("one signs in");
        let mut before = vec![first];
        while let Ok(session) = all_answered.try_recv() {
            before.push(session);
        }
        app.backend().post(REVOKE, json!({"all": true})).await.assert_ok();
        let after = app.browser();
        after.sign_in_with_ticket(&app.ticket(&names[0], minutes(5)).await).await.assert_ok();
        for session in before {
            assert_eq!(end(&app, &session).await["reason"], "revoked_by_admin");
        }
        after.token(&after.session()).await.assert_ok();
        for sign_in in sign_ins {
            let browser = sign_in.await.expect("signed in");
            // Before or after: it is one of the two, and told so.
            let status = browser.token(&browser.session()).await.status();
            assert!([200, 401].contains(&status), "{status}");
        }
    }
}
