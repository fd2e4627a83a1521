//! Errors as HTML pages, for browsers that navigate.
//!
//! The page needs no second request, so it also works if the server refuses this host or has no
//! connection left.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    app::App,
    portal::static_files::{MARK, STYLE},
    wire::ErrorTexts,
};

/// Allows only the page's own style element and logo.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
});

static MARK_URL: LazyLock<String> =
    LazyLock::new(|| format!("data:image/svg+xml;base64,{}", STANDARD.encode(MARK)));

#[derive(Template)]
#[template(path = "error.html")]
struct Page<'a> {
    style: &'static str,
    mark: &'static str,
    texts: &'a ErrorTexts,
    lists_pages: bool,
    lists_development_pages: bool,
}

/// Replaces the JSON of an error by a page if the request is a navigation.
pub async fn show_to_navigations(State(app): State<App>, request: Request, next: Next) -> Response {
    if !is_navigation(&request) {
        return next.run(request).await;
    }
    let response = next.run(request).await;
    let Some(texts) = response.extensions().get::<ErrorTexts>() else { return response };
    // A wrong address: list the pages that exist. Other errors contain the next step.
    let lists_pages = matches!(
        response.status(),
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    );
    let Ok(html) = render(texts, lists_pages, app.has_development_tools()) else { return response };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = HeaderValue::from_str(&CONTENT_SECURITY_POLICY).expect("ASCII");
    parts.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    parts.headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    Response::from_parts(parts, html.into())
}

pub fn render(
    texts: &ErrorTexts,
    lists_pages: bool,
    lists_development_pages: bool,
) -> askama::Result<String> {
    Page { style: STYLE, mark: &MARK_URL, texts, lists_pages, lists_development_pages }.render()
}

/// Whether the request is a navigation. Browsers send `Sec-Fetch-Mode`. Old browsers do not, but
/// accept HTML first; programs that accept HTML first send other headers that identify them.
fn is_navigation(request: &Request) -> bool {
    let headers = request.headers();
    if let Some(mode) = headers.get("sec-fetch-mode") {
        return mode == "navigate";
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    let first = accept.split([',', ';']).next().unwrap_or("").trim();
    first.eq_ignore_ascii_case("text/html")
        && !headers.contains_key(header::AUTHORIZATION)
        && !headers.contains_key(header::ORIGIN)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http};

    use super::*;

    fn navigates(headers: &[(&str, &str)]) -> bool {
        let request = headers
            .iter()
            .fold(http::Request::builder(), |request, (name, value)| request.header(*name, *value));
        is_navigation(&request.body(Body::empty()).expect("a request"))
    }

    #[test]
    fn a_navigation_is_recognised_by_what_browsers_send() {
        const CHROMIUM: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert!(navigates(&[("sec-fetch-mode", "navigate"), ("accept", CHROMIUM)]));
        assert!(navigates(&[("accept", CHROMIUM)]));
        assert!(!navigates(&[("sec-fetch-mode", "cors"), ("accept", CHROMIUM)]));
        assert!(!navigates(&[("accept", CHROMIUM), ("authorization", "Bearer sk_test_x")]));
        assert!(!navigates(&[("accept", "application/json, text/html")]));
        assert!(!navigates(&[("accept", "*/*")]));
        assert!(!navigates(&[]));
    }
}
