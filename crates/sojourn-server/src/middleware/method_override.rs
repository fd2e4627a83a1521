//! HTTP methods of form requests: browsers send only GET and POST without a preflight request.

use axum::{extract::Request, http::Method, middleware::Next, response::Response};

use crate::{fapi, wire::Params};

/// `POST …?_method=DELETE` is a DELETE. Only a POST can be overridden (CSR-02).
/// Compat: clerk/javascript packages/clerk-js/src/core/fapiClient.ts
pub async fn override_method(mut request: Request, next: Next) -> Response {
    if let Some(method) = named_method(&request) {
        *request.method_mut() = method;
    }
    next.run(request).await
}

fn named_method(request: &Request) -> Option<Method> {
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
