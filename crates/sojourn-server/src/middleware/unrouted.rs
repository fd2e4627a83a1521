//! Responses without a handler: unknown paths, wrong methods, panics.

use std::any::Any;

use axum::{
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse as _, Response},
};

use crate::{
    app::App,
    auth::secret_key,
    not_offered,
    wire::{ApiError, ErrorCode},
};

/// The response to an unknown path. A Backend API path needs a valid key before the response says
/// that it does not exist.
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

/// Below the Backend API, a request without a key must not learn which paths exist.
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

/// A panic is a bug: it is logged, and the response is an ordinary error.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
pub fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    ApiError::internal(format!("panic: {}", text.unwrap_or_default())).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::{Body, to_bytes},
        extract::Request,
        http::{StatusCode, header},
        routing::get,
    };
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_json_and_hides_its_cause() {
        async fn broken() -> StatusCode {
            panic!("the invariant at src/secret.rs broke");
        }
        let router: Router =
            Router::new().route("/", get(broken)).layer(CatchPanicLayer::custom(answer_panic));
        let answer = router.oneshot(Request::new(Body::empty())).await.expect("never fails");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        let body = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["errors"][0]["code"], "internal_clerk_error");
        assert!(!body.to_string().contains("secret.rs"), "{body}");
    }
}
