//! The Backend API's door: no key, nothing exists; and the shape of answers.

use serde_json::{Value, json};
use sojourn_testkit::TestApp;

/// Every Backend API route, with ids that do not exist.
fn routes() -> Vec<(String, String)> {
    let document = serde_json::to_value(sojourn_server::openapi()).expect("a document");
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let is_fapi = ["/v1/client", "/v1/environment", "/v1/me", "/v1/health"]
            .iter()
            .any(|section| path == section || path.starts_with(&format!("{section}/")));
        if !path.starts_with("/v1/") || is_fapi {
            continue;
        }
        for method in operations.as_object().expect("operations").keys() {
            let named = path.split('/').map(|part| if part.starts_with('{') { "unknown" } else { part });
            routes.push((method.to_uppercase(), named.collect::<Vec<_>>().join("/")));
        }
    }
    assert!(routes.len() > 30, "{routes:?}");
    routes
}

#[tokio::test]
async fn without_a_key_no_address_tells_whether_anything_exists() {
    let app = TestApp::new().start().await;
    for (method, path) in routes() {
        let bare = app.request(&method, &path).send().await;
        bare.assert_refused(401, "authentication_invalid");
        let wrong = app.request(&method, &path).header("authorization", "Bearer sk_test_wrong").send().await;
        wrong.assert_refused(401, "clerk_key_invalid");
        let basic = app.request(&method, &path).header("authorization", "Basic c2s6").send().await;
        basic.assert_refused(401, "authorization_header_format_invalid");
    }
    for (method, path) in [("DELETE", "/v1/sessions"), ("GET", "/v1/nonsense")] {
        app.request(method, path).send().await.assert_refused(401, "authentication_invalid");
    }
    app.backend().delete("/v1/sessions").await.assert_refused(405, "method_not_allowed");
}

#[tokio::test]
async fn every_answer_has_exactly_the_bare_json_content_type() {
    let app = TestApp::new().start().await;
    for (method, path) in routes() {
        let answer = app.backend().request(&method, &path).json(&json!({})).send().await;
        assert!(answer.status() < 500, "{method} {path}: {}", answer.text());
        if answer.status() != 204 {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
        }
        if path != "/v1/jwks" {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "COK-07: {method} {path}");
        }
        if answer.status() >= 400 {
            answer.assert_standard_error();
        }
    }
}

#[tokio::test]
async fn a_post_needs_no_body() {
    let app = TestApp::new().start().await;
    app.backend().request("POST", "/v1/testing_tokens").send().await.assert_ok();
    let empty = app.backend().request("POST", "/v1/testing_tokens").body("application/json", "").send().await;
    empty.assert_ok();
    let token = empty.json();
    let (made, rest) = token["token"].as_str().and_then(|text| text.split_once("-c_")).expect("its shape");
    assert_eq!(token["expires_at"].as_i64(), made.parse::<i64>().ok().map(|made| made + 3600));
    assert_eq!(rest.len(), 32);
}

#[tokio::test]
async fn the_key_set_is_never_limited_and_everything_else_is() {
    let app = TestApp::new().rate_limits().start().await;
    let backend = app.backend();
    for _ in 0..1100 {
        backend.get("/v1/jwks").await.assert_ok();
    }
    let mut refused: Option<Value> = None;
    // The allowance of 1000 grows by 100 a second of real time: a slow machine takes some more.
    for _ in 0..10_000 {
        let answer = backend.get("/v1/instance").await;
        if answer.status() == 429 {
            assert!(answer.header("retry-after").is_some());
            refused = Some(answer.json());
            break;
        }
    }
    assert!(refused.is_some());
}

#[tokio::test]
async fn the_instance_has_the_fields_that_sdks_require() {
    let app = TestApp::new().start().await;
    let backend = app.backend();
    let change = json!({"test_mode": false, "allowed_origins": ["https://app.example.com"], "support_email": "help@example.com", "hibp": null});
    assert_eq!(backend.patch("/v1/instance", change).await.status(), 204);
    let instance = backend.get("/v1/instance").await.json();
    assert_eq!(instance["environment_type"], "development");
    assert_eq!(instance["allowed_origins"], json!(["https://app.example.com"]));
    assert!(instance.as_object().is_some_and(|fields| fields.contains_key("workspace_id")));
    for origin in
        ["https://app.example.com/", "app.example.com", "ftp://a.b", "null", "https://A.b", "https://a.b:443"]
    {
        let refused = backend.patch("/v1/instance", json!({"allowed_origins": [origin]})).await;
        refused.assert_refused(422, "form_param_format_invalid");
    }
    backend.patch("/v1/instance", json!({"nonsense": 1})).await.assert_refused(422, "form_param_unknown");
}

#[tokio::test]
async fn test_mode_cannot_be_switched_on_in_production() {
    let app = TestApp::new().production().start().await;
    let refused = app.backend().patch("/v1/instance", json!({"test_mode": true})).await;
    refused.assert_refused(400, "request_invalid_for_environment");
    let refused = app.backend().patch("/v1/instance/settings", json!({"test_mode": true})).await;
    refused.assert_refused(400, "request_invalid_for_environment");
}
