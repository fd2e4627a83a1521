//! What WebKit does to cookies of a `fetch` across hosts, and the navigation by which
//! clerk-js mends it (S7): `cookie_expires_at` says what the browser will do.

use std::time::Duration;

use sojourn_testkit::{FakeBrowser, PASSWORD, TestApp, days, seconds};

/// How long from now the browser keeps its client cookie, as the client object says.
async fn kept_for(app: &TestApp, browser: &FakeBrowser) -> Duration {
    let client = browser.client().await.json();
    let until = client["response"]["cookie_expires_at"].as_i64().expect("a time");
    Duration::from_millis((until - app.clock.now().as_millis()).unsigned_abs())
}

async fn safari(app: &TestApp, page: &str) -> FakeBrowser {
    let browser = app.browser_at(page).on_safari();
    app.user("alice@example.com").await;
    browser.sign_in("alice@example.com", PASSWORD).await.assert_ok();
    browser
}

const TOUCH: &str = "/v1/client/touch?redirect_url=https%3A%2F%2Fapp.example.com%2F";

#[tokio::test]
async fn s7_safari_keeps_7_days_of_a_fetch_400_of_a_navigation() {
    let app = TestApp::new().production().start().await;
    let browser = safari(&app, "https://app.example.com").await;
    assert_eq!(kept_for(&app, &browser).await, days(7));
    let secret = browser.client_cookie().expect("a cookie");
    // clerk-js goes there because the date is at most 8 days away.
    let touched = browser.navigate(TOUCH).await;
    assert_eq!(touched.status(), 307, "{touched}");
    assert_eq!(kept_for(&app, &browser).await, days(400));
    let renewed = browser.client_cookie().expect("a cookie");
    assert_eq!(renewed.rsplit_once('.').unwrap().0, secret.rsplit_once('.').unwrap().0, "the same secret");
    assert_ne!(renewed, secret);
    // No later fetch shortens what the navigation gave.
    for day in 1..=6 {
        app.clock.advance(days(1));
        assert_eq!(kept_for(&app, &browser).await, days(400 - day));
        browser.token(&browser.session()).await.assert_ok();
        assert_eq!(browser.client_cookie().as_ref(), Some(&renewed));
    }
    // Another navigation, a day later or more, begins the 400 days anew.
    assert_eq!(browser.navigate(TOUCH).await.status(), 307);
    assert_eq!(kept_for(&app, &browser).await, days(400));
}

#[tokio::test]
async fn s7_safari_in_use_has_its_7_days_renewed() {
    let app = TestApp::new().production().maximum(days(30)).start().await;
    let browser = safari(&app, "https://app.example.com").await;
    for _ in 0..10 {
        app.clock.advance(days(1) - seconds(1));
        assert_eq!(kept_for(&app, &browser).await, days(6) + seconds(1), "younger than a day");
        app.clock.advance(seconds(1));
        assert_eq!(kept_for(&app, &browser).await, days(7));
    }
}

#[tokio::test]
async fn s7_other_engines_and_the_own_host_have_400_days() {
    let app = TestApp::new().production().start().await;
    let chrome = app.signed_in("bob@example.com").await;
    assert_eq!(kept_for(&app, &chrome).await, days(400));
    // The portal's pages are on the server's own host.
    let portal = safari(&app, "https://clerk.example.com").await;
    assert_eq!(kept_for(&app, &portal).await, days(400));
    // The port is no part of the host: localhost:3000 beside localhost:4000.
    let local = TestApp::new().start().await;
    let laptop = safari(&local, "http://localhost:3000").await;
    assert_eq!(kept_for(&local, &laptop).await, days(400));
}
