//! Somebody of the application's staff acts as an account (SES-21, AUT-10).

use std::time::Duration;

use serde_json::{Value, json};
use sojourn_store::{Engine as _, OutboxEntry};
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp, days, minutes, seconds};

const MOMENT: Duration = Duration::from_millis(1);

/// An actor token by which Sam may act as Alice; `more` says how else than usual.
async fn actor_token(app: &TestApp, more: Value) -> Value {
    let alice = app.user("alice@example.com").await.id;
    let mut body = json!({"user_id": alice, "actor": {"sub": "user_sam", "case": 12}});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    app.backend().post("/v1/actor_tokens", body).await.assert_ok().json()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}"))
}

/// A browser in which Sam acts as Alice.
async fn sam(app: &TestApp, more: Value) -> FakeBrowser {
    let browser = app.browser();
    browser.sign_in_with_ticket(text(&actor_token(app, more).await, "token")).await.assert_ok();
    browser
}

async fn revoke(app: &TestApp, token: &Value) -> Answer {
    app.backend().post(&format!("/v1/actor_tokens/{}/revoke", text(token, "id")), json!({})).await
}

async fn events(app: &TestApp) -> Vec<OutboxEntry> {
    app.store().outbox(app.server().instance_id(), None, 1000).await.expect("a store that answers")
}

#[tokio::test]
async fn an_actor_token_is_made_as_the_public_document_says() {
    let app = TestApp::new().start().await;
    let token = actor_token(&app, json!({})).await;
    assert_eq!((text(&token, "object"), text(&token, "status")), ("actor_token", "pending"));
    assert!(text(&token, "id").starts_with("act_"), "{token}");
    assert_eq!(token["user_id"], json!(app.user("alice@example.com").await.id));
    assert_eq!(token["actor"], json!({"sub": "user_sam", "case": 12}));
    assert!(token["created_at"].is_i64() && token["created_at"] == token["updated_at"], "{token}");
    let link = format!("http://localhost:4000/sign-in?__clerk_ticket={}", text(&token, "token"));
    assert_eq!(token["url"], link);

    let revoked = revoke(&app, &token).await.assert_ok().json();
    assert_eq!((text(&revoked, "status"), text(&revoked, "id")), ("revoked", text(&token, "id")));
    assert!(revoked.get("token").is_none() && revoked.get("url").is_none(), "{revoked}");
    revoke(&app, &token).await.assert_refused(400, "actor_token_cannot_be_revoked_code");
}

#[tokio::test]
async fn an_invalid_actor_token_request_names_the_parameter() {
    let app = TestApp::new().start().await;
    let alice = json!(app.user("alice@example.com").await.id);
    let sam = json!({"sub": "user_sam"});
    let large = json!({"sub": "user_sam", "note": "x".repeat(1024)});
    let maximum = "session_max_duration_in_seconds";
    for (body, code, name) in [
        (json!({"actor": sam}), "form_param_missing", "user_id"),
        (json!({"user_id": "user_x", "actor": sam}), "form_resource_not_found", "user_id"),
        (
            json!({"user_id": "user_000000000000000000000000000", "actor": sam}),
            "form_resource_not_found",
            "user_id",
        ),
        (json!({"user_id": alice}), "form_param_missing", "actor"),
        (json!({"user_id": alice, "actor": [1]}), "form_param_type_invalid", "actor"),
        (json!({"user_id": alice, "actor": {"name": "Sam"}}), "form_param_missing", "actor.sub"),
        (json!({"user_id": alice, "actor": {"sub": ""}}), "form_param_missing", "actor.sub"),
        (json!({"user_id": alice, "actor": {"sub": 7}}), "form_param_format_invalid", "actor.sub"),
        (json!({"user_id": alice, "actor": large}), "form_param_exceeds_allowed_size", "actor"),
        (json!({"user_id": alice, "actor": sam, maximum: 0}), "form_param_value_invalid", maximum),
        (json!({"user_id": alice, "actor": sam, maximum: 2_592_001}), "form_param_value_invalid", maximum),
        (json!({"user_id": alice, "actor": sam, maximum: -1}), "form_param_type_invalid", maximum),
        (
            json!({"user_id": alice, "actor": sam, "expires_in_seconds": 0}),
            "form_param_value_invalid",
            "expires_in_seconds",
        ),
    ] {
        let refused = app.backend().post("/v1/actor_tokens", body).await;
        refused.assert_refused(422, code);
        assert_eq!(refused.json()["errors"][0]["meta"]["param_name"], name, "{refused}");
    }
    let anybody = app.request("POST", "/v1/actor_tokens").json(&json!({})).send().await;
    anybody.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn each_kind_of_ticket_is_revoked_at_its_own_endpoint() {
    let app = TestApp::new().start().await;
    let actors = actor_token(&app, json!({})).await;
    let alice = app.user("alice@example.com").await.id;
    let users = app.backend().post("/v1/sign_in_tokens", json!({"user_id": alice})).await.json();
    assert!(users.get("actor").is_none(), "{users}");
    for (noun, token) in [("sign_in_tokens", &actors), ("actor_tokens", &users)] {
        let body = text(token, "id").split_once('_').expect("a prefix").1;
        for id in [text(token, "id").to_owned(), format!("act_{body}"), format!("sit_{body}")] {
            let refused = app.backend().post(&format!("/v1/{noun}/{id}/revoke"), json!({})).await;
            refused.assert_refused(404, "resource_not_found");
        }
    }
    app.browser().sign_in_with_ticket(text(&users, "token")).await.assert_ok();
}

#[tokio::test]
async fn ses_21_a_session_and_its_tokens_say_who_really_acts() {
    let claims = json!({"claims": {"by": "{{session.actor.sub}}"}});
    let app = TestApp::new().token_settings(claims).start().await;
    let sam = sam(&app, json!({})).await;
    let actor = json!({"sub": "user_sam", "case": 12});
    let session = &sam.client().await.client()["sessions"][0];
    assert_eq!((&session["actor"], &session["factor_verification_age"]), (&actor, &json!([-1, -1])));
    assert_eq!(session["user"]["id"], json!(app.user("alice@example.com").await.id));
    let ends = (session["expire_at"].as_i64(), session["abandon_at"].as_i64());
    let now = app.clock.now();
    let millis = |span| Some((now + span).as_millis());
    assert_eq!(ends, (millis(minutes(30)), millis(minutes(10))));

    let token = app.verified(&sam.token(&sam.session()).await.jwt());
    assert_eq!((&token["act"], &token["by"], &token["fva"]), (&actor, &json!("user_sam"), &json!([-1, -1])));
    let shown = app.backend().get(&format!("/v1/sessions/{}", sam.session())).await.json();
    assert_eq!(shown["actor"], actor);
    let minted = app.backend().post(&format!("/v1/sessions/{}/tokens", sam.session()), json!({})).await;
    assert_eq!(app.verified(&minted.jwt())["act"], actor);

    let alice = app.signed_in("alice@example.com").await;
    let own = app.verified(&alice.token(&alice.session()).await.jwt());
    assert_eq!((own.get("act"), &own["by"]), (None, &Value::Null));
    // The account's owner sees who is in it.
    let devices = alice.get("/v1/me/sessions/active").await.json();
    let theirs = devices.as_array().expect("a list").iter().find(|device| device["id"] == sam.session());
    assert_eq!(theirs.expect("it is shown")["actor"], actor);
}

#[tokio::test]
async fn ses_21_it_ends_ten_minutes_after_the_last_activity() {
    for (before, alive) in [(MOMENT, true), (Duration::ZERO, false)] {
        let app = TestApp::new().start().await;
        let sam = sam(&app, json!({})).await;
        app.clock.advance(minutes(9));
        sam.token(&sam.session()).await.assert_ok();
        app.clock.advance(minutes(10) - before);
        let touched = sam.touch(&sam.session()).await;
        assert_eq!(touched.status() == 200, alive, "{touched}");
        if !alive {
            let closing = app.stored_session(&sam.session()).await.closed.expect("the end is stored");
            assert_eq!(closing.at, app.clock.now());
            assert_eq!(
                (closing.status.as_str(), closing.reason.as_str()),
                ("abandoned", "impersonation_over")
            );
        }
    }
}

#[tokio::test]
async fn ses_21_it_ends_at_its_own_maximum_however_active() {
    for (before, alive) in [(MOMENT, true), (Duration::ZERO, false)] {
        let app = TestApp::new().start().await;
        let sam = sam(&app, json!({"session_max_duration_in_seconds": 900})).await;
        for _ in 0..2 {
            app.clock.advance(minutes(7));
            sam.touch(&sam.session()).await.assert_ok();
        }
        let token = app.verified(&sam.token(&sam.session()).await.jwt());
        assert_eq!(token["exp"].as_i64(), token["iat"].as_i64().map(|iat| iat + 60));
        app.clock.advance(minutes(1) - before);
        let read = sam.session_object(&sam.session()).await;
        assert_eq!(read.status() == 200, alive, "{read}");
        if !alive {
            let closing = app.stored_session(&sam.session()).await.closed.expect("the end is stored");
            assert_eq!((closing.status.as_str(), closing.reason.as_str()), ("expired", "impersonation_over"));
        }
    }
}

#[tokio::test]
async fn ses_21_the_instance_settings_do_not_change_its_limits() {
    let app = TestApp::new().inactivity(seconds(30)).maximum(minutes(5)).start().await;
    let sam = sam(&app, json!({})).await;
    let alice = app.signed_in("alice@example.com").await;
    let strict = json!({"inactivity_timeout": {"enabled": true, "duration_seconds": 1},
                        "maximum_lifetime": {"enabled": true, "duration_seconds": 1}});
    app.clock.advance(seconds(20));
    let target = "/v1/instance/session_settings?dry_run=true";
    let forecast = app.backend().patch(target, strict.clone()).await.assert_ok().json();
    assert_eq!(forecast["would_end"]["now"], 1, "{forecast}");
    app.backend().patch("/v1/instance/session_settings", strict).await.assert_ok();
    alice.touch(&alice.session()).await.assert_refused(401, "authentication_invalid");
    app.clock.advance(minutes(9));
    sam.touch(&sam.session()).await.assert_ok();
    let lax =
        json!({"inactivity_timeout": {"enabled": false}, "maximum_lifetime": {"duration_seconds": 604_800}});
    app.backend().patch("/v1/instance/session_settings", lax).await.assert_ok();
    app.clock.advance(minutes(10));
    sam.touch(&sam.session()).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn ses_21_an_actor_cannot_change_what_only_the_owner_may() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let sam = sam(&app, json!({})).await;
    let address = app.user("alice@example.com").await.email_addresses[0].id;
    let path = |rest: &str| format!("/v1/me/email_addresses/{address}{rest}");
    let theirs = format!("/v1/me/sessions/{}/revoke", alice.session());
    let before = app.user("alice@example.com").await;
    for (method, path, fields) in [
        (
            "POST",
            "/v1/me/change_password".to_owned(),
            vec![("new_password", "another-password-1"), ("current_password", PASSWORD)],
        ),
        ("POST", "/v1/me/remove_password".to_owned(), vec![("current_password", PASSWORD)]),
        ("POST", "/v1/me/email_addresses".to_owned(), vec![("email_address", "sam@example.com")]),
        ("POST", path("/prepare_verification"), vec![("strategy", "email_code")]),
        ("POST", path("/attempt_verification"), vec![("code", "424242")]),
        ("DELETE", path(""), vec![]),
        ("PATCH", "/v1/me".to_owned(), vec![("primary_email_address_id", address.to_string().leak())]),
        ("POST", theirs, vec![]),
        ("DELETE", "/v1/me".to_owned(), vec![]),
    ] {
        let refused = match method {
            "POST" => sam.post(&path, &fields).await,
            _ => sam.post_as(method, &path, &fields).await,
        };
        refused.assert_refused(403, "authorization_invalid");
    }
    assert_eq!(app.user("alice@example.com").await, before);
    alice.token(&alice.session()).await.assert_ok();
    // What is no credential can be helped with, and read.
    sam.post_as("PATCH", "/v1/me", &[("first_name", "Alicia")]).await.assert_ok();
    sam.get("/v1/me").await.assert_ok();
    sam.get("/v1/me/email_addresses").await.assert_ok();
    // And it can be left.
    sam.sign_out(&sam.session()).await.assert_ok();
}

#[tokio::test]
async fn ses_21_it_does_not_count_as_a_sign_in_of_the_owner() {
    let app = TestApp::new().start().await;
    app.signed_in("alice@example.com").await;
    for _ in 0..3 {
        app.browser()
            .sign_in("alice@example.com", "not her password")
            .await
            .assert_refused(422, "form_password_incorrect");
    }
    let before = app.user("alice@example.com").await;
    assert!(before.last_sign_in_at.is_some());
    app.clock.advance(days(1));
    sam(&app, json!({})).await;
    assert_eq!(app.user("alice@example.com").await, before);
}

#[tokio::test]
async fn ses_21_the_event_of_its_beginning_names_who_acts() {
    let app = TestApp::new().start().await;
    app.signed_in("alice@example.com").await;
    let sam = sam(&app, json!({})).await;
    let begun: Vec<_> =
        events(&app).await.into_iter().filter(|event| event.name == "session.created").collect();
    let actors: Vec<_> = begun.iter().map(|event| event.data["actor"].clone()).collect();
    assert_eq!(actors, [Value::Null, json!("user_sam")]);
    assert_eq!(begun[1].data["session_id"], sam.session());
}

#[tokio::test]
async fn aut_10_an_actor_token_is_good_once_and_within_its_time() {
    let app = TestApp::new().start().await;
    let token = actor_token(&app, json!({})).await;
    app.browser().sign_in_with_ticket(text(&token, "token")).await.assert_ok();
    let again = app.browser().sign_in_with_ticket(text(&token, "token")).await;
    again.assert_refused(400, "actor_token_already_used_code");
    revoke(&app, &token).await.assert_refused(400, "actor_token_cannot_be_revoked_code");

    let taken_back = actor_token(&app, json!({})).await;
    revoke(&app, &taken_back).await.assert_ok();
    let refused = app.browser().sign_in_with_ticket(text(&taken_back, "token")).await;
    refused.assert_refused(400, "actor_token_revoked_code");

    let late = actor_token(&app, json!({})).await;
    app.clock.advance(minutes(60) - MOMENT);
    let token = text(&late, "token").to_owned();
    let fields = [("strategy", "ticket"), ("ticket", token.as_str())];
    let in_time = app.browser().post("/v1/client/sign_ups", &fields).await;
    in_time.assert_refused(400, "actor_token_not_in_sign_in_code");
    app.clock.advance(MOMENT);
    app.browser().sign_in_with_ticket(&token).await.assert_refused(400, "ticket_expired_code");

    let elsewhere = TestApp::new().seed(2).start().await;
    let foreign = actor_token(&app, json!({})).await;
    let refused = elsewhere.browser().sign_in_with_ticket(text(&foreign, "token")).await;
    refused.assert_refused(400, "sign_in_token_invalid");
}

#[tokio::test]
async fn aut_10_an_actor_token_is_void_for_a_banned_user() {
    let app = TestApp::new().start().await;
    let (banned, gone) = (actor_token(&app, json!({})).await, actor_token(&app, json!({})).await);
    let acting = sam(&app, json!({})).await;
    let alice = app.user("alice@example.com").await.id;
    app.backend().post(&format!("/v1/users/{alice}/ban"), json!({})).await.assert_ok();
    acting.token(&acting.session()).await.assert_refused(401, "authentication_invalid");
    let refused = app.browser().sign_in_with_ticket(text(&banned, "token")).await;
    refused.assert_refused(403, "user_banned");
    app.backend().delete(&format!("/v1/users/{alice}")).await.assert_ok();
    let refused = app.browser().sign_in_with_ticket(text(&gone, "token")).await;
    refused.assert_refused(404, "actor_token_subject_not_found");
}

#[tokio::test]
async fn s8_an_actor_keeps_their_own_account_in_multi_session() {
    let app = TestApp::new().multi_session().start().await;
    let browser = app.signed_in("sam@example.com").await;
    let own = browser.session();
    let token = actor_token(&app, json!({})).await;
    browser.sign_in_with_ticket(text(&token, "token")).await.assert_ok();
    let acting = browser.session();
    assert_eq!(browser.client().await.session_ids().len(), 2);
    app.clock.advance(minutes(10));
    browser.touch(&acting).await.assert_refused(401, "authentication_invalid");
    browser.touch(&own).await.assert_ok();
    // Switching back and forth never lends one session's rights to the other.
    let token = actor_token(&app, json!({})).await;
    browser.sign_in_with_ticket(text(&token, "token")).await.assert_ok();
    let password = [("new_password", "another-password-1"), ("current_password", PASSWORD)];
    browser.post("/v1/me/change_password", &password).await.assert_refused(403, "authorization_invalid");
    browser.touch(&own).await.assert_ok();
    browser.post("/v1/me/change_password", &password).await.assert_ok();
    // Nobody acts twice as one account in one browser.
    let token = actor_token(&app, json!({})).await;
    let refused = browser.sign_in_with_ticket(text(&token, "token")).await;
    refused.assert_refused(400, "identifier_already_signed_in");
}

#[tokio::test]
async fn only_the_page_of_the_link_signs_the_actor_out_first() {
    let app = TestApp::new().start().await;
    let browser = app.signed_in("sam@example.com").await;
    let token = actor_token(&app, json!({})).await;
    let makes_room = |page: &Answer| {
        page.text().contains("&quot;signsOutFirst&quot;:true")
            || page.text().contains("&#34;signsOutFirst&#34;:true")
    };
    // By itself a second sign-in is refused as every one is, and spends nothing.
    browser.sign_in_with_ticket(text(&token, "token")).await.assert_refused(400, "session_exists");
    let link = format!("/sign-in?__clerk_ticket={}", text(&token, "token"));
    let page = browser.navigate(&link).await;
    assert!(makes_room(&page), "{page}");
    browser.token(&browser.session()).await.assert_ok();
    // What the page does then.
    browser.sign_out_all().await.assert_ok();
    browser.sign_in_with_ticket(text(&token, "token")).await.assert_ok();

    let usual = app.ticket("alice@example.com", minutes(5)).await;
    for other in [
        link,
        format!("/sign-in?__clerk_ticket={usual}"),
        "/sign-in?__clerk_ticket=%ff".into(),
        "/sign-in".into(),
    ] {
        let page = browser.navigate(&other).await;
        assert_eq!(page.status(), 200);
        assert!(!makes_room(&page), "{page}");
    }
    let several = TestApp::new().multi_session().start().await;
    let token = actor_token(&several, json!({})).await;
    let page =
        several.browser().navigate(&format!("/sign-in?__clerk_ticket={}", text(&token, "token"))).await;
    assert!(!makes_room(&page), "{page}");
}

#[tokio::test]
async fn the_token_of_the_largest_actor_fits_into_a_cookie() {
    let claims = json!({"claims": {"mine": "y".repeat(1200), "by": "{{session.actor.sub}}"}});
    let app = TestApp::new().token_settings(claims).start().await;
    let actor = json!({"sub": "user_sam", "note": "x".repeat(1024 - 28)});
    assert_eq!(actor.to_string().len(), 1024);
    let sam = sam(&app, json!({"actor": actor})).await;
    let jwt = sam.token(&sam.session()).await.jwt();
    let claims = app.verified(&jwt);
    assert_eq!(claims["act"], actor);
    assert_eq!(claims["mine"].as_str().map(str::len), Some(1200));
    let [_, name] = app.server().cookie_names().both("__session");
    assert!(name.len() + 1 + jwt.len() < 4096, "{}", jwt.len());
}
