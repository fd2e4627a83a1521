//! What a browser has to know before anything else.

use axum::{Json, extract::State, response::IntoResponse};
use serde_json::Value;

use crate::{
    app::App,
    auth::RequestContext,
    portal,
    wire::{ApiResult, environment},
};

/// The environment document. Public; makes no client.
#[utoipa::path(get, path = "/v1/environment", tag = "Environment", responses((status = 200, description = "The environment")))]
pub async fn get_environment(State(app): State<App>, visit: RequestContext) -> ApiResult<impl IntoResponse> {
    Ok(document(&app, &visit))
}

/// The same: browsers of development keys ask this way.
/// Compat: clerk/javascript packages/clerk-js/src/core/resources/Environment.ts
#[utoipa::path(patch, path = "/v1/environment", tag = "Environment", responses((status = 200, description = "The environment")))]
pub async fn update_environment(
    State(app): State<App>,
    visit: RequestContext,
) -> ApiResult<impl IntoResponse> {
    Ok(document(&app, &visit))
}

fn document(app: &App, visit: &RequestContext) -> Json<Value> {
    let portal = app.own_origin();
    Json(environment::environment(environment::Environment {
        instance_id: &app.instance_id().to_string(),
        settings: &visit.settings,
        development: app.is_development(),
        portal: &portal,
        home_url: &portal::home_url(app, &visit.settings, visit.origin.as_deref()),
    }))
}
