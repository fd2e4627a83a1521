//! Sojourn over HTTP: the Frontend API, the Backend API, the hosted pages.
//!
//! Every handler loads, lets `sojourn-core` decide, commits, and answers. The
//! modules `fapi`, `bapi` and `portal` do not know each other; what they share
//! is in [`wire`] (shapes and errors) and [`auth`] (who is calling).

#![recursion_limit = "256"]

pub mod app;
pub mod auth;
pub mod bapi;
mod bodies;
mod dev;
mod error;
pub mod fapi;
mod layers;
mod not_offered;
mod openapi;
pub mod portal;
mod refusal_page;
pub mod wire;

pub use app::{App, Options, run_jobs};
pub use bodies::RequestTimeouts;

use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
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

/// The whole server as one service, with the timeouts that requests have
/// outside tests.
pub fn router(app: &App) -> Router {
    router_with_timeouts(app, RequestTimeouts::default())
}

/// As [`router`], with other timeouts.
pub fn router_with_timeouts(app: &App, timeouts: RequestTimeouts) -> Router {
    let (api, _) = documented().split_for_parts();
    let routes = api
        .merge(portal::router())
        .merge(portal::static_routes())
        .fallback(layers::answer_unknown)
        .method_not_allowed_fallback(layers::answer_wrong_method)
        .layer(CatchPanicLayer::custom(layers::answer_panic))
        .with_state(app.clone());
    // As a fallback of an outer router, so that it runs before routing: it
    // rewrites the path and the method that routes are chosen by.
    let before_routing = middleware::from_fn_with_state((app.clone(), timeouts), layers::admit);
    Router::new().fallback_service(tower::Layer::layer(&before_routing, routes))
}
