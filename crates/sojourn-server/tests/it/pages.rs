//! The headers of pages (WEB-01, WEB-02), and what no cache may keep (COK-07).

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
    let trace = refused.text().split("Trace id: <code>").nth(1).and_then(|rest| rest.split('<').next());
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
