//! Which pages of other origins may read a response of the Frontend API.
//!
//! tower-http's `CorsLayer` does not fit: the allowed origins are settings, and handlers need the
//! same settings that the origin was checked with, read once and after the body has arrived.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{
    app::App,
    auth::{InForce, origin},
    not_offered,
};

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Clerk-Db-Jwt, Retry-After, X-Country, Authorization"),
    ),
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE")),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type")),
    (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
];

/// Allows the origin in the response. On errors too: without these headers a browser reports an
/// error as a network failure, and the SDK repeats the request for minutes.
pub async fn allow_origin(State(app): State<App>, request: Request, next: Next) -> Response {
    if !not_offered::is_for_frontend(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = next.run(request).await;
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        let settings = match response.extensions_mut().remove() {
            Some(settings) => Some(settings),
            // The request was refused before the settings were read.
            None => InForce::read(&app).await.ok(),
        };
        if settings.is_some_and(|settings| may_read(&app, &settings, &origin)) {
            insert(response.headers_mut(), origin);
        }
    }
    response
}

/// Reads the settings for [`allow_origin`] and for the handler, and answers preflight requests.
pub async fn read_settings(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if !not_offered::is_for_frontend(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    let settings = match request.headers().contains_key(header::ORIGIN) {
        true => InForce::read(&app).await.ok(),
        false => None,
    };
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        if let Some(settings) = settings.clone() {
            request.extensions_mut().insert(settings);
        }
        next.run(request).await
    };
    if let Some(settings) = settings {
        response.extensions_mut().insert(settings);
    }
    response
}

fn may_read(app: &App, settings: &InForce, origin: &HeaderValue) -> bool {
    origin.to_str().is_ok_and(|origin| origin::is_allowed(app, &settings.settings, origin))
}

fn insert(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
}
