//! What a browser has to know before anything else.

use axum::{Json, extract::State, response::IntoResponse};
use sojourn_api as api;

use sojourn_service::RequestContext;

use crate::{
    app::App,
    portal,
    wire::{ApiResult, environment},
};

/// The environment document. Public; makes no client.
#[utoipa::path(
    get, path = "/v1/environment",
    responses((status = 200, description = "The environment", body = api::Environment)),
)]
pub async fn get_environment(
    State(app): State<App>,
    request: RequestContext,
) -> ApiResult<impl IntoResponse> {
    Ok(document(&app, &request))
}

/// The same: browsers of development keys ask this way.
/// Compat: clerk/javascript packages/clerk-js/src/core/resources/Environment.ts
#[utoipa::path(
    patch, path = "/v1/environment",
    responses((status = 200, description = "The environment", body = api::Environment)),
)]
pub async fn update_environment(
    State(app): State<App>,
    request: RequestContext,
) -> ApiResult<impl IntoResponse> {
    Ok(document(&app, &request))
}

fn document(app: &App, request: &RequestContext) -> Json<sojourn_api::Environment> {
    let portal = app.own_origin();
    Json(environment::environment(environment::Environment {
        instance_id: &app.instance_id().to_string(),
        settings: &request.settings,
        development: app.is_development(),
        portal: &portal,
        home_url: &portal::home_url(app, &request.settings, request.origin.as_deref()),
    }))
}
