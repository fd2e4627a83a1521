//! The standard error answer, for the handlers here that have no state.

use std::fmt::Write as _;

use aws_lc_rs::rand;
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub(super) fn not_found(message: &str, long_message: &str) -> Response {
    let body = json!({
        "errors": [{
            "code": "resource_not_found",
            "message": message,
            "long_message": long_message,
            "meta": {},
        }],
        "clerk_trace_id": trace_id(),
    });
    // Scripts are asked for from other origins: without this header the reason
    // would be hidden behind a "CORS error" in the browser's console.
    let headers = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, "no-store")];
    (StatusCode::NOT_FOUND, headers, Json(body)).into_response()
}

fn trace_id() -> String {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).expect("the operating system has randomness");
    bytes.iter().fold(String::with_capacity(32), |mut id, byte| {
        write!(id, "{byte:02x}").expect("writing to a string succeeds");
        id
    })
}
