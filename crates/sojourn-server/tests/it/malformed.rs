//! Requests that no browser sends (INP): each gets a clear error in the
//! standard shape, and nothing breaks.

use std::time::Duration;

use serde_json::json;
use sojourn_server::{RequestTimeouts, router_with_timeouts};
use sojourn_testkit::{Answer, PASSWORD, TestApp};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[track_caller]
fn assert_clean(answer: &Answer, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status()), "{answer}");
    answer.assert_standard_error();
}

#[tokio::test]
async fn inp_01_what_is_too_large_is_refused_as_that() {
    let app = TestApp::new().start().await;
    let browser = app.browser();
    let long = format!("/v1/client?x={}", "a".repeat(16 * 1024));
    assert_clean(&browser.request("GET", &long).send().await, &[414]);
    let headers = browser.request("GET", "/v1/client").header("x-large", &"a".repeat(33 * 1024)).send().await;
    assert_clean(&headers, &[400, 431]);
    let body = format!("identifier={}", "a".repeat(1024 * 1024 + 1));
    assert_clean(&browser.request("POST", "/v1/client/sign_ins").body(FORM, body).send().await, &[413]);
    let field = format!("identifier={}", "a".repeat(4097));
    assert_clean(&browser.request("POST", "/v1/client/sign_ins").body(FORM, field).send().await, &[422]);
    let fields: String = (0..10_000).map(|n| format!("f{n}=1&")).collect();
    assert_clean(
        &browser.request("POST", "/v1/client/sign_ins").body(FORM, fields.clone()).send().await,
        &[400],
    );
    let query = format!("/v1/client/touch?{}", &fields[..12_000]);
    assert_clean(&browser.request("GET", &query).send().await, &[400]);
    let same: String = "redirect_url=x&".repeat(1000);
    assert_clean(&browser.request("GET", &format!("/v1/client/touch?{same}")).send().await, &[400, 422]);
}

#[tokio::test]
async fn inp_01_deep_or_broken_json_is_400() {
    let app = TestApp::new().start().await;
    let browser = app.browser();
    let deep = |open: &str, close: &str, n: usize| {
        format!("{{\"identifier\":{}1{}}}", open.repeat(n), close.repeat(n))
    };
    let cases: Vec<Vec<u8>> = vec![
        deep("[", "]", 70).into(),
        deep("[", "]", 10_000).into(),
        deep("{\"a\":", "}", 70).into(),
        deep("{\"a\":", "}", 10_000).into(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"1".to_vec(),
        b"\"x\"".to_vec(),
        b"{} x".to_vec(),
        b"{\"a\":NaN}".to_vec(),
        b"{\"identifier\":\"\\ud800\"}".to_vec(),
        b"{\"identifier\":\"\xff\"}".to_vec(),
        b"{\"a\":1e999}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{'a':1}".to_vec(),
        b"\0".to_vec(),
    ];
    for body in cases {
        let answer = browser
            .request("POST", "/v1/client/sign_ins")
            .body(JSON, body)
            .beyond_the_document()
            .send()
            .await;
        assert_clean(&answer, &[400]);
    }
    for value in [json!(1), json!(true), json!([]), json!({}), json!([1]), json!(["a", 1]), json!(1.5)] {
        for name in ["identifier", "password", "strategy", "ticket", "transfer"] {
            let answer = browser
                .request("POST", "/v1/client/sign_ins")
                .json(&json!({name: value}))
                .beyond_the_document()
                .send()
                .await;
            assert!(answer.status() < 500, "{answer}");
        }
    }
}

#[tokio::test]
async fn inp_03_text_that_is_none_is_refused_and_never_stored() {
    let app = TestApp::new().verify_at_sign_up(false).start().await;
    let alice = app.signed_in("alice@example.com").await;
    for bad in ["%ff", "%c3%28", "%ed%a0%80", "%f8%80%80%80", "%c0%af", "%", "%z", "%zz", "%0"] {
        for (path, name) in [
            ("/v1/client/sign_ins", "identifier"),
            ("/v1/client/sign_ups", "email_address"),
            ("/v1/me?_method=PATCH", "first_name"),
            ("/v1/me?_method=PATCH", "unknown"),
        ] {
            let answer = alice.request("POST", path).body(FORM, format!("{name}={bad}")).send().await;
            assert_clean(&answer, &[400, 422]);
        }
        let answer = alice.request("GET", &format!("/v1/client/touch?redirect_url={bad}")).send().await;
        assert_clean(&answer, &[400, 422]);
    }
    for bad in ["a%00b", "%00"] {
        for (path, name) in [
            ("/v1/client/sign_ins", "identifier"),
            ("/v1/client/sign_ups", "email_address"),
            ("/v1/me?_method=PATCH", "first_name"),
        ] {
            let answer = alice.request("POST", path).body(FORM, format!("{name}={bad}")).send().await;
            assert_clean(&answer, &[400, 422]);
        }
    }
    let raw = alice
        .request("POST", "/v1/me?_method=PATCH")
        .body(FORM, b"first_name=\xff\xfe".to_vec())
        .send()
        .await;
    assert_clean(&raw, &[400]);
    assert_eq!(alice.get("/v1/me").await.response()["first_name"], "Alice");
    let metadata = alice.post_as("PATCH", "/v1/me", &[("unsafe_metadata", "[1]")]).await;
    assert_clean(&metadata, &[422]);
}

#[tokio::test]
async fn inp_03_ambiguous_paths_are_refused() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let id = alice.session();
    for path in [
        "//v1/client",
        "/v1//client",
        "/v1/client//sessions",
        "/v1/./client",
        "/v1/../v1/client",
        "/v1/%2e%2e/v1/client",
        "/v1/client%2fsessions",
        "/v1/client%2Fsessions",
        "/v1/client%5csessions",
        "/v1/client%00",
        "/v1/client/..",
        "/v1/client/.",
        "/v1/%63lient/..",
        "/v1/client;x=1",
        "/V1/client",
        "/v1/CLIENT",
        "/v1/client%20",
        "/v1/client%09",
        "/v1/client/%",
        "/v1/client/%zz",
    ] {
        if let Some(answer) = alice.request("GET", path).beyond_the_document().try_send().await {
            assert_clean(&answer, &[400, 401, 404]);
        }
    }
    for segment in ["%ff", "%c3%28", "%zz", "%", "%f0%28%8c%28", "sess_%ff"] {
        for path in [
            format!("/v1/client/sessions/{segment}/tokens"),
            format!("/v1/client/sign_ins/{segment}"),
            format!("/v1/me/sessions/{segment}/revoke"),
            format!("/sign-in/{segment}"),
            format!("/npm/@clerk/{segment}"),
            format!("/mailbox/{segment}"),
            format!("/v1/users/{segment}"),
        ] {
            for method in ["GET", "POST"] {
                if let Some(answer) = alice.request(method, &path).beyond_the_document().try_send().await {
                    assert_clean(&answer, &[400, 401, 404, 405]);
                }
            }
        }
    }
    alice.get("/v1/client/").await.assert_ok();
    alice.post(&format!("/v1/client/sessions/{id}/tokens/"), &[]).await.assert_ok();
    let query = alice.request("GET", "/v1/client?x=%2f%2f..%00").beyond_the_document().send().await;
    assert_eq!(query.status(), 200, "a query is no path");
}

#[tokio::test]
async fn wrong_methods_types_and_addresses_are_told_in_json() {
    let app = TestApp::new().start().await;
    let browser = app.browser();
    for (method, path) in [
        ("DELETE", "/v1/environment"),
        ("GET", "/v1/client/sign_ins"),
        ("PUT", "/v1/me"),
        ("TRACE", "/v1/client"),
        ("BREW", "/v1/client"),
        ("CONNECT", "/v1/client"),
        ("POST", "/sign-in"),
        ("DELETE", "/"),
        ("POST", "/.well-known/jwks.json"),
    ] {
        let answer = app.request(method, path).origin(Some("http://localhost:3000")).send().await;
        assert_clean(&answer, &[405]);
    }
    for type_ in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "",
        "application",
        "application/jsonp",
        "application/x-www-form-urlencodedx",
    ] {
        let answer = browser.request("POST", "/v1/client/sign_ins").body(type_, "identifier=x").send().await;
        assert_clean(&answer, &[415]);
    }
    let encoded = browser
        .request("POST", "/v1/client/sign_ins")
        .header("content-encoding", "gzip")
        .body(FORM, vec![0x1f, 0x8b, 8, 0])
        .send()
        .await;
    assert_clean(&encoded, &[400, 415]);
    for type_ in ["APPLICATION/JSON; charset=utf-8", " application/json"] {
        browser.request("POST", "/v1/client/sign_ins").body(type_, "{}").send().await.assert_ok();
    }
    for path in [
        "/v1/client/nothing",
        "/v1/me/nothing",
        "/nothing",
        "/v1",
        "/v1/client/sessions",
        "/v1/client/sync",
        "/v1/dev_browser",
        "/v1/environment/x",
        "/favicon.ico/x",
        "/npm/@clerk/clerk-js@99/dist/clerk.browser.js",
    ] {
        assert_clean(&app.request("GET", path).send().await, &[401, 404, 405]);
    }
    let head = app.request("HEAD", "/v1/client").send().await;
    assert_eq!((head.status(), head.bytes().len()), (200, 0));
}

#[tokio::test]
async fn inp_06_unknown_fields_are_ignored_and_the_last_value_wins() {
    let app = TestApp::new().start().await;
    app.user("alice@example.com").await;
    let body = format!(
        "identifier=eve%40example.com&identifier=alice%40example.com&password=x&password={}&strategy=password&constructor=1&__proto__=2&%5B%5D=3",
        PASSWORD.replace(' ', "+")
    );
    let request = app.browser().request("POST", "/v1/client/sign_ins").body(FORM, body);
    let answer = request.beyond_the_document().send().await;
    assert_eq!(answer.assert_ok().response()["status"], "complete");
}

#[tokio::test]
async fn queries_of_development_tools_are_refused_in_json_too() {
    let app = TestApp::new().start().await;
    for path in [
        "/dev/mailbox?limit=x",
        "/dev/mailbox?limit=-1",
        "/dev/mailbox?limit=1e9",
        "/dev/mailbox?to=%ff",
        "/dev/mailbox?limit=99999999999999999999",
    ] {
        let answer = app.backend().get(path).await;
        assert!(answer.status() == 200 || answer.status() == 400 || answer.status() == 422, "{answer}");
        assert!(answer.try_json().is_some(), "{answer}");
    }
    for path in ["/mailbox?key=%ff", "/mailbox?key=%00", "/mailbox?key", "/mailbox/mail_x"] {
        let answer = app.request("GET", path).send().await;
        assert!(answer.status() < 500, "{answer}");
    }
}

#[tokio::test]
async fn log_03_an_error_tells_no_path_version_or_query_of_ours() {
    let app = TestApp::new().start().await;
    let browser = app.browser();
    for answer in [
        browser.get("/v1/client/nothing").await,
        browser.request("POST", "/v1/client/sign_ins").body(JSON, "{").send().await,
        browser.sign_in("nobody@example.com", PASSWORD).await,
    ] {
        for told in ["src/", ".rs", "SELECT", "panicked", "sojourn_", env!("CARGO_MANIFEST_DIR")] {
            assert!(!answer.text().contains(told), "{answer}");
        }
        assert_eq!(answer.header("server"), None);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn hst_03_a_request_with_two_lengths_or_two_hosts_is_refused() {
    let app = TestApp::new().start().await;
    let lengths = app
        .request("POST", "/v1/client/sign_ins")
        .header("origin", "http://localhost:3000")
        .header("transfer-encoding", "chunked")
        .header("content-length", "5")
        .send()
        .await;
    lengths.assert_refused(400, "request_body_invalid");
    let hosts = app.request("GET", "/v1/client").another_header("host", b"evil.com").send().await;
    hosts.assert_refused(421, "host_invalid");
}

#[tokio::test]
async fn inp_02_a_handler_that_takes_too_long_is_answered_for() {
    let app = TestApp::new().start().await;
    let none = RequestTimeouts { handler: Duration::ZERO, ..RequestTimeouts::default() };
    // A password's hash is somebody else's work, so the handler waits for it.
    let fields = [("email_address", "alice@example.com"), ("password", PASSWORD)];
    let request = app.request("POST", "/v1/client/sign_ups").origin(Some("http://localhost:3000"));
    let answer = request.form(&fields).send_to(router_with_timeouts(app.server(), none)).await;
    answer.assert_refused(503, "service_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_name_stays_on_its_line_on_every_way_in() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    let hostile = "x)\n2026-11-29T00:00:00Z  system\u{1b}[8m";
    let refused = |answer: &Answer| _ = answer.assert_refused(422, "form_param_format_invalid");
    refused(&backend.post("/v1/instance/secret_keys", json!({"name": hostile})).await);
    let user = json!({"email_address": ["ada@example.com"], "password": PASSWORD, "first_name": hostile});
    refused(&backend.post("/v1/users", user).await);
    let endpoint = json!({"url": "https://app.example.com/hooks", "description": hostile});
    refused(&backend.post("/v1/webhooks/endpoints", endpoint).await);
    let ada = app.signed_in("grace@example.com").await;
    refused(&ada.post_as("PATCH", "/v1/me", &[("last_name", hostile)]).await);
    let sign_up = [("email_address", "new@example.com"), ("password", PASSWORD), ("first_name", hostile)];
    refused(&app.browser().post("/v1/client/sign_ups", &sign_up).await);
    backend.post("/v1/instance/secret_keys", json!({"name": "Bücher, عائشة"})).await.assert_ok();
}
