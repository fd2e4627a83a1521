//! What happens to every request before and after its handler: the host, the
//! shape of the path, the body, method override, CORS, panics and JSON for every error.

use std::any::Any;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    auth::{InForce, host, origin, secret_key},
    bodies::{self, RequestTimeouts},
    fapi, not_offered,
    wire::{ApiError, ErrorCode, Params, params::percent_decoded},
};

/// Longest address: a handshake's carries a whole token.
const MAX_URI_BYTES: usize = 16 * 1024;
const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;

/// Runs before routing: refuses what no route shall see, and rewrites what
/// browsers send in two ways.
pub async fn admit(
    State((app, timeouts)): State<(App, RequestTimeouts)>,
    mut request: Request,
    next: Next,
) -> Response {
    let body = std::mem::take(request.body_mut());
    let whole = match well_formed(&app, request.uri(), request.headers()) {
        Ok(()) if request.uri().path() == fapi::IMAGES => bodies::discard_image(body, &timeouts).await,
        Ok(()) => bodies::read(body, &timeouts).await,
        Err(error) => Err(error),
    };
    match whole {
        Ok(body) => *request.body_mut() = body.into(),
        Err(error) => {
            let in_force = in_force(&app, request.uri(), request.headers()).await;
            let frame = Frame::of(&app, request.uri(), request.headers(), in_force.as_ref());
            let mut response = frame.around(error.into_response());
            // The body was not read to its end, and what follows it is not trusted.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
    }
    if let Some(uri) = without_trailing_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    if let Some(method) = overriding_method(&request) {
        *request.method_mut() = method;
    }
    let in_force = in_force(&app, request.uri(), request.headers()).await;
    let frame = Frame::of(&app, request.uri(), request.headers(), in_force.as_ref());
    if let Some(in_force) = in_force {
        // The handler needs them as well.
        request.extensions_mut().insert(in_force);
    }
    if frame.is_fapi && request.method() == Method::OPTIONS {
        return frame.around(StatusCode::NO_CONTENT.into_response());
    }
    if app.shares_its_store()
        && app.has_development_tools()
        && let Err(error) = app.follow_test_clock().await
    {
        return frame.around(ApiError::from(error).into_response());
    }
    match tokio::time::timeout(timeouts.handler, next.run(request)).await {
        Ok(response) => frame.around(response),
        Err(_) => {
            let error = ApiError::new(ErrorCode::ServiceUnavailable)
                .why("The answer took too long. Try again.")
                .retry_after(1);
            frame.around(error.into_response())
        }
    }
}

fn well_formed(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    if uri.path_and_query().map_or(0, |text| text.as_str().len()) > MAX_URI_BYTES {
        return Err(ApiError::new(ErrorCode::RequestUriTooLong).why("An address may have 16 KiB."));
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADER_BYTES {
        return Err(
            ApiError::new(ErrorCode::RequestHeadersTooLarge).why("The headers may have 32 KiB together.")
        );
    }
    if headers.len() > MAX_HEADERS {
        return Err(ApiError::new(ErrorCode::RequestHeadersTooLarge).why("A request may have 100 headers."));
    }
    // hyper lets the encoding win and closes the connection, so nothing can hide
    // behind such a request; say why as well where both are still to be seen (HST-03).
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        return Err(ApiError::new(ErrorCode::RequestBodyInvalid).why("A body has one length, not two."));
    }
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(ApiError::new(ErrorCode::HostUnknown).why("A request names one host."));
    }
    if !host::is_ours(app, uri, headers) {
        return Err(ApiError::new(ErrorCode::HostUnknown).why(
            "This development server answers to localhost, its key's host and its public URL only. Open it under one of them.",
        ));
    }
    // One path, one meaning: what another layer might read differently is nothing here.
    let path = uri.path().to_ascii_lowercase();
    let ambiguous =
        ["//", "%2f", "%5c", "%00", "\\", "/./", "/../", "%2e"].iter().any(|part| path.contains(part));
    // A route's parameters are decoded, and the refusal of their extractor is no JSON (INP-03).
    let ambiguous = ambiguous || percent_decoded(uri.path()).is_none();
    // Where there are no development tools nothing shall tell that there could be.
    let ambiguous = ambiguous || (path.starts_with("/dev/") && !app.has_development_tools());
    if ambiguous { Err(ApiError::not_found("address")) } else { Ok(()) }
}

/// Compat: clerk/javascript packages/clerk-js/src/core/resources/User.ts asks
/// for `/me/email_addresses/` and others with a slash at the end.
fn without_trailing_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let shorter = path.strip_suffix('/').filter(|shorter| !shorter.is_empty())?;
    let target = uri.query().map_or_else(|| shorter.to_owned(), |query| format!("{shorter}?{query}"));
    target.parse().ok()
}

/// Browsers send only GET and POST: `POST …?_method=DELETE` is a DELETE. On
/// nothing but POST (CSR-02). Compat: clerk/javascript packages/clerk-js/src/core/fapiClient.ts
fn overriding_method(request: &Request) -> Option<Method> {
    if request.method() != Method::POST || !fapi::owns(request.uri().path()) {
        return None;
    }
    let named = Params::from_form(request.uri().query().unwrap_or("")).ok()?.text("_method").ok()??;
    match named.to_ascii_uppercase().as_str() {
        "PATCH" => Some(Method::PATCH),
        "PUT" => Some(Method::PUT),
        "DELETE" => Some(Method::DELETE),
        _ => None,
    }
}

/// The headers that an answer gets because of what was asked, whoever answers.
struct Frame {
    is_fapi: bool,
    /// Accounts, sessions, mails: nothing for caches (COK-07).
    is_private: bool,
    is_https_for_good: bool,
    cors: Option<HeaderValue>,
}

impl Frame {
    fn of(app: &App, uri: &Uri, headers: &HeaderMap, in_force: Option<&InForce>) -> Self {
        let path = uri.path();
        let is_fapi = not_offered::is_for_frontend(uri, headers);
        Self {
            is_fapi,
            is_private: path.starts_with("/v1/") || path.starts_with("/dev/"),
            is_https_for_good: !app.is_development() && app.base_url().scheme() == "https",
            cors: in_force.and_then(|in_force| cors(app, headers, in_force)),
        }
    }

    fn around(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if self.is_fapi {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if self.is_private {
            headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        }
        if self.is_https_for_good {
            let year = HeaderValue::from_static("max-age=31536000");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
        }
        if let Some(origin) = self.cors {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("Clerk-Db-Jwt, Retry-After, X-Country, Authorization"),
            );
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"),
            );
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("authorization, content-type"),
            );
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
        headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
        headers
            .entry(header::REFERRER_POLICY)
            .or_insert(HeaderValue::from_static("strict-origin-when-cross-origin"));
        response
    }
}

/// The origin to name in the answer, if it may read it. On errors too: without
/// it a browser takes an error for a broken network and asks again for minutes.
fn cors(app: &App, headers: &HeaderMap, in_force: &InForce) -> Option<HeaderValue> {
    let value = headers.get(header::ORIGIN)?;
    origin::is_allowed(app, &in_force.settings, value.to_str().ok()?).then(|| value.clone())
}

/// The settings that say which origin may read the answer, where one asks.
async fn in_force(app: &App, uri: &Uri, headers: &HeaderMap) -> Option<InForce> {
    if !headers.contains_key(header::ORIGIN) || !not_offered::is_for_frontend(uri, headers) {
        return None;
    }
    InForce::read(app).await.ok()
}

/// What no route answers: a Backend API path needs a key before it may be
/// missing, everything else is simply not there.
pub async fn answer_unknown(
    State(app): State<App>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> ApiError {
    let missing = || ApiError::not_found("address");
    answer_without_route(&app, &method, &uri, &headers, missing).await
}

/// A known path with another method.
pub async fn answer_wrong_method(
    State(app): State<App>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> ApiError {
    let wrong_method =
        || ApiError::new(ErrorCode::MethodNotAllowed).why("This address exists, but not with this method.");
    answer_without_route(&app, &method, &uri, &headers, wrong_method).await
}

/// Below the Backend API, nothing exists for those without a key.
async fn answer_without_route(
    app: &App,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    unknown: impl Fn() -> ApiError,
) -> ApiError {
    if uri.path().starts_with("/v1/")
        && !not_offered::is_for_frontend(uri, headers)
        && let Err(error) = secret_key::authenticate(app, headers).await
    {
        return error;
    }
    not_offered::refuse(method, uri, headers).unwrap_or_else(unknown)
}

/// A broken invariant of ours: told to the log, answered as JSON.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
pub fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    ApiError::internal(format!("panic: {}", text.unwrap_or_default())).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::to_bytes, routing::get};
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn inp_a_panic_is_answered_as_json_and_tells_nothing_of_itself() {
        async fn broken() -> StatusCode {
            panic!("the invariant at src/secret.rs broke");
        }
        let router: Router =
            Router::new().route("/", get(broken)).layer(CatchPanicLayer::custom(answer_panic));
        let request = Request::new(axum::body::Body::empty());
        let answer = router.oneshot(request).await.expect("never fails");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        let body = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["errors"][0]["code"], "internal_clerk_error");
        assert!(!body.to_string().contains("secret.rs"), "{body}");
    }

    #[test]
    fn a_path_is_text_or_it_is_nothing() {
        for (path, is_text) in [("/v1/client", true), ("/a%20b", true), ("/%C3%BC", true), ("/%ff", false)] {
            assert_eq!(percent_decoded(path).is_some(), is_text, "{path}");
        }
        for path in ["/%", "/%z", "/%zz", "/%c3%28", "/%ed%a0%80"] {
            assert!(percent_decoded(path).is_none(), "{path}");
        }
    }
}
