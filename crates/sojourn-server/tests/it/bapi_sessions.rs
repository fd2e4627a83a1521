//! Sessions of the whole instance, through the Backend API.

use serde_json::{Value, json};
use sojourn_testkit::{Backend, TestApp, days, minutes, seconds};

async fn statuses(backend: &Backend, query: &str) -> Vec<(String, String)> {
    let answer = backend.get(&format!("/v1/sessions?paginated=true&limit=100{query}")).await;
    answer.assert_ok();
    let data = answer.json()["data"].as_array().cloned().expect("a list");
    assert_eq!(answer.json()["total_count"], data.len(), "{query}");
    let text = |session: &Value, name: &str| session[name].as_str().expect("a text").to_owned();
    data.iter().map(|session| (text(session, "id"), text(session, "status"))).collect()
}

#[tokio::test]
async fn python_and_java_get_a_bare_list_and_other_sdks_a_page() {
    let app = TestApp::new().start().await;
    app.signed_in("alice@example.com").await;
    let ask = async |agent: &str| {
        let request = app.backend().request("GET", "/v1/sessions?paginated=true").header("user-agent", agent);
        request.send().await.assert_ok().json()
    };
    for generated in [
        "speakeasy-sdk/python 7.0.0 2.928.0 2026-05-12 clerk-backend-api",
        "speakeasy-sdk/java 5.0.0 2.903.0 2026-05-12 com.clerk.backend_api",
    ] {
        let list = ask(generated).await;
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{generated}: {list}");
    }
    for other in [
        "@clerk/backend@2.0.0",
        "Clerk/v1 SDK-Go/v2",
        "speakeasy-sdk/python 7.0.0 another-api",
        "another-sdk clerk-backend-api",
        "",
    ] {
        assert_eq!(ask(other).await["total_count"], 1, "{other}");
    }
}

#[tokio::test]
async fn filters_and_counts_include_overdue_sessions_not_yet_closed() {
    let builder = || TestApp::new().inactivity(minutes(30)).maximum(minutes(50));
    statuses_filters_and_counts(builder().start().await).await;
    statuses_filters_and_counts(builder().on_sqlite().start().await).await;
}

async fn statuses_filters_and_counts(app: TestApp) {
    let backend = app.backend();
    let idle = app.signed_in("idle@example.com").await.session();
    let old = app.signed_in("old@example.com").await;
    app.clock.advance(minutes(29));
    old.touch(&old.session()).await.assert_ok();
    app.clock.advance(minutes(21));
    let young = app.signed_in("young@example.com").await.session();
    let old = old.session();
    let of = |id: &str, status: &str| vec![(id.to_owned(), status.to_owned())];
    assert_eq!(statuses(&backend, "&status=active").await, of(&young, "active"));
    assert_eq!(statuses(&backend, "&status=expired").await, of(&old, "expired"));
    assert_eq!(statuses(&backend, "&status=abandoned").await, of(&idle, "abandoned"));
    assert_eq!(statuses(&backend, "&status=revoked").await, []);
    assert_eq!(statuses(&backend, "&status=pending").await, []);
    assert_eq!(statuses(&backend, "").await.len(), 3);
    assert!(app.stored_session(&idle).await.closed.is_some(), "what was told is stored");
}

#[tokio::test]
async fn a_list_without_a_status_records_the_ends_that_it_tells() {
    let app = TestApp::new().inactivity(minutes(1)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let user = app.user("alice@example.com").await.id;
    app.clock.advance(minutes(1));
    let listed = statuses(&app.backend(), &format!("&user_id={user}")).await;
    assert_eq!(listed, [(alice.session(), "abandoned".to_owned())]);
    assert!(app.stored_session(&alice.session()).await.closed.is_some());
}

#[tokio::test]
async fn lists_are_arrays_newest_first_in_pages() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.insert(0, app.signed_in(&format!("u{n}@example.com")).await.session());
        app.clock.advance(seconds(1));
    }
    let list = |query: &'static str| {
        let backend = backend.clone();
        async move {
            let answer = backend.get(&format!("/v1/sessions{query}")).await.json();
            let ids = answer.as_array().expect("an array").iter().map(|session| session["id"].clone());
            ids.collect::<Vec<_>>()
        }
    };
    assert_eq!(list("").await, ids);
    assert_eq!(list("?limit=1&offset=1").await, ids[1..2]);
    assert_eq!(list("?user_id=nobody").await, Vec::<Value>::new());
    assert_eq!(list("?client_id=client_x").await, Vec::<Value>::new());
    for query in ["limit=0", "limit=501", "status=alive", "offset=99999999999"] {
        let refused = backend.get(&format!("/v1/sessions?{query}")).await;
        refused.assert_refused(422, "form_param_value_invalid");
    }
}

#[tokio::test]
async fn a_revoked_session_is_over_at_once_and_stays_as_it_ended() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let revoke = format!("/v1/sessions/{}/revoke", alice.session());
    let first = app.backend().post(&revoke, json!({})).await;
    first.assert_ok();
    assert_eq!(first.json()["status"], "revoked");
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
    app.clock.advance(days(8));
    let again = app.backend().request("POST", &revoke).send().await;
    again.assert_ok();
    assert_eq!(again.json(), first.json());
    app.backend()
        .post("/v1/sessions/sess_x/revoke", json!({}))
        .await
        .assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn revoking_what_is_over_already_records_its_own_end() {
    let app = TestApp::new().inactivity(minutes(5)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(5));
    let answer = app.backend().post(&format!("/v1/sessions/{}/revoke", alice.session()), json!({})).await;
    assert_eq!(answer.json()["status"], "abandoned");
}

#[tokio::test]
async fn s3_backend_tokens_are_no_activity_and_end_in_time() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let tokens = format!("/v1/sessions/{}/tokens", alice.session());
    let backend = app.backend();
    app.clock.advance(minutes(29));
    let usual = backend.request("POST", &tokens).send().await;
    let claims = app.verified(&usual.jwt());
    assert_eq!(claims["exp"].as_i64(), Some(app.clock.now().as_secs() + 60));
    assert_eq!(claims["azp"], "http://localhost:3000", "where the browser signed in");
    let long = app.verified(&backend.post(&tokens, json!({"expires_in_seconds": 3600})).await.jwt());
    assert_eq!(long["exp"], claims["exp"], "cut at the end of the session");
    app.clock.advance(minutes(1));
    backend.post(&tokens, json!({})).await.assert_refused(401, "authentication_invalid");
    assert!(app.stored_session(&alice.session()).await.closed.is_some());
    for seconds in [0, 29, 315_360_001] {
        let refused = backend.post(&tokens, json!({"expires_in_seconds": seconds})).await;
        refused.assert_refused(422, "form_param_value_invalid");
    }
    backend.post("/v1/sessions/sess_x/tokens", json!({})).await.assert_refused(404, "resource_not_found");
    let template = backend.post(&format!("{tokens}/hasura"), json!({})).await;
    template.assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn only_development_creates_sessions_without_a_sign_in() {
    let app = TestApp::new().start().await;
    let user = app.user("alice@example.com").await;
    let made = app.backend().post("/v1/sessions", json!({"user_id": user.id})).await;
    made.assert_ok();
    assert_eq!(made.json()["status"], "active");
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let token = app.backend().post(&format!("/v1/sessions/{id}/tokens"), json!({})).await.jwt();
    let verify = format!("/v1/sessions/{id}/verify");
    app.backend().post(&verify, json!({"token": token})).await.assert_ok();
    app.backend().post(&verify, json!({"token": "x"})).await.assert_refused(400, "invalid_session_token");
    app.clock.advance(seconds(60));
    app.backend().post(&verify, json!({"token": token})).await.assert_refused(400, "invalid_session_token");
    app.backend()
        .post("/v1/sessions", json!({"user_id": "user_x"}))
        .await
        .assert_refused(404, "resource_not_found");
    app.change_user("alice@example.com", |user| user.banned = true).await;
    app.backend().post("/v1/sessions", json!({"user_id": user.id})).await.assert_refused(403, "user_banned");

    let production = TestApp::new().production().start().await;
    let user = production.user("alice@example.com").await;
    let refused = production.backend().post("/v1/sessions", json!({"user_id": user.id})).await;
    refused.assert_refused(400, "request_invalid_for_environment");
}

#[tokio::test]
async fn a_ticket_signs_in_once_unless_it_is_taken_back() {
    let app = TestApp::new().start().await;
    let user = app.user("alice@example.com").await.id;
    let backend = app.backend();
    let make = || backend.post("/v1/sign_in_tokens", json!({"user_id": user, "expires_in_seconds": 600}));
    let ticket = make().await.json();
    let text = ticket["token"].as_str().expect("a text");
    assert_eq!(ticket["url"], format!("http://localhost:4000/sign-in?__clerk_ticket={text}"));
    app.browser().sign_in_with_ticket(text).await.assert_ok();
    let revoke =
        |ticket: &Value| format!("/v1/sign_in_tokens/{}/revoke", ticket["id"].as_str().expect("an id"));
    let used = app.backend().post(&revoke(&ticket), json!({})).await;
    used.assert_refused(400, "sign_in_token_cannot_be_revoked_code");
    let other = make().await.json();
    let revoked = app.backend().post(&revoke(&other), json!({})).await;
    assert_eq!(revoked.json()["status"], "revoked");
    let refused = app.browser().sign_in_with_ticket(other["token"].as_str().expect("a text")).await;
    refused.assert_refused(400, "sign_in_token_invalid");
    let refused = app.backend().post("/v1/sign_in_tokens", json!({"user_id": "user_x"})).await;
    refused.assert_refused(404, "resource_not_found");
}
