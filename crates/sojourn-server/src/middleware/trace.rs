//! A span and one log event for each request: id, method, route, status, duration.
//!
//! It never contains the URL, headers or bodies: they contain tickets, tokens, codes and e-mail
//! addresses (LOG-01).

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use sojourn_metrics::{REQUESTS, REQUESTS_IN_FLIGHT};
use tracing::{Instrument as _, Span, field::Empty};

use crate::{fapi, request_id::RequestId};

/// The outermost layer, so that it covers every response.
pub async fn trace(request: Request, next: Next) -> Response {
    let id = RequestId::random();
    let method = method_label(request.method());
    let span = tracing::info_span!("request", %id, method, route = Empty, status = Empty);
    let _counted = REQUESTS_IN_FLIGHT.enter();
    let started = tokio::time::Instant::now();
    let response = id.scope(next.run(request)).instrument(span.clone()).await;
    record_request(&span, method, &response, started.elapsed());
    response
}

/// The only function that knows method, route, status and duration of every request.
fn record_request(span: &Span, method: &'static str, response: &Response, duration: Duration) {
    let route = response.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let status = response.status().as_u16();
    span.record("status", status);
    REQUESTS.observe(api_of(route), route, method, status, duration);
    let duration_us = duration.as_micros();
    tracing::debug!(parent: span, method, route, status, duration_us, "request answered");
}

/// Wraps each route: sets the route of the span while the handler runs, and of [`trace`]
/// afterwards.
pub async fn label_route(route: MatchedPath, request: Request, next: Next) -> Response {
    Span::current().record("route", route.as_str());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(route);
    response
}

/// Which API a route belongs to.
fn api_of(route: &str) -> &'static str {
    if route == "none" {
        "none"
    } else if fapi::owns(route) {
        "frontend"
    } else if route.starts_with("/v1/") {
        "backend"
    } else if route.starts_with("/dev/") {
        "development"
    } else {
        "pages"
    }
}

/// A fixed set of values: clients can send any method, and the number of label values must be
/// bounded.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
