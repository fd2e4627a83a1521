//! Sojourn over HTTP: the Frontend API, the Backend API, the hosted pages.
//!
//! Every handler loads, lets `sojourn-core` decide, commits, and answers. The
//! modules `fapi`, `bapi` and `portal` do not know each other; what they share
//! is in [`wire`] (shapes and errors) and [`auth`] (who is calling).

#![recursion_limit = "256"]

pub mod app;
pub mod auth;
pub mod bapi;
mod connection_error;
mod dev;
mod error;
pub mod fapi;
mod metrics;
mod middleware;
mod not_offered;
mod openapi;
pub mod portal;
mod request_id;
mod surface;
pub mod wire;

pub use app::{App, Options, deliver_webhooks, run_jobs};
pub use auth::{ForwardedHeader, TrustedProxies};
pub use connection_error::connection_error_response;
pub use middleware::RequestTimeouts;
pub use surface::{Surface, admin_router, router, router_of, router_with_timeouts};

use utoipa_axum::router::OpenApiRouter;

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(fapi::router())
        .merge(bapi::router())
        .merge(dev::router())
}

/// The OpenAPI document of everything that is served as an API.
pub fn openapi() -> serde_json::Value {
    openapi::complete(documented().split_for_parts().1)
}
