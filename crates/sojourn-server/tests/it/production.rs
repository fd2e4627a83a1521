//! A production instance behind a proxy: whom it answers, whom it believes, and what it lacks (HST, COK, OPS).

use sojourn_server::{Surface, router_of};
use sojourn_testkit::{PASSWORD, TestApp};

const PROXY: &str = "10.0.0.7";

async fn behind_a_proxy() -> TestApp {
    let app = TestApp::new().production().trusted_proxies(&["10.0.0.0/8"]).start().await;
    app.user("alice@example.com").await;
    app
}

fn sign_in(app: &TestApp, peer: &str) -> sojourn_testkit::Request {
    app.request("POST", "/v1/client/sign_ins")
        .from_peer(peer)
        .origin(Some("https://app.example.com"))
        .form(&[("identifier", "alice@example.com"), ("password", PASSWORD)])
}

#[tokio::test]
async fn hst_01_production_answers_to_its_host_alone() {
    let app = behind_a_proxy().await;
    for host in [
        "localhost",
        "localhost:4000",
        "127.0.0.1:4000",
        "[::1]",
        "example.com",
        "app.example.com",
        "clerk.example.com.evil.com",
        "clerk.example.com.",
        "evil.com",
        "",
    ] {
        for path in
            ["/v1/client", "/sign-in", "/.well-known/jwks.json", "/v1/users", "/v1/health", "/nothing"]
        {
            let refused = app.request("GET", path).header("host", host).send().await;
            refused.assert_refused(421, "host_invalid");
        }
    }
    for host in ["clerk.example.com", "CLERK.example.com", "clerk.example.com:443"] {
        app.request("GET", "/v1/client").header("host", host).send().await.assert_ok();
    }
}

#[tokio::test]
async fn hst_01_a_declared_proxy_may_name_the_host_for_its_client() {
    let app = behind_a_proxy().await;
    let forwarded = |peer: &str, host: &str| {
        let request = app.request("GET", "/v1/client").header("host", "upstream").from_peer(peer);
        request.header("x-forwarded-host", host)
    };
    forwarded(PROXY, "clerk.example.com").send().await.assert_ok();
    forwarded(PROXY, "evil.com").send().await.assert_refused(421, "host_invalid");
    forwarded("203.0.113.50", "clerk.example.com").send().await.assert_refused(421, "host_invalid");
}

#[tokio::test]
async fn hst_02_only_a_declared_proxy_names_the_clients_address() {
    let app = behind_a_proxy().await;
    for (peer, list, expected) in [
        (PROXY, "203.0.113.9", "203.0.113.9"),
        (PROXY, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (PROXY, "198.51.100.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("203.0.113.50", "198.51.100.1", "203.0.113.50"),
        ("127.0.0.1", "198.51.100.1", "127.0.0.1"),
    ] {
        let answer = sign_in(&app, peer).header("x-forwarded-for", list).send().await;
        let session = app.stored_session(&answer.assert_ok().session_id()).await;
        assert_eq!(session.device.ip_address, expected, "{list} from {peer}");
    }
}

#[tokio::test]
async fn hst_02_a_client_cannot_evade_rate_limits_by_a_header() {
    let app = TestApp::new().production().trusted_proxies(&["10.0.0.0/8"]).rate_limits().start().await;
    app.user("alice@example.com").await;
    let attempt = |peer: &'static str, address: String| {
        let request = sign_in(&app, peer).header("x-forwarded-for", &address);
        async move { request.send().await.status() }
    };
    for number in 0..5 {
        assert_ne!(attempt("203.0.113.50", format!("198.51.100.{number}")).await, 429);
    }
    assert_eq!(
        attempt("203.0.113.50", "198.51.100.77".to_owned()).await,
        429,
        "a name of its own helps nobody"
    );
    // Behind the proxy each client is counted by itself, whatever it wrote before the proxy did.
    for number in 0..5 {
        assert_ne!(attempt(PROXY, format!("198.51.100.{number}, 192.0.2.1")).await, 429);
    }
    assert_eq!(attempt(PROXY, "198.51.100.77, 192.0.2.1".to_owned()).await, 429);
    assert_ne!(attempt(PROXY, "192.0.2.2".to_owned()).await, 429);
}

#[tokio::test]
async fn hst_02_an_application_that_forwards_proves_itself_by_its_key() {
    let app = behind_a_proxy().await;
    let forwarded = |key: &str| {
        sign_in(&app, "203.0.113.80")
            .header("host", "127.0.0.1:4000")
            .header("clerk-proxy-url", "https://app.example.com/__clerk")
            .header("clerk-secret-key", key)
            .header("x-forwarded-for", "203.0.113.9")
    };
    forwarded("sk_live_wrong").send().await.assert_refused(421, "host_invalid");
    let answer = forwarded(app.secret_key()).send().await;
    let session = app.stored_session(&answer.assert_ok().session_id()).await;
    assert_eq!(session.device.ip_address, "203.0.113.9");
    let lines = answer.set_cookies();
    let client = lines.iter().find(|line| line.starts_with("__client=")).expect("the client's cookie");
    assert!(client.contains("; HttpOnly; Secure; SameSite=Lax") && !client.contains("Domain"), "{client}");
    let uat = lines.iter().find(|line| line.starts_with("__client_uat=")).expect("for the application");
    assert!(uat.contains("; Domain=example.com;"), "{uat}");
}

#[tokio::test]
async fn ops_02_what_came_to_the_proxy_in_plain_text_is_refused() {
    let app = behind_a_proxy().await;
    let get = |peer: &str, proto: &str| {
        app.request("GET", "/v1/client").from_peer(peer).header("x-forwarded-proto", proto)
    };
    get(PROXY, "http").send().await.assert_refused(403, "https_required");
    get(PROXY, "https, http").send().await.assert_refused(403, "https_required");
    let refused = get(PROXY, "http").send().await;
    assert_eq!(refused.location(), None, "no redirect: the secret would have crossed the network already");
    get(PROXY, "https").send().await.assert_ok();
    get("203.0.113.50", "http").send().await.assert_ok();
}

#[tokio::test]
async fn cok_09_production_knows_no_development_browsers() {
    let app = behind_a_proxy().await;
    let alice = app.signed_in("alice@example.com").await;
    let secret = alice.client_cookie().expect("signed in");
    for query in [format!("__clerk_db_jwt={secret}"), format!("__dev_session={secret}")] {
        let answer = app.request("GET", &format!("/v1/client?{query}")).beyond_the_document().send().await;
        assert!(answer.assert_ok().response().is_null(), "{answer}");
    }
    for name in ["__clerk_db_jwt", "__dev_session"] {
        let cookie = format!("{name}={secret}");
        let answer = app.request("GET", "/v1/client").header("cookie", &cookie).send().await;
        assert!(answer.assert_ok().response().is_null(), "{answer}");
    }
    let made = app.request("POST", "/v1/dev_browser").origin(Some("https://app.example.com")).send().await;
    assert_eq!(made.status(), 404, "{made}");
}

#[tokio::test]
async fn cor_01_no_list_allows_a_plain_http_page_in_production() {
    let app = TestApp::new()
        .production()
        .allowed_origin("http://shop.example.com")
        .allowed_origin("http://localhost:3000")
        .start()
        .await;
    for origin in ["http://shop.example.com", "http://localhost:3000"] {
        app.browser_at(origin).client().await.assert_refused(400, "origin_invalid");
    }
}

#[tokio::test]
async fn ops_03_the_backend_api_leaves_the_public_address() {
    let app = behind_a_proxy().await;
    let (public, backend) =
        (router_of(app.server(), Surface::Public), router_of(app.server(), Surface::Backend));
    let ask = |path: &str| app.backend().request("GET", path);
    for path in ["/v1/users", "/v1/sessions", "/v1/instance", "/v1/clients", "/v1/nothing"] {
        // With a key and without: nothing there tells that it exists elsewhere.
        ask(path).send_to(public.clone()).await.assert_refused(404, "resource_not_found");
        let refused = app.request("GET", path).send_to(public.clone()).await;
        refused.assert_refused(404, "resource_not_found");
        assert_eq!(app.request("GET", path).send_to(backend.clone()).await.status(), 401);
    }
    ask("/v1/users").header("host", "sojourn.internal:4001").send_to(backend.clone()).await.assert_ok();
    for path in
        ["/v1/client", "/v1/environment", "/sign-in", "/v1/jwks", "/.well-known/jwks.json", "/v1/health"]
    {
        assert_eq!(ask(path).send_to(public.clone()).await.status(), 200, "{path}");
    }
    for path in ["/v1/client", "/v1/me", "/sign-in", "/", "/npm/@clerk/ui@1/dist/ui.browser.js"] {
        ask(path).send_to(backend.clone()).await.assert_refused(404, "resource_not_found");
    }
    for path in ["/v1/jwks", "/.well-known/jwks.json", "/v1/health"] {
        ask(path).send_to(backend.clone()).await.assert_ok();
    }
}

#[tokio::test]
async fn ops_03_supervisors_have_an_address_of_their_own() {
    let app = behind_a_proxy().await;
    let admin = sojourn_server::admin_router(app.server());
    for path in ["/health/live", "/health/ready"] {
        let answer = app.request("GET", path).header("host", "10.0.0.5").send_to(admin.clone()).await;
        assert_eq!((answer.status(), answer.text()), (200, "{\"status\":\"ok\"}"), "{path}");
        assert_eq!(app.request("GET", path).send().await.status(), 404, "{path} is not public");
    }
    let metrics = app.request("GET", "/metrics").header("host", "10.0.0.5").send_to(admin).await;
    assert!(metrics.assert_ok().text().contains("sojourn_open_connections"), "{metrics}");
    // Not even to this machine: the proxy may be on it.
    let public =
        app.request("GET", "/metrics").from_peer("127.0.0.1").without("x-forwarded-for").send().await;
    assert_eq!(public.status(), 404, "{public}");
}

#[tokio::test]
async fn ops_03_development_shows_metrics_to_its_machine_alone() {
    let app = TestApp::new().start().await;
    let ask = |peer: &str| app.request("GET", "/metrics").from_peer(peer).send();
    ask("127.0.0.1").await.assert_ok();
    ask("::1").await.assert_ok();
    ask("192.0.2.1").await.assert_refused(404, "resource_not_found");
    let exposed = TestApp::new().exposed().start().await;
    let answer = exposed.request("GET", "/metrics").from_peer("127.0.0.1").send().await;
    answer.assert_refused(404, "resource_not_found");
}

#[tokio::test]
async fn another_instances_database_is_not_served() {
    use sojourn_service::{InstanceKind, StartError};
    let production = TestApp::new().production().start().await;
    let refused = production.served_as(InstanceKind::Development).await.expect_err("another environment");
    assert!(matches!(refused, StartError::OtherEnvironment { .. }), "{refused}");
    let other = sojourn_core::host::PublicHost::parse("auth.example.com").expect("a host");
    let refused = production.served_as(InstanceKind::Production(other)).await.expect_err("another host");
    assert!(refused.to_string().contains("clerk.example.com"), "{refused}");
}
