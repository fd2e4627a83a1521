//! How long a session lives (S1…S5), through the Frontend API.

use sojourn_testkit::{TestApp, minutes};

#[tokio::test]
async fn s3_an_idle_session_is_abandoned_and_an_active_one_goes_on() {
    let app = TestApp::new().inactivity(minutes(30)).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    app.clock.advance(minutes(29));
    alice.touch(&session).await.assert_ok();
    app.clock.advance(minutes(29));
    alice.token(&session).await.assert_ok();
    app.clock.advance(minutes(30));
    let gone = alice.token(&session).await;
    gone.assert_refused(401, "authentication_invalid");
    assert_eq!(gone.session_ids(), Vec::<String>::new());
    assert_eq!(alice.client_uat().as_deref(), Some("0"));
}
