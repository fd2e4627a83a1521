//! The instance as the vendor's SDKs know it.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;
use sojourn_core::settings::Settings;
use sojourn_store::Engine as _;

use super::{
    instance_settings::{exact_origins, test_mode},
    settings::{ChangeRequest, Fields, change},
};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiResult, Params},
};

/// What can be changed here, and what is accepted without effect because SDKs send it.
const KNOWN: [&str; 9] = [
    "test_mode",
    "allowed_origins",
    "hibp",
    "support_email",
    "clerk_js_version",
    "development_origin",
    "cookieless_dev",
    "url_based_session_syncing",
    "preferred_sign_in_strategy_when_password_required",
];

/// The instance.
#[utoipa::path(get, path = "/v1/instance", tag = "Instance", responses((status = 200, description = "The instance")))]
pub async fn get_instance(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    Ok(Json(json!({
        "object": "instance",
        "id": app.instance_id(),
        "environment_type": if app.is_development() { "development" } else { "production" },
        "allowed_origins": settings.instance.allowed_origins,
        "workspace_id": null,
    }))
    .into_response())
}

/// Changes test mode and allowed origins.
#[utoipa::path(patch, path = "/v1/instance", tag = "Instance", responses((status = 204, description = "Changed"), (status = 422, description = "A field is not accepted")))]
pub async fn update_instance(
    State(app): State<App>,
    _: ApplicationServer,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<StatusCode> {
    let fields = Fields::new(params.fields(), "", &KNOWN)?;
    // SDKs send null for what they leave alone.
    let given = |name: &str| !fields.is_null(name);
    let test_mode = if given("test_mode") { test_mode(&app, &fields)? } else { None };
    let origins = if given("allowed_origins") { exact_origins(&fields)? } else { None };
    let request = ChangeRequest::of(&headers, None)?;
    change(&app, &request, |settings| {
        let mut next: Settings = settings.clone();
        next.instance.test_mode = test_mode.unwrap_or(next.instance.test_mode);
        if let Some(origins) = &origins {
            next.instance.allowed_origins.clone_from(origins);
        }
        Ok(next)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
