//! Every version of the settings there was, who made it and what it changed,
//! and the way back to one.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sojourn_core::settings::{Settings, differences};
use sojourn_service::settings::VersionWithPredecessor;
use sojourn_store::Engine as _;

use super::{page::Page, settings_request::SettingsRequest};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, Params},
};

/// A version as it is listed: `before` is the one that it followed.
fn object(version: &Settings, before: Option<&Settings>) -> Value {
    let changes = before.map(|before| differences(&before.config(), &version.config()));
    json!({
        "object": "settings_version",
        "version": version.version,
        "author": version.author,
        "restores": version.restores,
        "ended_all_sessions": version.ends_all_sessions,
        "saved_at": version.saved_at.unwrap_or(version.in_force_from),
        "in_force_from": version.in_force_from,
        "changes": changes.unwrap_or_default(),
    })
}

/// The versions of the settings, newest first. One version covers all documents.
#[utoipa::path(get, path = "/v1/instance/settings_history", tag = "Settings", responses((status = 200, description = "The versions, each with what it changed")))]
pub async fn list_settings_versions(
    State(app): State<App>,
    _: ApplicationServer,
    params: Params,
) -> ApiResult<Response> {
    let page = Page::of(&params)?;
    let history = app.store().settings_history(app.instance_id()).await?;
    let listed = (0..history.len()).rev().skip(page.offset as usize).take(page.limit as usize);
    let before = |index: usize| index.checked_sub(1).and_then(|before| history.get(before));
    let data: Vec<Value> = listed.map(|index| object(&history[index], before(index))).collect();
    Ok(Json(json!({"data": data, "total_count": history.len()})).into_response())
}

/// One version, with the whole of its settings.
#[utoipa::path(get, path = "/v1/instance/settings_history/{version}", tag = "Settings", params(("version" = u64, Path)), responses((status = 200, description = "The version"), (status = 404, description = "There is no such version")))]
pub async fn get_settings_version(
    State(app): State<App>,
    _: ApplicationServer,
    Path(version): Path<String>,
) -> ApiResult<Response> {
    let found = find(&app, &version).await?;
    let mut answer = object(&found.version, found.predecessor.as_ref());
    answer["config"] = found.version.config().into();
    Ok(Json(answer).into_response())
}

/// Makes a new version with the content of an earlier one; the history stays as
/// it was. `?dry_run=true` and `If-Match` as with any change, and what is refused
/// there is refused here: pinned values, and durations out of today's bounds.
#[utoipa::path(post, path = "/v1/instance/settings_history/{version}/rollback", tag = "Settings", params(("version" = u64, Path)), responses((status = 200, description = "The new version, or the dry run"), (status = 404, description = "There is no such version"), (status = 409, description = "Another version is in force, or a value is pinned"), (status = 422, description = "A value is not accepted any more")))]
pub async fn rollback_settings(
    State(app): State<App>,
    _: ApplicationServer,
    Path(version): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let request = SettingsRequest::of(&headers, query.as_deref())?;
    let earlier = find(&app, &version).await?.version;
    let dry_run = request.change.dry_run;
    let changed = app.roll_back_settings(request.change, &earlier).await?;
    let mut answer = if dry_run {
        json!({
            "object": "settings_rollback_dry_run",
            "version": changed.before.version,
            "restores": earlier.version,
            "before": changed.before.config(),
            "after": changed.after.config(),
            "changes": differences(&changed.before.config(), &changed.after.config()),
            "would_end": app.would_end(&changed).await?,
        })
    } else {
        let mut answer = object(&changed.after, Some(&changed.before));
        answer["config"] = changed.after.config().into();
        answer
    };
    answer["warnings"] = json!(changed.after.warnings());
    Ok(Json(answer).into_response())
}

async fn find(app: &App, version: &str) -> ApiResult<VersionWithPredecessor> {
    // No version is 0: what is no number is none of them either.
    let found = app.settings_version(version.parse().unwrap_or(0)).await?;
    found.map_err(|newest| {
        ApiError::not_found("version of the settings")
            .why(format!("There are the versions 1 to {newest}, and {version} is none of them."))
    })
}
