//! What the vendor's public documents have and this server lacks: 404 with a code that says so,
//! readable for the browser that asks.

use std::collections::BTreeSet;

use serde_json::json;
use sojourn_testkit::{APP_ORIGIN, TestApp};

const OPERATIONS: &str = include_str!("../../../../openapi/public-operations.txt");

/// The operations of one API that no route has, with ids that do not exist.
fn lacking(wanted: &str) -> Vec<(&'static str, String)> {
    let without_names = |path: &str| {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "unknown" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    let document = sojourn_server::openapi();
    let mut ours = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            ours.insert((method.to_uppercase(), without_names(path)));
        }
    }
    let lines = OPERATIONS.lines().filter(|line| !line.starts_with('#'));
    let operation = |line: &'static str| {
        let mut words = line.split(' ');
        let (api, method, path) = (words.next()?, words.next()?, words.next()?);
        (api == wanted).then(|| (method, without_names(path)))
    };
    let lacking = |(method, path): &(&str, String)| !ours.contains(&((*method).to_owned(), path.clone()));
    lines.filter_map(operation).filter(lacking).collect()
}

#[tokio::test]
async fn a_browser_learns_what_is_not_offered_and_may_read_it() {
    let app = TestApp::new().start().await;
    let operations = lacking("frontend");
    assert!(operations.len() > 100, "{}", operations.len());
    for (method, path) in operations.iter().filter(|(_, path)| path.starts_with("/v1/")) {
        let answer = app.request(method, path).origin(Some(APP_ORIGIN)).send().await;
        answer.assert_refused(404, "not_offered");
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP_ORIGIN), "{answer}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{answer}");
    }
    let organizations = app.request("GET", "/v1/organizations/org_1?_clerk_js_version=6").send().await;
    organizations.assert_refused(404, "not_offered");
    let text = organizations.json()["errors"][0]["long_message"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("This server does not offer organizations."), "{text}");
    // Newer than the document that the list is from.
    let newer = app.request("POST", "/v1/holograms").origin(Some(APP_ORIGIN)).send().await;
    newer.assert_refused(404, "not_offered");
}

#[tokio::test]
async fn a_foreign_origin_may_not_read_what_is_not_offered() {
    let app = TestApp::new().start().await;
    let answer = app.request("GET", "/v1/billing/plans").origin(Some("https://evil.example")).send().await;
    answer.assert_refused(404, "not_offered");
    assert_eq!(answer.header("access-control-allow-origin"), None, "{answer}");
}

#[tokio::test]
async fn a_server_learns_what_is_not_offered_with_its_key() {
    let app = TestApp::new().start().await;
    let operations = lacking("backend");
    assert!(operations.len() > 150, "{}", operations.len());
    for (method, path) in &operations {
        app.request(method, path).send().await.assert_refused(401, "authentication_invalid");
        let answer = app.backend().request(method, path).json(&json!({})).send().await;
        answer.assert_refused(404, "not_offered");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{answer}");
    }
    let unknown = app.backend().get("/v1/nonsense").await;
    unknown.assert_refused(404, "resource_not_found");
    app.backend().delete("/v1/sessions").await.assert_refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_preflight_of_what_is_not_offered_is_answered() {
    let app = TestApp::new().start().await;
    let answer = app.request("OPTIONS", "/v1/organizations").origin(Some(APP_ORIGIN)).send().await;
    assert_eq!(answer.status(), 204, "{answer}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP_ORIGIN), "{answer}");
}
