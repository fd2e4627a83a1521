//! These tests need the bundles: `cargo xtask bundles` runs before the tests.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::routing::get;
use tower::ServiceExt;

use super::*;

async fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let app: Router = Router::new().route("/npm/{*path}", get(serve_bundle));
    let answer = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    (head.status, head.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

async fn status_of(path: &str) -> StatusCode {
    ask("GET", path, &[]).await.0
}

fn script() -> String {
    format!("/npm/@clerk/clerk-js@{}/dist/clerk.browser.js", locked_version(CLERK_JS))
}

#[test]
fn nothing_the_lock_names_is_missing() {
    assert_eq!(missing(), Vec::<String>::new(), "run `cargo xtask bundles`");
}

#[test]
fn a_wanted_version_is_resolved_to_the_newest_that_fits() {
    let held = ["6.9.0", "6.40.0", "5.1.2"].into_iter().map(Cow::Borrowed).collect();
    assert_eq!(resolve("6", &held), Some("6.40.0"));
    assert_eq!(resolve("6.9", &held), Some("6.9.0"));
    assert_eq!(resolve("latest", &held), Some("6.40.0"));
    assert_eq!(resolve("5.1.2", &held), Some("5.1.2"));
    assert_eq!(resolve("4", &held), None);
    assert_eq!(resolve("canary", &held), None);
    assert_eq!(resolve("", &held), None);
}

#[tokio::test]
async fn an_exact_version_is_immutable_and_a_major_one_is_not() {
    let (status, headers, body) = ask("GET", &script(), &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[CACHE_CONTROL], FOR_EVER);
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(headers[RESOURCE_POLICY], "cross-origin");

    for tag in ["6", "latest"] {
        let path = format!("/npm/@clerk/clerk-js@{tag}/dist/clerk.browser.js");
        let (status, headers, same) = ask("GET", &path, &[]).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[CACHE_CONTROL], FOR_MINUTES);
        assert_eq!(same, body);
    }
}

#[tokio::test]
async fn the_script_of_the_generation_before_is_served() {
    let path = "/npm/@clerk/clerk-js@5/dist/clerk.browser.js";
    let (status, headers, body) = ask("GET", path, &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[CONTENT_TYPE], "text/javascript; charset=utf-8");
    let package = LOCK.packages.iter().rfind(|package| package.name == CLERK_JS).unwrap();
    assert!(package.version.starts_with("5."), "{}", package.version);
    assert!(String::from_utf8(body).unwrap().contains(&format!("_{}.js", package.version)));
    assert!(locked_version(CLERK_JS).starts_with("6."), "our own pages load the newer one");
}

#[tokio::test]
async fn a_browser_gets_the_compressed_copy_and_a_proxy_the_plain_one() {
    let (_, headers, compressed) = ask("GET", &script(), &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(headers[CONTENT_ENCODING], "gzip");
    assert_eq!(headers[VARY], "Accept-Encoding");
    assert_eq!(compressed[..2], [0x1f, 0x8b]);

    let (_, plain_headers, plain) = ask("GET", &script(), &[("accept-encoding", "identity")]).await;
    assert!(!plain_headers.contains_key(CONTENT_ENCODING));
    assert!(plain.len() > 3 * compressed.len());
    assert_ne!(headers[ETAG], plain_headers[ETAG]);
}

#[tokio::test]
async fn a_copy_that_is_still_good_is_not_sent_again() {
    let (_, headers, _) = ask("GET", &script(), &[]).await;
    let etag = headers[ETAG].to_str().unwrap().to_owned();
    let (status, headers, body) = ask("GET", &script(), &[("if-none-match", &etag)]).await;
    assert_eq!(status, StatusCode::NOT_MODIFIED);
    assert_eq!(headers[ETAG], etag.as_str());
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert!(body.is_empty());
}

#[tokio::test]
async fn head_tells_the_length_without_the_script() {
    let (status, headers, body) = ask("HEAD", &script(), &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(headers["content-length"].to_str().unwrap().parse::<usize>().unwrap() > 100_000);
    assert!(body.is_empty());
}

#[tokio::test]
async fn a_version_we_do_not_hold_is_refused_with_the_versions_we_do() {
    for version in ["4", "canary", "snapshot", "6.39.0", "^6", "6.40.0-canary.v1"] {
        let path = format!("/npm/@clerk/clerk-js@{version}/dist/clerk.browser.js");
        let (status, headers, body) = ask("GET", &path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{version}");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"][0]["code"], "resource_not_found");
        let reason = body["errors"][0]["long_message"].as_str().unwrap();
        assert!(reason.contains(&format!("@clerk/clerk-js@{}", locked_version(CLERK_JS))), "{reason}");
        assert_eq!(body["clerk_trace_id"].as_str().unwrap().len(), 32);
    }
}

#[tokio::test]
async fn paths_that_climb_or_hide_slashes_are_not_found() {
    for path in [
        "/npm/@clerk/clerk-js@6/../bundles.lock.json",
        "/npm/@clerk/clerk-js@6/dist/../../../../Cargo.toml",
        "/npm/@clerk/clerk-js@6/%2e%2e/%2e%2e/Cargo.toml",
        "/npm/@clerk%2fclerk-js@6/dist/clerk.browser.js",
        "/npm/@clerk/clerk-js@6/dist%2Fclerk.browser.js",
        "/npm/@clerk/clerk-js@6/dist%5cclerk.browser.js",
        "/npm/@clerk/clerk-js@6//dist/clerk.browser.js",
        "/npm/@clerk/clerk-js@6/dist/clerk.browser.js.gz",
        "/npm/@clerk/clerk-js@6/dist/clerk.browser.js.map",
        "/npm/@clerk/clerk-js@6",
        "/npm/@clerk/clerk-js@/dist/clerk.browser.js",
        "/npm/@clerk/clerk-js/dist/clerk.browser.js",
        "/npm/@",
        "/npm/%C3%A9@6/x",
    ] {
        assert_eq!(status_of(path).await, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn every_chunk_of_the_browser_builds_is_served() {
    let files: Vec<_> = Bundles::iter().filter(|path| path.ends_with(".js")).collect();
    assert!(files.len() > 100, "{}", files.len());
    for path in files {
        let (name, rest) = path.split_at(path.rfind("/dist/").unwrap());
        let (name, version) = name.rsplit_once('/').unwrap();
        assert_eq!(status_of(&format!("/npm/{name}@{version}{rest}")).await, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn the_licence_travels_with_the_scripts() {
    let (status, _, body) = ask("GET", "/npm/@clerk/ui@1/LICENSE", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(String::from_utf8(body).unwrap().contains("MIT"));
}
