//! Refusals that people see: a navigation that cannot go on is answered with a
//! page, because nobody reads JSON in a browser window.

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};

use crate::wire::ApiError;

#[derive(Template)]
#[template(path = "refusal.html")]
struct Page<'a> {
    message: &'a str,
    reason: &'a str,
    code: &'a str,
    trace_id: &'a str,
}

/// `error` as a page for a navigating browser, as JSON for everyone else.
pub fn refuse(error: ApiError, headers: &HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !accepts.contains("text/html") || error.code().status().is_server_error() {
        return error.into_response();
    }
    let (message, reason) = error.texts();
    let trace_id = error.told().clerk_trace_id;
    let page = Page { message: &message, reason: &reason, code: error.code().as_str(), trace_id: &trace_id };
    let Ok(html) = page.render() else { return error.into_response() };
    let mut response = (error.code().status(), Html(html)).into_response();
    let policy =
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
