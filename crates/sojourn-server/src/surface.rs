//! What is served on which address: everything on one, or the Backend API and the health of the
//! process on addresses of their own.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use sojourn_store::Engine as _;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::App,
    bapi, dev, documented, fapi, metrics,
    middleware::{self, RequestTimeouts},
    portal,
};

/// A part of the routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// All of them.
    Everything,
    /// What browsers need: the Frontend API, the hosted pages, the scripts and the public keys.
    Public,
    /// What needs a secret key, and the public keys. Any `Host` is answered.
    Backend,
}

/// Compat: SDKs of backends fetch the keys here, at whatever address they know.
/// clerk/javascript packages/backend/src/tokens/keys.ts
const JWKS: &str = "/v1/jwks";

impl Surface {
    /// Whether a path can be something here: nothing tells that it exists elsewhere.
    pub(crate) fn serves(self, path: &str) -> bool {
        let is_backend = (path.starts_with("/v1/") && !fapi::owns(path)) || path.starts_with("/dev/");
        match self {
            Self::Everything => true,
            Self::Public => !is_backend || path == JWKS,
            Self::Backend => is_backend || fapi::is_public(path),
        }
    }
}

/// The whole server as one service, with the timeouts that requests have outside tests.
pub fn router(app: &App) -> Router {
    router_with_timeouts(app, RequestTimeouts::default())
}

/// As [`router`], with other timeouts.
pub fn router_with_timeouts(app: &App, timeouts: RequestTimeouts) -> Router {
    build(app, Surface::Everything, timeouts)
}

/// The routes of one address.
pub fn router_of(app: &App, surface: Surface) -> Router {
    build(app, surface, RequestTimeouts::default())
}

fn build(app: &App, surface: Surface, timeouts: RequestTimeouts) -> Router {
    let pages = || portal::router().merge(portal::static_routes());
    let routes = match surface {
        Surface::Everything => plain(documented())
            .merge(pages())
            .route(metrics::PATH, get(metrics::show_metrics_to_this_machine)),
        Surface::Public => plain(fapi::router().merge(bapi::public_keys())).merge(pages()),
        Surface::Backend => plain(bapi::router().merge(dev::router()).merge(fapi::public_documents())),
    };
    middleware::wrap(routes, app, surface, timeouts)
}

fn plain(api: OpenApiRouter<App>) -> Router<App> {
    api.split_for_parts().0
}

/// The health of the process and its metrics, for supervisors, load balancers and Prometheus. Answers to
/// any `Host`, and tells no secret and nothing of any user.
pub fn admin_router(app: &App) -> Router {
    Router::new()
        .route("/health/live", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/health/ready", get(ready))
        .route(metrics::PATH, get(metrics::show_metrics))
        .with_state(app.clone())
}

/// Ready is whoever can read the database.
async fn ready(State(app): State<App>) -> Response {
    match app.store().settings(app.instance_id()).await {
        Ok(_) => Json(json!({"status": "ok"})).into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            let body = json!({"status": "unavailable", "reason": "the database does not answer"});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}
