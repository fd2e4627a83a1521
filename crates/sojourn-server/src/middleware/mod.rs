//! What happens to every request before and after its handler, one concern per file.

mod body;
mod cors;
pub mod error_page;
mod method_override;
mod request_limits;
mod response_headers;
mod test_clock;
mod trace;
mod unrouted;

pub use body::{MAX_BODY_BYTES, RequestTimeouts};

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, normalize_path::NormalizePathLayer};

use crate::{app::App, surface::Surface};

/// The routes with everything around them.
pub fn wrap(routes: Router<App>, app: &App, surface: Surface, timeouts: RequestTimeouts) -> Router {
    let routes = routes
        // Only what lies around a route knows which one was matched.
        .route_layer(from_fn(trace::label_route))
        .fallback(unrouted::answer_unknown)
        .method_not_allowed_fallback(unrouted::answer_wrong_method)
        .layer(CatchPanicLayer::custom(unrouted::answer_panic))
        .with_state(app.clone());
    // The first sees a request first and its answer last.
    let layers = ServiceBuilder::new()
        .layer(from_fn(trace::trace))
        .layer(from_fn_with_state(app.clone(), response_headers::add))
        .layer(from_fn_with_state(app.clone(), cors::allow_origin))
        .layer(from_fn_with_state(app.clone(), error_page::show_to_navigations))
        .layer(from_fn_with_state((app.clone(), surface), request_limits::check_head))
        .layer(from_fn_with_state(timeouts, body::read_whole))
        // Compat: clerk/javascript packages/clerk-js/src/core/resources/User.ts asks for
        // `/me/email_addresses/` and others with a slash at the end.
        .layer(NormalizePathLayer::trim_trailing_slash())
        .layer(from_fn(method_override::override_method))
        .layer(from_fn_with_state(app.clone(), cors::read_settings))
        .layer(from_fn_with_state(app.clone(), test_clock::follow))
        .layer(from_fn_with_state(timeouts, body::limit_handler));
    // As a fallback of an outer router: these layers run before routing, because they rewrite the
    // path and the method that routes are chosen by.
    Router::new().fallback_service(layers.service(routes))
}
