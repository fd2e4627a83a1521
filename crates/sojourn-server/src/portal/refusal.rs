//! A bundle or a file that is not here: the standard error, readable from any origin.

use axum::http::HeaderValue;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::response::{IntoResponse, Response};

use crate::wire::{ApiError, ErrorCode};

pub(super) fn not_found(message: &str, long_message: &str) -> Response {
    let error = ApiError::new(ErrorCode::ResourceNotFound).message(message).why(long_message);
    let mut response = error.into_response();
    // Scripts are asked for from other origins: without this header the reason
    // would be hidden behind a "CORS error" in the browser's console.
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
