//! Who may call, and from where (CSR, COR, HST, AUZ).

use sojourn_testkit::{FakeBrowser, PASSWORD, TestApp};

/// What is no allowed origin of a development instance, however it looks.
const FOREIGN: [&str; 22] = [
    "null",
    "",
    "http://evil.com",
    "http://localhost:3000.evil.com",
    "http://localhost.evil.com:3000",
    "http://evil.com#localhost",
    "http://evil.com/localhost:3000",
    "http://localhost:3000@evil.com",
    "http://localhost@evil.com",
    "http://LOCALHOST:3000",
    "HTTP://localhost:3000",
    "http://localhost:3000/",
    "http://localhost:3000?",
    "http://localhost:3000 ",
    "http://localhost:03000",
    "http://localhost:80",
    "http://notlocalhost:3000",
    "http://sub.localhost:3000",
    "http://localhost.:3000",
    "file://localhost",
    "http://localhost:3000, http://evil.com",
    "javascript:alert(1)",
];

async fn assert_untouched(alice: &FakeBrowser) {
    let client = alice.client().await;
    assert_eq!(client.session_ids(), [alice.session()], "nothing happened");
}

#[tokio::test]
async fn csr_01_a_foreign_origin_is_refused_before_any_effect() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let session = alice.session();
    for origin in FOREIGN {
        for path in [
            format!("/v1/client/sessions/{session}/remove"),
            format!("/v1/client/sessions/{session}/end"),
            format!("/v1/client/sessions/{session}/tokens"),
            format!("/v1/client/sessions/{session}/touch"),
            "/v1/client/sessions?_method=DELETE".to_owned(),
            "/v1/client?_method=DELETE".to_owned(),
            "/v1/me?_method=PATCH&first_name=Eve".to_owned(),
            "/v1/me/change_password".to_owned(),
            "/v1/client/sign_ins".to_owned(),
            "/v1/client/sign_ups".to_owned(),
        ] {
            let refused = alice.send(alice.request("POST", &path).origin(Some(origin))).await;
            refused.assert_refused(400, "origin_invalid");
            assert!(refused.set_cookies().is_empty(), "{refused}");
            assert_eq!(refused.header("access-control-allow-origin"), None, "{origin}");
        }
    }
    assert_untouched(&alice).await;
}

#[tokio::test]
async fn csr_01_a_missing_origin_with_a_client_cookie_is_refused() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    for path in [
        "/v1/client/sessions?_method=DELETE",
        "/v1/client/sign_ins",
        "/v1/client?_method=DELETE",
        "/v1/me?_method=PATCH",
    ] {
        let refused = alice.send(alice.request("POST", path).origin(None)).await;
        refused.assert_refused(400, "origin_missing");
        let real =
            path.split_once("?_method=").map(|(path, method)| (method, path)).unwrap_or(("POST", path));
        let refused = alice.send(alice.request("GET", real.1).origin(None)).await;
        assert_ne!(refused.code(), "origin_missing", "a read needs none");
        let cookie = format!("{}={}", alice.client_cookie_name(), alice.client_cookie().expect("kept"));
        let bare = app.request(real.0, real.1).header("cookie", &cookie).send().await;
        bare.assert_refused(400, "origin_missing");
    }
    assert_untouched(&alice).await;
}

#[tokio::test]
async fn csr_01_an_undecodable_or_repeated_origin_is_refused() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let path = "/v1/client/sessions?_method=DELETE";
    let unreadable =
        alice.request("POST", path).without("origin").another_header("origin", b"http://evil.com\xff");
    alice.send(unreadable).await.assert_refused(400, "origin_invalid");
    let twice = alice.request("POST", path).another_header("origin", b"http://evil.com");
    alice.send(twice).await.assert_refused(400, "origin_invalid");
    assert_untouched(&alice).await;
}

#[tokio::test]
async fn csr_02_a_get_changes_nothing_whatever_method_it_names() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    for path in [
        "/v1/client/sessions?_method=DELETE",
        "/v1/client?_method=DELETE",
        "/v1/me?_method=PATCH&first_name=Eve",
    ] {
        let got = alice.send(alice.navigation(path).beyond_the_document()).await;
        assert!(got.status() == 200 || got.status() == 405, "{got}");
    }
    let path = format!("/v1/client/sessions/{}/remove", alice.session());
    let refused = alice.navigate(&path).await;
    assert!(refused.status() == 405 && refused.text().contains("method_not_allowed"), "{refused}");
    assert_untouched(&alice).await;
    assert_eq!(alice.get("/v1/me").await.response()["first_name"], "Alice");
}

#[tokio::test]
async fn csr_02_no_header_overrides_a_method() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        for method in ["GET", "POST"] {
            let request = alice.request(method, "/v1/client").header(header, "DELETE");
            alice.send(request).await.assert_ok();
        }
    }
    let in_body = alice.request("POST", "/v1/client").form(&[("_method", "DELETE")]);
    alice.send(in_body.beyond_the_document()).await.assert_ok();
    assert_untouched(&alice).await;
}

#[tokio::test]
async fn csr_03_a_cross_site_request_without_origin_is_refused() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let request = app.request("POST", "/v1/client/sign_ins").header("sec-fetch-site", "cross-site");
    let refused = request.form(&[("identifier", "alice@example.com"), ("password", PASSWORD)]).send().await;
    refused.assert_refused(400, "origin_missing");
    assert!(refused.set_cookies().is_empty());
}

#[tokio::test]
async fn csr_04_a_foreign_page_signs_nobody_in() {
    let app = TestApp::new().start().await;
    app.user("eve@example.com").await;
    let victim = app.browser_at("http://evil.com");
    for answer in [
        victim.sign_in_at_once("eve@example.com", PASSWORD).await,
        victim.sign_in_with_ticket(&app.ticket("eve@example.com", sojourn_testkit::minutes(5)).await).await,
        victim.sign_up("eve2@example.com", PASSWORD).await,
    ] {
        answer.assert_refused(400, "origin_invalid");
        assert!(answer.set_cookies().is_empty());
    }
    assert_eq!(victim.client_cookie(), None);
}

#[tokio::test]
async fn cor_01_an_allowed_origin_is_named_exactly_also_on_errors() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let answers = [
        alice.client().await,
        alice.token("sess_0ujtsYcgvSTl8PAuAdqWYSMnLOv").await,
        alice.get("/v1/client/nothing").await,
        alice.request("PUT", "/v1/me").header("x-nothing", "1").send().await,
        alice.send(alice.request("POST", "/v1/client/sign_ins").body("text/plain", "x")).await,
        alice.send(alice.request("POST", "/v1/client/sign_ins").body("application/json", "{")).await,
        alice.post("/v1/client/sign_ups", &[("email_address", "x")]).await,
    ];
    for answer in &answers {
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"), "{answer}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{answer}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{answer}");
        let exposed = answer.header("access-control-expose-headers").expect("exposed");
        assert!(exposed.contains("Retry-After") && exposed.contains("Authorization"), "{answer}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
        assert_eq!(answer.header("etag"), None, "{answer}");
    }
    let foreign = app.browser_at("http://evil.com").client().await;
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    assert_eq!(foreign.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn cor_01_a_preflight_is_204_and_names_only_allowed_origins() {
    let app = TestApp::new().start().await;
    for (origin, allowed) in [("http://localhost:3000", true), ("http://evil.com", false), ("null", false)] {
        for path in ["/v1/client", "/v1/client/sessions/x/tokens", "/v1/environment", "/v1/me"] {
            let preflight = app
                .request("OPTIONS", path)
                .origin(Some(origin))
                .header("access-control-request-method", "POST")
                .send()
                .await;
            assert_eq!(preflight.status(), 204, "{preflight}");
            assert_eq!(preflight.header("access-control-allow-origin").is_some(), allowed, "{preflight}");
        }
    }
}

#[tokio::test]
async fn cor_01_production_allows_exactly_its_list_of_origins() {
    let app = TestApp::new().production().start().await;
    app.user("alice@example.com").await;
    for origin in ["https://app.example.com", "https://clerk.example.com"] {
        app.browser_at(origin).sign_in_at_once("alice@example.com", PASSWORD).await.assert_ok();
    }
    for origin in [
        "http://app.example.com",
        "https://example.com",
        "https://app.example.com:8443",
        "https://evil.app.example.com",
        "https://app.example.com.evil.com",
        "http://localhost:3000",
        "http://127.0.0.1",
    ] {
        app.browser_at(origin)
            .sign_in_at_once("alice@example.com", PASSWORD)
            .await
            .assert_refused(400, "origin_invalid");
    }
    let closed = TestApp::new().without_loopback().start().await;
    closed.browser().client().await.assert_refused(400, "origin_invalid");
}

#[tokio::test]
async fn hst_01_a_host_that_only_resolves_here_gets_nothing() {
    let app = TestApp::new().start().await;
    for host in [
        "evil.com",
        "evil.com:4000",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "localhost@evil.com",
        "evil.com#localhost",
        "0.0.0.0:4000",
        "[::2]:4000",
        "localhost.",
        "",
    ] {
        for path in [
            "/v1/client",
            "/v1/environment",
            "/sign-in",
            "/",
            "/mailbox",
            "/.well-known/jwks.json",
            "/dev/mailbox",
            "/v1/users",
            "/nothing",
        ] {
            let refused = app.request("GET", path).header("host", host).send().await;
            refused.assert_refused(421, "host_invalid");
        }
    }
    app.request("GET", "/v1/client").without("host").send().await.assert_refused(421, "host_invalid");
    for host in [
        "localhost",
        "localhost:1",
        "127.0.0.1:4000",
        "[::1]:4000",
        "[::1]",
        "clerk.sojourn1.localhost:4000",
        "LOCALHOST:4000",
    ] {
        app.request("GET", "/v1/client").header("host", host).send().await.assert_ok();
    }
}

#[tokio::test]
async fn hst_02_forwarding_headers_count_only_with_the_secret_key() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let forwarded = |key: Option<&str>| {
        let request = app
            .request("POST", "/v1/client/sign_ins")
            .header("x-forwarded-for", "203.0.113.9, 10.0.0.1")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "app.example.com")
            .header("forwarded", "for=203.0.113.9;proto=https")
            .header("x-real-ip", "203.0.113.9")
            .header("clerk-proxy-url", "https://app.example.com/__clerk")
            .form(&[("identifier", "alice@example.com"), ("password", PASSWORD)]);
        match key {
            Some(key) => request.header("clerk-secret-key", key).header("origin", "https://app.example.com"),
            None => request,
        }
    };
    let untrusted = forwarded(None).send().await;
    let session = app.stored_session(&untrusted.assert_ok().session_id()).await;
    assert_eq!(session.device.ip_address, "");
    assert!(
        untrusted.set_cookies().iter().all(|line| !line.contains("Secure")),
        "{:?}",
        untrusted.set_cookies()
    );
    forwarded(Some("sk_test_wrong")).send().await.assert_refused(400, "origin_invalid");
    let trusted = forwarded(Some(app.secret_key())).send().await;
    let session = app.stored_session(&trusted.assert_ok().session_id()).await;
    assert_eq!(session.device.ip_address, "203.0.113.9");
    assert!(
        trusted.set_cookies().iter().all(|line| line.contains("; Secure")),
        "{:?}",
        trusted.set_cookies()
    );
    let jwt =
        trusted.client()["sessions"][0]["last_active_token"]["jwt"].as_str().expect("a token").to_owned();
    assert_eq!(app.verified(&jwt)["iss"], "https://clerk.sojourn1.localhost", "never the proxy's name");
}

#[tokio::test]
async fn auz_03_the_backend_api_tells_nothing_without_a_key() {
    let app = TestApp::new().start().await;
    for path in [
        "/v1/users",
        "/v1/sessions",
        "/v1/sessions/x",
        "/v1/instance/session_settings",
        "/v1/nothing",
        "/v1/jwks/../users",
        "/dev/mailbox",
    ] {
        let without = app.request("GET", path).send().await;
        assert!(without.status() == 401 || path.contains(".."), "{without}");
        without.assert_standard_error();
    }
    let wrong = |value: &str| app.request("GET", "/v1/nothing").header("authorization", value);
    wrong("Bearer sk_test_wrong").send().await.assert_refused(401, "clerk_key_invalid");
    wrong("Basic YTpi").send().await.assert_refused(401, "authorization_header_format_invalid");
    wrong("Bearer").send().await.assert_refused(401, "authorization_header_format_invalid");
    wrong("Bearer ").send().await.assert_standard_error();
    let query = format!("/v1/nothing?secret_key={}", app.secret_key());
    assert_eq!(app.request("GET", &query).send().await.status(), 401, "AUZ-04: never in the query");
    app.backend().get("/v1/nothing").await.assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn d11_a_secret_key_in_a_browser_is_refused() {
    let app = TestApp::new().start().await;
    for origin in ["http://localhost:3000", "http://evil.com", "null"] {
        let request = app.backend().request("GET", "/v1/users").origin(Some(origin));
        let refused = request.send().await;
        refused.assert_refused(400, "origin_authorization_headers_conflict");
        assert_eq!(refused.header("access-control-allow-origin"), None, "COR-02");
    }
}

#[tokio::test]
async fn cor_02_the_backend_api_answers_no_origin() {
    let app = TestApp::new().start().await;
    for path in ["/v1/users", "/v1/sessions/sess_1/nothing", "/dev/mailbox"] {
        for method in ["GET", "OPTIONS"] {
            let answer = app.request(method, path).origin(Some("http://localhost:3000")).send().await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{answer}");
        }
    }
}

#[tokio::test]
async fn d3_exposed_instances_have_no_development_tools() {
    for app in [TestApp::new().production().start().await, TestApp::new().exposed().start().await] {
        for path in ["/dev/mailbox", "/dev/clock", "/mailbox", "/mailbox?key=x"] {
            let answer = app.backend().request("GET", path).send().await;
            assert_eq!(answer.status(), 404, "{answer}");
        }
        for path in ["/dev/mailbox/links", "/dev/clock/advance", "/mailbox/clear"] {
            let answer = app.backend().request("POST", path).send().await;
            assert_eq!(answer.status(), 404, "{answer}");
        }
    }
}
