//! A dry run says exactly what then happens.

use serde_json::{Value, json};
use sojourn_core::{
    id::SessionId,
    impersonation::Impersonation,
    session::{Closing, EndReason, Session},
    testing::SeededRng,
    time::Timestamp,
};
use sojourn_store::Write;
use sojourn_testkit::{PASSWORD, TestApp, days, minutes, seconds};

const SESSION: &str = "/v1/instance/session_settings";

/// Settings that differ in everything that ends sessions.
fn settings(rng: &mut SeededRng) -> Value {
    let inactivity = rng.below(3) > 0;
    json!({
        "inactivity_timeout": {"enabled": inactivity, "duration_seconds": 60 + rng.below(5400)},
        "maximum_lifetime": {"enabled": !inactivity || rng.below(3) > 0, "duration_seconds": 600 + rng.below(14_400)},
    })
}

/// An instance whose people come and go as the seed says; the same each time.
struct Town {
    app: TestApp,
    sessions: Vec<String>,
}

impl Town {
    async fn of(seed: u64) -> Self {
        let mut rng = SeededRng::new(seed);
        let app = TestApp::new().session_settings(settings(&mut rng)).start().await;
        let mut browsers = Vec::new();
        for n in 0..20 {
            app.clock.advance(seconds(rng.below(600)));
            browsers.push(app.signed_in(&format!("user{n}@example.com")).await);
            let seen = &browsers[rng.below(browsers.len() as u64) as usize];
            // It may be over: then it is not seen.
            seen.token(&seen.session()).await;
            if n == 10 {
                app.backend().patch(SESSION, settings(&mut rng)).await.assert_ok();
            }
        }
        let mut sessions: Vec<String> = browsers.iter().map(|browser| browser.session()).collect();
        sessions.push(acting(&app, sessions.last().expect("somebody")).await);
        app.clock.advance(seconds(rng.below(1200)));
        Self { app, sessions }
    }

    /// How each session ended; none where it is alive. Whoever asks finds what is over.
    async fn ends(&self) -> Vec<Option<Closing>> {
        let mut ends = Vec::new();
        for id in &self.sessions {
            self.app.backend().get(&format!("/v1/sessions/{id}")).await.assert_ok();
            ends.push(self.app.stored_session(id).await.closed);
        }
        ends
    }
}

/// A session of somebody who acts as the account of `like`.
async fn acting(app: &TestApp, like: &str) -> String {
    let now = app.server().moment().now;
    let id = SessionId::generate(now, &mut app.server().random());
    let impersonation = Impersonation { actor: serde_json::Map::new(), maximum: minutes(40) };
    let like = app.stored_session(like).await;
    let session =
        Session { id, impersonation: Some(impersonation), created_at: now, last_active_at: now, ..like };
    app.write(Write::InsertSession(session)).await;
    id.to_string()
}

#[tokio::test]
async fn a_dry_run_counts_exactly_what_the_change_then_ends() {
    let (mut at_once, mut later) = (0, 0);
    for seed in 1..=40 {
        let (changed, control) = (Town::of(seed).await, Town::of(seed).await);
        let change = settings(&mut SeededRng::new(seed + 1000));
        let dry = changed.app.backend().patch(&format!("{SESSION}?dry_run=true"), change.clone()).await;
        dry.assert_ok();
        let would_end = dry.json()["would_end"].clone();
        let version = changed.app.backend().patch(SESSION, change.clone()).await.json()["version"].as_u64();

        let now = changed.ends().await;
        let by_it = |end: &Closing| {
            end.reason == EndReason::SettingsTightened && Some(end.settings_version) == version
        };
        let tightened = now.iter().flatten().filter(|end| by_it(end)).count();
        assert_eq!(would_end["now"], tightened, "seed {seed}: {change} ended {now:?}");

        changed.app.clock.advance(minutes(60));
        control.app.clock.advance(minutes(60));
        let (after, without) = (changed.ends().await, control.ends().await);
        let within = (0..now.len())
            .filter(|one| now[*one].is_none() && after[*one].is_some() && without[*one].is_none())
            .count();
        assert_eq!(would_end["within_one_hour"], within, "seed {seed}: {change} ended {after:?}");
        let acting =
            |ends: &[Option<Closing>]| ends.last().copied().flatten().map(|end| (end.at, end.reason));
        assert_eq!(acting(&after), acting(&without), "who acts as an account lives by limits of its own");
        at_once += tightened;
        later += within;
    }
    assert!(at_once > 10 && later > 10, "too tame: {at_once} at once, {later} later");
}

#[tokio::test]
async fn a_dry_run_and_its_change_accept_a_version_condition() {
    let app = TestApp::new().start().await;
    app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(10));
    let body = json!({"inactivity_timeout": {"enabled": true, "duration_seconds": 300}});
    let send = |query: &str, version: &str| {
        let request = app.backend().request("PATCH", &format!("{SESSION}{query}"));
        request.header("if-match", version).json(&body).send()
    };
    let dry = send("?dry_run=true", "1").await;
    assert_eq!(dry.json()["would_end"], json!({"now": 1, "within_one_hour": 0}));
    send("?dry_run=true", "2").await.assert_refused(409, "conflict");
    app.backend().patch(SESSION, json!({"multi_session_enabled": true})).await.assert_ok();
    let late = send("", "1").await;
    late.assert_refused(409, "conflict");
    assert_eq!(late.json()["errors"][0]["meta"]["version"], 2);
    let moved_on = send("?dry_run=true", "1").await;
    moved_on.assert_refused(409, "conflict");
    send("", "2").await.assert_ok();
}

#[tokio::test]
async fn a_dry_run_counts_more_sessions_than_one_batch() {
    for app in [TestApp::new().start().await, TestApp::new().on_sqlite().start().await] {
        let alice = app.signed_in("alice@example.com").await;
        let like = app.stored_session(&alice.session()).await;
        let mut changes = app.server().changes(app.server().moment());
        for n in 0..2_100 {
            // Ten at one moment, so that groups end between equals.
            let created_at = Timestamp::from_millis(like.created_at.as_millis() + n / 10);
            let id = SessionId::generate(created_at, &mut app.server().random());
            let session = Session { id, created_at, last_active_at: created_at, ..like.clone() };
            changes = changes.write(Write::InsertSession(session));
        }
        app.server().commit(changes).await.expect("written");
        app.clock.advance(days(1));
        // One of them is alive all the same: what is only in memory counts, too.
        alice.token(&alice.session()).await.assert_ok();
        let body = json!({"inactivity_timeout": {"enabled": true, "duration_seconds": 7200}});
        let dry = app.backend().patch(&format!("{SESSION}?dry_run=true"), body).await;
        assert_eq!(dry.json()["would_end"], json!({"now": 2_100, "within_one_hour": 0}));
    }
}

#[tokio::test]
async fn a_change_without_session_limits_ends_no_session() {
    let app = TestApp::new().start().await;
    let browser = app.signed_in("alice@example.com").await;
    let dry = app.backend().patch(&format!("{SESSION}?dry_run=true"), json!({})).await.json();
    assert_eq!(dry["would_end"], json!({"now": 0, "within_one_hour": 0}));
    assert_eq!(browser.sign_in("alice@example.com", PASSWORD).await.status(), 400, "she is signed in");
}
