//! Response headers that depend only on the path.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::app::App;

pub async fn add(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Users, sessions and mails must not be cached (COK-07).
    let is_private = path.starts_with("/v1/") || path.starts_with("/dev/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if is_private {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    if !app.is_development() && app.base_url().scheme() == "https" {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("strict-origin-when-cross-origin"));
    response
}
