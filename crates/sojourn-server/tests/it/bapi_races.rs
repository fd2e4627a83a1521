//! What holds when application servers and browsers act at the same time, on
//! the engine that runs in production.

use serde_json::json;
use sojourn_store::Engine as _;
use sojourn_testkit::{PASSWORD, TestApp, minutes};

async fn open_sessions(app: &TestApp) -> usize {
    let answer = app.backend().get("/v1/sessions?status=active&limit=500").await;
    answer.assert_ok();
    answer.json().as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_sign_in_succeeds_during_a_ban_or_a_deletion() {
    for act in ["ban", "delete"] {
        let app = TestApp::new().on_sqlite().start().await;
        let id = app.user("alice@example.com").await.id;
        let sign_ins: Vec<_> = (0..12)
            .map(|_| {
                let app = app.clone();
                tokio::spawn(
                    async move { app.browser().sign_in("alice@example.com", PASSWORD).await.status() },
                )
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        let done = match act {
            "ban" => app.backend().post(&format!("/v1/users/{id}/ban"), json!({})).await,
            _ => app.backend().delete(&format!("/v1/users/{id}")).await,
        };
        let mut statuses = vec![done.status()];
        for sign_in in sign_ins {
            statuses.push(sign_in.await.expect("a task that ends"));
        }
        assert!(statuses.iter().all(|status| *status < 500), "{act}: {statuses:?}");
        if done.status() == 200 {
            assert_eq!(open_sessions(&app).await, 0, "{act}: {statuses:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_token_is_issued_after_an_acknowledged_revocation() {
    let app = TestApp::new().multi_session().on_sqlite().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    let refresher = {
        let (alice, session) = (alice.clone(), session.clone());
        tokio::spawn(async move {
            for _ in 0..200 {
                alice.token(&session).await;
            }
        })
    };
    let revoked = app.backend().post(&format!("/v1/sessions/{session}/revoke"), json!({})).await;
    assert_eq!(revoked.json()["status"], "revoked");
    alice.token(&session).await.assert_refused(401, "authentication_invalid");
    let token = app.backend().post(&format!("/v1/sessions/{session}/tokens"), json!({})).await;
    token.assert_refused(401, "authentication_invalid");
    refresher.await.expect("a task that ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_changes_meant_for_one_version_one_succeeds() {
    let app = TestApp::new().on_sqlite().start().await;
    let changes: Vec<_> = (0..8)
        .map(|n| {
            let backend = app.backend();
            tokio::spawn(async move {
                let patch = json!({"maximum_lifetime": {"duration_seconds": 3600 + n}});
                let request = backend.request("PATCH", "/v1/instance/session_settings");
                request.header("if-match", "1").json(&patch).send().await.status()
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for change in changes {
        statuses.push(change.await.expect("a task that ends"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lists_that_find_the_same_ends_record_them_once() {
    let app = TestApp::new().inactivity(minutes(1)).on_sqlite().start().await;
    for n in 0..5 {
        app.signed_in(&format!("u{n}@example.com")).await;
    }
    app.clock.advance(minutes(1));
    let lists: Vec<_> = (0..8)
        .map(|_| {
            let backend = app.backend();
            tokio::spawn(async move {
                let list = backend.get("/v1/sessions?status=abandoned&paginated=true").await;
                list.json()["total_count"].clone()
            })
        })
        .collect();
    for list in lists {
        assert_eq!(list.await.expect("a task that ends"), 5);
    }
    assert_eq!(open_sessions(&app).await, 0);
    let events = app.store().outbox(app.server().instance_id(), None, 1000).await;
    let ends = events.expect("a store that answers");
    assert_eq!(ends.iter().filter(|event| event.name == "session.abandoned").count(), 5);
}
