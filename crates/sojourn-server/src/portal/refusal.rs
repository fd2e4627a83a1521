//! The error for a missing bundle or file, readable from any origin.

use axum::http::HeaderValue;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::response::{IntoResponse, Response};

use crate::wire::{ApiError, ErrorCode};

pub(super) fn not_found(message: &str, long_message: &str) -> Response {
    let error = ApiError::new(ErrorCode::ResourceNotFound).message(message).why(long_message);
    let mut response = error.into_response();
    // Pages of other origins load the scripts: without this header the browser's console would show
    // a "CORS error" instead of the reason.
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
