//! Every end leaves one record (D24): a story for each reason, through the doors by which it happens.

use serde_json::{Value, json};
use sojourn_core::time::Timestamp;
use sojourn_store::Engine as _;
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, START, TestApp, days, minutes};

const NEW_PASSWORD: &str = "an entirely different passphrase";

/// What a record says beyond whose session it was and where.
struct End {
    status: &'static str,
    reason: &'static str,
    /// Type, and the id where there is one.
    actor: (&'static str, Option<String>),
    ended_at: Timestamp,
    deadline_at: Timestamp,
    last_active_at: Timestamp,
    settings_version: u64,
}

impl End {
    /// Of a session that began and was last active at the start, under the
    /// first settings, which would have lasted seven days.
    fn new(
        status: &'static str,
        reason: &'static str,
        actor: (&'static str, Option<&str>),
        ended_at: Timestamp,
    ) -> Self {
        Self {
            status,
            reason,
            actor: (actor.0, actor.1.map(str::to_owned)),
            ended_at,
            deadline_at: START + days(7),
            last_active_at: START,
            settings_version: 1,
        }
    }
}

async fn record(app: &TestApp, session: &str) -> Answer {
    app.backend().get(&format!("/v1/sessions/{session}/end")).await
}

/// The record of the end is this, and one event tells it.
async fn assert_ended(app: &TestApp, session: &str, end: End) {
    let stored = app.stored_session(session).await;
    let told = record(app, session).await;
    let expected = json!({
        "object": "session_end",
        "session_id": session,
        "user_id": stored.user_id,
        "client_id": stored.client_id,
        "status": end.status,
        "reason": end.reason,
        "ended_at": end.ended_at,
        "last_active_at": end.last_active_at,
        "deadline_at": end.deadline_at,
        "actor": {"type": end.actor.0, "id": end.actor.1},
        "settings_version": end.settings_version,
        "activity": {
            "object": "session_activity",
            "id": session.replacen("sess_", "sess_activity_", 1),
            "device_type": "Linux",
            "is_mobile": false,
            "browser_name": "Chrome",
            "browser_version": "150.0.0.0",
        },
    });
    assert_eq!(told.assert_ok().json(), expected);
    let events = events(app, session).await;
    let [(name, data)] = events.as_slice() else { panic!("one event for one end: {events:?}") };
    assert_eq!(*name, format!("session.{}", end.status));
    let of_event = [&data["status"], &data["reason"], &data["by"], &data["at"], &data["deadline_at"]];
    let of_record = ["status", "reason", "ended_at", "deadline_at"].map(|field| &expected[field]);
    assert_eq!(of_event, [of_record[0], of_record[1], &json!(end.actor.0), of_record[2], of_record[3]]);
    assert_eq!(data["settings_version"], end.settings_version);
}

/// What the outbox says of a session, but for its beginning.
async fn events(app: &TestApp, session: &str) -> Vec<(String, Value)> {
    let events = app.store().outbox(app.server().instance_id(), None, 1000).await;
    let of_session = events.expect("a store that answers").into_iter();
    of_session
        .filter(|event| event.name != "session.created" && event.data["session_id"] == session)
        .map(|event| (event.name, event.data))
        .collect()
}

async fn user_id(app: &TestApp, email: &str) -> String {
    app.user(email).await.id.to_string()
}

/// Alice in a browser, ten minutes after she signed in there.
async fn alice(app: &TestApp) -> (FakeBrowser, String, String) {
    let browser = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(10));
    let (session, user) = (browser.session(), user_id(app, "alice@example.com").await);
    (browser, session, user)
}

fn ten_minutes_later() -> Timestamp {
    START + minutes(10)
}

#[tokio::test]
async fn only_an_ended_session_has_an_end_record() {
    let app = TestApp::new().start().await;
    let (browser, session, _) = alice(&app).await;
    record(&app, &session).await.assert_refused(404, "resource_not_found");
    record(&app, "sess_0ujtsYcgvSTl8PAuAdqWYSMnLOv").await.assert_refused(404, "resource_not_found");
    record(&app, "nonsense").await.assert_refused(404, "resource_not_found");
    let path = format!("/v1/sessions/{session}/end");
    app.request("GET", &path).send().await.assert_refused(401, "authentication_invalid");
    browser.sign_out(&session).await.assert_ok();
    record(&app, &session).await.assert_ok();
}

#[tokio::test]
async fn a_list_tells_the_ends_where_it_is_asked_to() {
    let app = TestApp::new().start().await;
    let (browser, session, _) = alice(&app).await;
    let list = async |query: &str| app.backend().get(&format!("/v1/sessions{query}")).await.json()[0].clone();
    assert_eq!(list("?include_end=true").await["end"], Value::Null);
    browser.sign_out(&session).await.assert_ok();
    assert_eq!(list("?include_end=true").await["end"], record(&app, &session).await.json());
    assert_eq!(list("").await.get("end"), None, "SDKs get what they know");
}

#[tokio::test]
async fn signed_out_by_the_user_of_one_session() {
    let app = TestApp::new().start().await;
    let (browser, session, user) = alice(&app).await;
    browser.sign_out(&session).await.assert_ok();
    let end = End::new("removed", "signed_out", ("user", Some(&user)), ten_minutes_later());
    assert_ended(&app, &session, end).await;

    let app = TestApp::new().start().await;
    let (browser, session, user) = alice(&app).await;
    browser.post(&format!("/v1/client/sessions/{session}/end"), &[]).await.assert_ok();
    let end = End::new("ended", "signed_out", ("user", Some(&user)), ten_minutes_later());
    assert_ended(&app, &session, end).await;
}

#[tokio::test]
async fn signed_out_everywhere_by_the_user_of_all_accounts() {
    for path in ["/v1/client/sessions", "/v1/client"] {
        let app = TestApp::new().multi_session().start().await;
        let bob = user_id(&app, "bob@example.com").await;
        let browser = app.signed_in("alice@example.com").await;
        let first = browser.session();
        let second = browser.sign_in("bob@example.com", PASSWORD).await.session_id();
        let alice = user_id(&app, "alice@example.com").await;
        app.clock.advance(minutes(10));
        browser.post_as("DELETE", path, &[]).await.assert_ok();
        for (session, user) in [(first, alice), (second, bob)] {
            let by = ("user", Some(user.as_str()));
            let end = End::new("removed", "signed_out_everywhere", by, ten_minutes_later());
            assert_ended(&app, &session, end).await;
        }
    }
}

#[tokio::test]
async fn revoked_by_the_backend() {
    let app = TestApp::new().start().await;
    let (_, session, _) = alice(&app).await;
    for _ in 0..2 {
        app.backend().post(&format!("/v1/sessions/{session}/revoke"), json!({})).await.assert_ok();
        app.clock.advance(minutes(1));
    }
    let end = End::new("revoked", "revoked_by_backend", ("backend", None), ten_minutes_later());
    assert_ended(&app, &session, end).await;
}

#[tokio::test]
async fn revoked_by_the_user_from_another_device() {
    let app = TestApp::new().start().await;
    let (_, session, user) = alice(&app).await;
    let elsewhere = app.signed_in("alice@example.com").await;
    elsewhere.post(&format!("/v1/me/sessions/{session}/revoke"), &[]).await.assert_ok();
    let end = End::new("revoked", "revoked_by_user", ("user", Some(&user)), ten_minutes_later());
    assert_ended(&app, &session, end).await;
}

/// A request that finds an end, and whose.
async fn discover(app: &TestApp, browser: &FakeBrowser, reader: &str) {
    let session = browser.session();
    let client = app.stored_session(&session).await.client_id;
    let backend = app.backend();
    match reader {
        "the record" => _ = record(app, &session).await,
        "a session by the backend" => _ = backend.get(&format!("/v1/sessions/{session}")).await,
        "a list" => _ = backend.get("/v1/sessions").await,
        "a client by the backend" => _ = backend.get(&format!("/v1/clients/{client}")).await,
        "a token by the backend" => {
            _ = backend.post(&format!("/v1/sessions/{session}/tokens"), json!({})).await;
        }
        "a revocation that is late" => {
            _ = backend.post(&format!("/v1/sessions/{session}/revoke"), json!({})).await;
        }
        "a page load" => _ = browser.client().await,
        "a handshake" => _ = browser.handshake("http://localhost:3000/").await,
        "a session" => _ = browser.session_object(&session).await,
        "a token" => _ = browser.token(&session).await,
        "a touch" => _ = browser.touch(&session).await,
        "a sign-out that is late" => _ = browser.sign_out(&session).await,
        "a sign-out of all that is late" => _ = browser.sign_out_all().await,
        "the account" => _ = browser.get("/v1/me").await,
        "the sign-in page" => _ = browser.navigate("/sign-in").await,
        "a new sign-in" => _ = browser.sign_in("alice@example.com", PASSWORD).await,
        other => panic!("nobody reads by {other}"),
    }
    let stored = app.stored_session(&session).await;
    assert!(stored.closed.is_some(), "{reader} has found the end, so it is stored");
}

const READERS: [&str; 16] = [
    "the record",
    "a session by the backend",
    "a list",
    "a client by the backend",
    "a token by the backend",
    "a revocation that is late",
    "a page load",
    "a handshake",
    "a session",
    "a token",
    "a touch",
    "a sign-out that is late",
    "a sign-out of all that is late",
    "the account",
    "the sign-in page",
    "a new sign-in",
];

#[tokio::test]
async fn inactivity_timeout_is_recorded_by_every_reader() {
    for reader in READERS {
        let app = TestApp::new().inactivity(minutes(30)).on_sqlite().start().await;
        let (browser, session, _) = alice(&app).await;
        browser.touch(&session).await.assert_ok();
        app.clock.advance(days(1));
        discover(&app, &browser, reader).await;
        app.clock.advance(days(1));
        discover(&app, &browser, "the record").await;
        let due = ten_minutes_later() + minutes(30);
        let end = End {
            deadline_at: due,
            last_active_at: ten_minutes_later(),
            ..End::new("abandoned", "inactivity_timeout", ("system", None), due)
        };
        assert_ended(&app, &session, end).await;
    }
}

#[tokio::test]
async fn maximum_lifetime_is_recorded_by_every_reader() {
    for reader in READERS {
        let app = TestApp::new().start().await;
        let (browser, session, _) = alice(&app).await;
        app.clock.advance(days(8));
        discover(&app, &browser, reader).await;
        let end = End::new("expired", "maximum_lifetime", ("system", None), START + days(7));
        assert_ended(&app, &session, end).await;
    }
}

#[tokio::test]
async fn settings_tightened_is_recorded_by_every_reader() {
    for (reader, (patch, status, limit)) in READERS.into_iter().zip(
        [
            (json!({"inactivity_timeout": {"enabled": true, "duration_seconds": 300}}), "abandoned", 5),
            (json!({"maximum_lifetime": {"duration_seconds": 540}}), "expired", 9),
        ]
        .into_iter()
        .cycle(),
    ) {
        let app = TestApp::new().start().await;
        let (browser, session, _) = alice(&app).await;
        app.backend().patch("/v1/instance/session_settings", patch).await.assert_ok();
        app.clock.advance(minutes(1));
        discover(&app, &browser, reader).await;
        let end = End {
            deadline_at: START + minutes(limit),
            settings_version: 2,
            ..End::new(status, "settings_tightened", ("system", None), ten_minutes_later())
        };
        assert_ended(&app, &session, end).await;
    }
}

#[tokio::test]
async fn password_changed_by_the_user() {
    let app = TestApp::new().start().await;
    let (_, session, user) = alice(&app).await;
    let elsewhere = app.signed_in("alice@example.com").await;
    let fields = [
        ("current_password", PASSWORD),
        ("new_password", NEW_PASSWORD),
        ("sign_out_of_other_sessions", "true"),
    ];
    elsewhere.post("/v1/me/change_password", &fields).await.assert_ok();
    let end = End::new("revoked", "password_changed", ("user", Some(&user)), ten_minutes_later());
    assert_ended(&app, &session, end).await;
    record(&app, &elsewhere.session()).await.assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn password_changed_by_a_reset() {
    let app = TestApp::new().start().await;
    let (_, session, user) = alice(&app).await;
    let elsewhere = app.browser();
    let begun = elsewhere.post("/v1/client/sign_ins", &[("identifier", "alice@example.com")]).await;
    let attempt = format!("/v1/client/sign_ins/{}", begun.assert_ok().id());
    let strategy = ("strategy", "reset_password_email_code");
    elsewhere.post(&format!("{attempt}/prepare_first_factor"), &[strategy]).await.assert_ok();
    let code = app.mailed_code("alice@example.com").await;
    let proved = [strategy, ("code", code.as_str())];
    elsewhere.post(&format!("{attempt}/attempt_first_factor"), &proved).await.assert_ok();
    elsewhere.post(&format!("{attempt}/reset_password"), &[("password", NEW_PASSWORD)]).await.assert_ok();
    let end = End::new("revoked", "password_changed", ("user", Some(&user)), ten_minutes_later());
    assert_ended(&app, &session, end).await;
}

#[tokio::test]
async fn password_changed_by_the_backend() {
    let changed = json!({"password": NEW_PASSWORD, "sign_out_of_other_sessions": true});
    let removed = json!({"sign_out_of_other_sessions": true});
    for (method, path, body) in [("PATCH", "", changed), ("POST", "/remove_password", removed)] {
        let app = TestApp::new().start().await;
        let (_, session, user) = alice(&app).await;
        let request = app.backend().request(method, &format!("/v1/users/{user}{path}"));
        request.json(&body).send().await.assert_ok();
        let end = End::new("revoked", "password_changed", ("backend", None), ten_minutes_later());
        assert_ended(&app, &session, end).await;
    }
}

#[tokio::test]
async fn user_banned_by_the_backend() {
    let app = TestApp::new().start().await;
    let (_, session, user) = alice(&app).await;
    app.backend().post(&format!("/v1/users/{user}/ban"), json!({})).await.assert_ok();
    let end = End::new("revoked", "user_banned", ("backend", None), ten_minutes_later());
    assert_ended(&app, &session, end).await;
}

#[tokio::test]
async fn user_deleted_by_the_backend_or_by_the_user() {
    let app = TestApp::new().start().await;
    let (_, session, user) = alice(&app).await;
    app.backend().delete(&format!("/v1/users/{user}")).await.assert_ok();
    let end = End::new("revoked", "user_deleted", ("backend", None), ten_minutes_later());
    assert_ended(&app, &session, end).await;

    let app = TestApp::new().on_sqlite().start().await;
    let (browser, session, user) = alice(&app).await;
    let elsewhere = app.signed_in("alice@example.com").await.session();
    browser.post_as("DELETE", "/v1/me", &[]).await.assert_ok();
    let end = || End::new("revoked", "user_deleted", ("user", Some(&user)), ten_minutes_later());
    assert_ended(&app, &session, end()).await;
    let late = End { deadline_at: ten_minutes_later() + days(7), ..end() };
    assert_ended(&app, &elsewhere, End { last_active_at: ten_minutes_later(), ..late }).await;
}

#[tokio::test]
async fn an_overdue_session_keeps_its_reason_when_it_is_revoked() {
    let app = TestApp::new().inactivity(minutes(5)).start().await;
    let (_, session, user) = alice(&app).await;
    app.backend().post(&format!("/v1/users/{user}/ban"), json!({})).await.assert_ok();
    let due = START + minutes(5);
    let end = End { deadline_at: due, ..End::new("abandoned", "inactivity_timeout", ("system", None), due) };
    assert_ended(&app, &session, end).await;
}
