//! The headers of pages (WEB-01, WEB-02), and what no cache may keep (COK-07).

use std::time::Duration;

use sojourn_server::{RequestTimeouts, router_with_timeouts};
use sojourn_testkit::{Answer, TestApp};

async fn page(app: &TestApp, path: &str) -> Answer {
    app.request("GET", path).header("accept", "text/html").send().await
}

/// Every address that answers with a page, refusals among them.
const PAGES: [(&str, u16); 9] = [
    ("/", 200),
    ("/sign-in", 200),
    ("/sign-in/choose", 200),
    ("/sign-in/factor-one", 200),
    ("/sign-up", 200),
    ("/user", 200),
    ("/mailbox", 403),
    ("/v1/client/handshake?redirect_url=https%3A%2F%2Fevil.example%2F", 422),
    ("/v1/client/touch?redirect_url=https%3A%2F%2Fevil.example%2F", 422),
];

#[tokio::test]
async fn web_01_and_web_02_every_page_carries_all_headers() {
    let app = TestApp::new().start().await;
    for (path, status) in PAGES {
        let answer = page(&app, path).await;
        assert_eq!(answer.status(), status, "{answer}");
        let header = |name| answer.header(name).unwrap_or_else(|| panic!("{path} has no {name}"));
        assert_eq!(header("content-type"), "text/html; charset=utf-8", "{path}");
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: no {part} in {policy}");
        }
        let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap_or("");
        assert!(!scripts.contains("unsafe") && !scripts.contains("http"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "strict-origin-when-cross-origin", "{path}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(
            answer.header("strict-transport-security"),
            None,
            "nobody is locked out of http://localhost"
        );
    }
}

#[tokio::test]
async fn log_03_a_refusal_on_a_page_tells_its_code_and_trace_id() {
    let app = TestApp::new().start().await;
    let (path, _) = PAGES[7];
    let refused = page(&app, path).await;
    assert!(refused.text().contains("redirect_url_invalid"), "{refused}");
    let trace = refused.text().split("trace id: <code>").nth(1).and_then(|rest| rest.split('<').next());
    assert!(trace.is_some_and(|trace| trace.len() == 32), "{refused}");
}

#[tokio::test]
async fn web_02_production_over_tls_stays_on_https() {
    let app = TestApp::new().production().start().await;
    for path in ["/sign-in", "/v1/environment", "/v1/users", "/nothing", "/v1/client/%2f"] {
        let answer = page(&app, path).await;
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"), "{answer}");
    }
    let plain = TestApp::new().production().base_url("http://clerk.example.com").start().await;
    assert_eq!(page(&plain, "/v1/environment").await.header("strict-transport-security"), None);
}

#[tokio::test]
async fn cok_07_what_is_personal_is_kept_by_no_cache() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let user = app.user("alice@example.com").await.id;
    for answer in [
        alice.get("/v1/client").await,
        alice.get("/v1/me").await,
        alice.get("/v1/me/sessions").await,
        alice.token(&alice.session()).await,
        app.backend().get(&format!("/v1/users/{user}")).await,
        app.backend().get("/v1/sessions").await,
        app.backend().get("/dev/mailbox").await,
    ] {
        assert_eq!(answer.assert_ok().header("cache-control"), Some("no-store"), "{answer}");
        assert_eq!(answer.header("etag"), None, "{answer}");
    }
}

#[tokio::test]
async fn a_navigation_that_fails_gets_a_page() {
    let app = TestApp::new().rate_limits().start().await;
    let long = format!("/{}", "x".repeat(17 * 1024));
    for (method, path, status, code) in [
        ("GET", "/nowhere", 404, "resource_not_found"),
        ("GET", "/v1/client/nowhere", 404, "resource_not_found"),
        ("GET", "/v1/users", 401, "authentication_invalid"),
        ("POST", "/sign-in", 405, "method_not_allowed"),
        ("GET", "/portal/nothing.js", 404, "resource_not_found"),
        ("GET", "/%2e%2e/", 404, "resource_not_found"),
        ("GET", &long, 414, "request_uri_too_long"),
    ] {
        let answer = app.request(method, path).header("sec-fetch-mode", "navigate").send().await;
        assert_page(&answer, status, code);
        let lists_pages = answer.text().contains("href=\"/sign-in\"");
        assert_eq!(lists_pages, status != 414, "{answer}");
        let json = app.request(method, path).header("sec-fetch-mode", "cors").send().await;
        json.assert_refused(status, code);
    }
    let large = app.request("POST", "/sign-in").header("sec-fetch-mode", "navigate");
    assert_page(
        &large.body("text/plain", vec![b'a'; 1024 * 1024 + 1]).send().await,
        413,
        "request_body_too_large",
    );
    let host = app.request("GET", "/").header("sec-fetch-mode", "navigate").header("host", "evil.example");
    assert_page(&host.send().await, 421, "host_invalid");
    let none = RequestTimeouts { handler: Duration::ZERO, ..RequestTimeouts::default() };
    let slow = app.request("POST", "/v1/client/sign_ups").header("sec-fetch-mode", "navigate");
    let fields = [("email_address", "alice@example.com"), ("password", "correct-horse-battery")];
    let slow = slow.origin(Some("http://localhost:3000")).form(&fields);
    let slow = slow.send_to(router_with_timeouts(app.server(), none)).await;
    assert_page(&slow, 503, "service_unavailable");
    assert_eq!(slow.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_navigation_that_is_one_too_many_gets_a_page() {
    let app = TestApp::new().rate_limits().start().await;
    let send = async |mode: &str| {
        let request = app.request("POST", "/v1/client/sign_ins").header("sec-fetch-mode", mode);
        request.form(&[("identifier", "alice@example.com")]).send().await
    };
    for _ in 0..5 {
        assert_ne!(send("navigate").await.status(), 429);
    }
    let refused = send("navigate").await;
    assert_page(&refused, 429, "too_many_requests");
    assert!(refused.header("retry-after").is_some() && !refused.text().contains("href=\"/sign-in\""));
    send("cors").await.assert_refused(429, "too_many_requests");
}

#[tokio::test]
async fn a_fault_of_ours_gets_a_page_that_tells_nothing_of_it() {
    let app = TestApp::new().on_sqlite().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let alice = alice.moved_to(&app.damaged("UPDATE users SET document = '{}'").await);
    let fault = alice.navigate("/v1/client").await;
    assert_page(&fault, 500, "internal_clerk_error");
    for told in ["missing field", "a row of"] {
        assert!(!fault.text().contains(told), "{told} in {fault}");
    }
    alice.get("/v1/client").await.assert_refused(500, "internal_clerk_error");
}

/// A page in itself: no request beside it, so that it also shows where none is answered.
#[track_caller]
fn assert_page(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status(), status, "{answer}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer}");
    assert!(answer.text().starts_with("<!doctype html>") && answer.text().contains(code), "{answer}");
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("'self'"), "{policy}");
    for loading in ["<script", "<link rel=\"stylesheet\"", "src=\"/", "src=\"http", "url("] {
        assert!(!answer.text().contains(loading), "{loading} in {answer}");
    }
}

#[tokio::test]
async fn an_error_page_lists_development_pages_only_in_development() {
    for (app, listed) in [(TestApp::new(), true), (TestApp::new().exposed(), false)] {
        let app = app.start().await;
        let answer = page(&app, "/nowhere").await;
        assert_eq!(answer.text().contains("/mailbox"), listed, "{answer}");
    }
}
